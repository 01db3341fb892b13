"""Measure several sides in turn, to compare them."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable

TURNS = 4

Side = Callable[[], Awaitable[float]]


async def in_turn(*sides: Side, turns: int = TURNS) -> list[float]:
    """
    The rate of each side, the median of its *turns*.

    Each turn takes a fraction of a second, so that other load on the machine affects all sides alike, and the median
    leaves out a turn that was disturbed.
    """
    rates = [[await side() for side in sides] for _ in range(turns)]
    return [statistics.median(of_side) for of_side in zip(*rates, strict=True)]
