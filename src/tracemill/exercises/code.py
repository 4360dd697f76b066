"""Exercises in Python: a function is asked for, or one is there and is to be explained, or to be made faster.

"Write a Python function `shift(text)` ..." has `assert shift('abz') == 'cdb'` among its tests. What they expect comes from a
function of ours, not from the text of the solution, so each is a check of the other. An explanation has no tests: whoever
judges it finds in it what the function does, or does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from tracemill.code_task import CodeTask
from tracemill.exercises.form import Drawn, Form, Params, Worked, plain
from tracemill.exercises.jobs import JOBS, Job
from tracemill.record import Message
from tracemill.word_problems.sentences import Telling, tellings

TESTS = 5
"""Calls in the tests of an exercise."""
_MARK = 987_654_321
"""Stands for N where a function is looked for whatever its number."""


def fenced(code: str) -> str:
    """A program as it stands in an answer."""
    return f"```python\n{code}```"


def _tests(job: Job, n: int) -> str:
    """Calls of the function, the same for equal exercises."""
    rng = Random(f"{job.entry} {n}")
    arguments = [job.draw(rng, n) for _ in range(TESTS)]
    return "\n".join(f"assert {job.entry}({given!r}) == {job.right(given, n)!r}" for given in arguments)


def _what(job: Job, n: int) -> str:
    """What a function does, as the exercise tells it, without the point: "returns every 3rd character of ..."."""
    return Telling(job.told[:1]).render({"n": n}).removesuffix(".")


def _number(job: Job, bodies: Sequence[str], text: str) -> int | None:
    """The number in the function of a text; None where none of these bodies stands in it."""
    for body in bodies:
        whole = re.escape(job.code(body, _MARK)).replace(str(_MARK), r"(\d{1,3})")
        if found := re.search(whole, text):
            return int(found[1])
    return None


def _solve(job: Job) -> Form:
    def drawn(params: Params, telling: Telling) -> Drawn:
        n = params["n"]
        task = CodeTask("python", tests=_tests(job, n), entry=job.entry, solution=job.code(job.solution, n))
        return Drawn((Message("user", telling.render(params)),), task.text())

    def work(params: Params, text: str, results: tuple[str, ...]) -> Worked:
        n = params["n"]
        given = job.draw(Random(f"example {n}"), n)
        step = f"For {given!r} it has to return {job.right(given, n)!r}."
        return Worked(
            (job.idea, step),
            fenced(job.code(job.solution, n)),
            (f"the number: {n}",),
            step,
            others=(fenced(job.code(job.other, n)),),
        )

    def slip(worked: Worked, params: Params, number: int) -> Worked:
        return _spoiled(worked, job.code(job.broken, params["n"]), number, job)

    asked = tuple(f"Write a Python function `{job.entry}({job.argument})` that {told}" for told in job.told)
    draw: Callable[[Random], Params] = lambda rng: {"n": rng.randrange(*job.numbers)}  # noqa: E731
    return Form(f"code_{job.entry}", "code", tellings(asked), draw, drawn, work, slip)


def _spoiled(worked: Worked, code: str, number: int, job: Job) -> Worked:
    """A program that fails; every fourth one does not even parse."""
    return plain(worked, fenced(code if number % 4 else code.replace("):", ")", 1)), steps=(job.idea,))


def _given(job: Job, telling: Telling, code: str, task: CodeTask) -> Drawn:
    """A prompt with a function below what is asked about it."""
    return Drawn((Message("user", f"{telling.render({})}\n\n{fenced(code)}"),), task.text())


def _explain(job: Job) -> Form:
    bodies = (job.solution, job.other)
    following = JOBS[(JOBS.index(job) + 1) % len(JOBS)]

    def drawn(params: Params, telling: Telling) -> Drawn:
        return _given(job, telling, job.code(bodies[params["_body"]], params["_n"]), CodeTask("python", "explain"))

    def work(params: Params, text: str, results: tuple[str, ...]) -> Worked:
        n = _number(job, bodies, text)
        if n is None:
            return Worked((), f"I cannot make out what this version of `{job.entry}` does.")
        what = _what(job, n)
        given = job.draw(Random(f"example {n}"), n)
        example = f"For `{given!r}` that is `{job.right(given, n)!r}`."
        return Worked(
            (job.idea, example),
            f"`{job.entry}` {what}. {example}",
            (f"the number: {n}",),
            example,
            holds=(f"{what}.",),
            others=(f"In short, `{job.entry}({job.argument})` {what}.",),
        )

    def slip(worked: Worked, params: Params, number: int) -> Worked:
        said = (f"`{job.entry}` {_what(following, 3)}.", f"`{job.entry}` gives back `{job.argument}` as it is.")
        return plain(worked, said[number % 2], steps=(), holds=())

    asked = (
        f"Explain in a few words what the Python function `{job.entry}({job.argument})` does, and give an example.",
        f"What does this Python function, `{job.entry}({job.argument})`, do with its argument?",
    )
    draw: Callable[[Random], Params] = lambda rng: {"_n": rng.randrange(*job.numbers), "_body": rng.randrange(2)}  # noqa: E731
    return Form(f"code_explain_{job.entry}", "code", tellings(asked), draw, drawn, work, slip)


def _optimise(job: Job) -> Form:
    def drawn(params: Params, telling: Telling) -> Drawn:
        n = params["_n"]
        slow, right = job.code(job.slow, n), job.code(job.solution, n)
        task = CodeTask("python", "optimise", _tests(job, n), entry=job.entry, solution=right, baseline=slow)
        return _given(job, telling, slow, task)

    def work(params: Params, text: str, results: tuple[str, ...]) -> Worked:
        n = _number(job, (job.slow,), text)
        if n is None:
            return Worked((), f"I cannot make out how this version of `{job.entry}` works.")
        steps = (f"What has to come out: the function {_what(job, n)}.", job.idea)
        faster = [fenced(job.code(body, n)) for body in (job.solution, job.other)]
        return Worked(steps, faster[0], (f"the number: {n}",), others=(faster[1],))

    def slip(worked: Worked, params: Params, number: int) -> Worked:
        n = _number(job, (job.solution,), worked.ending)
        if n is None:
            return plain(worked, "It cannot be done in fewer steps.")
        if number % 2:
            return plain(worked, fenced(job.code(job.slow, n)), steps=("It is as fast as it can be.",))
        return _spoiled(worked, job.code(job.broken, n), number // 2, job)

    asked = (
        f"The Python function `{job.entry}({job.argument})` below is right, but slow. Write one that returns the same in "
        "fewer steps.",
        f"Rewrite this Python function, `{job.entry}({job.argument})`, so that it takes fewer steps and still returns the "
        "same.",
    )
    draw: Callable[[Random], Params] = lambda rng: {"_n": rng.randrange(*job.numbers)}  # noqa: E731
    return Form(f"code_optimise_{job.entry}", "code", tellings(asked), draw, drawn, work, slip)


FORMS: tuple[Form, ...] = tuple(form(job) for form in (_solve, _explain, _optimise) for job in JOBS)
