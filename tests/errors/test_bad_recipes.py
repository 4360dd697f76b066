"""Whatever is wrong with a recipe or an input, the command says file, line, key, what is there, what is valid and what
is near, and exits as its contract says; a traceback is never shown.
"""

# ruff: noqa: E501  a table, one case in a line

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from campaign import run
from tracemill.cli import main

RECIPE = """\
name: small
license: MIT
prompts:
  name: gsm8k
  path: prompts.jsonl
  fields:
    prompt: question
    expected: answer
teachers:
  main:
    url: http://127.0.0.1:9/v1
    model: m
    api_key: ${env:A_KEY}
    sampling: {temperature: 0.6}
respond:
  samples: 1
  reasoning: on
verify:
  math: {majority: 0.5}
publish:
  layout: full
"""
ROWS = b'{"question": "1+1?", "answer": "2"}\n'
SECRET = "sk-live-0123456789"


@dataclass
class Case:
    """One thing that is wrong, and what the message must hold."""

    name: str
    said: list[str]
    swap: tuple[str, str] | None = None
    """(what is replaced in the recipe, by what)."""
    recipe: bytes | str | None = None
    """The whole recipe instead."""
    sets: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """Further words of the command line."""
    files: dict[str, bytes] = field(default_factory=dict)
    unsaid: list[str] = field(default_factory=list)
    code: int = 3


def parquet(**columns: list) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def at(number: int, key: str, *more: str) -> list[str]:
    return [f"r.yaml, line {number}: {key}: ", *more]


def inputs(name: str, data: bytes, *said: str, code: int = 3, **more: object) -> Case:
    """An input file of that name and content."""
    place = ["r.yaml, line ", "'gsm8k'", *said]
    return Case(name, place, ("prompts.jsonl", name), files={name: data}, code=code, **more)


