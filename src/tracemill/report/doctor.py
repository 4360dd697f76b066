"""`tracemill doctor`: what is installed, and whether the teachers of a recipe do what it expects of them."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from tracemill.code_task import LANGUAGES
from tracemill.errors import EndpointError, MissingExtra
from tracemill.legible import one_line, quoted
from tracemill.models.probe import Probe, Reaction, probe
from tracemill.recipe import MODES, Recipe, Teacher
from tracemill.record import Reasoning
from tracemill.report.suggest import suggested
from tracemill.sandbox import Standing, find_sandbox
from tracemill.verify.code.languages import lacking

EXTRAS: Mapping[str, str] = {
    "code": "parsing code, which every check of code begins with",
    "eval": "`tracemill eval translation`: BLEU, chrF++ and likeness of meaning",
    "hub": "datasets named by their Hub id; `load_dataset` on what comes out",
    "lingua": "telling the language of very short texts",
    "mt": "translation by a local model of CTranslate2",
    "tokens": "`tracemill stats --tokenizer`",
    "dev": "working on Tracemill itself",
}
"""What each extra is for. A test holds that every extra is here."""
OLDEST = (3, 11)
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;.*?extra\s*==\s*[\"']([^\"']+)[\"'])?")
SHOWN_MODELS = 5


@dataclass(frozen=True, slots=True)
class Package:
    """One package that Tracemill can use."""

    name: str
    wanted: str
    """As its metadata says it, e.g. ">=26"."""
    found: str | None
    """The version that is there."""
    extra: str | None
    """The extra that asks for it; None: nothing works without it."""

    @property
    def ok(self) -> bool:
        return self.found is not None and _at_least(self.found, self.wanted)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool | None
    """None: nothing can be said."""
    text: str


@dataclass(frozen=True, slots=True)
class Consultation:
    """What was found out about one teacher."""

    teacher: str
    url: str
    model: str
    down: bool
    """Whether it cannot be asked at all."""
    findings: tuple[Finding, ...]
    recipe_lines: tuple[str, ...] = ()
    """What to write into the recipe, as YAML."""
    advice: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.down and all(finding.ok is not False for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Examination:
    """All that `doctor` found out."""

    python: str
    packages: tuple[Package, ...]
    teachers: tuple[Consultation, ...] = ()
    sandbox: Standing | None = None
    """Where generated code can be run, after all its probes. None: it was not looked for."""

    @property
    def exit_code(self) -> int:
        """5: a teacher cannot be asked; 2: a package is missing that every command needs; 1: a teacher does not do what
        the recipe expects; else 0. A missing extra or sandbox is no failure.
        """
        if any(teacher.down for teacher in self.teachers):
            return EndpointError.exit_code
        if any(not package.ok for package in self.packages if package.extra is None):
            return MissingExtra.exit_code
        return 0 if all(teacher.ok for teacher in self.teachers) else 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "python": self.python,
            "packages": [{**asdict(p), "ok": p.ok} for p in self.packages],
            "install": {extra: install_line(extra) for extra in self.missing_extras()},
            "sandbox": _sandbox_json(self.sandbox) if self.sandbox is not None else None,
            "teachers": [{**asdict(t), "ok": t.ok} for t in self.teachers],
            "exit_code": self.exit_code,
        }

    def missing_extras(self) -> list[str]:
        """Extras of which something is not there."""
        return list(dict.fromkeys(p.extra for p in self.packages if p.extra is not None and not p.ok))

    def to_text(self) -> str:
        """As a person reads it."""
        core = [p for p in self.packages if p.extra is None]
        lines = [f"python {self.python}"]
        lines += [
            _line(p.ok, f"{p.name} {p.found or 'is not installed'}{'' if p.ok else f', {p.wanted} is needed'}")
            for p in core
        ]
        for extra in dict.fromkeys(p.extra for p in self.packages if p.extra is not None):
            absent = [p.name for p in self.packages if p.extra == extra and not p.ok]
            missing = f"; missing: {', '.join(absent)}. {install_line(extra)}" if absent else ""
            lines.append(_line(None if absent else True, f"[{extra}] {EXTRAS.get(extra, '')}{missing}"))
        lines += _sandbox_lines(self.sandbox) if self.sandbox is not None else []
        for teacher in self.teachers:
            lines += ["", *_teacher_lines(teacher)]
        return "\n".join(lines)


def install_line(extra: str) -> str:
    """How an extra is installed, next to the Python that runs."""
    return f"{sys.executable} -m pip install 'tracemill[{extra}]'"


def doctor(recipe: Recipe | None = None) -> Examination:
    """Look at what is installed; with a recipe, ask each of its teachers two short questions as well.

    Raises:
        RecipeError: a secret that the recipe names is not in the environment.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    teachers = asyncio.run(_consult(recipe)) if recipe is not None else ()
    return Examination(python, tuple(_packages()), teachers, find_sandbox())


