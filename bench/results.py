"""The results of a run, round by round: shown as a table, written as JSON."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Rounds = Mapping[str, Iterable[float]]


class Results:
    """
    The values of each round by name.

    *ratios* compare within one round on one machine, and are comparable between machines; *figures* are for
    orientation. A curve is a list of points (x, y), each y the median of its rounds.
    """

    def __init__(self) -> None:
        self.ratios: dict[str, list[float]] = defaultdict(list)
        self.figures: dict[str, list[float]] = defaultdict(list)
        self.curves: dict[str, list[tuple[float, float]]] = {}

    def median(self, ratio: str) -> float:
        return statistics.median(self.ratios[ratio])

    def write(self, path: Path, **about: Any) -> None:
        """`{"Ratios": {name: median}, "Spread": {name: [least, most]}, "Figures": {…}, "Curves": {…}}`."""
        content = {
            "Ratios": _medians(self.ratios),
            "Spread": {name: [_short(min(values)), _short(max(values))] for name, values in self.ratios.items()},
            "Figures": _medians(self.figures),
            "Curves": {name: [[x, _short(y)] for x, y in points] for name, points in self.curves.items()},
            **about,
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def show(self, title: str, floors: Mapping[str, float]) -> None:
        """Print a table of medians with their spread, and the floors."""
        table = Table("what", "median", "least", "most", "floor", title=title)
        for name, values in [*self.ratios.items(), *self.figures.items()]:
            numbers = [_shown(number) for number in (statistics.median(values), min(values), max(values))]
            floor = floors.get(name) if name in self.ratios else None
            table.add_row(name, *numbers, "" if floor is None else f"{floor:.2f}")
        Console().print(table)


def _medians(rounds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: _short(statistics.median(values)) for name, values in rounds.items()}


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _shown(number: float) -> str:
    return f"{number:.2f}" if number < 100 else f"{number:,.0f}"
