"""
The command line: what the console and the API do, for people at a terminal and for scripts.

    root                what `learning-hub` is, and how its failures look
    serve work migrate  the hub itself; `serving`, `members` and `stopping` carry it
    program key …       a noun each, over `local`: the API in this process, without a server
    publish doctor      tools beside it

Modules of commands import their parts when a command runs, so that --help is quick.
"""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    from learning_hub.cli.root import learning_hub

    learning_hub(prog_name="learning-hub")