def _packages() -> Iterable[Package]:
    try:
        wanted_by_us = requires("tracemill") or []
    except PackageNotFoundError:  # run from its source, without being installed
        return
    for text in wanted_by_us:
        found = REQUIREMENT.match(text)
        if found is not None:
            name, wanted, extra = found[1], found[2].strip(), found[3]
            try:
                there: str | None = version(name)
            except PackageNotFoundError:
                there = None
            yield Package(name, wanted, there, extra)


def _at_least(found: str, wanted: str) -> bool:
    """Whether a version is as high as `>=` asks; other conditions are not looked at."""
    least = re.search(r">=\s*([\d.]+)", wanted)
    return least is None or _numbers(found) >= _numbers(least[1])


def _numbers(text: str) -> tuple[int, ...]:
    head = re.match(r"[\d.]+", text)
    return tuple(int(n) for n in (head[0] if head else "").split(".") if n)


async def _consult(recipe: Recipe) -> tuple[Consultation, ...]:
    wanted: tuple[Reasoning, ...] = MODES if recipe.respond.reasoning == "both" else (recipe.respond.reasoning,)
    found = [_of(name, there, wanted) for name, teacher in recipe.teachers.items() for there in _addresses(teacher)]
    return tuple(await asyncio.gather(*found))


def _addresses(teacher: Teacher) -> list[Teacher]:
    """The teacher once for each of its endpoints."""
    urls = [teacher.url, *(replica.url for replica in teacher.replicas)]
    return [teacher.model_copy(update={"url": url, "replicas": ()}) for url in urls]


async def _of(name: str, teacher: Teacher, wanted: tuple[Reasoning, ...]) -> Consultation:
    if teacher.url == "builtin":
        there = Finding(True, "built in: there is nothing to ask")
        return Consultation(name, teacher.url, teacher.model, False, (there,))
    found = await probe(name, teacher)
    findings = [*_reached(found, teacher)]
    findings += [_obeyed(r, r.mode in wanted) for r in found.reactions if not r.unanswered]
    for mode, why in found.impossible.items():
        findings.append(Finding(None, f"reasoning {mode}: not asked; {one_line(why)}"))
    findings += _fields(found.reactions)
    lines, advice = suggested(name, teacher, found, wanted) if not found.down else ((), ())
    return Consultation(name, teacher.url, teacher.model, bool(found.down), tuple(findings), lines, advice)


def _reached(found: Probe, teacher: Teacher) -> Iterable[Finding]:
    """Whether it answers, and serves the model."""
    listing = found.listing
    if found.down:
        yield Finding(False, f"cannot be asked: {one_line(found.down)}. Check url and api_key, and that it is running")
        return
    if listing is None or listing.problem:
        yield Finding(None, f"GET /models: {one_line(listing.problem if listing else '')}")
    elif teacher.model in listing.names:
        yield Finding(True, f"it lists the model, among {len(listing.names)}")
    else:
        there = ", ".join(quoted(n) for n in listing.names[:SHOWN_MODELS]) or "none"
        more = f" and {len(listing.names) - SHOWN_MODELS} more" if len(listing.names) > SHOWN_MODELS else ""
        served = any(r.status == 200 for r in found.reactions)
        yield Finding(None if served else False, f"it does not list {quoted(teacher.model)}; there are: {there}{more}")


