"""40 recorded answers of CodeGen 16B to each of 106 problems of HumanEval: our verdict against the label of the set's own
rule, which is worked out here: prompt, answer and tests as one program, that comes to its end."""

from __future__ import annotations

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracemill.sandbox import Job, Limits
from tracemill.verify.code.blocks import answer_code
from tracemill.verify.code.syntax import syntax_error
from tracemill.verify.code.verifier import Verifier, whole
from verify.code_corpora import CODEGEN, humaneval, rows, sandboxed

LIMITS = Limits(wall=30, cpu=3)
TICKS = "`" * 3


@pytest.fixture(scope="module")
def verifier():
    return Verifier(LIMITS, sandboxed())


def recorded():
    """(task, answer, how often it was given), each different answer once."""
    tasks = humaneval()
    for row in rows(CODEGEN):
        for answer, times in Counter(row["samples"]).items():
            yield row["task_id"], tasks[row["task_id"]], answer, times


def label(sandbox, task, answer):
    """Right by the set's own rule, without the code under test: one process, which must reach the line behind its tests."""
    mark = secrets.token_hex(8)
    program = f"{task.context}{answer}\n{task.tests}\ncheck({task.entry})\nprint({mark!r})\n"
    job = Job(("/usr/bin/python3", "-s", "/box/main.py"), {"main.py": program.encode()}, limits=LIMITS)
    ran = sandbox.run(job)
    return ran.ok and ran.stdout.decode(errors="replace").rstrip().endswith(mark)


def compared(verifier, some):
    """(name, answer, times, label, verdict) of each."""

    def one(row):
        name, task, answer, times = row
        right = label(verifier.standing.sandbox, task, answer)
        return name, answer, times, right, verifier.tested(task, whole(task, answer)).passed

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, some))


def test_verdicts_on_some_recorded_answers_are_their_labels(verifier):
    found = compared(verifier, list(recorded())[::290])
    assert len(found) >= 12
    assert [(name, answer) for name, answer, _, right, verdict in found if right != verdict] == []
    assert 0 < sum(right for _, _, _, right, _ in found) < len(found)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_verdicts_on_4240_recorded_answers_are_their_labels(verifier):
    everything = compared(verifier, recorded())
    table = Counter()
    for _, _, times, right, verdict in everything:
        table[right, verdict] += times
    assert table.total() == 106 * 40
    assert [(name, answer) for name, answer, _, right, verdict in everything if right != verdict] == []
    assert table == {(True, True): 915, (False, False): 3325}
    tasks = humaneval()
    right_ones = [(name, answer) for name, answer, _, right, _ in everything if right]
    assert [pair for pair in right_ones if unreadable(tasks[pair[0]], pair[1])] == []


def unreadable(task, answer):
    """Whether an answer in a fence, as a body that goes on from the prompt or as a whole function, is not what is run."""
    for text in (answer, task.context + answer):
        code = answer_code(f"So:\n{TICKS}python\n{text}\n{TICKS}\n", task.language, task.entry)
        if code is None or syntax_error(whole(task, code), task.language) is not None:
            return True
    return False
