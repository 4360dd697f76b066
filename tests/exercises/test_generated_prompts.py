"""Exercises as a source of prompts in a recipe."""

import pytest

from tracemill.errors import RecipeError
from tracemill.recipe import GeneratedPrompts
from tracemill.recipe_file import recipe_from

TREE = {"name": "x", "license": "MIT", "teachers": {"t": {"url": "builtin", "model": "m"}}}


def test_a_source_is_named_for_what_it_makes():
    assert GeneratedPrompts(generate="exercises", count=1).name == "exercises"
    assert GeneratedPrompts(generate="exercises", count=1, name="mine").name == "mine"
    assert GeneratedPrompts(generate="word_problems", count=1).name == "word_problems"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"generate": "word_problems", "count": 1, "categories": ["chat"]}, "math alone"),
        ({"generate": "exercises", "count": 1, "categories": []}, "leaves nothing to make"),
        ({"generate": "exercises", "count": 1, "categories": ["maths"]}, "categories"),
    ],
)
def test_categories_that_cannot_be_made_are_told(source, told):
    with pytest.raises(RecipeError, match=told):
        recipe_from({**TREE, "prompts": source}, "r.yaml")
