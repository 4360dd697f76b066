"""Translators that are no chat models, behind the same door: what they say is stored, paced and gated like any reply.

The request's one message is the text, and its body says between which languages:

    {"messages": [{"role": "user", "content": "How many ⟦1⟧?"}], "translate": {"source": "en", "target": "es"}}
"""

from __future__ import annotations

import orjson

from tracemill.errors import EndpointError
from tracemill.models.wire import Raw, Request, TransportError
from tracemill.translators import Failure, Translator, TranslatorError

KEY = "translate"
"""Of the body: the languages."""
BROKEN = {"timeout": "timeout", "died": "partial"}
"""Failures that asking again may mend, as the wire calls them. Any other is an empty translation, which a gate refuses."""


class LineSender:
    """A `Sender` that gives lines to a translator.

    Args:
        translator: Started when the first line comes.
    """

    def __init__(self, translator: Translator) -> None:
        self.translator = translator

    async def send(self, request: Request) -> Raw:
        """Translate one line.

        Raises:
            EndpointError: The translator cannot be started, or does not know the languages.
            TransportError: It broke, or took too long.
        """
        way = request.extra[KEY]
        try:
            [said] = await self.translator.translate([request.messages[-1]["content"]], way["source"], way["target"])
        except TranslatorError as exc:
            raise EndpointError(str(exc)) from exc
        if isinstance(said, Failure):
            if said.reason in BROKEN:
                raise TransportError(BROKEN[said.reason], said.detail)
            said = ""
        message = {"role": "assistant", "content": said}
        told = {"model": request.model, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        return Raw(200, orjson.dumps(told), latency=0.0, endpoint=self.translator.name)

    async def close(self) -> None:
        """End the translator."""
        await self.translator.close()
