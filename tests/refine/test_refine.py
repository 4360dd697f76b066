"""Finished rows through the build's own steps: what is kept, what is refused and why, and what survives of a row."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from spoiled import SHIPPED, math_rows, recipe, spoil, write_dataset

import tracemill as tm
from campaign import published, run
from rows import FRENCH, rows, write_lines, write_v1
from tracemill.errors import RecipeError, UsageError
from tracemill.schema import V1_SCHEMA
from tracemill.testing.engine import ShuffledEngine


def table(out, kind="data"):
    return {r["uuid"]: r for r in pq.read_table(out / kind).to_pylist()} if (out / kind).exists() else {}


def refined(data, out, *assignments, **more):
    return tm.refine(data, recipe(*assignments), out, workers=1, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(directory of the data, of the run, its report, what must be lost)."""
    place = tmp_path_factory.mktemp("whole")
    lost = write_dataset(place / "v1")
    return place / "v1", place / "run", refined(place / "v1", place / "run"), lost


def test_each_spoiled_row_is_refused_for_its_own_reason_and_no_other_row_is(whole):
    _, out, report, lost = whole
    assert report.lost == lost
    assert report.splits == {"math": 120 - sum(lost.values()), "code": 20, "tool_calling": 20}
    assert report.sent == 0
    assert tm.audit(out).ok


def test_the_columns_of_kept_rows_survive_as_they_were(whole):
    data, out, _, _ = whole
    before = {
        r["uuid"]: r for file in (data / "data").glob("*.parquet") for r in reversed(pq.read_table(file).to_pylist())
    }
    kept = table(out)
    assert len(kept) > 140
    for uuid, row in kept.items():
        assert {name: row[name] for name in V1_SCHEMA.names} == before[uuid]


def test_rejected_rows_keep_their_columns_and_tell_what_was_found(whole):
    _, out, _, lost = whole
    rejected = pq.read_table(out / "rejected").to_pylist()
    assert len(rejected) == sum(lost.values())
    by_reason = {r["reason"]: r for r in rejected}
    assert "987654321" in by_reason["wrong_answer"]["evidence"]
    assert by_reason["prompt_placeholder"]["messages"][0]["content"] == "-"
    assert by_reason["unknown_category"]["category"] == "chat"  # never a path
    assert {r["license"] for r in rejected} == {"cc-by-4.0"}
    assert all(r["metadata"] != "{}" for r in rejected)
    assert all("math-00000.parquet:row" in r["source_id"] for r in rejected)


def test_rows_say_whether_they_were_checked(whole):
    _, out, _, _ = whole
    kept = table(out).values()
    assert {v["step"] for r in kept if r["category"] == "math" for v in r["verdicts"]} == {"verify_math"}
    assert all(len(r["verdicts"]) == 1 and r["verdicts"][0]["passed"] for r in kept)


def test_explain_tells_the_life_of_each_row(whole):
    _, out, _, _ = whole
    by_reason = {r["reason"]: r["uuid"] for r in pq.read_table(out / "rejected").to_pylist()}
    wrong = tm.explain(out, by_reason["wrong_answer"])
    assert (wrong.place, wrong.why.partition(" ")[0]) == ("rejected", "verify_math:")
    assert tm.explain(out, by_reason["no_sample"]).place == "rejected"
    kept = next(uuid for uuid, row in table(out).items() if row["category"] == "math")
    assert tm.explain(out, kept).place == "math"
    assert tm.explain(out, kept).prompt_hash


def test_an_answer_that_nobody_knows_leaves_a_row_unchecked_or_is_refused_as_the_recipe_says(tmp_path):
    write_v1(tmp_path / "math.parquet", [{**row, "metadata": "{}"} for row in math_rows(9)])
    assert refined(tmp_path / "math.parquet", tmp_path / "kept").rows == 9
    assert {v["step"] for r in table(tmp_path / "kept").values() for v in r["verdicts"]} == {"unchecked"}
    strict = refined(tmp_path / "math.parquet", tmp_path / "strict", "refine.must_check=[math]")
    assert (strict.rows, strict.lost) == (0, {"checked: unchecked": 9})


