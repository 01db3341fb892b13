"""Things compared with each other, measured in turn."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable

TURNS = 4

Side = Callable[[], Awaitable[float]]


async def in_turn(*sides: Side, turns: int = TURNS) -> list[float]:
    """
    What each side reaches, the median of its *turns*.

    A turn of each takes a fraction of a second, so that what else a machine does comes over all of them alike, and a
    turn that was disturbed does not count.
    """
    rates = [[await side() for side in sides] for _ in range(turns)]
    return [statistics.median(of_side) for of_side in zip(*rates, strict=True)]
