"""Segments cover a message byte for byte, and code, formulas and data are never among what is sent."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracemill.segments import Segment, join, sentences, split
from tracemill.testing.samples import texts

LAW = settings(max_examples=300, deadline=None)
PIECES = st.sampled_from(
    """``` ~~~ ```py ```` `a` $ $$ $x$ \\( \\) \\[ \\] \\begin{align} \\end{align} \\boxed{4} { } [ ] {"a": 1 } | |---| - * 1.
    (A) # > ⟦1⟧ ⟦ ⟧ 〘 〙 {name} %s <b> </b> <a https://a.io/b a@b.co /etc/x snake_case camelCase f(x) Hello world 漢字 é
    42 1,000 . ! ? '''""".split()
)
GAPS = st.sampled_from(["", " ", "\n", "\n\n", "\t", "\r\n", "\r", "\u2028", "\x0c", "\u3000", "\x00", "\x1b", "    "])
MESSAGES = st.lists(st.tuples(PIECES, GAPS), max_size=25).map(lambda parts: "".join(a + b for a, b in parts))
ANY = MESSAGES | texts() | st.text(st.characters(exclude_categories=["Cs"]))


def sent(text: str, **options: bool) -> list[str]:
    return [segment.text for segment in split(text, **options) if segment.translatable]


def kinds(text: str) -> list[str]:
    return [segment.kind for segment in split(text) if segment.kind not in ("blank", "mark", "frame")]


@LAW
@given(ANY, st.booleans())
@example("$$\n\\[\n$$\n\\]", False)
@example("```py\n#\n", True)
@example("```c\n/* a */ b */", True)
@example("{\n[\n}", False)
def test_segments_join_to_the_text(text, comments):
    segments = split(text, comments=comments)
    assert "".join(segment.text for segment in segments) == text == join(segments)
    assert all(segment.text for segment in segments)


@LAW
@given(ANY)
def test_what_is_sent_neither_begins_nor_ends_in_space_and_is_one_line(text):
    for segment in split(text):
        if segment.translatable:
            assert segment.text == segment.text.strip()
            assert len(segment.text.splitlines()) == 1


@LAW
@given(ANY)
def test_translations_take_the_places_of_what_was_sent(text):
    segments = split(text)
    count = sum(segment.translatable for segment in segments)
    joined = join(segments, [f"<{number}>" for number in range(count)])
    rest = iter(range(count))
    assert joined == "".join(f"<{next(rest)}>" if s.translatable else s.text for s in segments)
    assert join(segments, [None] * count) == text


def test_too_few_translations_are_refused():
    with pytest.raises(ValueError, match="1 translations for 2"):
        join(split("One thing\nAnother thing"), ["x"])


@LAW
@given(ANY)
def test_sentences_join_to_the_text(text):
    assert join(sentences(text)) == text


def test_a_message_is_cut_as_the_docstring_says():
    assert split("## Sum\n- add `a`\n```py\nx\n```\n") == (
        Segment("mark", "## "),
        Segment("heading", "Sum", True),
        Segment("blank", "\n"),
        Segment("mark", "- "),
        Segment("item", "add `a`", True),
        Segment("blank", "\n"),
        Segment("fence", "```py\nx\n```\n"),
    )


@pytest.mark.parametrize(
    "block",
    [
        "```\nHello world\n```\n",
        "~~~text\nHello world\n~~~\n",
        "`````\n```\nHello world\n```\n`````\n",
        "~~~\n```\nHello world\n~~~\n",
        "  - ```python\n    Hello world\n    ```\n",
        "> ```\n> Hello world\n> ```\n",
        "1. ```\n   Hello world\n   ```\n",
        "\t```c\n\tHello world\n\t```\n",
        "```md\nSome text\n```py\nHello world\n```\nMore text\n```\n",
        "```python\nHello world, never closed\n\nand more of it",
        "$$\nHello world\n$$",
        "\\[\n\\text{Hello world}\n\n+1\n\\]",
        "\\begin{align*}\n\\text{Hello world}\n\\end{align*}",
        "\\begin{tabular}{ll}\nHello & world\n\\end{tabular}",
        '{"say": "Hello world"}',
        '[\n  {"say": "Hello world",\n   "n": [1, 2.5e3]}\n]',
        '{"say": "Hello world"},',
        "3.14",
        "１，０００",
        "`print(1)`",
        "https://example.org/a/b",
        "---",
        "A) $5$",
        "x = 5",
        "| 1 | 2 |\n|---|---|\n| 3 | `x` |",
        "def solve(x: int) -> int:\n    return x + 1",
        "#include <stdio.h>",
        "const _ = require('lodash')",
        "for (int i = 0; i < n; i++) {",
        ">>> solve(3)",
        "{'fruit': 'apple'}",
        "<?php",
    ],
)
def test_what_is_no_prose_is_never_sent(block):
    assert sent(block) == []
    before, after = "Before it stands this.", "After it stands that."
    text = f"{before}\n\n{block.rstrip()}\n"
    assert sent(text) == [before]
    if "never closed" not in block:
        assert sent(f"{text}\n{after}") == [before, after]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It costs $5 and then $10 more.", ["It costs $5 and then $10 more."]),
        ("  * [x] Buy the milk  \n", ["Buy the milk"]),
        ("> - quoted words", ["quoted words"]),
        ("1) first thing\n2) second thing", ["first thing", "second thing"]),
        ("(A) the house\n（B） the tree\nC. the car", ["the house", "the tree", "the car"]),
        ("| name | price |\n|:--|--:|\n| an apple | 3 |", ["name", "price", "an apple"]),
        ("name | price\n---|---\na big \\| apple | `x|y` here", ["name", "price", "a big \\| apple", "`x|y` here"]),
        ("one word\ttwo words\t3", ["one word", "two words"]),
        ("We have \\[\nx=1\n\\] so it goes.", ["We have", "so it goes."]),
        ("Thus $$x=1$$ holds.", ["Thus $$x=1$$ holds."]),
        ("I paid $$ for it\n\nand $$ again", ["I paid $$ for it", "and $$ again"]),
        ("Title\n=====\nText here", ["Title", "Text here"]),
        ("for each of the following:", ["for each of the following:"]),
        ("Return to the shop.", ["Return to the shop."]),
        ("Total = 5 apples + 3 apples", ["Total = 5 apples + 3 apples"]),
        ("If x is large (say 10), stop:", ["If x is large (say 10), stop:"]),
        ("[Note] this is prose", ["[Note] this is prose"]),
        ("\\begin{itemize}\n\\item an apple\n\\end{itemize}", ["\\item an apple"]),
        ("```not a fence``` but prose", ["```not a fence``` but prose"]),
        ("これはペンです。\n\nはい", ["これはペンです。", "はい"]),
        ("नमस्ते दुनिया", ["नमस्ते दुनिया"]),
        ("#### 18", []),
    ],
)
def test_prose_is_sent_without_its_marks(text, wanted):
    assert sent(text) == wanted


def test_each_kind_is_told():
    text = '# A title\n\nSome prose.\n- an item\n42\n***\n$$\nx\n$$\n{"a": 1}\nx = f(1);\n```\nc\n```\n'
    assert kinds(text) == ["heading", "prose", "item", "number", "neutral", "math", "json", "code", "fence"]


CODE = '''Look:
```python
#!/usr/bin/env python
# Sum of all the numbers.
def f(x):  # noqa: E501
    """Return the sum.

        x: the list of numbers
    >>> f([1])
    the answer
    """
    s = "# not a comment"  # add them up
    return """no docstring here"""
```
~~~js
/* A block of
 * two lines */
