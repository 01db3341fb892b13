"""The curves of a run, drawn as SVG for docs/explanation/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.results import Results

Points = Sequence[tuple[float, float]]

# Readable on light and dark pages.
INK = "#5f6b7a"
LINE = "#2f7dd1"
BEYOND = 1.15


class Plot(NamedTuple):
    """The file of a curve, its title and its axes."""

    curve: str
    title: str
    x: str
    y: str
    scale: str = "log"


PLOTS = (
    Plot("publish_per_second_by_connections", "One event a request", "connections", "events a second"),
    Plot("publish_per_second_by_stored_events", "One event a request", "stored events", "events a second"),
    Plot("bucket_pages_per_second_by_stored_events", "A date bucket", "stored events", "pages of 100 a second"),
    Plot("publish_per_second_by_processes", "One event a request", "hub processes", "events a second", "linear"),
)


def draw(results: Results, folder: Path) -> None:
    """Draw each curve into a file of its name; the y axis begins at zero."""
    import matplotlib as mpl

    mpl.use("svg")
    # Runs with the same results give the same file.
    mpl.rcParams["svg.hashsalt"] = "learning-hub"
    mpl.rcParams["svg.fonttype"] = "none"
    folder.mkdir(parents=True, exist_ok=True)
    for plot in PLOTS:
        if points := results.curves.get(plot.curve):
            _draw(plot, points, folder / f"{plot.curve}.svg")


def _draw(plot: Plot, points: Points, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, color=LINE, marker="o", linewidth=2)
    axes.set_xscale(plot.scale)
    axes.set_xticks(xs, [f"{x:,.0f}" for x in xs])
    axes.minorticks_off()
    axes.set_ylim(0, max(ys) * BEYOND)
    axes.set_title(plot.title, color=INK, loc="left", fontsize=11)
    axes.set_xlabel(plot.x, color=INK)
    axes.set_ylabel(plot.y, color=INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(colors=INK)
    axes.grid(axis="y", color=INK, alpha=0.2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)
