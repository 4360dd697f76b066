"""Dialects: how a model family is told to think or not, and how a server wants to hear it.

The table is data, `dialects.yaml` beside this file; a recipe may add rows of the same shape under `dialects`. A family
says what its chat template reads, a server how that reaches the template:

    family qwen3, "off"  ->  template {enable_thinking: false}
    server vllm          ->  {"chat_template_kwargs": {"enable_thinking": false}}
    server ollama        ->  {"reasoning_effort": "none"}, its own switch: it passes nothing on to a template
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import Field

from tracemill.legible import did_you_mean
from tracemill.recipe.parts import Model, Plain
from tracemill.record import Message, Reasoning

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
LimitField = Literal["max_tokens", "max_completion_tokens"]
Sampled = Literal["temperature", "top_p", "top_k", "min_p"]
Raw = Literal["think", "think-close", "THINK", "harmony", "granite", "kimi", "hidden", "none"]

TEMPLATE_FIELD = "chat_template_kwargs"
EFFORT_FIELD = "reasoning_effort"


class Switch(Model):
    """What tells a model to think or not. All empty: it needs no telling."""

    template: Plain = {}
    """Variables of the model's chat template."""
    system: str | None = None
    """What the first message, the system's, must begin with."""
    effort: str | None = None
    """A level of effort, by whatever field the server has for it."""
    body: Plain = {}
    """Further fields of the body, as they are."""


class Family(Model):
    """Models that are switched alike."""

    models: tuple[str, ...] = ()
    """Names, as endpoints tell them, without case; `*` is any text. `tracemill doctor` suggests the first that fits."""
    reasoning_on: Switch | None
    """How it is told to think and show it. null: it cannot."""
    reasoning_off: Switch | None
    """How it is told not to. null: it cannot but think."""
    effort: dict[Name, Switch] = {}
    """Levels of effort, each in place of `reasoning_on`; where the trace is hidden, of `reasoning_off`."""
    raw: Raw = "think"
    """How the trace stands in the text, where no server parts it: `think` is a pair of tags, `think-close` the
    closing one alone; `hidden` thinks and shows nothing."""
    refuses: tuple[Sampled, ...] = ()
    """Sampling settings that it does not take. Ours are then left out; what the recipe sets is sent all the same."""
    limit_field: LimitField | None = None
    """What it calls the limit on tokens, where no server is named."""
    source: str = ""
    """Where this was found."""
    note: str = ""
    """What else is worth knowing."""

    def switch(self, mode: Reasoning, effort: str | None) -> Switch | None:
        """How it is told; None if it cannot be. An effort that it does not know is ignored here, see `asked`."""
        plain = self.reasoning_on if mode == "on" else self.reasoning_off
        levels = mode == "on" or self.raw == "hidden"
        return self.effort.get(effort, plain) if effort is not None and plain is not None and levels else plain


class Server(Model):
    """What a server does with a request, and where it puts the trace."""

    template: str | None = TEMPLATE_FIELD
    """The field whose content reaches the chat template. null: there is none."""
    reasoning_on: Plain | None = None
    """Without such a field: its own switch, for every model. null: it has none; {}: nothing needs to be sent."""
    reasoning_off: Plain | None = None
    """The same for off."""
    effort: str | None = EFFORT_FIELD
    """The field that takes the effort; a dot leads into it. null: there is none."""
    trace: str | None = "reasoning_content"
    """The field of the message that holds the trace; looked at first, then the other places that are known. null: none
    ever comes back."""
    seed: bool = True
    """Whether `seed` is taken."""
    limit_field: LimitField = "max_tokens"
    """What it calls the limit on tokens."""
    refuses: tuple[Sampled, ...] = ()
    """Sampling settings that it refuses; see `refuses` of a family."""
    hosts: tuple[str, ...] = ()
    """Ends of host names by which `tracemill doctor` knows it."""
    ports: tuple[int, ...] = ()
    """Ports by which `tracemill doctor` knows it."""
    owned_by: tuple[str, ...] = ()
    """What its list of models says under `owned_by`."""
    source: str = ""
    """Where this was found."""
    note: str = ""
    """What else is worth knowing."""