def test_the_expected_answer_is_found_where_the_recipe_says(tmp_path):
    held = math_rows(6)
    for row in held:
        answer = json.loads(row["metadata"])["expected_answer"]
        row["metadata"] = json.dumps({"problem": {"solution": f"Long. #### {answer}"}})
    held[2]["metadata"] = json.dumps({"problem": {"solution": "#### 31415926"}})
    held[3]["metadata"] = json.dumps({"problem": {"solution": "no mark"}})
    write_lines(tmp_path / "math.jsonl", held)
    where = ('refine.expected=["problem.solution"]', 'refine.expected_after="####"', "refine.must_check=[math]")
    report = refined(tmp_path / "math.jsonl", tmp_path / "run", *where)
    assert (report.rows, report.lost) == (4, {"verify_math: wrong_answer": 1, "checked: unchecked": 1})


def test_only_the_rows_that_are_wanted_are_kept(tmp_path):
    held = [*math_rows(5), *rows("multilingual_fr", 6), *rows("chat", 4)]
    write_lines(tmp_path / "mixed.jsonl", held)
    report = refined(tmp_path / "mixed.jsonl", tmp_path / "french", "refine.only={language: [fr]}")
    assert (report.splits, report.lost) == ({"multilingual_fr": 6}, {"select: other_language": 9})
    report = refined(
        tmp_path / "mixed.jsonl", tmp_path / "off", 'refine.only={reasoning: ["off"], category: [math, chat]}'
    )
    assert report.lost == {"select: other_reasoning": 5, "select: other_category": 6}


def test_a_category_of_another_set_is_refused_until_the_recipe_names_it(tmp_path):
    held = [{**row, "category": "science"} for row in math_rows(3)]
    write_lines(tmp_path / "science.jsonl", held)
    report = refined(tmp_path / "science.jsonl", tmp_path / "no")
    assert report.lost == {"select: unknown_category": 3}
    report = refined(tmp_path / "science.jsonl", tmp_path / "yes", "refine.more_categories=[science]")
    assert report.splits == {"science": 3}


def test_what_validation_flags_refining_drops_by_the_same_name(tmp_path):
    held = rows("multilingual_fr", 12)
    held[3]["messages"][-1]["content"] = "<think>\nx\n</think>\n\nI am Qwen, made by Alibaba. " + FRENCH
    held[5]["license"] = "all rights reserved"
    write_lines(tmp_path / "fr.jsonl", held)
    flagged = {f.name: f.count for f in tm.validate(tmp_path / "fr.jsonl").findings if f.of == "row"}
    assert flagged["identity_leak"] == flagged["license_unknown"] == 1
    report = refined(tmp_path / "fr.jsonl", tmp_path / "run", "refine.findings=[identity_leak, license_unknown]")
    assert report.lost == {"structure: identity_leak": 1, "structure: license_unknown": 1}
    again = {f.name for f in tm.validate(tmp_path / "run").findings}
    assert not again & {"identity_leak", "license_unknown"}


def test_rows_of_v3_and_of_llama_nemotron_are_refined_too(tmp_path):
    v3 = [
        {"uuid": f"v3-{n}", "messages": [{"role": "user", "content": f"Is {n} even? \\boxed{{}}"},
         {"role": "assistant", "content": f"\\boxed{{{n}}}", "reasoning_content": "Half of it."}],
         "license": "cc-by-4.0", "used_in": ["nano_v3"], "tools": [], "reasoning": "on", "category": "math",
         "metadata": {"expected_answer": n if n else 77}}
        for n in range(4)
    ]  # fmt: skip
    llama = [
        {"input": [{"role": "user", "content": f"Say {n}."}], "output": f"<think>\nWell.\n</think>\n\n{n}",
         "category": "chat", "license": "cc-by-4.0", "reasoning": "on", "generator": "DeepSeek-R1", "version": "v1"}
        for n in range(3)
    ]  # fmt: skip
    write_lines(tmp_path / "sets" / "math.jsonl", v3)
    write_lines(tmp_path / "sets" / "chat.jsonl", llama)
    report = refined(tmp_path / "sets", tmp_path / "run")
    assert (report.splits, report.lost) == ({"chat": 3, "math": 3}, {"verify_math: wrong_answer": 1})
    kept = table(tmp_path / "run")
    assert kept["v3-2"]["messages"][1]["content"] == "<think>\nHalf of it.\n</think>\n\n\\boxed{2}"
    assert len(kept) == 6, "rows without a uuid get one each"


