"""Write docs/dialects.md from the table of dialects: `python docs/make_dialects.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import wrap

from tracemill.recipe import Family, Server, Switch, shipped

PAGE = Path(__file__).with_name("dialects.md")

HEAD = """\
# Dialects

Models are told to think or not in different words, and servers pass those words on in different ways. A teacher names its
model's `family` and its `server`; the table knows the rest: the switch, where the trace comes back, whether `seed` is
taken, and what the limit on tokens is called.

```yaml
teachers:
  main:
    url: http://localhost:11434/v1
    model: qwen3:8b
    family: qwen3
    server: ollama
```

`tracemill doctor RECIPE` asks each teacher two short questions, says whether it obeys, and names the nearest row.

- Where neither is named, the usual switch is sent: `{usual}`.
- What cannot be had is refused when the recipe is read, before anything is paid for: a family that always thinks asked for
  `off`, or a server that shows no trace asked for `on`.
- What the recipe writes itself wins: `reasoning_on` and `reasoning_off` over the table; `extra_body`, `send_seed` and
  `limit_field` over what they name; a sampling setting over what a family refuses.
- A switch in words is put at the head of the system's message. Rows hold the message without it.
- What is sent to switch reasoning is part of a request's identity, for it can change the answer. The names of family and
  server are not, nor is the name of the limit, nor whether `seed` is sent.
- A trace is looked for in every place that is known, whatever the table says; a reply to `on` without one is rejected as
  `trace_missing`, and one with a trace to `off` as `trace_leaked`.

This page is written by `docs/make_dialects.py` from `src/tracemill/recipe/dialects.yaml`.

## What the table lacks

A recipe may bring rows of its own, or other ones of the same name, under `dialects`; [recipes](recipes.md) lists the keys.

```yaml
dialects:
  families:
    mine:
      reasoning_on: {{template: {{deep: true}}}}
      reasoning_off: {{system: Answer at once.}}
  servers:
    ours: {{template: template_vars, seed: false, limit_field: max_completion_tokens}}
```

"cannot" means that it cannot be had; "nothing" that nothing needs to be sent.
"""


def page() -> str:
    """The whole page."""
    table = shipped()
    usual = json.dumps({"chat_template_kwargs": {"enable_thinking": True}})
    parts = [HEAD.format(usual=usual), "## Families\n", *_families(table.families), "", "## Servers\n"]
    parts += [*_servers(table.servers), "", "## Notes and sources\n"]
    for name, row in (*table.families.items(), *table.servers.items()):
        said = f"- `{name}`: {f'{row.note} ' if row.note else ''}Source: {row.source}."
        parts += wrap(said, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(parts) + "\n"


def _families(rows: dict[str, Family]) -> list[str]:
    out = ["| family | models | on | off | efforts | text without a parser |", "| --- | --- | --- | --- | --- | --- |"]
    for name, row in rows.items():
        models = ", ".join(f"`{m}`" for m in row.models) or "any"
        cells = [f"`{name}`", models, _switch(row.reasoning_on), _switch(row.reasoning_off)]
        out.append(_row([*cells, ", ".join(row.effort) or "-", row.raw]))
    return out


def _switch(switch: Switch | None) -> str:
    if switch is None:
        return "cannot"
    told = [f"template `{json.dumps(switch.template)}`"] if switch.template else []
    told += [f"system `{switch.system}`"] if switch.system else []
    told += [f"effort `{switch.effort}`"] if switch.effort else []
    return ", ".join(told) or "nothing"


def _servers(rows: dict[str, Server]) -> list[str]:
    out = [
        "| server | template variables | its own on | its own off | effort | trace | `seed` | limit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        own = [_own(row, row.reasoning_on), _own(row, row.reasoning_off)]
        cells = [f"`{name}`", f"`{row.template}`" if row.template else "ignored or refused", *own]
        cells += [f"`{row.effort}`" if row.effort else "-", f"`{row.trace}`" if row.trace else "never shown"]
        out.append(_row([*cells, "taken" if row.seed else "refused", f"`{row.limit_field}`"]))
    return out


def _own(row: Server, switch: dict[str, object] | None) -> str:
    if switch is None:
        return "-" if row.template else "none"
    return f"`{json.dumps(switch)}`" if switch else "nothing"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} written\n")


if __name__ == "__main__":
    main()
