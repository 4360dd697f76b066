"""Write docs/recipes.md from the models that read a recipe: `python docs/make_reference.py`.

Names, types, limits and defaults are read from `tracemill.recipe`. The meaning of a key is the text that stands under
its field there, else the one in `MEANINGS` here; a key that has none, or two, is an error.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tracemill import recipe
from tracemill.recipe import DEFAULT_SAMPLING, Model, Recipe
from tracemill.recipe.presets import presets
from tracemill.respond.templates import PLACEHOLDER
from tracemill.word_problems import FAMILIES

SLUG = get_args(recipe.Slug)[1].metadata[0].pattern
PAGE = Path(__file__).with_name("recipes.md")
EXAMPLE = Path(recipe.__file__).parents[1] / "recipes" / "gsm8k.yaml"

MEANINGS: dict[str, str] = {
    "Recipe.name": "Name of the dataset.",
    "Recipe.version": "Version of the dataset; stands in every row.",
    "Recipe.description": "What the dataset is, for the card.",
    "Recipe.seed": "Decides the seed of every request and the teacher of every prompt.",
    "Recipe.prompts": "Where the prompts come from: one source, or a list of them.",
    "Recipe.teachers": "The models that answer, each under a name of your choice.",
    "Recipe.respond": "How prompts are answered.",
    "Recipe.verify": "How samples are checked.",
    "Recipe.publish": "How the dataset is written.",
    "Recipe.dialects": "Rows for the table of [dialects](dialects.md), for this recipe.",
    "PromptFiles.path": "A file, a directory or a glob.",
    "PromptFiles.category": "Category of all prompts, unless `fields.category` names a column.",
    "PromptFiles.language": "ISO 639-1 code of all prompts, unless `fields.language` names a column.",
    "PromptFiles.citation": "BibTeX of the corpus, for the card.",
    "PromptFiles.fields": "Which column holds what.",
    "Translate.ladder": "What is tried for a segment, in which order.",
    "Translate.gates": "What a translation must satisfy.",
    "Fields.prompt": "The question: text, or a list of OpenAI messages that ends in a user turn.",
    "Fields.expected": "The right answer. If it is set, a row without one is dropped.",
    "Fields.id": "The row's own id, kept as `source_id`; without it, FILE:LINE.",
    "Fields.license": "Licence of the row.",
    "Fields.category": "Category of the row.",
    "Fields.language": "Language of the row.",
    "CodeFields.language": "Language of the answers.",
    "GeneratedPrompts.name": "Name of the source, kept in every row as `source`.",
    "GeneratedPrompts.count": "How many prompts to make.",
    "GeneratedPrompts.seed": "Another seed makes other prompts.",
    "GeneratedPrompts.families": f"Of math: only problems of these families: {', '.join(sorted(FAMILIES))}. Left out: all.",
    "GeneratedPrompts.difficulties": "Of math: only problems of these levels.",
    "GeneratedPrompts.license": "Licence of the prompts, kept in every row as `source_license`.",
    "Sampling.temperature": "Temperature.",
    "Sampling.top_p": "Nucleus sampling.",
    "Sampling.top_k": "The most likely tokens to draw from; -1 is all of them, for servers that read it so.",
    "Sampling.min_p": "Least probability of a token, relative to the most likely one.",
    "Sampling.max_tokens": "Most tokens of one reply, trace included.",
    "Price.prompt": "A million tokens of prompts.",
    "Price.completion": "A million tokens of replies, traces included.",
    "Slips.wrong": "A wrong number in the last step and in the box.",
    "Slips.truncated": "Cut in the middle, as by a length limit.",
    "Slips.trace_missing": "Asked to think, it shows no trace.",
    "Slips.trace_leaked": "Asked not to think, it shows a trace.",
    "Slips.empty": "Says nothing, to every sample of the prompt.",
    "Slips.forgotten_carry": "Adds without carrying, the same way in every sample of the prompt.",
    "Teacher.model": "Model name, as the endpoint knows it. Becomes the row's `generator`.",
    "Teacher.revision": "Revision of the model, for the record; another one is asked again.",
    "Teacher.api_key": "Sent as a bearer token. Only `${env:NAME}` is taken, never the key itself.",
    "Teacher.headers": "Further headers. Where name or value looks like a secret, it must come from `${env:NAME}`.",
    "Teacher.weight": "Share of the prompts, relative to the other teachers.",
    "Teacher.sampling": "How it samples.",
    "Teacher.category_sampling": "How it samples in one category, over `sampling`.",
    "Respond.reasoning": "Whether teachers are asked to think. `both` asks each prompt in each mode.",
    "Publish.row_group_rows": "Rows in one row group of a file.",
    "Verify.math": "How math is checked.",
    "Verify.code": "How code is checked.",
}

HEAD = """\
# Recipes

