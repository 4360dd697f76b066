"""Asking for the translation of one text: the same text is asked once, whoever needs it.

The key of a request holds the text with its masks numbered, both languages, the prompt and the model, and nothing of the
row that it stands in. So the journal is the memory of a run: a line that a thousand rows have is one request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracemill import identity
from tracemill.languages import Language
from tracemill.models.line_sender import KEY as LANGUAGES
from tracemill.models.wire import Ask, Failure, Reply, Request
from tracemill.recipe import Recipe, Teacher
from tracemill.recipe.dialects import Asked
from tracemill.translation.prompting import Prompt

BUCKETS = 16
"""Files of the journal that translations are spread over, whatever the number of files."""
LEAST_TOKENS, TOKENS_A_CHARACTER = 256, 3
"""A translation may take so many tokens: a reply that goes on and on is cut. Japanese takes about one for each character
of English, the brackets some more."""


@dataclass(frozen=True, slots=True)
class _Manner:
    """How one teacher is asked to translate."""

    teacher: Teacher
    asked: Asked
    sampling: Mapping[str, float | int]
    max_tokens: int


class Asking:
    """Makes requests for texts, and has each asked once at a time in this process.

    Args:
        ask: The door.
        recipe: Its teachers translate.
    """

    def __init__(self, ask: Ask, recipe: Recipe) -> None:
        self.ask, self.recipe = ask, recipe
        self._manners: dict[str, _Manner] = {}
        self._open: dict[str, asyncio.Task[Reply | Failure]] = {}

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply; one that is under way for another row is waited for."""
        task = self._open.get(request.key)
        if task is None:
            task = asyncio.ensure_future(self.ask(request))
            self._open[request.key] = task
            task.add_done_callback(lambda _: self._open.pop(request.key, None))
        return await asyncio.shield(task)

    def request(
        self,
        teacher: str,
        prompt: Prompt,
        text: str,
        source: Language,
        target: Language,
        *,
        rules: Sequence[str] = (),
        before: Sequence[str] = (),
        sample: int = 0,
    ) -> Request:
        """The request for the translation of a masked text.

        Args:
            rules: As `Prompt.messages`.
            before: Lines before it, for context.
            sample: Counts how often the same was asked of the same teacher: another one gets another seed.
        """
        manner = self._manner(teacher)
        head = manner.asked.system
        extra = dict(manner.asked.body)
        messages: tuple[dict[str, str], ...]
        if manner.teacher.reads_lines:
            messages, extra = (
                ({"role": "user", "content": text},),
                {LANGUAGES: {"source": source.code, "target": target.code}},
            )
        else:
            messages = prompt.messages(text, source, target, rules, before)
        if head is not None and not manner.teacher.reads_lines:
            messages = _headed(head, messages)
        about = identity.digest(["segment", text, source.code, target.code])
        limit = min(manner.max_tokens, LEAST_TOKENS + TOKENS_A_CHARACTER * len(text))
        return Request(
            teacher=teacher,
            model=manner.teacher.model,
            revision=manner.teacher.revision,
            messages=messages,
            reasoning="off",
            seed=identity.wire_seed(self.recipe.seed, about, "off", 0, sample),
            max_tokens=limit,
            home=home(about),
            index=0,
            retry=sample,
            sampling=manner.sampling,
            extra=extra,
            send_seed=manner.teacher.sends_seed(),
            limit_field=manner.teacher.limited_by(),
            trace_field=manner.teacher.trace_field(),
            shared=True,
        )

    def brackets(self, teacher: str) -> bool:
        """Whether a teacher was asked to put its translation into brackets."""
        return not self.recipe.teachers[teacher].reads_lines

    def _manner(self, name: str) -> _Manner:
        manner = self._manners.get(name)
        if manner is None:
            teacher = self.recipe.teachers[name]
            sampling = teacher.sampling_for("chat").model_dump(exclude_none=True)
            limit = sampling.pop("max_tokens")
            manner = self._manners[name] = _Manner(teacher, teacher.asked("off"), sampling, limit)
        return manner


def count_tokens(into: Counter[str], teacher: str, got: Reply | Failure) -> None:
    """Add the tokens of a reply, as the endpoint counted them: "prompt tokens TEACHER" and "completion tokens TEACHER"."""
    if isinstance(got, Reply) and got.usage is not None:
        into[f"prompt tokens {teacher}"] += got.usage.prompt_tokens
        into[f"completion tokens {teacher}"] += got.usage.completion_tokens


def home(about: str) -> str:
    """Where the journal keeps the reply about a text: one of `BUCKETS` places, so that few files are open at once."""
    return about[0] + "0" * 63


def _headed(head: str, messages: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
    """A dialect's switch in front of the system message."""
    first, *rest = messages
    if first["role"] == "system":
        return ({**first, "content": f"{head}\n{first['content']}"}, *rest)
    return ({"role": "system", "content": head}, *messages)
