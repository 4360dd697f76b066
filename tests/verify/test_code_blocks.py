"""Blocks are found as a reader of Markdown sees them, and parsed as their language."""

from __future__ import annotations

import pytest

from tracemill.code_task import LANGUAGES, CodeTask, read_task
from tracemill.verify.code.blocks import answer_code, blocks
from tracemill.verify.code.syntax import syntax_error
from tracemill.verify.code.verifier import whole

TICKS = "`" * 3


def fenced(code: str, name: str = "python", fence: str = TICKS) -> str:
    return f"{fence}{name}\n{code}\n{fence}\n"


def test_blocks_in_order_with_their_names():
    text = "Hi\n" + fenced("a = 1") + "then\n" + fenced("let a", "JS") + fenced("x", "") + fenced("y", "text", "~~~~")
    assert [(b.language, b.code) for b in blocks(text)] == [
        ("python", "a = 1\n"), ("javascript", "let a\n"), (None, "x\n"), (None, "y\n")
    ]  # fmt: skip


def test_a_longer_fence_holds_a_shorter_one():
    inner = fenced("a = 1")
    (block,) = blocks(fenced(inner.rstrip("\n"), "markdown", "`" * 4))
    assert block.code == inner


def test_an_indented_block_is_brought_back():
    text = f"1. So:\n\n   {TICKS}python\n   def f():\n       return 1\n   {TICKS}\n"
    (block,) = blocks(text)
    assert block.code == "def f():\n    return 1\n"


def test_a_fence_that_is_never_closed_ends_with_the_text():
    (block,) = blocks(f"{TICKS}python\na = 1")
    assert (block.code, block.closed) == ("a = 1", False)


@pytest.mark.parametrize("text", ["", "no code", "`a = 1`", "``a``", f"see {TICKS}python in text{TICKS}"])
def test_no_block_is_none(text):
    assert blocks(text) == []
    assert answer_code(text, "python") is None


def test_the_answer_is_the_last_that_defines_what_is_tested():
    first, better, use = "def f(n):\n    return 1", "def f(n):\n    return 2", "print(f(3))"
    text = fenced(first) + fenced(better) + fenced(use)
    assert answer_code(text, "python", "f") == better + "\n"
    assert answer_code(fenced(use) + fenced(better), "python", "") == better + "\n", "the longest, without a name"
    assert answer_code(fenced("ls", "sh") + fenced(first, ""), "python", "f") == first + "\n"
    assert answer_code(fenced("ls", "sh"), "python", "f") is None


RIGHT = {
    "python": "def f(a: int, /) -> int:\n    match a:\n        case 1: return 2\n    return a\n",
    "javascript": "const f = async (a) => { await a?.b ?? 1; };",
    "typescript": "function f<T extends string>(a: T): T { return a as T; }",
    "java": "public class A { record P(int x) {} static int f(int a) { return a; } }",
    "c": "#include <stdio.h>\nint main(void) { printf(\"%d\", 1); return 0; }",
    "cpp": "template <typename T> auto f(T a) { return [a](auto b) { return a + b; }; }",
    "go": "package main\nfunc f[T any](a T) (T, error) { return a, nil }",
    "rust": "fn f<'a>(s: &'a str) -> Option<&'a str> { Some(s)?.into() }",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_parses_and_does_not_when_broken(language):
    assert syntax_error(RIGHT[language], language) is None
    broken = RIGHT[language].rstrip()[:-2] + "((("
    assert syntax_error(broken, language).startswith("line ")
    assert syntax_error("", language) is None
    assert "longer than" in syntax_error("x\n" * 600_000, language)


def test_an_answer_goes_on_from_its_context_or_stands_alone():
    context = 'import math\n\ndef helper(n):\n    return n\n\ndef f(n):\n    """Doc."""\n'
    task = CodeTask(context=context, entry="f")
    body, complete = "    return helper(n)\n", "def f(n):\n    return helper(n)\n"
    assert whole(task, body) == context + body
    assert whole(task, complete) == f"{context}\n\n{complete}"
    js = CodeTask(language="javascript", context="function f(n) {\n", entry="f")
    assert whole(js, "return n;\n}") == "function f(n) {\nreturn n;\n}"
    assert whole(js, "function f(n) { return n; }") == "function f(n) { return n; }"
    assert whole(CodeTask(), body) == body


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("18", "no JSON object"), ("{", "no JSON"), ('{"test": 1}', "unknown keys 'test'"),
        ('{"language": "cobol"}', "not one of python"), ('{"kind": "guess"}', "not one of solve"),
        ('{"tests": 1}', "tests is no text"), ('{"cases": [{"stdin": "1"}]}', "cases is no list"),
        ('{"kind": "optimise"}', "needs a baseline"),
    ],
)  # fmt: skip
def test_what_is_no_task_is_told_why(text, why):
    with pytest.raises(ValueError, match=why):
        read_task(text)


def test_a_task_is_read_as_it_was_written():
    task = CodeTask(language="c", kind="optimise", tests="t", entry="f", context="c", solution="s", baseline="b")
    assert read_task(task.text()) == task
    assert CodeTask().text() == '{"kind":"solve","language":"python"}'
