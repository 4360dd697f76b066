"""What files may be called, how long they may be, what they may touch, and which words they may hold."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "tracemill"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

LONG: dict[str, str] = {}
"""Files over `MOST_LINES` lines, and why."""
MOST_LINES = 400
VAGUE = re.compile(r"(^|_)(utils?|common|helpers?|misc|shared|stuff|base)(_|$)")


def _python(*tops: str) -> list[Path]:
    return sorted(f for top in tops if (ROOT / top).is_dir() for f in (ROOT / top).rglob("*.py"))


CODE = _python("src", "tests", "docs", "bench")
OURS = sorted(SRC.rglob("*.py"))


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def place(file: Path) -> str:
    """The room or module of the package that a file belongs to."""
    return file.relative_to(SRC).parts[0].removesuffix(".py")


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", CODE, ids=named)
def test_a_file_has_a_readable_length(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES or named(file) in LONG, f"{lines} lines: divide it, or say in LONG why not"


@pytest.mark.parametrize("file", LONG)
def test_a_long_file_is_still_long(file):
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) > MOST_LINES, "strike it from LONG"


@pytest.mark.parametrize("file", CODE, ids=named)
def test_a_name_says_what_is_in_the_file(file):
    for part in file.relative_to(ROOT).parts:
        assert not VAGUE.search(part.removesuffix(".py")), f"{part}: name it for what it holds"


TOUCHES = frozenset(
    """open fdopen mkstemp mkdtemp TemporaryFile NamedTemporaryFile TemporaryDirectory read_text read_bytes write_text
    write_bytes rename renames replace link symlink symlink_to hardlink_to unlink remove removedirs rmdir mkdir makedirs
    touch truncate ftruncate pwrite rmtree copy copyfile copytree move chmod chown""".split()
)  # fmt: skip
"""Names of calls that reach the disk."""

MAY_TOUCH = {
    ("cli", "os.open"): "/dev/null in place of a closed stdout",
    ("cli", "open"): "a standard stream that was closed before we came",
    ("cli", "open to write"): "a standard stream that was closed before we came",
    ("cli", "mkstemp"): "the traceback of a defect, outside any run",
    ("cli", "fdopen to write"): "the traceback of a defect, outside any run",
    ("estimate", "TemporaryDirectory"): "where the input is spooled for a forecast without a run",
    ("exercises", "read_text"): "reads the questions that we ship",
    ("gather", "open"): "reads the user's input",
    ("inspect", "TemporaryDirectory"): "hashes of uuids and prompts, for the time of one validation",
    ("inspect", "fdopen to write"): "a worker's pipe to its parent",
    ("languages", "open"): "reads a user's language file",
    ("languages", "read_text"): "reads the languages that we ship",
    ("reading", "open"): "reads the user's data",
    ("reading", "read_text"): "reads a card that the Hub's library has fetched",
    ("recipe_file", "open"): "reads the user's recipe",
    ("report", "read_bytes"): "reads only; the audit looks at files as any reader would",
    ("report", "read_text"): "reads only; the audit looks at files as any reader would",
    ("report", "TemporaryDirectory"): "where the audit works the units again",
    ("recipe", "read_text"): "reads the table of dialects that we ship",
    ("respond", "read_text"): "reads templates, ours and the user's",
    ("translation", "read_text"): "reads prompts, ours and the user's",
    ("sandbox", "os.open"): "what processes hold, from /proc",
    ("sandbox", "read_text"): "reads the probes that we ship",
    ("verify", "fdopen to write"): "its own stdout",
    ("engines", "fdopen"): "a worker's pipe to its parent",
    ("engines", "fdopen to write"): "a worker's pipe to its parent",
    ("verify", "read_text"): "its own memory use, from /proc",
}
"""(room or module, call): why it need not go through `storage.fs.Fs`. One that nothing needs any more fails a test."""


def touches(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of each call that may reach the disk without the seam."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        *receiver, name = ast.unparse(node.func).split(".")
        if name not in TOUCHES or (receiver and receiver[-1] == "fs"):
            continue
        if name in ("copy", "remove", "link", "touch", "move") and receiver[-1:] not in (["os"], ["shutil"]):
            continue  # lists and dictionaries have these too
        if name == "replace" and not (receiver and len(node.args) == 1 and not node.keywords):
            continue  # str.replace has two, dataclasses.replace keywords
        modes = [
            str(a.value) for a in (*node.args[-1:], *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)
        ]
        to_write = name in ("open", "fdopen") and any(re.fullmatch(r"[rbt]*[wax+][rwabxt+]*", mode) for mode in modes)
        called = "os.open" if (name, receiver) == ("open", ["os"]) else name
        yield node.lineno, f"{called} to write" if to_write else called


DISK = [f for f in OURS if place(f) not in ("storage", "testing")]
"""All but the seam itself, and the fakes, which keep no file of a run."""


@pytest.mark.parametrize("file", DISK, ids=named)
def test_only_storage_touches_the_disk(file):
    wrong = [f"line {line}: {name}" for line, name in touches(parsed(file)) if (place(file), name) not in MAY_TOUCH]
    assert not wrong, "go through storage.fs.Fs, or say in MAY_TOUCH why not"


@pytest.mark.parametrize(("where", "name"), MAY_TOUCH)
def test_a_permission_is_still_needed(where, name):
    found = {name for file in OURS if place(file) == where for _, name in touches(parsed(file))}
    assert name in found, "strike it from MAY_TOUCH"


def test_every_way_to_the_disk_is_seen():
    for text in ("open('x')", "path.open('wb')", "Path('x').write_text('')", "os.rename(a, b)", "a.replace(b)"):
        assert list(touches(ast.parse(text))), text
    assert list(touches(ast.parse("p.open(mode='r+b')"))) == [(1, "open to write")]
    assert list(touches(ast.parse("open(p, 'rb', encoding='ascii')"))) == [(1, "open")]
    for text in ("fs.replace(a, b)", "self.fs.open(a)", "'a'.replace('b', 'c')", "replace(a, b=1)", "some.remove(x)"):
        assert not list(touches(ast.parse(text))), text


RUNS_TEXT = frozenset(
    """eval exec compile __import__ pickle.load pickle.loads pickle.Unpickler marshal.loads shelve.open dill.loads
    os.system os.popen yaml.load yaml.load_all yaml.full_load yaml.unsafe_load""".split()
)  # fmt: skip
MAY_RUN = {
    ("engines/local.py", "pickle.loads"): "an error that our own worker process sends over our own pipe",
}


def runs(tree: ast.AST) -> set[str]:
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {name for name in called if name in RUNS_TEXT}


@pytest.mark.parametrize("file", OURS, ids=named)
def test_no_text_is_ever_run(file):
    inside = file.relative_to(SRC).as_posix()
    assert {name for name in runs(parsed(file)) if (inside, name) not in MAY_RUN} == set()


@pytest.mark.parametrize(("file", "name"), MAY_RUN)
def test_a_permission_to_run_is_still_needed(file, name):
    assert name in runs(parsed(SRC / file)), "strike it from MAY_RUN"


@pytest.mark.parametrize("file", OURS, ids=named)
def test_no_shell_is_started_and_yaml_is_read_safely(file):
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.keyword):
            assert node.arg != "shell", f"line {node.value.lineno}: shell=..."
        if isinstance(node, ast.Attribute):
            loaders = ("Loader", "FullLoader", "UnsafeLoader", "CLoader")
            assert ast.unparse(node) not in {f"yaml.{n}" for n in loaders}, f"line {node.lineno}"


def test_types_are_shipped():
    assert (SRC / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["tracemill"]


PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
)


def test_every_line_of_the_constraints_is_one_exact_pin():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_every_dependency_is_pinned_down_to_the_last():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {canonicalize_name(name) for name in PINNED}
    project = PROJECT["project"]
    extras = [Requirement(text) for group in project["optional-dependencies"].values() for text in group]
    waiting = [Requirement(text) for text in project["dependencies"]] + extras
    seen = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        key = (name, frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        assert name in pins, f"{wanted.name} is not pinned"
        try:
            told = requires(name) or []
        except PackageNotFoundError:
            continue
        for text in told:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
                waiting.append(needed)


def test_the_version_is_told_alike_everywhere():
    import tracemill

    assert PROJECT["project"]["version"] == tracemill.__version__
    assert f"## {tracemill.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


FOREIGN = re.compile(
    "|".join(
        [
            "".join(["/wo", r"rk/\w"]),
            "".join(["/ro", "ot/"]),
            r"/home/\w",
            "".join(["pypi", r"\.org"]),
            "".join(["python", "hosted"]),
            "".join(["npm", r"js\."]),
            r"index-" + "url",
            "".join(["(agent|coding|chat) sess", "ion"]),
            "".join(["coding ag", "ent"]),
            "".join(["work", "place"]),
            "".join(["fixes ", r"#\d"]),
            "".join(["issue ", r"#?\d"]),
        ]
    ),
    re.IGNORECASE,
)
"""The project speaks of itself alone: no machine it was written on, no registry, no tracker, no tool that wrote it."""
TEXT = {".py", ".md", ".txt", ".toml", ".yaml", ".yml", ".json", ".cfg", ".ini", ".sh", ""}


def _texts() -> Iterator[Path]:
    tops = [ROOT / name for name in ("src/tracemill", "tests", "docs", "bench", ".ci")]
    yield from (f for f in ROOT.iterdir() if f.is_file() and f.suffix in TEXT)
    for top in tops:
        if top.is_dir():
            yield from (f for f in top.rglob("*") if f.is_file() and f.suffix in TEXT and "__pycache__" not in f.parts)


def test_the_project_speaks_of_itself_alone():
    found = []
    for file in _texts():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := FOREIGN.search(line):
                found.append(f"{named(file)}:{number}: {match[0]}")
    assert not found
