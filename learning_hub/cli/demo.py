"""learning-hub demo."""

from __future__ import annotations

import rich_click as click


@click.command()
@click.option("--once", is_flag=True, help="End after the story: with 0, or with 1 if anything did not arrive.")
def demo(*, once: bool) -> None:
    """Show the hub at work with a sandbox iMIS and sample events, from publishing to delivery."""
    from learning_hub.demo.demonstration import run_demo

    raise SystemExit(run_demo(once))