A recipe is one YAML file that says where prompts come from, who answers them, how answers are checked and how the
dataset is written. A key that does not exist is an error, and so are aliases, tags and a key given twice.

This page is written by `docs/make_reference.py` from the models that read a recipe.

## An example

```yaml
{example}
```

## Changing keys on the command line

`--set a.b=value` changes one key, and may be given many times. The value is read as YAML. Items of a list are named by
number, from 0: `--set prompts.0.path=more.jsonl`. Where a recipe has one source of prompts and no list, leave the
number out: `--set prompts.path=more.jsonl`.

## Secrets

A recipe never holds a secret. Write `api_key: ${{env:NAME}}` and set NAME in the environment; it is read when the
endpoint is asked. A literal key, a password in a URL, or a header that sounds like a secret is refused.

## What a change costs

Building again in the same directory asks only what is not stored.

| changed | asked again |
| --- | --- |
| `verify`, `publish`, `name`, `version`, `license`, `description`, `contact`, `citation` | nothing |
| `url`, `api_key`, `headers`, `concurrency`, `timeout`, `attempts`, `send_seed`, `limit_field` of a teacher | nothing |
| `family`, `server` of a teacher, where the same switch is sent | nothing |
| `family`, `server`, `effort` of a teacher, where another switch is sent | that teacher's prompts, in that mode |
| `max_tokens`, lowered | nothing |
| `max_tokens`, raised | replies that had been cut off below the new limit |
| `respond.samples`, raised, with one teacher to a prompt | the new samples |
| `respond.agree`, `respond.ahead` | samples that the new rounds want and that were never asked |
| `respond.reasoning`, from `on` or `off` to `both` | the new mode |
| `prompts` and `--limit` | prompts that were never asked |
| a teacher added, or a `weight` changed | the prompts that now go to another teacher |
| `model`, `revision`, `extra_body`, `reasoning_on`, `reasoning_off` of a teacher | that teacher's prompts |
| `temperature`, `top_p`, `top_k`, `min_p` of a teacher | that teacher's prompts |
| `respond.templates`, `respond.system` | the prompts of that category |
| `seed` | everything |

With `assign: every` and several teachers, another `samples` renumbers the samples, and those with a new number are asked
anew. Rows that failed because an endpoint did not answer are asked again by the next build, without any change.
`slips` of the built-in teacher are not part of a request: stored replies stay as they are.

## Templates

A template is a text file that holds `{placeholder}` once; the last user turn is put in its place, as it is. Without one
of your own, the prompts that NVIDIA recommends for its Post-Training Dataset v1 are used.

## Keys

