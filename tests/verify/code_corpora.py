"""Real code with tests, as tasks; and the sandbox of this machine, or a skip that says why there is none."""

from __future__ import annotations

import pytest

from campaign import read_jsonl_gz, shared
from tracemill.code_task import CodeTask
from tracemill.sandbox import Standing, find_sandbox

MBPP = shared("mbpp", "mbpp.jsonl.gz")
MBXP = shared("mbpp", "mbxp_javascript.jsonl.gz")
HUMANEVAL = shared("humaneval", "humaneval.jsonl.gz")
CODEGEN = shared("humaneval", "codegen16b_samples.jsonl.gz")


def sandboxed() -> Standing:
    found = find_sandbox()
    if found.sandbox is None:
        pytest.skip(found.missing)
    return found


def rows(path) -> list[dict]:
    if not path.exists():
        pytest.skip(f"{path.parent.name} is not beside the project")
    return read_jsonl_gz(path)


def mbpp() -> dict[str, CodeTask]:
    return {
        f"MBPP/{row['task_id']}": CodeTask(
            tests="\n".join([row["test_setup_code"], *row["test_list"]]).strip(), solution=row["code"]
        )
        for row in rows(MBPP)
    }


def humaneval() -> dict[str, CodeTask]:
    return {row["task_id"]: humaneval_task(row) for row in rows(HUMANEVAL)}


def humaneval_task(row: dict) -> CodeTask:
    return CodeTask(
        tests=row["test"], entry=row["entry_point"], context=row["prompt"], solution=row["canonical_solution"]
    )


def mbxp() -> dict[str, CodeTask]:
    return {
        row["task_id"]: CodeTask(
            language="javascript",
            tests=row["test"],
            entry=row["entry_point"],
            context=row["prompt"],
            solution=row["canonical_solution"],
        )
        for row in rows(MBXP)
        if row["canonical_solution"]
    }
