"""The step that checks code: is there a block, does it parse, does it pass its tests, is it faster where that was asked?

What it reads: a sample whose last message holds a fenced block, and whose `expected` is a `CodeTask` as JSON. Without one
the blocks are parsed in the languages that they name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Literal

from tracemill.code_task import CodeTask, read_task
from tracemill.recipe import Recipe
from tracemill.record import Sample, Verdict
from tracemill.sandbox import Limits
from tracemill.step import Drop
from tracemill.storage.verdicts import Verdicts
from tracemill.verify.code.blocks import Block, answer_code, blocks
from tracemill.verify.code.syntax import needs, syntax_error
from tracemill.verify.code.verifier import ANSWER, Finding, Verifier, whole

Policy = Literal["require", "annotate", "off"]
CHECKED = 3
"""Raised when the same answer would be judged otherwise, so that it is tested again."""
AT_ONCE = 2
"""Answers that one process tests at once; each takes two sandboxes, one of which waits for the other."""


class CodeChecker:
    """Finds out about answers, in threads beside the asking, and remembers what it found.

    Args:
        limits: Of one run of a program.
        verdicts: Keeps what was found: a program that reached a limit once is not run again, so that a busy machine
            cannot change the rows of a run. What could not be run is tried again, as the sandbox may be there by then.
        verifier: What runs the tests; None: one with these limits.
    """

    def __init__(
        self, limits: Limits | None = None, verdicts: Verdicts | None = None, verifier: Verifier | None = None
    ) -> None:
        self.verifier = verifier or Verifier(limits or ANSWER)
        self.verdicts = verdicts
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._valid: dict[str, asyncio.Task[Finding]] = {}

    async def found(self, task: CodeTask, code: str) -> Finding:
        """What is to be said of the code of an answer that parses, by the tests of its task."""
        if not task.tested:
            return Finding("passed", f"{task.language} parses; no tests are known")
        valid = await self._validity(task)
        if valid.reason == "limit_exceeded":  # while the tests were tested: that says nothing of the answer
            return Finding("unverified", f"the tests could not be tested: {valid.evidence}")
        if not valid.passed:
            return valid
        program = whole(task, code)
        found = await self._once("tested", task, program, lambda: self.verifier.tested(task, program))
        if found.passed and task.kind == "optimise":
            return await self._once("faster", task, program, lambda: self.verifier.faster(task, program))
        return replace(found, evidence=found.evidence or _passed(task)) if found.passed else found

    async def _validity(self, task: CodeTask) -> Finding:
        """Found once for all samples of a prompt; they wait for the first of them."""
        text = task.text()
        if text not in self._valid:
            work = self._once("valid", task, "", lambda: self.verifier.validity(task))
            self._valid[text] = begun = asyncio.create_task(work)
            if self.verdicts is not None:  # from then on it is told from there, and costs no memory
                begun.add_done_callback(lambda _: self._valid.pop(text))
        return await asyncio.shield(self._valid[text])

    async def _once(self, what: str, task: CodeTask, program: str, find: Callable[[], Finding]) -> Finding:
        question = ["code", CHECKED, what, task.text(), program, list(asdict(self.verifier.limits).values())]
        kept = self.verdicts.get(question) if self.verdicts is not None else None
        if kept is not None and (kept[0] != "unverified" or (self.verdicts is not None and self.verdicts.replaying)):
            return Finding(*kept)
        async with self._turns:
            found = await asyncio.to_thread(find)
        if self.verdicts is not None:
            return Finding(*self.verdicts.put(question, [found.reason, found.evidence], instead_of=kept))
        return found


def code_answer(recipe: Recipe, verdicts: Verdicts | None) -> tuple[CodeAnswer, ...]:
    """The step as a recipe asks for it; none where it is off.

    Raises:
        MissingExtra: prompts ask for code, and what parses it is not installed.
    """
    check = recipe.verify.code
    if check.policy == "off":
        return ()
    if any(getattr(source, "category", None) == "code" for source in recipe.prompts):
        needs()
    limits = Limits(wall=check.wall_clock, cpu=check.cpu_seconds, memory=check.memory_mb << 20)
    return (CodeAnswer(CodeChecker(limits, verdicts), check.policy),)


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """Keep a sample whose code is right; or, where it is only to be annotated, keep it with what was found."""

    checker: CodeChecker
    policy: Policy = "annotate"
    name: ClassVar[str] = "verify_code"
    drops: ClassVar[frozenset[str]] = frozenset(
        {
            *("no_code", "syntax_error", "test_failed", "limit_exceeded", "test_invalid", "unverified", "not_faster"),
        }
    )

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        found = await self._found(sample)
        if not found.passed and self.policy == "require":
            return Drop(found.reason, found.evidence)
        told = found.evidence if found.passed else f"{found.reason}: {found.evidence}"
        return replace(sample, verdicts=(*sample.verdicts, Verdict(self.name, found.passed, told)))

    async def _found(self, sample: Sample) -> Finding:
        text = next((m.content for m in reversed(sample.messages) if m.role == "assistant"), "")
        if sample.expected is None:
            return _parsed(blocks(text))
        try:
            task = read_task(sample.expected)
        except ValueError as exc:
            return Finding("test_invalid", f"the expected answer is no code task: {exc}")
        if task.kind == "explain":
            return _parsed(blocks(text), needed=False)
        code = answer_code(text, task.language, task.entry)
        if code is None:
            return Finding("no_code", f"no fenced block of {task.language} in the visible answer")
        program = whole(task, code)
        wrong = syntax_error(program, task.language)
        if wrong is not None:
            return Finding("syntax_error", f"{task.language}: {wrong}")
        return await self.checker.found(task, code)


def _parsed(found: list[Block], needed: bool = True) -> Finding:
    """What the syntax of all blocks says, where there are no tests."""
    if needed and not any(block.code.strip() for block in found):
        return Finding("no_code", "no fenced block in the visible answer")
    known = [(block, block.language) for block in found if block.code.strip()]
    for block, language in known:
        if language is not None and (wrong := syntax_error(block.code, language)) is not None:
            return Finding("syntax_error", f"{language}: {wrong}")
    told = sorted({language for _, language in known if language is not None})
    return Finding("passed", f"{', '.join(told)} parses; no tests are known" if told else "no block names a language")


def _passed(task: CodeTask) -> str:
    return f"passes {len(task.cases)} cases" if task.cases and not task.tests else "passes its tests"