"-" means that there is no default and the key must be given.
"""


class Section(NamedTuple):
    """One model of the recipe, at one place."""

    path: str
    model: type[Model]


def page() -> str:
    """The whole page."""
    example = EXAMPLE.read_text(encoding="utf-8").rstrip()
    parts = [HEAD.format(example=example, placeholder=PLACEHOLDER)]
    parts += [_section(section) for section in sections()]
    parts.append(_presets())
    return "\n".join(parts)


def _presets() -> str:
    """The table of known corpora."""
    rows = [
        f"| `{name}` | {told['category']} | {told['license']} | {told['about']} |" for name, told in presets().items()
    ]
    head = [
        "## Presets",
        "",
        "`preset: NAME` takes over what is known of a corpus; the recipe brings the path. What it says",
        "itself wins.",
    ]
    return "\n".join(
        [*head, "", "| preset | category | licence | which file |", "| --- | --- | --- | --- |", *rows, ""]
    )


def sections() -> list[Section]:
    """Every model, in the order in which a reader comes to it."""
    out: list[Section] = []

    def visit(path: str, model: type[Model]) -> None:
        out.append(Section(path, model))
        for name, field in model.model_fields.items():
            inner = f"{path}.{name}" if path else name
            for found in _models(field.annotation):
                below = f"{inner}.NAME" if _is_mapping(field.annotation) else inner
                if not any(section.model is found for section in out):
                    visit(below, found)

    visit("", Recipe)
    return out


def _section(section: Section) -> str:
    model = section.model
    title = f"`{section.path}`" if section.path else "At the top"
    if [other.path for other in sections()].count(section.path) > 1:
        first = next(name for name, field in model.model_fields.items() if field.is_required())
        title += f" with `{first}`"
    about = " ".join((inspect.getdoc(model) or "").split())
    lines = [
        f"### {title}",
        "",
        *wrap(about, 120),
        "",
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    texts = _docstrings(model)
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _type(field), _default(model, name, field), _meaning(model, name, texts))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _docstrings(model: type[Model]) -> dict[str, str]:
    """The text under each field of a model."""
    [body] = [n.body for n in ast.parse(inspect.getsource(model)).body if isinstance(n, ast.ClassDef)]
    out = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            out[ast.unparse(field.target)] = " ".join(inspect.cleandoc(str(text.value.value)).split())
    return out


def _meaning(model: type[Model], name: str, texts: dict[str, str]) -> str:
    here, there = MEANINGS.get(f"{model.__name__}.{name}"), texts.get(name)
    if bool(here) == bool(there):
        raise SystemExit(f"{model.__name__}.{name} has {'two meanings' if here else 'no meaning'}; see MEANINGS")
    return here or there or ""


def _default(model: type[Model], name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "-"
    if model.__name__ == "Sampling":
        ours = getattr(DEFAULT_SAMPLING, name)
        return "the server's" if ours is None else f"`{ours}`"
    if isinstance(value, Model):
        return "see below"
    if value is None:
        return "none"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`" if value else "empty"


def _type(field: FieldInfo) -> str:
    return _words(field.annotation) + _limits(field.metadata)


def _limits(metadata: list[Any]) -> str:
    """The bounds of a number, in words."""
    out = []
    for bound in metadata:
        match bound:
            case Ge(ge=least):
                out.append(f"at least {least:,}")
            case Gt(gt=0):
                out.append("above 0")
            case Gt(gt=below):
                out.append(f"above {below:,}")
            case Le(le=most):
                out.append(f"at most {most:,}")
            case Lt(lt=above):
                out.append(f"below {above:,}")
            case MinLen(min_length=1):
                out.append("not empty")
            case _ if getattr(bound, "pattern", None) == SLUG:
                out.append("of a-z, 0-9, - and _, at most 40 characters")
    return f", {', '.join(out)}" if out else ""


def _words(kind: Any) -> str:
    """A type as a user says it."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(inside[0]) + _limits(list(_flat(inside[1:])))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inside)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(part) for part in inside if part is not NoneType))
    if origin is tuple:
        return "a source, or a list of sources" if _models(inside[0]) else f"list of {_words(inside[0])}"
    if origin is dict:
        key = "category" if get_origin(inside[0]) is Literal else "name"
        return f"mapping, {key} to {_words(inside[1])}"
    if isinstance(kind, type) and issubclass(kind, Model):
        return "mapping"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any value"}
    return names[kind]


def _flat(metadata: tuple[Any, ...]) -> Iterator[Any]:
    """Bounds, those inside a pydantic `Field` too."""
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _models(kind: Any) -> list[type[Model]]:
    """Every model that a type speaks of."""
    if isinstance(kind, type) and issubclass(kind, Model):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is dict


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} written\n")


if __name__ == "__main__":
    main()
