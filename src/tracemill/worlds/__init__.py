"""Small worlds that tools act on: pure functions of a state, shipped with the project, so that episodes can be replayed.

A world reads no clock, draws nothing, and opens no file: the same calls on the same state give the same results.
"""

from tracemill.worlds.library import LIBRARY
from tracemill.worlds.world import Replayed, World, replay

WORLDS: dict[str, World] = {world.name: world for world in (LIBRARY,)}
"""Every world, by its name."""

__all__ = ["WORLDS", "Replayed", "World", "replay"]