def test_rows_of_our_own_keep_their_past_and_refining_again_changes_nothing(tmp_path):
    built = tm.build(
        tm.Recipe(
            name="small",
            license="CC0-1.0",
            prompts=(tm.GeneratedPrompts(generate="word_problems", count=30),),
            teachers={"main": tm.Teacher(url="builtin", model="builtin-careful")},
        ),
        tmp_path / "built",
        workers=1,
    )
    before = table(tmp_path / "built")
    report = refined(tmp_path / "built", tmp_path / "once")
    assert report.rows == built.rows == 30
    assert table(tmp_path / "once") == before
    refined(tmp_path / "once", tmp_path / "twice")
    assert table(tmp_path / "twice") == before


def test_lines_that_are_no_rows_are_told_of_one_by_one(tmp_path):
    held = math_rows(30)
    lines = [*held[:10], "{not json", "[]", json.dumps({"messages": 3}), *held[10:20], "\x00", *held[20:]]
    write_lines(tmp_path / "math.jsonl", lines)
    report = refined(tmp_path / "math.jsonl", tmp_path / "run")
    assert report.rows == 30
    assert report.lost == {"gather: not_json": 2, "gather: not_object": 1, "gather: messages_wrong_type": 1}
    rejected = pq.read_table(tmp_path / "run" / "rejected").to_pylist()
    assert [r["source_id"] for r in rejected] == [f"math.jsonl:line {n}" for n in (11, 12, 13, 24)]
    assert tm.audit(tmp_path / "run").ok


def test_damage_costs_the_rows_that_it_took_and_each_of_them_is_told_of(tmp_path):
    file = write_v1(tmp_path / "data" / "math-00000-of-00002.parquet", math_rows(90), group=30)
    write_v1(tmp_path / "data" / "math-00001-of-00002.parquet", math_rows(30, 1), group=30)
    (tmp_path / "data" / "code-00000-of-00001.parquet").write_bytes(b"PAR1 and nothing more")
    footer = pq.read_metadata(file)
    column = footer.row_group(1).column(6)
    spot = column.data_page_offset + column.total_compressed_size // 2
    data = bytearray(file.read_bytes())
    data[spot] ^= 0x55
    file.write_bytes(data)
    report = refined(tmp_path / "data", tmp_path / "run")
    assert report.lost == {"gather: unreadable": 31}
    assert report.rows == 90
    assert tm.audit(tmp_path / "run").ok


def test_the_rows_do_not_depend_on_who_works_them_in_which_order(whole, tmp_path):
    data, out, _, _ = whole
    refined(data, tmp_path / "run", engine=ShuffledEngine(4))
    assert table(tmp_path / "run") == table(out)
    assert table(tmp_path / "run", "rejected") == table(out, "rejected")


