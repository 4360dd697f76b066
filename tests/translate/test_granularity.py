"""Several lines in one request: fewer calls, the same gates, and the ladder for what did not pass."""

from __future__ import annotations

import re

import pyarrow.parquet as pq
import pytest

import tracemill
from tracemill.testing import Answer, ScriptedServer
from tracemill.testing.translator import Pretender, pretend

from scenes import made_rows, recipe, write_rows  # isort: skip

LINE = re.compile(r"^(\d+) 〘(.*)〙$", re.MULTILINE)


class Together(Pretender):
    """Translates the numbered form too; loses one line, and gives another one back as it was."""

    careless = False

    def __call__(self, body):
        text = body["messages"][-1]["content"].partition("\nText:\n")[2]
        lines = LINE.findall(text)
        if not lines:
            return super().__call__(body)
        self.texts["French", text] += 1
        told = {number: pretend(line, "French") for number, line in lines}
        if self.careless:
            told.pop("2", None)
            told["1"] = lines[0][1]
        return Answer("\n".join(f"{number} 〘{line}〙" for number, line in told.items()))


@pytest.mark.parametrize("careless", [False, True])
@pytest.mark.parametrize("granularity", ["paragraph", "message"])
def test_lines_that_come_back_together_pass_and_the_others_climb_alone(granularity, careless, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(5))
    server_side = Together()
    server_side.careless = careless
    with ScriptedServer(server_side) as server:
        wanted = recipe(source, server.url, ("fr",), granularity=granularity)
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    assert report.rows == {"fr": 5}
    together = [text for _, text in server_side.texts if LINE.search(text)]
    alone = [text for _, text in server_side.texts if not LINE.search(text)]
    assert len(together) == 5
    assert ("Let us work this out step by step." in alone) == (careless or granularity == "paragraph")
    rows = pq.read_table(tmp_path / "run" / "data" / "multilingual_fr-00000-of-00001.parquet").to_pylist()
    assert all("〘" not in row["messages"][1]["content"] for row in rows)
    assert ("brackets" in report.refused.get("fr", {})) == careless
    assert tracemill.audit(tmp_path / "run", quick=True).ok
