"""Measure several sides alternately, to compare them."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable

ROUNDS = 4

Side = Callable[[], Awaitable[float]]


async def measure_alternately(*sides: Side, rounds: int = ROUNDS) -> list[float]:
    """
    The rate of each side, the median of its *rounds*.

    Each round takes a fraction of a second, so that other load on the machine affects all sides alike, and the median
    leaves out a round that was disturbed.
    """
    rates = [[await side() for side in sides] for _ in range(rounds)]
    return [statistics.median(of_side) for of_side in zip(*rates, strict=True)]