class Dialects(Model):
    """Families and servers that the built-in table lacks, or that shall be other than there."""

    families: dict[Name, Family] = {}
    """Model families by name."""
    servers: dict[Name, Server] = {}
    """Servers by name."""

    def over(self, base: Dialects) -> Dialects:
        """These, and what `base` has besides. An entry of ours stands before and hides that of the same name."""
        return Dialects(
            families={**self.families, **{k: v for k, v in base.families.items() if k not in self.families}},
            servers={**self.servers, **{k: v for k, v in base.servers.items() if k not in self.servers}},
        )

    def family(self, name: str) -> Family:
        """Raises Impossible, with what there is, for a name that is not in the table."""
        if name not in self.families:
            raise Impossible("family", _unknown("family", name, self.families))
        return self.families[name]

    def server(self, name: str) -> Server:
        """Raises Impossible, with what there is, for a name that is not in the table."""
        if name not in self.servers:
            raise Impossible("server", _unknown("server", name, self.servers))
        return self.servers[name]

    def family_of(self, model: str) -> str | None:
        """The first family that a model's name fits, or None."""
        small = model.lower().removesuffix(":latest")
        return next((n for n, f in self.families.items() if any(fnmatchcase(small, m.lower()) for m in f.models)), None)


@cache
def shipped() -> Dialects:
    """The built-in table."""
    import yaml

    text = (files("tracemill.recipe") / "dialects.yaml").read_text(encoding="utf-8")
    return Dialects.model_validate(yaml.safe_load(text))


class Impossible(ValueError):
    """A dialect cannot do what is asked of it; `key` is the key of the teacher that would have to change."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True)
class Asked:
    """How one mode is asked for."""

    body: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the body."""
    system: str | None = None
    """What the system's message must begin with."""

    def headed(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The turns as they are sent, the switch at the head of the system's. Rows hold them without it."""
        if self.system is None:
            return messages
        first = messages[0]
        if first.role != "system":
            return (Message("system", self.system), *messages)
        return (replace(first, content=f"{self.system}\n\n{first.content}"), *messages[1:])


def asked(table: Dialects, family: str | None, server: str | None, mode: Reasoning, effort: str | None = None) -> Asked:
    """How a mode is asked for, of a named family, on a named server, or both.

    Raises:
        Impossible: the family cannot do it, or the server cannot pass it on or show it.
    """
    model = table.family(family) if family is not None else None
    host = table.server(server) if server is not None else None
    if mode == "on" and host is not None and host.trace is None:
        raise Impossible(
            "server", f"server {server!r} never shows a trace; ask for respond.reasoning: off, or elsewhere"
        )
    if model is None:
        return _by_server(host or Server(), server, mode, effort)
    if effort is not None and effort not in model.effort:
        there = f"it has {', '.join(model.effort)}" if model.effort else "it has no levels"
        raise Impossible("effort", f"family {family!r} knows no effort {effort!r}; {there}")
    switch = model.switch(mode, effort)
    if switch is None:
        raise Impossible("family", _cannot(family, model, mode))
    return Asked(_on_the_wire(switch, family, host, server, mode), switch.system)


def _by_server(host: Server, name: str | None, mode: Reasoning, effort: str | None) -> Asked:
    """The usual switch of a server, for a model of which nothing is known."""
    own = host.reasoning_on if mode == "on" else host.reasoning_off
    body = {host.template: {"enable_thinking": mode == "on"}} if host.template is not None else dict(own or {})
    if effort is not None and mode == "on":
        if host.effort is None:
            raise Impossible("effort", f"server {name!r} has no field for an effort")
        body = merged(body, _nested(host.effort, effort))
    return Asked(body)


def _on_the_wire(
    switch: Switch, family: str | None, host: Server | None, server: str | None, mode: Reasoning
) -> dict[str, Any]:
    host = host or Server()
    body = dict(switch.body)
    if switch.template:
        own = host.reasoning_on if mode == "on" else host.reasoning_off
        if host.template is not None:
            body = merged(body, {host.template: switch.template})
        elif own is not None:
            body = merged(body, own)
        else:
            raise Impossible("server", f"server {server!r} passes nothing on to the chat template of {family!r}")
    if switch.effort is not None:
        if host.effort is None:
            raise Impossible("server", f"server {server!r} has no field for an effort")
        body = merged(body, _nested(host.effort, switch.effort))
    return body


def _cannot(name: str | None, family: Family, mode: Reasoning) -> str:
    if mode == "off":
        return f"family {name!r} cannot be told not to think; ask for respond.reasoning: on, or write reasoning_off"
    why = "thinks, but shows nothing" if family.raw == "hidden" else "never thinks"
    return f"family {name!r} {why}; ask for respond.reasoning: off, or write reasoning_on"


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid upon it, mapping within mapping; where both have a value, that of `over`."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(out.get(key), dict) and isinstance(value, dict)
        out[key] = merged(out[key], value) if both else value
    return out


def _nested(path: str, value: str) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    return f"no {what} is called {name!r}.{did_you_mean(name, known)} There are: {', '.join(known)}"
