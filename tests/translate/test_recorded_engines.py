"""What real neural engines said, replayed: German and Japanese of FLORES, and Korean of NTREX from a language file alone."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

import tracemill
from campaign import read_jsonl_gz, shared
from tracemill.evaluate import dataset_lines, evaluate
from tracemill.evaluate.scores import against_references, tokenizer
from tracemill.languages import language
from tracemill.languages.shelf import read_language
from tracemill.recipe import Gates
from tracemill.segments.masks import mask
from tracemill.testing import Answer, ScriptedServer
from tracemill.testing.answers import last_user_text, text_of
from tracemill.translation.gates import Refused, SegmentGates
from tracemill.translation.rules import rules_between

from scenes import recipe, row, write_rows  # isort: skip

FLORES = {name: shared("flores", f"flores_{name}.jsonl.gz") for name in ("dev", "test")}
NTREX = shared("ntrex", "ntrex.jsonl.gz")
pytestmark = pytest.mark.skipif(
    not (NTREX.exists() and FLORES["dev"].exists()), reason="FLORES and NTREX are not beside the project"
)
BY_HAND = Path(__file__).parent / "verdicts_by_hand.tsv"
"""Verdicts that were given by reading each line beside its source: the line, the system, which of two samples it was drawn
in, and what the gates should say. Half of each sample are lines that the gates refused when it was drawn: `first` before,
`second` after numbers and their words were mended by what the first had shown."""


class Recorded:
    """Says what an engine said. What it is asked for is masked; a line that was never recorded has no brackets."""

    def __init__(self, by_target: dict[str, dict[str, str]]) -> None:
        self.by_target = by_target

    def __call__(self, body) -> Answer:
        told = " ".join(text_of(message) for message in body["messages"])
        target = next(name for name in self.by_target if f" into {name}" in told)
        text = last_user_text(body).partition("\nText:\n")[2]
        said = self.by_target[target].get(text)
        return Answer("I do not know this line." if said is None else f"〘{said}〙")


def said_by(rows: list[dict], column: str) -> dict[str, str]:
    """Translations by masked source, with the masks where what is masked stands in them."""
    found = {}
    for one in rows:
        masked = mask(one["en"])
        told = one[column]
        for number, span in enumerate(masked.spans, 1):
            told = told.replace(span, f"⟦{number}⟧", 1)
        found[masked.text] = told
    return found


def translated(folder: Path, rows: list[dict], columns: dict[str, str], to: tuple[str, ...]):
    """A run over lines into languages whose translations stand in `columns`, by the name of the language."""
    by_target = {name: {**said_by(rows, column), OWN: YES[name]} for name, column in columns.items()}
    source = write_rows(folder / "rows.jsonl", [row(number, one["en"], OWN) for number, one in enumerate(rows)])
    with ScriptedServer(Recorded(by_target)) as server:
        wanted = recipe(source, server.url, to)
        return tracemill.translate(None, None, folder / "run", recipe=wanted, workers=1)


OWN = "So it is."
YES = {"German": "So ist es.", "Japanese": "その通りです。", "Korean": "그렇습니다."}


def sacrebleu(folder: Path, hypotheses: list[str], references: list[str], *arguments: str) -> float:
    """The figure of its own command line."""
    for name, lines in (("hyp", hypotheses), ("ref", references)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(folder / "ref"), "-i", str(folder / "hyp"), "-b", "-w", "6"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_recorded_german_and_japanese_go_through_a_run_and_score_as_sacrebleu_says(tmp_path):
    rows = read_jsonl_gz(FLORES["test"])[:60]
    columns = {"German": "mt_bergamot_base_memory_de", "Japanese": "mt_bergamot_base_ja"}
    report = translated(tmp_path, rows, columns, ("de", "ja"))
    assert report.rows["de"] >= 58
    assert report.rows["ja"] >= 58
    lines = [line for line in dataset_lines(tmp_path / "run" / "data") if line.source != OWN]
    by_source = {one["en"]: one for one in rows}
    for code, column in zip(("de", "ja"), columns.values(), strict=True):
        mine = [line for line in lines if line.language == code]
        assert len(mine) == report.rows[code]
        told = [line.translation for line in mine]
        assert told == [by_source[line.source][column] for line in mine]
        right = [by_source[line.source][code] for line in mine]
        scores = against_references(language(code), {"a": told}, right, draws=0)["a"]
        words, _ = tokenizer(language(code))
        bleu = sacrebleu(tmp_path, told, right, "-m", "bleu", "-tok", words)
        chrf = sacrebleu(tmp_path, told, right, "-m", "chrf", "--chrf-word-order", "2")
        assert scores["BLEU"].value == pytest.approx(bleu, abs=1e-6)
        assert scores["chrF2++"].value == pytest.approx(chrf, abs=1e-6)
    told = evaluate(dataset_lines(tmp_path / "run" / "data"), draws=0)
    assert {group.language for group in told.groups} == {"de", "ja"}


def test_korean_needs_nothing_but_its_file(tmp_path):
    shipped = files("tracemill.languages").joinpath("data", "ko.yaml").read_text(encoding="utf-8")
    file = tmp_path / "korean.yaml"
    file.write_text(shipped.replace("code: ko\n", "code: ko-KR\n"), encoding="utf-8")
    assert read_language(file).code == "ko-KR"
    report = translated(tmp_path, read_jsonl_gz(NTREX)[:60], {"Korean": "ko"}, (str(file),))
    assert set(report.rows) == {"ko-KR"}
    assert report.rows["ko-KR"] >= 57, report.reasons
    assert tracemill.audit(tmp_path / "run").ok


@cache
def texts() -> dict[str, dict]:
    return {one["id"]: one for path in (*FLORES.values(), NTREX) for one in read_jsonl_gz(path)}


@cache
def gates(code: str) -> SegmentGates:
    english, target = language("en"), language(code)
    among = tuple(map(language, dict.fromkeys(("en", "fr", "es", "de", "it", "ja", "ko", code))))
    return SegmentGates(Gates(), english, target, among, {}, rules_between(english, target, Gates()))


def judged(line: str, system: str) -> str:
    one = texts()[line]
    got = gates(system.rpartition("_")[2]).judge_own(mask(one["en"]), one[system])
    return "refuse" if isinstance(got, Refused) else "pass"


def test_the_gates_say_what_a_reader_says():
    right: Counter[str] = Counter()
    of: Counter[str] = Counter()
    off = []
    with BY_HAND.open(encoding="utf-8", newline="") as file:
        for told in csv.DictReader(file, delimiter="\t"):
            of[told["sample"]] += 1
            if judged(told["line"], told["system"]) == told["hand"]:
                right[told["sample"]] += 1
            else:
                off.append(json.dumps(told))
    assert of == {"first": 100, "second": 100}
    assert right["first"] >= 90, off
    assert right["second"] >= 90, off
    assert not [one for one in off if '"hand": "refuse"' in one], "a bad line passes"
