"""How long the fault runs last, and which chance they follow: short and always alike, or as `make faults` says."""

from __future__ import annotations

import os
from random import Random

IS_LONG = os.environ.get("LEARNING_HUB_TEST_FAULTS") == "long"
SEED = int(os.environ.get("LEARNING_HUB_TEST_SEED") or 1)


def of(short: int, long: int) -> int:
    """The one or the other."""
    return long if IS_LONG else short


def chance(name: str) -> Random:
    """Chance for one part of a run: another one draws from its own, so that none changes what the others do."""
    return Random(f"{SEED} {name}")