let a = "// no"; // yes indeed
~~~
```sql
SELECT 'it -- is' -- choose all rows
```
```
# of no known language
```
'''


def test_comments_and_docstrings_are_sent_only_when_asked_for():
    assert sent(CODE) == ["Look:"]
    assert sent(CODE, comments=True) == [
        "Look:",
        "Sum of all the numbers.",
        "Return the sum.",
        "x: the list of numbers",
        "add them up",
        "A block of",
        "two lines",
        "yes indeed",
        "choose all rows",
    ]


def test_a_line_is_cut_into_sentences():
    text = "Dr. Smith paid $3.50. He left!  Why? ⟦1⟧ tells, e.g. here. 猫です。犬です。"
    assert [s.text for s in sentences(text) if s.translatable] == [
        "Dr. Smith paid $3.50.",
        "He left!",
        "Why?",
        "⟦1⟧ tells, e.g. here.",
        "猫です。",
        "犬です。",
    ]


@pytest.mark.parametrize(
    ("text", "ends", "parts"),
    [
        ("राम घर गया। सीता बैठी है।", "।", ["राम घर गया।", "सीता बैठी है।"]),
        ("राम घर गया। सीता बैठी है।", "", ["राम घर गया। सीता बैठी है।"]),
        ("أين أنت؟ أنا هنا۔ نعم.", ".!؟…۔", ["أين أنت؟", "أنا هنا۔", "نعم."]),
        ("値は３．５です。次は７です。", "。．！？", ["値は３．５です。", "次は７です。"]),
        ("There are 3.5 of them... Then 4.", ".!?…", ["There are 3.5 of them...", "Then 4."]),
    ],
)
def test_each_language_ends_its_sentences_its_own_way(text, ends, parts):
    found = sentences(text, ends)
    assert join(found) == text
    assert [s.text for s in found if s.translatable] == parts