def _obeyed(reaction: Reaction, wanted: bool) -> Finding:
    """Whether a mode was obeyed, and where the trace was."""
    head = f"reasoning {reaction.mode}:"
    took = f", {reaction.seconds:.2f} s"
    if reaction.said is None:
        return Finding(False if wanted else None, f"{head} {one_line(reaction.problem, 400)}")
    where = reaction.said.where
    if reaction.obeyed is None:
        return Finding(None, f"{head} the reply was cut off before a trace could be told{took}")
    if reaction.obeyed:
        text = f"a trace came, in {_place(where)}" if reaction.mode == "on" else "no trace came"
        text += f"; {reaction.hidden} tokens were thought unseen" if reaction.mode == "off" and reaction.hidden else ""
        return Finding(True, f"{head} {text}{took}")
    if reaction.mode == "on":
        unseen = f"; {reaction.hidden} tokens were thought unseen" if reaction.hidden else ""
        return Finding(False if wanted else None, f"{head} no trace came{unseen}{took}")
    alone = "" if reaction.said.content else ", with no answer beside it"
    return Finding(False if wanted else None, f"{head} a trace came all the same, in {_place(where)}{alone}{took}")


def _place(where: str | None) -> str:
    return f"the field `{where}`" if where and ":" not in where and " " not in where else where or "the content"


def _fields(reactions: tuple[Reaction, ...]) -> Iterable[Finding]:
    """Which fields were refused, and whether seed and limit were not."""
    refused = list(dict.fromkeys(name for reaction in reactions for name in reaction.refused))
    if refused:
        yield Finding(False, f"refused: {', '.join(f'`{name}`' for name in refused)}")
    answered = [r for r in reactions if r.status == 200]
    if answered:
        taken = [
            n for n in ("seed", "max_tokens", "max_completion_tokens") if n in answered[-1].sent and n not in refused
        ]
        yield Finding(True, f"not refused: {', '.join(f'`{name}`' for name in taken) or 'nothing'}")


def _line(ok: bool | None, text: str) -> str:
    return f"  {'ok ' if ok else '-- ' if ok is None else 'BAD'} {text}"


def _sandbox_json(found: Standing) -> dict[str, Any]:
    probes = {finding.name: finding.held for finding in found.findings}
    usable = found.sandbox is not None
    languages = {language: lacking(language) for language in LANGUAGES}
    return {
        "driver": found.driver,
        "usable": usable,
        "missing": found.missing,
        "probes": probes,
        "languages": languages,
    }


def _sandbox_lines(found: Standing) -> list[str]:
    if found.sandbox is None:
        return [
            _line(None, f"[sandbox] {one_line(found.missing, 500)}; generated code is not run, and stays unverified")
        ]
    run = [language for language in LANGUAGES if not lacking(language)]
    return [
        _line(True, f"[sandbox] {found.driver} withstood {found.held} of {len(found.findings)} probes"),
        _line(True, f"[sandbox] programs are run in {', '.join(run)}"),
        *(
            _line(None, f"[sandbox] {language} stays unverified: {lacking(language)}")
            for language in LANGUAGES
            if language not in run
        ),
    ]


def _teacher_lines(teacher: Consultation) -> list[str]:
    out = [f"teacher {teacher.teacher}: {one_line(teacher.url)}, model {quoted(teacher.model)}"]
    out += [_line(finding.ok, finding.text) for finding in teacher.findings]
    if teacher.recipe_lines:
        out += ["  try this in the recipe, and ask again:", *(f"    {line}" for line in teacher.recipe_lines)]
    return [*out, *(f"  note: {one_line(text, 500)}" for text in teacher.advice)]
