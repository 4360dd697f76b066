"""Exercises of all categories: recognised from what was said, answered rightly, and gone wrong where that is planned."""

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

import orjson
import pytest

from tracemill import word_problems
from tracemill.code_task import read_task
from tracemill.errors import RecipeError
from tracemill.exercises import FORMS, good_answer, make, recognise
from tracemill.exercises.jobs import JOBS
from tracemill.identity import wire_message
from tracemill.record import CATEGORIES, Message, Sample, ToolCall
from tracemill.sandbox import find_sandbox
from tracemill.step import Drop
from tracemill.verify.choices import ChoiceAnswer
from tracemill.verify.code.step import CodeAnswer, CodeChecker
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.stem import UnitAnswer
from tracemill.verify.tools import ToolUse
from tracemill.worlds import WORLDS, replay


@pytest.fixture(scope="module")
def prompts():
    return [prompt for prompt in make(2000, seed=5) if prompt.category != "math"]


def found_in(prompt, *more):
    return recognise([wire_message(message) for message in (*prompt.messages, *more)])


def talked(prompt):
    """The prompt, with all turns of a user who goes on."""
    messages = prompt.messages
    for text in prompt.check.get("turns", ()):
        said = recognise([wire_message(message) for message in messages]).worked()
        messages = (*messages, Message("assistant", said.ending), Message("user", text))
    return replace(prompt, messages=messages)


def answered(prompt, worked, number=0):
    calls = tuple(
        ToolCall(f"c{number}{i}", call.name, orjson.dumps(call.arguments).decode())
        for i, call in enumerate(worked.calls)
    )
    return Message("assistant", worked.ending, tool_calls=calls)


def sample_of(prompt, *turns):
    return Sample(
        "u",
        prompt.category,
        "off",
        (*prompt.messages, *turns),
        tools=prompt.tools,
        expected=prompt.expected,
        check=prompt.check,
    )


def checked(step, sample):
    return asyncio.run(step(sample))


def test_categories_come_in_turn_and_every_form_is_drawn(prompts):
    assert Counter(prompt.category for prompt in make(50, seed=1)) == dict.fromkeys(CATEGORIES, 10)
    assert {prompt.metadata["family"] for prompt in prompts} == set(FORMS)


def test_a_prompt_does_not_depend_on_how_many_there_are():
    assert list(make(40, seed=2)) == list(make(200, seed=2))[:40]
    assert list(make(40, seed=2, categories=["stem", "chat"])) == list(make(40, seed=2, categories=["chat", "stem"]))
    assert list(make(40, seed=2)) != list(make(40, seed=3))


def test_math_is_what_the_word_problems_are():
    assert [*make(20, 9, ["math"], ["travel"], [2])] == [*word_problems.generate(20, 9, ["travel"], [2])]


@pytest.mark.parametrize(("wrong", "told"), [(["maths"], "no category 'maths'"), ([], "nothing to make")])
def test_a_category_that_is_none_is_told_at_once(wrong, told):
    with pytest.raises(RecipeError, match=told):
        make(1, 1, wrong)


def test_each_is_recognised_from_what_was_said_and_is_no_word_problem(prompts):
    for prompt in prompts:
        found = found_in(prompt)
        assert found is not None, prompt.messages
        assert found.form.name == prompt.metadata["family"]
        assert word_problems.recognise(prompt.messages[-1].content) is None
    assert recognise([{"role": "user", "content": "Who are you?"}]) is None
    assert recognise([]) is None


def test_answers_of_stem_pass_their_checks_and_slips_do_not(prompts):
    units, choices = UnitAnswer(MathChecker(), 0.01), ChoiceAnswer()
    reasons = Counter()
    for prompt in [p for p in prompts if p.category == "stem"]:
        step = choices if "choices" in prompt.check else units
        found = found_in(prompt)
        right = checked(step, sample_of(prompt, answered(prompt, found.worked())))
        assert isinstance(right, Sample), (prompt, right)
        for number in range(4):
            wrong = checked(step, sample_of(prompt, answered(prompt, found.wrong(number))))
            assert isinstance(wrong, Drop), (prompt.expected, found.wrong(number).ending)
            reasons[wrong.reason] += 1
    assert {"wrong_answer", "wrong_unit", "wrong_choice"} <= set(reasons)


def test_tools_are_called_as_wanted_through_every_step_and_slips_are_not(prompts):
    step, world = ToolUse(), WORLDS["library"]
    reasons, steps = Counter(), Counter()
    for prompt in [p for p in prompts if p.category == "tool_calling"]:
        turns, state, script = [], world.start(prompt.check["world"]["seed"]), list(prompt.check.get("turns", ()))
        while (worked := found_in(prompt, *turns).worked()).calls or script:
            if not worked.calls:
                turns += [answered(prompt, worked, len(turns)), Message("user", script.pop(0))]
                continue
            turn = answered(prompt, worked, len(turns))
            done = replay(world, state, [(call.name, call.arguments) for call in turn.tool_calls])
            state = done.state
            results = zip(turn.tool_calls, done.results, strict=True)
            turns += [turn, *(Message("tool", text, tool_call_id=call.id) for call, text in results)]
        turns.append(answered(prompt, worked))
        got = checked(step, sample_of(prompt, *turns))
        assert isinstance(got, Sample), (prompt.messages, turns, got)
        assert not any('"error"' in turn.content for turn in turns)
        steps[sum(turn.role == "assistant" for turn in turns)] += 1
        if "turns" in prompt.check:
            continue
        for number in range(5):
            wrong = checked(step, sample_of(prompt, answered(prompt, found_in(prompt).wrong(number))))
            assert isinstance(wrong, Drop), (prompt.messages, found_in(prompt).wrong(number))
            reasons[wrong.reason] += 1
    assert set(steps) == {1, 2, 3, 4}
    assert {"unknown_tool", "bad_arguments", "needless_call", "wrong_call", "missing_call"} <= set(reasons)


