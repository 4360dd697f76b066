"""What a run may spend."""

from __future__ import annotations

from pydantic import Field

from tracemill.recipe.parts import Model


class Limits(Model):
    """Hard limits: when one is reached nothing more is sent, what is in flight is waited for and stored, and the command
    ends with exit code 5. All but `minutes` count what earlier calls for the same run have spent.
    """

    requests: int | None = Field(default=None, gt=0)
    """Requests sent, those that failed included, those that were throttled not. Of earlier calls those that were stored:
    replies and failed attempts."""
    tokens: int | None = Field(default=None, gt=0)
    """Tokens of prompts and replies together, as the endpoints count them. What is in flight when it is reached may go
    beyond, by as much as its replies are longer than the mean."""
    cost: float | None = Field(default=None, gt=0)
    """Money, in the currency of the teachers' `price`; goes beyond as `tokens` does."""
    minutes: float | None = Field(default=None, gt=0)
    """Wall time of one call of the command, until nothing more is sent."""

    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(value is not None for _, value in self)
