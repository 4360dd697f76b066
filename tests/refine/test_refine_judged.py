"""Nobody is asked when rows are refined, unless the recipe names a judge; what it said is stored, and asked once."""

from __future__ import annotations

import json
import re

import tracemill as tm
from rows import rows, write_lines
from tracemill.engines.inline import InlineEngine
from tracemill.recipe_file import recipe_from
from tracemill.testing import Answer, ScriptedServer

FRAMED = re.compile(r"^(case-[0-9a-f]{24})\n(.*)\n\1$", re.MULTILINE)


def judge(body):
    """Finds answers good that hold the word sunny; what is planted is judged bad."""
    nonce, data = FRAMED.search(body["messages"][-1]["content"]).groups()
    good = "sunny" in json.loads(data)["answer"]
    return Answer(json.dumps({"case": nonce, "score": 5 if good else 1, "why": "as I see it"}))


def judged(url):
    return recipe_from(
        {
            "name": "judged",
            "license": "CC-BY-4.0",
            "prompts": {"rows": "-", "name": "chats"},
            "refine": {},
            "teachers": {"judge": {"url": url, "model": "judge-model"}},
            "judge": {"teacher": "judge", "categories": ["chat"], "canaries": 5},
        },
        "recipe",
    )


def test_a_judge_is_asked_once_and_files_that_are_added_cost_only_their_own_questions(tmp_path):
    held = rows("chat", 12)
    for row in held[:7]:
        row["messages"][-1]["content"] = "It will be sunny tomorrow, in all the land."
    write_lines(tmp_path / "chats" / "a.jsonl", held[:8])
    with ScriptedServer(judge, models=["judge-model"]) as server:
        report = tm.refine(tmp_path / "chats", judged(server.url), tmp_path / "run", engine=InlineEngine())
        assert (report.rows, report.lost) == (7, {"judge: judged_bad": 1})
        assert report.sent == len(server.requests) == 8 + 5
        assert tm.refine(tmp_path / "chats", judged(server.url), tmp_path / "run", engine=InlineEngine()).sent == 0
        write_lines(tmp_path / "chats" / "b.jsonl", held[8:])
        report = tm.refine(tmp_path / "chats", judged(server.url), tmp_path / "run", engine=InlineEngine())
        assert report.sent == 4 + 5
        assert report.lost == {"judge: judged_bad": 5}
        assert not server.errors
    assert tm.audit(tmp_path / "run").ok
