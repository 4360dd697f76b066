"""ATTRIBUTION.md counts rows by where they come from, the same for the same rows, and text in it stays text."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.publish.attribution import write_attribution

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
ORIGINS = st.dictionaries(st.tuples(WORD, WORD, WORD, WORD), st.integers(1, 10**6), max_size=6)


def test_each_source_is_told_with_its_licence_its_rows_and_its_address():
    origins = Counter({("gsm8k", "MIT", "big", "CC0-1.0"): 1200, ("gsm8k", "MIT", "small", "CC0-1.0"): 34})
    inputs = [{"name": "gsm8k", "url": "https://example.org/gsm8k", "citation": "@misc{gsm8k}\n```\n# x"}]
    page = write_attribution("mine", "CC0-1.0", origins, inputs)
    assert "| gsm8k | MIT | big | CC0-1.0 | 1,200 |" in page
    assert "1,234 rows; licence of its prompts: MIT. From https://example.org/gsm8k." in page
    assert page.count("```") == 2
    assert "mine holds 1,234 rows, released under CC0-1.0" in page


@settings(max_examples=60, deadline=None)
@given(origins=ORIGINS, name=WORD)
def test_equal_rows_give_equal_files_and_no_name_breaks_out_of_the_table(origins, name):
    page = write_attribution(name, "MIT", Counter(origins), ())
    assert page == write_attribution(name, "MIT", Counter(dict(reversed(origins.items()))), ())
    table = [line for line in page.split("\n") if line.startswith("|")]
    assert len(table) == (len(origins) + 2 if origins else 0)
    assert all(line.replace("\\|", "").count("|") == 6 for line in table)
    assert "<" not in page
