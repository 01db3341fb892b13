"""
The command line: the operations of the API for people at a terminal and for scripts.

    root                the command `learning-hub`, and how failures are reported
    serve work migrate  the hub itself; its server and worker processes are in `serving/`
    program key …       a module for each noun; `local` gives it the services on the database of the settings
    publish doctor      tools

Modules of commands import their parts when a command runs, so that --help is quick.
"""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    from learning_hub.cli.root import learning_hub

    learning_hub(prog_name="learning-hub")
