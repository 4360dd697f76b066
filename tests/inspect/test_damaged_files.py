"""Flipped bits and cut files: in data of ours none goes unseen, in any other none takes the reader down."""

from __future__ import annotations

import json
import re
import shutil
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tracemill
from rows import rows, write_lines
from tracemill.engines.inline import InlineEngine
from tracemill.errors import DataError
from tracemill.inspect.validate import validate
from tracemill.mill import build
from tracemill.schema import V1_SCHEMA

PLACE = re.compile(
    r"math\.parquet: (?:"
    r"row group \d+ \((?:bytes [\d,]+ to [\d,]+|no byte of it can be read)\), after its row [\d,]+: ."
    r"|row group \d+: it holds"
    r"|the f|this is|its schema|there is neither)"
)


def spoilt(whole: bytes, draw: Random) -> bytes:
    if draw.random() < 0.2:
        return whole[: draw.randrange(len(whole))]
    place = draw.randrange(len(whole))
    return whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = tracemill.Recipe(
        name="small",
        license="CC0-1.0",
        prompts={"generate": "word_problems", "count": 20},
        teachers={"careful": {"url": "builtin", "model": "builtin-careful"}},
    )
    out = tmp_path_factory.mktemp("damage") / "run"
    build(recipe, out, engine=InlineEngine())
    return out


def unseen(run, place, count, seed):
    """How many of `count` damages of a run's files a validation does not see."""
    shutil.copytree(run, place, ignore=shutil.ignore_patterns(".tracemill"))
    files = [place / "manifest.json", *sorted((place / "data").glob("*.parquet"))]
    draw, missed = Random(seed), []
    for number in range(count):
        file = files[0] if number % 10 == 0 else files[1 + draw.randrange(len(files) - 1)]
        whole = file.read_bytes()
        file.unlink()
        file.write_bytes(spoilt(whole, draw))
        try:
            seen = {f.name for f in validate(place, workers=0).findings} & {"file_differs", "file_unreadable"}
        except DataError:
            seen = {"DataError"}
        if not seen and file.name != "manifest.json":
            missed.append(number)
        if not seen and file.name == "manifest.json":
            try:  # what is said of files must still be what was said; the rest of a manifest is not about them
                now = {(e["path"], e["bytes"], e["sha256"]) for e in json.loads(file.read_bytes())["files"]}
            except UnicodeDecodeError:
                now = None
            before = {(e["path"], e["bytes"], e["sha256"]) for e in json.loads(whole)["files"]}
            if {e for e in before if e[0].startswith("data/")} != {e for e in now or () if e[0].startswith("data/")}:
                missed.append(number)
        file.write_bytes(whole)
    return missed


def broken(file, count, seed):
    """Validate and open a foreign file in many broken forms; returns what was said of those that cannot be read."""
    whole, draw, said = file.read_bytes(), Random(seed), []
    for _ in range(count):
        file.write_bytes(spoilt(whole, draw))
        report = validate(file, workers=0)
        if finding := report.finding("file_unreadable"):
            said.append("{place}: {evidence}".format_map(finding.examples[0]))
        try:
            read = list(tracemill.open(file))
        except DataError:
            read = None
        assert read is not None or finding is not None
    return said


def foreign(tmp_path, compression="snappy"):
    held = [{**r, "messages": [{"tool_calls": [], **turn} for turn in r["messages"]]} for r in rows("math", 60)]
    pq.write_table(
        pa.Table.from_pylist(held, schema=V1_SCHEMA),
        tmp_path / "math.parquet",
        row_group_size=20,
        compression=compression,
    )
    return tmp_path / "math.parquet"


def test_no_damage_to_a_run_goes_unseen(run, tmp_path):
    assert validate(run, workers=0).finding("file_differs") is None
    assert unseen(run, tmp_path / "run", 60, seed=1) == []


def test_a_file_that_is_missing_from_a_run_is_found(run, tmp_path):
    shutil.copytree(run, tmp_path / "two")
    entry = json.loads((run / "manifest.json").read_text())
    entry["files"].append({**entry["files"][0], "path": "data/math-00009.parquet"})
    (tmp_path / "two" / "manifest.json").write_text(json.dumps(entry))
    assert "not there" in validate(tmp_path / "two", workers=0).finding("file_differs").examples[0]["evidence"]


def test_a_broken_foreign_parquet_file_is_said_to_be_broken_where_it_is(tmp_path):
    said = broken(foreign(tmp_path), 60, seed=2)
    assert len(said) > 10
    assert [text for text in said if not PLACE.match(text)] == []


def test_damage_in_one_row_group_costs_that_one(tmp_path):
    file = foreign(tmp_path, "zstd")
    whole = bytearray(file.read_bytes())
    begin = pq.read_metadata(file).row_group(1).column(8).data_page_offset
    whole[begin + 40 : begin + 60] = b"\xff" * 20
    file.write_bytes(whole)
    report = validate(file, workers=0)
    assert report.rows == 40
    told = report.finding("file_unreadable").examples[0]["evidence"]
    low, high = re.search(r"row group 1 \(bytes ([\d,]+) to ([\d,]+)\)", told).groups()
    assert int(low.replace(",", "")) <= begin + 60
    assert int(high.replace(",", "")) >= begin


def test_broken_lines_are_bad_lines(tmp_path):
    file = write_lines(tmp_path / "math.jsonl", rows("math", 60))
    assert broken(file, 60, seed=3) == []


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS"),
        (b"<html>not found</html>", "no Parquet file"),
        (b"PAR1" + b"\x00" * 100, "cut short"),
        (b"", "no Parquet file"),
    ],
)
def test_what_is_no_parquet_file_is_told(head, said, tmp_path):
    (tmp_path / "math.parquet").write_bytes(head)
    with pytest.raises(DataError, match=said):
        len(tracemill.open(tmp_path))
    assert said in validate(tmp_path, workers=0).finding("file_unreadable").examples[0]["evidence"]


@pytest.mark.storm
@pytest.mark.timeout(1800)
def test_five_thousand_damages(run, tmp_path):
    assert unseen(run, tmp_path / "run", 2500, seed=11) == []
    said = broken(foreign(tmp_path), 1500, seed=12)
    assert [text for text in said if not PLACE.match(text)] == []
    assert broken(write_lines(tmp_path / "math.jsonl", rows("math", 60)), 1000, seed=13) == []
    print(f"{len(said)} of 1,500 damages to Parquet without checksums could be told")