def test_conversations_are_judged_by_what_the_answer_has_to_hold(prompts):
    turns = Counter()
    for prompt in [talked(p) for p in prompts if p.category == "chat"]:
        found, said = found_in(prompt), [wire_message(message) for message in prompt.messages]
        turns[sum(message.role == "user" for message in prompt.messages)] += 1
        assert good_answer(said, found.worked().ending) is True
        assert not any(good_answer(said, found.wrong(number).ending) for number in range(3))
    assert set(turns) == {1, 2, 3}
    assert good_answer([{"role": "user", "content": "Who are you?"}], "Me.") is None


def function_of(job, body, n):
    """A body of a job, run here: it is our own."""
    names = {}
    exec(job.code(body, n), names)
    return names[job.entry]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.entry)
def test_all_right_bodies_of_a_job_return_the_same_for_short_arguments_too(job):
    lengths = set()
    for n in range(*job.numbers):
        rng = Random(n)
        bodies = [function_of(job, body, n) for body in (job.solution, job.slow, job.other)]
        for number in range(30):
            drawn = job.draw(rng, n)
            whole = isinstance(drawn, int)
            lengths.add(0 if whole else len(drawn) - n)
            for given in (drawn,) if whole else (drawn, drawn[: number % (n + 2)]):
                assert [body(given) for body in bodies] == [job.right(given, n)] * 3, (given, n)
    assert job.entry != "rotate" or min(lengths) < 0 < max(lengths)
    if job.entry == "rotate":
        assert [job.right([1, 2], 3), job.right([1, 2, 3], 5), job.right([], 2)] == [[2, 1], [3, 1, 2], []]


@pytest.mark.skipif(find_sandbox().sandbox is None, reason=f"no sandbox: {find_sandbox().missing}")
@pytest.mark.parametrize("share", [3, pytest.param(1, marks=pytest.mark.storm)])
def test_programs_pass_their_tests_which_are_worth_something_and_slips_fail(prompts, share):
    step = CodeAnswer(CodeChecker(), "require")
    one_of_each = one_code_prompt_of_each_family(prompts, "solve")
    assert len(one_of_each) >= 8
    for place, prompt in enumerate(one_of_each[::share]):
        assert len(read_task(prompt.expected).tests.splitlines()) >= 4
        found = found_in(prompt)
        right = checked(step, sample_of(prompt, answered(prompt, found.worked(place))))
        assert isinstance(right, Sample), (prompt.expected, right)
        wrong = [checked(step, sample_of(prompt, answered(prompt, found.wrong(number)))) for number in range(2)]
        assert [drop.reason for drop in wrong] == ["syntax_error", "test_failed"], (prompt.metadata, wrong)


@pytest.mark.skipif(find_sandbox().sandbox is None, reason=f"no sandbox: {find_sandbox().missing}")
@pytest.mark.parametrize("share", [3, pytest.param(1, marks=pytest.mark.storm)])
def test_what_is_made_faster_takes_fewer_steps_and_the_same_again_is_not_faster(prompts, share):
    step = CodeAnswer(CodeChecker(), "require")
    reasons = Counter()
    for place, prompt in enumerate(one_code_prompt_of_each_family(prompts, "optimise")[::share]):
        found = found_in(prompt)
        right = checked(step, sample_of(prompt, answered(prompt, found.worked(place))))
        assert isinstance(right, Sample), (prompt.expected, right)
        assert " steps against " in right.verdicts[-1].evidence
        wrong = [checked(step, sample_of(prompt, answered(prompt, found.wrong(number)))) for number in (0, 1, 2)]
        reasons.update(drop.reason for drop in wrong)
    assert set(reasons) == {"syntax_error", "not_faster", "test_failed"}
    assert len(set(reasons.values())) == 1


def test_an_explanation_is_good_if_it_says_what_the_function_does_with_its_number(prompts):
    explained = [prompt for prompt in prompts if '"kind":"explain"' in (prompt.expected or "")]
    numbers = set()
    for prompt in explained:
        found, said = found_in(prompt), [wire_message(message) for message in prompt.messages]
        for number in range(4):
            assert good_answer(said, found.worked(number).ending) is True
            assert good_answer(said, found.wrong(number).ending) is False
        numbers.add(found.worked().facts)
    assert len(numbers) > 5
    assert {prompt.metadata["family"] for prompt in explained} == {f"code_explain_{job.entry}" for job in JOBS}


def test_a_function_that_is_none_of_ours_is_not_guessed_at(prompts):
    for kind in ("explain", "optimise"):
        prompt = one_code_prompt_of_each_family(prompts, kind)[0]
        other = prompt.messages[-1].content.partition("```")[0] + "```python\ndef other(): pass\n```"
        found = recognise([{"role": "user", "content": other}])
        assert found.form.name == prompt.metadata["family"]
        assert found.worked().ending.startswith("I cannot make out")
        assert "```" not in found.wrong(0).ending


def one_code_prompt_of_each_family(prompts, kind):
    of_kind = [p for p in prompts if p.category == "code" and read_task(p.expected).kind == kind]
    return list({prompt.metadata["family"]: prompt for prompt in of_kind}.values())
