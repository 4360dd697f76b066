"""Answers from files into the journal, as if they had come over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tracemill import identity
from tracemill.errors import RecipeError, UsageError
from tracemill.exchange.lines import FORMATS, Format, body_hash
from tracemill.exchange.shelf import Offer, Shelf
from tracemill.gather.spool import open_spool
from tracemill.legible import quoted
from tracemill.mill import check_place
from tracemill.models.masking import Mask
from tracemill.models.outcomes import same_model
from tracemill.models.replies import Unreadable, finish_reason, parsed, read_reply, usage
from tracemill.models.wire import Failure, Reply, Request
from tracemill.plan import Plan
from tracemill.recipe import Recipe, secret_texts
from tracemill.respond.answer import Question
from tracemill.respond.episode import respond
from tracemill.storage.entries import IMPORTED, REPLY, Entry, serving
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock
from tracemill.upkeep import holds_answer


@dataclass
class ImportReport:
    """What came of an import."""

    out: Path
    imported: int = 0
    """Answers that are in the journal now and were not before."""
    lines: dict[str, int] = field(default_factory=dict)
    """Answers by what became of them, see `exchange.shelf.REASONS`; together all of them."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """FILE:LINE of the first few of each reason."""
    requests: int = 0
    """Lines of batch input files."""
    samples: int = 0
    """Samples that the recipe asks for."""
    missing: int = 0
    """Samples among them that the journal has no answer to yet: what a build will ask."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "out": str(self.out),
            "imported": self.imported,
            "lines": self.lines,
            "examples": self.examples,
            "request_lines": self.requests,
            "samples": self.samples,
            "missing": self.missing,
        }


def import_answers(
    recipe: Recipe,
    out: str | Path,
    files: Sequence[str | Path],
    *,
    form: Format = "auto",
    limit: int | None = None,
    fs: Fs = REAL,
    tell: Callable[[str], None] = lambda text: None,
) -> ImportReport:
    """Take answers bought elsewhere into the journal of the run in `out`; a build then asks only for the rest.

    An answer belongs to the request that its custom_id names, where `export_requests` wrote it; else to the one with the
    same body and seed; else, without a seed, to the next sample of the same body, in the order of the files.

    Args:
        files: Batch output, batch input beside it where that is needed to know what was asked, or pairs.
        limit: Take only the first so many prompts, in input order, as a build with this limit does.
        tell: Called with a line of progress now and then.
    Raises:
        UsageError: a file cannot be read, or `out` is no place for a run.
        RecipeError: the recipe or an input cannot be used.
        Locked: another process writes `out`.
        DiskError: what was counted as imported before is stored; the same call goes on.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {quoted(form)}: it is one of {', '.join(FORMATS)}")
    paths = RunPaths(Path(out))
    check_place(paths)
    shelf = Shelf(Mask(_secrets(recipe)))
    try:
        for file in files:
            shelf.fill(Path(file), form)
            tell(f"{file} read")
        shelf.join()
        with RunLock(paths.lock):
            spool = open_spool(paths.spool, recipe, limit, fs)
            Journal.create(paths.journal, spool.prompts, fs)
            journal = Journal(paths.journal, fs=fs)
            try:
                report = asyncio.run(_Import(Plan(recipe, spool, limit), journal, shelf, paths.root).run(tell))
            finally:
                journal.close()
        report.lines = shelf.counts()
        report.examples = shelf.examples()
        report.requests = shelf.requests
        return report
    finally:
        shelf.close()


def _secrets(recipe: Recipe) -> set[str]:
    """The secrets that the recipe names, as far as the environment holds them: an import needs none."""
    found = set()
    for name, teacher in recipe.teachers.items():
        with suppress(RecipeError):
            found |= secret_texts(teacher, f"teachers.{name}")
    return found


class _NotHere(Exception):
    """Neither the journal nor the files answer a request."""


class _Import:
    """Walks the plan as a build would, and answers from the shelf."""

    def __init__(self, plan: Plan, journal: Journal, shelf: Shelf, root: Path) -> None:
        self.plan, self.journal, self.shelf = plan, journal, shelf
        self.report = ImportReport(root)
        self._commits: list[asyncio.Future[None]] = []

    async def run(self, tell: Callable[[str], None]) -> ImportReport:
        """Answer what can be answered, a unit at a time."""
        recipe = self.plan.recipe
        for number, unit in enumerate(self.plan.units, 1):
            prompts = self.plan.spool.read(unit)
            asked = [q for prompt in prompts for q in self.plan.questions.of(prompt)]
            for question in asked:
                self._settle(question)
            for question in asked:
                self.report.samples += 1
                try:
                    await respond(question, self, recipe)
                except _NotHere:
                    self.report.missing += 1
            await asyncio.gather(*self._commits)
            self.report.imported += len(self._commits)
            self._commits.clear()
            tell(f"{number} of {len(self.plan.units)} units, {self.report.imported:,} answers stored")
        return self.report

    def _settle(self, question: Question) -> None:
        """Find what was given to this question's samples before, those asked anew among them."""
        request = question.request
        if not self.shelf.expects(request):
            return
        for retry in range(self.plan.recipe.respond.ask_anew + 1):
            entries = self.journal.entries(asked_anew(question, self.plan.recipe.seed, retry).key, request.home)
            for entry in entries:
                if entry.outcome == REPLY and holds_answer(entry.body):
                    self.shelf.held(request, body_hash(parsed(entry.body)))

    async def __call__(self, request: Request) -> Reply | Failure:
        entries = self.journal.entries(request.key, request.home)
        stored = serving(entries, request.max_tokens)
        if stored is not None:
            try:
                reply = read_reply(request, stored.body)
            except Unreadable:
                pass
            else:
                self.shelf.served(request)
                return reply
        offer = self.shelf.give(request)
        if offer is None:
            raise _NotHere
        entry = _entry(request, offer)
        accepted = self.plan.recipe.teachers[request.teacher].accept_models
        if entry.model is not None and not same_model(request.model, entry.model, accepted):
            self.shelf.refuse(offer, "other_model")
            raise _NotHere
        if serving([*entries, entry], request.max_tokens) is not entry:
            self.shelf.refuse(offer, "stored")
            raise _NotHere
        self._commits.append(self.journal.store(entry, request.home))
        return read_reply(request, offer.body)


def asked_anew(question: Question, run_seed: int, retry: int) -> Request:
    """The request of a sample when it is asked for the (retry + 1)-th time."""
    request = question.request
    if not retry:
        return request
    seed = identity.wire_seed(run_seed, question.unanswered.prompt_key, request.reasoning, request.index, retry)
    return request.again(retry, seed)


def _entry(request: Request, offer: Offer) -> Entry:
    """What the journal keeps of an answer; the same as of one that came over the wire, but for the endpoint's name."""
    told = orjson.loads(offer.body)
    used = usage(told)
    model = told.get("model")
    return Entry(
        key=request.key,
        outcome=REPLY,
        max_tokens=request.max_tokens if offer.ended else offer.max_tokens,
        attempt=1,
        body=offer.body,
        status=200,
        finish_reason=finish_reason(told),
        prompt_tokens=used.prompt_tokens if used else None,
        completion_tokens=used.completion_tokens if used else None,
        teacher=request.teacher,
        endpoint=f"{IMPORTED}{offer.name}",
        model=model if isinstance(model, str) else None,
    )