def test_exactly_the_columns_of_v1_come_out_where_they_are_asked_for(tmp_path):
    held = math_rows(8)
    write_v1(tmp_path / "math-00000-of-00001.parquet", held)
    refined(tmp_path / "math-00000-of-00001.parquet", tmp_path / "run", "publish.layout=v1")
    [file] = (tmp_path / "run" / "data").glob("*.parquet")
    assert pq.read_table(file).equals(pq.read_table(tmp_path / "math-00000-of-00001.parquet"))


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("refine.findings=[repetition_lop]", "repetition_loop"),
        ("refine.findings=[uuid_duplicate]", "uuid_duplicate"),
        ("refine.skip=[complete]", "complete"),
        ("refine.skipp=[sound]", "skip"),
        ("teachers={a: {url: builtin, model: builtin-careful}}", "nobody is asked but a judge"),
        ("respond.samples=3", "nobody is asked but a judge"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused_before_anything_is_read(assignment, told, tmp_path):
    write_v1(tmp_path / "math.parquet", math_rows(2))
    with pytest.raises(RecipeError, match=told):
        refined(tmp_path / "math.parquet", tmp_path / "run", assignment)
    assert not (tmp_path / "run" / "data").exists()


def test_rows_that_each_name_another_model_do_not_swell_the_card(tmp_path, monkeypatch):
    monkeypatch.setattr("tracemill.publish.dataset.MOST_KINDS", 20)
    held = [{**row, "generator": f"model {n}", "license": f"terms {n}"} for n, row in enumerate(math_rows(60))]
    write_lines(tmp_path / "math.jsonl", held)
    assert refined(tmp_path / "math.jsonl", tmp_path / "run").rows == 60
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "| \\(other\\) | 40 |" in card
    assert "model 19" in card
    assert "model 20" not in card
    assert tm.audit(tmp_path / "run").ok


def test_a_split_for_each_of_many_languages_is_written_some_at_a_time(tmp_path, monkeypatch):
    codes = ("de", "fr", "es", "it", "pt", "nl", "sv")
    held = [{**row, "language": codes[n % 7]} for n, row in enumerate(math_rows(42))]
    write_lines(tmp_path / "math.jsonl", held)
    assert len(refined(tmp_path / "math.jsonl", tmp_path / "one").splits) == 7
    monkeypatch.setattr("tracemill.publish.dataset.MOST_OPEN", 3)
    report = refined(tmp_path / "math.jsonl", tmp_path / "two")
    assert report.splits == {f"multilingual_{code}": 6 for code in codes}
    assert published(tmp_path / "two") == published(tmp_path / "one")


def test_a_build_does_not_take_a_recipe_for_refining(tmp_path):
    with pytest.raises(RecipeError, match="tracemill refine"):
        tm.build(recipe(), tmp_path / "run")


def test_the_card_says_how_the_rows_were_refined(whole):
    _, out, _, _ = whole
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Refined with Tracemill" in card
    assert "`prompt_placeholder`" in card
    assert "Each prompt was answered" not in card
    assert "nemotron-v1" in card


def test_a_recipe_for_prompts_and_data_that_is_not_there_are_refused(tmp_path):
    gsm8k = tm.load_recipe(SHIPPED.with_name("gsm8k.yaml"))
    with pytest.raises(RecipeError, match="rows"):
        tm.refine(tmp_path, gsm8k, tmp_path / "run")
    with pytest.raises(UsageError, match="nowhere"):
        refined(tmp_path / "nowhere", tmp_path / "run")


def test_the_command_says_what_came_of_it_and_exits_as_the_contract_says(tmp_path):
    held = math_rows(20)
    lost = spoil(held)
    write_v1(tmp_path / "v1" / "data" / "math-00000-of-00001.parquet", held)
    write_v1(tmp_path / "v1" / "data" / "code-00000-of-00001.parquet", rows("code", 5))
    words = ("--recipe", SHIPPED, "--out", tmp_path / "run", "--workers", "1", "--progress", "none")
    done = run("refine", tmp_path / "v1", *words, "--split", "math", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["splits"], told["lost"]) == ({"math": 20 - sum(lost.values())}, lost)
    assert run("audit", tmp_path / "run").returncode == 0
    assert run("refine", tmp_path / "nowhere", *words).returncode == 2
    bad = run("refine", tmp_path / "v1", *words, "--set", "refine.findings=[nonsense]")
    assert bad.returncode == 3
    assert "Traceback" not in bad.stderr