SYNTAX = [
    Case("a list is left open", ["r.yaml, line 22", "not YAML"], ("layout: full", "layout: [full")),
    Case("a quote is left open", ["r.yaml, line", "not YAML", "line 2"], ("MIT", '"MIT')),
    Case("a tab", ["r.yaml, line 4", "tab", "spaces"], ("  name: gsm8k", "\tname: gsm8k")),
    Case("wrong indentation", ["r.yaml, line 5", "not YAML", "indentation"], ("  path:", "   path:")),
    Case("no space after a colon", ["r.yaml, line 3", "not YAML"], ("license: MIT", "license:MIT")),
    Case("a key twice", ["r.yaml, line 3", "'license'", "twice", "line 2"], ("prompts:", "license: x\nprompts:")),
    Case("a nested key twice", ["r.yaml, line 17", "'samples'", "line 16"], ("  reasoning: on", "  samples: 2")),
    Case("an alias", ["r.yaml, line 2", "aliases"], ("name: small\nlicense: MIT", "name: &a small\nlicense: *a")),
    Case("a tag", ["r.yaml, line 1", "tags"], ("small", "!!python/name:os.system small")),
    Case("a list as key", ["r.yaml, line 2", "a key must be a text"], ("license:", "? [a]\n:")),
    Case("a date that is none", ["r.yaml, line 2", "quotes"], ("MIT", "2024-13-45")),
    Case("a number of 5000 digits", ["r.yaml, line 16", "a number"], ("samples: 1", "samples: " + "9" * 5000)),
    Case("a control character", ["r.yaml, line 2", "U+0007", "take it out"], ("MIT", "M\x07T")),
    Case("two documents", ["r.yaml, line 22", "not YAML"], ("layout: full\n", "layout: full\n---\na: 1\n")),
    Case("nested without end", ["r.yaml", "nested too deeply"], recipe="[" * 50_000),
]
FILES = [
    Case("empty", ["r.yaml", "mapping", "nothing"], recipe=""),
    Case("a list", ["r.yaml", "mapping", "list"], recipe="- name: a\n"),
    Case("a text", ["r.yaml", "mapping", "str"], recipe="just words\n"),
    Case(
        "latin-1",
        ["r.yaml, line 3", "utf-8", "0xE9"],
        recipe=RECIPE.replace("prompts:", "description: caf\xe9\nprompts:", 1).encode("latin-1"),
    ),
    Case("utf-16", ["r.yaml", "UTF-16", "UTF-8"], recipe=RECIPE.encode("utf-16")),
    Case("binary", ["r.yaml", "text"], recipe=parquet(a=[1])),
    Case("two megabytes", ["r.yaml", "1,000,000"], recipe=RECIPE + "# " + "x" * 2_000_000),
]
KEYS = [
    Case("a key at the top", at(2, "licence", "'license'", "contact"), ("license: MIT", "licence: MIT")),
    Case("a key of prompts", at(6, "prompts.feilds", "'fields'", "expected_after"), ("fields:", "feilds:")),
    Case("a key of fields", at(8, "prompts.fields.expcted", "'expected'", "metadata"), ("expected:", "expcted:")),
    Case("a key of a teacher", at(12, "teachers.main.modle", "'model'", "url"), ("model:", "modle:")),
    Case("a key of sampling", at(14, "teachers.main.sampling.temprature", "'temperature'", "top_p"), ("temperature", "temprature")),
    Case("a key of respond", at(16, "respond.sample", "'samples'", "assign"), ("samples:", "sample:")),
    Case("a key of verify", at(19, "verify.maths", "'math'", "duplicates"), ("math:", "maths:")),
    Case("a key of verify.math", at(19, "verify.math.majorty", "'majority'", "wall_clock"), ("majority", "majorty")),
    Case("a key of publish", at(21, "publish.layuot", "'layout'", "shard_bytes"), ("layout:", "layuot:")),
    Case("a key like no other", at(3, "zzz", "Valid keys: name, version"), ("prompts:", "zzz: 1\nprompts:")),
    Case("a number as key", ["r.yaml, line 3", "a key must be a text"], ("prompts:", "7: 1\nprompts:")),
    Case("a key that is missing", ["r.yaml: license: ", "missing"], ("license: MIT\n", "")),
    Case("a nested key that is missing", at(10, "teachers.main.model", "missing"), ("    model: m\n", "")),
    Case("a category that is none", at(16, "respond.system.maths", "'math'", "'maths'", "'chat'"), ("  samples: 1", '  system: {maths: ""}')),
    Case("a teacher's name", at(10, "teachers.Main Teacher", "lower-case"), ("  main:", "  Main Teacher:")),
]  # fmt: skip
VALUES = [
    Case("a number for a text", at(2, "license", "a text", "it is 1.0", "quotes"), ("MIT", "1.0")),
    Case("no for a text", at(2, "license", "a text", "it is false", "quotes"), ("MIT", "no")),
    Case("nothing for a text", at(2, "license", "a text", "it is nothing", "colon"), ("license: MIT", "license:")),
    Case("a date for a text", at(2, "license", "a text", "2024-01-02", "quotes"), ("MIT", "2024-01-02")),
    Case("a list for a text", at(2, "license", "a text", "a list"), ("MIT", "[MIT]")),
    Case("a text for a number", at(16, "respond.samples", "a whole number", "'many'"), ("samples: 1", "samples: many")),
    Case("a half for a whole", at(16, "respond.samples", "a whole number", "1.5"), ("samples: 1", "samples: 1.5")),
    Case("yes for a number", at(16, "respond.samples", "a number", "true"), ("samples: 1", "samples: yes")),
    Case("a text for a mapping", at(15, "respond", "a mapping", "'on'"), ("respond:\n  samples: 1\n  reasoning: on", "respond: 'on'")),
    Case("a mapping for a text", at(12, "teachers.main.model", "a text", "a mapping"), ("model: m", "model: {a: b}")),
    Case("too small", at(16, "respond.samples", "greater than 0", "it is 0"), ("samples: 1", "samples: 0")),
    Case("too large", at(16, "respond.samples", "1024", "it is 9999"), ("samples: 1", "samples: 9999")),
    Case("beyond 64 bits", at(3, "seed", "64 bits"), ("prompts:", f"seed: {2**70}\nprompts:")),
    Case("infinite", at(19, "verify.math.majority", "finite"), ("0.5", ".inf")),
    Case("too hot", at(14, "teachers.main.sampling.temperature", "less than or equal to 2", "it is 7"), ("0.6", "7")),
    Case("a mode that is none", at(17, "respond.reasoning", "'both'", "'bth'", "Did you mean 'both'?"), ("reasoning: on", "reasoning: bth")),
    Case("a layout that is none", at(21, "publish.layout", "'v3'", "'ful'", "Did you mean 'full'?"), ("layout: full", "layout: ful")),
    Case("a category's near miss", at(6, "prompts.category", "'math'", "'Maths'", "Did you mean 'math'?"), ("  fields:", "  category: Maths\n  fields:")),
    Case("a generator that is none", at(4, "prompts.generate", "'word_problems'", "Did you mean"), ("  name: gsm8k\n  path: prompts.jsonl\n  fields:\n    prompt: question\n    expected: answer", "  generate: word_problem\n  count: 5")),
    Case("a family that is none", ["r.yaml, line 6", "'tickts'", "it has:"], ("  name: gsm8k\n  path: prompts.jsonl\n  fields:\n    prompt: question\n    expected: answer", "  generate: word_problems\n  count: 5\n  families: [tickts]")),
    Case("a language that is none", at(6, "prompts.language", "'pt-BR'", "'portuguese'"), ("  fields:", "  language: portuguese\n  fields:")),
    Case("two sources of one name", ["r.yaml", "prompts", "'a'", "own `name`"], ("prompts:\n  name: gsm8k\n  path: prompts.jsonl\n  fields:\n    prompt: question\n    expected: answer", "prompts: [{path: x, name: a}, {path: y, name: a}]")),
    Case("a mark without a column", at(6, "prompts.expected_after", "fields.expected"), ("  fields:\n    prompt: question\n    expected: answer", "  expected_after: '####'\n  fields: {prompt: question}")),
    Case("a long value is cut", at(21, "publish.layout", "xxx..."), ("layout: full", f"layout: {'x' * 3000}"), unsaid=["x" * 200]),
    Case("three at once", ["line 2: license", "line 16: respond.samples", "line 21: publish.layout"], recipe=RECIPE.replace("MIT", "5").replace("samples: 1", "samples: -1").replace("full", "none")),
]  # fmt: skip
SECRETS = [
    Case("a literal key", at(13, "teachers.main.api_key", "${env:NAME}"), ("${env:A_KEY}", SECRET), unsaid=[SECRET]),
    Case("a number as key", at(13, "teachers.main.api_key", "a text"), ("${env:A_KEY}", "9988776655"), unsaid=["9988776655"]),
    Case("half a reference", at(13, "teachers.main.api_key", "${env:NAME}"), ("${env:A_KEY}", f"${{env:A_KEY}}{SECRET}"), unsaid=[SECRET]),
    Case("a literal header", at(13, "teachers.main.headers", "${env:NAME}"), ("api_key: ${env:A_KEY}", f"headers: {{Authorization: Bearer {SECRET}}}"), unsaid=[SECRET]),
    Case("a key in the URL", at(11, "teachers.main.url", "${env:NAME}"), ("127.0.0.1:9", f"me:{SECRET}@127.0.0.1"), unsaid=[SECRET]),
    Case("a key in the body", at(14, "teachers.main.extra_body", "${env:NAME}"), ("sampling: {temperature: 0.6}", f"extra_body: {{api_key: {SECRET}}}"), unsaid=[SECRET]),
    Case("a key in the card's URL", at(6, "prompts.url", "user name or password"), ("  fields:", f"  url: https://me:{SECRET}@host/x\n  fields:"), unsaid=[SECRET]),
    Case("a token in the card's URL", at(6, "prompts.url", "token"), ("  fields:", f"  url: https://host/x?token={SECRET}\n  fields:"), unsaid=[SECRET]),
    Case("a key that is not set", at(13, "teachers.main.api_key", "NO_SUCH_KEY", "not set", "export"), ("A_KEY", "NO_SUCH_KEY")),
    Case("an empty key", at(13, "teachers.main.api_key", "EMPTY_KEY", "empty", "leave"), ("A_KEY", "EMPTY_KEY")),
    Case("a short key", at(13, "teachers.main.api_key", "SHORT_KEY", "3 characters"), ("A_KEY", "SHORT_KEY"), unsaid=["qXz"]),
    Case("a key of two lines", at(13, "teachers.main.api_key", "LINES_KEY", "line"), ("A_KEY", "LINES_KEY"), unsaid=[SECRET]),
]  # fmt: skip
URLS = [
    Case("no scheme", at(11, "teachers.main.url", "http://localhost:8000/v1"), ("http://127.0.0.1:9/v1", "localhost:8000")),
    Case("another scheme", at(11, "teachers.main.url", "http"), ("http://127.0.0.1:9/v1", "ftp://host/v1")),
    Case("a port that is none", at(11, "teachers.main.url", "http://h:99999/v1"), ("http://127.0.0.1:9/v1", "http://h:99999/v1")),
    Case("a query", at(11, "teachers.main.url", "?"), ("http://127.0.0.1:9/v1", "http://h/v1?a=b")),
]  # fmt: skip
SETS = [
    Case("--set without =", ["--set 'respond.samples'", "key.key=value"], sets=["respond.samples"]),
    Case("--set without a key", ["--set", "key.key=value"], sets=["=5"]),
    Case("--set of two dots", ["--set", "key.key=value"], sets=["respond..samples=5"]),
    Case("--set of no such key", ["--set respond.sampels: ", "Did you mean 'samples'?"], sets=["respond.sampels=5"]),
    Case("--set of a bad value", ["--set respond.samples: ", "'many'", "a whole number"], sets=["respond.samples=many"]),
    Case("--set of broken YAML", ["--set respond.samples, line 1", "not YAML"], sets=["respond.samples=[1"]),
    Case("--set of another teacher", ["--set teachers.mian.url: ", "missing", "Did you mean 'main'?"], sets=["teachers.mian.model=x"]),
    Case("--set below a value", ["--set name.first", "'name' is one value"], sets=["name.first=x"]),
    Case("--set of no such item", ["--set teachers.main.headers.1.x", "no item '1'", "0 to 0"], sets=["teachers.main.headers=[a]", "teachers.main.headers.1.x=5"]),
    Case("--set of a secret", ["--set teachers.main.api_key", "${env:NAME}"], sets=[f"teachers.main.api_key={SECRET}"], unsaid=[SECRET]),
]  # fmt: skip
PATHS = [
    Case("no such input", ["r.yaml, line 5", "'promts.jsonl'", "Did you mean 'prompts.jsonl'?"], ("path: prompts.jsonl", "path: promts.jsonl")),
    Case("no such directory", ["r.yaml, line 5", "There is no 'daat'"], ("path: prompts.jsonl", "path: daat/x/prompts.jsonl")),
    Case("a glob without a match", ["r.yaml, line 5", "'*.parquet'", "nothing like"], ("path: prompts.jsonl", "path: '*.parquet'")),
    Case("a directory without data", ["r.yaml, line 5", "holds no file", ".jsonl", "'a.doc'"], ("path: prompts.jsonl", "path: folder"), files={"folder/a.doc": b""}),
    Case("an input by --set", ["--set", "'gone.jsonl'"], sets=["prompts.path=gone.jsonl"]),
    Case("an empty path", ["r.yaml, line 5", "''"], ("path: prompts.jsonl", "path: ''")),
    Case("a home of nobody", ["r.yaml, line 5", "~nobody-of-this-name"], ("path: prompts.jsonl", "path: ~nobody-of-this-name/x")),
    Case("a template that is missing", ["r.yaml, line 16", "respond.templates.math", "gone.txt"], ("  samples: 1", "  templates: {math: gone.txt}")),
    Case("a template without its place", ["r.yaml, line 16", "respond.templates.math", "{problem}", "0 times"], ("  samples: 1", "  templates: {math: t.txt}"), files={"t.txt": b"no place"}),
    Case("a template twice", ["r.yaml, line 16", "{problem}", "2 times"], ("  samples: 1", "  templates: {math: t.txt}"), files={"t.txt": b"{problem} {problem}"}),
    Case("a template in latin-1", ["r.yaml, line 16", "respond.templates.math", "text"], ("  samples: 1", "  templates: {math: t.txt}"), files={"t.txt": b"{problem} \xe9"}),
]  # fmt: skip
BIG = b"".join(b'{"question": "%d?", "answer": "2"}\n' % (n * n) for n in range(2000))
INPUTS = [
    inputs("empty.jsonl", b"", "holds no lines", "'empty.jsonl'"),
    inputs("blank.jsonl", b"\n \n", "holds no lines"),
    inputs("cut.jsonl.gz", gzip.compress(BIG)[:5], "unreadable", "cut.jsonl.gz:1"),
    inputs("torn.jsonl.gz", b"\x1f\x8b" + b"nonsense" * 9, "unreadable", "torn.jsonl.gz:1"),
    inputs("torn.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"nonsense" * 9, "unreadable", "torn.jsonl.zst:1"),
    inputs("cut.parquet", parquet(question=["1+1?"], answer=["2"])[:-9], "unreadable", "cut.parquet:1"),
    inputs("no.parquet", b"question,answer\n1,2\n", "unreadable", "no.parquet:1"),
    inputs("book.csv", b"PK\x03\x04" + bytes(99), "unreadable", "Excel", "CSV"),
    inputs("tabs.tsv", b"question\tanswer\n1+1?\t2\n", "separated by tabs", "CSV"),
    inputs("tabs.csv", b"question\tanswer\n1+1?\t2\n", "missing_field", "separated by '\\t'", "commas"),
    inputs("semicolons.csv", b"question;answer\n1+1?;2\n", "separated by ';'", "commas"),
    inputs("wide.csv", "question,answer\n1+1?,2\n".encode("utf-16"), "UTF-16", "UTF-8"),
    inputs("x.jsonl.bz2", b"BZh91AY&SY" + bytes(99), "bzip2"),
    inputs("page.jsonl", b"<html>\n<p>Not found</p>\n", "not_json", "page.jsonl:1", "<html>"),
    inputs("lines.jsonl", b'["a"]\n["b"]\n', "not_object", "lines.jsonl:1"),
    inputs("latin.jsonl", '{"question": "caf\xe9", "answer": "1"}\n'.encode("latin-1"), "bad_utf8", "latin.jsonl:1"),
    inputs("other.jsonl", b'{"qestion": "1+1?", "answer": "2"}\n', "missing_field", "'question'", "Did you mean 'qestion'?", "prompts.fields"),
    inputs("other.csv", b"qestion,answer\n1+1?,2\n", "other.csv:2", "Did you mean 'qestion'?"),
    inputs("other.parquet", parquet(questions=["1+1?"], answer=["2"]), "Did you mean 'questions'?"),
    inputs("unanswered.jsonl", b'{"question": "1+1?", "anser": "2"}\n', "'answer'", "Did you mean 'anser'?"),
    inputs("numbers.jsonl", b'{"question": 5, "answer": "2"}\n', "wrong_type", "text is wanted", "there is 5"),
    inputs("numbers.parquet", parquet(question=[5], answer=["2"]), "wrong_type", "there is 5"),
    inputs("roles.jsonl", b'{"question": [{"role": "bot", "content": "x"}], "answer": "2"}\n', "role 'bot'"),
    inputs("nul.jsonl", b'{"question": "a\\u0000b", "answer": "2"}\n', "bad_text", "NUL"),
    inputs("escape.jsonl", b'{"question": "q", "\\u001b[31mred": "2"}\n', "missing_field", "\\x1b[31mred", unsaid=["\x1b"]),
    inputs("licence.jsonl", ROWS, "r.yaml, line 9", "fields.license", "'licens'", "no row has", sets=[]),
]  # fmt: skip
INPUTS[-1].swap = ("path: prompts.jsonl\n  fields:\n    prompt: question\n    expected: answer",
                   "path: licence.jsonl\n  fields:\n    prompt: question\n    expected: answer\n    license: licens")  # fmt: skip
WORDS = [
    Case("an engine that is none", ["--engine 'ray'", "'local'"], words=["--engine", "ray"], code=2),
    Case("no workers", ["--workers", "at least 1", "0"], words=["--workers", "0"], code=2),
    Case("no rows", ["--limit", "at least 1", "-3"], words=["--limit", "-3"], code=2),
    Case("a limit that is no number", ["--limit", "integer"], words=["--limit", "ten"], code=2),
    Case("an option that is none", ["--wrokers", "--workers"], words=["--wrokers", "2"], code=2),
]
CASES = [*SYNTAX, *FILES, *KEYS, *VALUES, *SECRETS, *URLS, *SETS, *PATHS, *INPUTS, *WORDS]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_KEY", SECRET)
    monkeypatch.setenv("EMPTY_KEY", "")
    monkeypatch.setenv("SHORT_KEY", "qXz")
    monkeypatch.setenv("LINES_KEY", f"{SECRET}\n{SECRET}")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    (tmp_path / "prompts.jsonl").write_bytes(ROWS)
    return tmp_path


def written(case: Case, place: Path) -> None:
    for name, data in case.files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(data)
    told = RECIPE if case.recipe is None else case.recipe
    if case.swap:
        assert case.swap[0] in told, "the table replaces what does not stand in the recipe"
        told = told.replace(case.swap[0], case.swap[1], 1)
    (place / "r.yaml").write_bytes(told if isinstance(told, bytes) else told.encode())


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of the real command, in this process."""
    monkeypatch.setattr(sys, "argv", ["tracemill", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def command_of(case: Case) -> list[str]:
    sets = [word for assignment in case.sets for word in ("--set", assignment)]
    return ["build", "r.yaml", "--out", "run", *sets, *case.words]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_is_told_with_its_place_and_a_way_out(case, place, monkeypatch, capsys):
    written(case, place)
    code = called(monkeypatch, *command_of(case))
    shown = capsys.readouterr()
    assert [part for part in case.said if part not in shown.err] == [], shown.err
    assert [part for part in case.unsaid if part in shown.err + shown.out] == []
    assert "Traceback" not in shown.err
    assert "\x1b" not in shown.err
    assert shown.out == ""
    assert code == case.code, shown.err


def test_the_table_is_long_and_no_case_stands_twice():
    assert len(CASES) >= 100
    assert len({(c.name, str(c.swap), tuple(c.sets)) for c in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [SYNTAX[2], KEYS[3], SECRETS[0], PATHS[0], INPUTS[7]], ids=lambda case: case.name)
def test_a_process_of_its_own_says_the_same_and_json_says_it_on_stdout(case, place):
    written(case, place)
    done = run(*command_of(case), "--json")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"] == case.code
    assert [part for part in case.said if part not in told["error"]] == []
    assert told["error"] in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_a_recipe_that_is_a_directory_names_the_recipes_in_it(place, monkeypatch, capsys):
    (place / "recipes").mkdir()
    (place / "recipes" / "math.yaml").write_text(RECIPE)
    assert called(monkeypatch, "build", "recipes", "--out", "run") == 3
    told = capsys.readouterr().err
    assert "directory" in told
    assert "math.yaml" in told


def test_a_recipe_that_is_not_there_names_the_nearest(place, monkeypatch, capsys):
    (place / "gsm8k.yaml").write_text(RECIPE)
    assert called(monkeypatch, "build", "gsm8.yaml", "--out", "run") == 3
    assert "gsm8.yaml: there is no such file. Did you mean 'gsm8k.yaml'?" in capsys.readouterr().err


def test_a_recipe_that_may_not_be_read_is_told(place, monkeypatch, capsys):
    (place / "r.yaml").symlink_to("r.yaml")
    assert called(monkeypatch, "build", "r.yaml", "--out", "run") == 3
    assert "r.yaml: cannot be read" in capsys.readouterr().err


def built_in(place: Path, *words: str, swap: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess:
    """A whole build with the built-in teacher, in a process of its own."""
    recipe = RECIPE.replace("url: http://127.0.0.1:9/v1", "url: builtin").replace("    api_key: ${env:A_KEY}\n", "")
    (place / "r.yaml").write_text(recipe.replace(*swap))
    return run("build", "r.yaml", "--out", "run", "--workers", "1", *words)


def test_bad_lines_among_good_ones_are_counted_with_their_place_and_stop_nothing(place):
    good = b'{"question": "Tom has 3 apples and buys 4 more. How many apples does he have?", "answer": "7"}\n'
    (place / "prompts.jsonl").write_bytes(good + b"{broken\n" + good + zstandard.compress(b"x") + b"\n")
    done = built_in(place, "--json")
    assert done.returncode == 0, done.stderr
    lost = json.loads(done.stdout)["lost"]
    assert lost["gather: not_json"] == 1
    assert lost["gather: bad_utf8"] == 1


def test_a_column_that_no_row_has_and_that_is_only_carried_along_is_noted(place):
    done = built_in(place, swap=("expected: answer", "expected: answer\n    metadata: [levle]"))
    assert done.returncode == 0, done.stderr
    assert "no row has a column 'levle'" in done.stderr
