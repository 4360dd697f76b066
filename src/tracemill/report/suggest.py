"""From what a probe saw to the lines of a recipe that would make it right: the nearest dialect."""

from __future__ import annotations

from urllib.parse import urlsplit

from tracemill.models.probe import Probe
from tracemill.recipe import Dialects, Impossible, Server, Teacher
from tracemill.record import Reasoning

FINGERPRINTS = {"fp_ollama": "ollama"}
"""`system_fingerprint` by which a server gives itself away. Source: ollama/ollama, openai/openai.go."""


def suggested(
    name: str, teacher: Teacher, found: Probe, wanted: tuple[Reasoning, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines for the recipe, and advice in words; both empty where all is well."""
    bad = [r for r in found.reactions if r.mode in wanted and (r.obeyed is False or r.said is None)]
    refused = {field for reaction in found.reactions for field in reaction.refused}
    if not bad and not refused:
        return (), ()
    table = teacher.dialects()
    family = table.family_of(teacher.model) or teacher.family
    server = nearest_server(table, teacher, found) or teacher.server
    if any(r.status == 404 for r in bad):
        listed = found.listing is not None and bool(found.listing.names)
        text = "take a model that the endpoint lists"
        return (), (text if listed else "check the url: it ends where /chat/completions begins, usually in /v1",)
    there = Teacher(model=teacher.model, url=teacher.url, family=family, server=server, effort=teacher.effort)
    there = there.in_table(table)
    lines = [f"family: {family}"] if family is not None and family != teacher.family else []
    lines += [f"server: {server}"] if server is not None and server != teacher.server else []
    lines += _fields(there, teacher, refused)
    possible, advice = _possible(there, wanted)
    if family is None:
        advice.append(
            "no family of the table fits the model's name; see docs/dialects.md, and write what is known of it"
        )
    if server is None and len(possible) == len(wanted):
        advice.append("what serves it is not known; name it in `server`, or write reasoning_on and reasoning_off")
    own = [key for key in ("reasoning_on", "reasoning_off") if getattr(teacher, key) is not None]
    if lines and own:
        advice.append(f"take {' and '.join(own)} out: what the recipe writes itself wins over family and server")
    if not lines:
        notes = [table.servers[server].note if server else "", table.families[family].note if family else ""]
        advice += [note for note in notes if note]
    return (*_yaml(name, lines), *_respond(possible, wanted)), tuple(advice)


def nearest_server(table: Dialects, teacher: Teacher, found: Probe) -> str | None:
    """The server of the table that shows most of its signs; None if none does."""
    parts = urlsplit(teacher.url)
    fields = {r.said.where for r in found.reactions if r.said is not None and r.said.where}
    prints = {FINGERPRINTS.get(r.fingerprint) for r in found.reactions}

    def signs(name: str, server: Server) -> int:
        known = 8 * any((parts.hostname or "").endswith(host) for host in server.hosts)
        known += 8 * (name in prints) + 4 * (parts.port in server.ports)
        known += 4 * bool(found.listing and found.listing.owners & set(server.owned_by))
        return known * 2 + (server.trace in fields) if known else 0

    best = max(table.servers, key=lambda name: (signs(name, table.servers[name]), name == "vllm"), default=None)
    return best if best is not None and signs(best, table.servers[best]) else None


def _possible(teacher: Teacher, wanted: tuple[Reasoning, ...]) -> tuple[list[Reasoning], list[str]]:
    """The modes that a teacher's dialect can ask for, and why not the others."""
    possible, why = [], []
    for mode in wanted:
        try:
            teacher.asked(mode)
            possible.append(mode)
        except Impossible as exc:
            why.append(str(exc))
    return possible, why


def _fields(there: Teacher, teacher: Teacher, refused: set[str]) -> list[str]:
    """What to write about fields that were refused, where the dialect of `there` would not see to it."""
    lines = ["send_seed: false"] if "seed" in refused and there.sends_seed() else []
    limit = teacher.limited_by()
    other = "max_completion_tokens" if limit == "max_tokens" else "max_tokens"
    return [*lines, f"limit_field: {other}"] if limit in refused and there.limited_by() != other else lines


def _yaml(name: str, lines: list[str]) -> tuple[str, ...]:
    return ("teachers:", f"  {name}:", *(f"    {line}" for line in lines)) if lines else ()


def _respond(possible: list[Reasoning], wanted: tuple[Reasoning, ...]) -> tuple[str, ...]:
    """The mode that is left, where one of those asked for cannot be had."""
    return ("respond:", f"  reasoning: {possible[0]}") if possible and len(possible) < len(wanted) else ()
