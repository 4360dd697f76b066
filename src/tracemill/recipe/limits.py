"""What a run may spend."""

from __future__ import annotations

from pydantic import Field

from tracemill.recipe.parts import Model


class Limits(Model):
    """Hard limits: when one is reached nothing more is sent, what is in flight is stored, and the command ends with exit
    code 5. All but `minutes` count what earlier calls for the same run have spent.
    """

    requests: int | None = Field(default=None, gt=0)
    """Requests sent, those that failed included."""
    tokens: int | None = Field(default=None, gt=0)
    """Tokens of prompts and replies together, as the endpoints count them."""
    cost: float | None = Field(default=None, gt=0)
    """Money, in the currency of the teachers' `price`."""
    minutes: float | None = Field(default=None, gt=0)
    """Wall time of one call of the command."""

    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(value is not None for _, value in self)
