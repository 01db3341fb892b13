"""learning-hub sandbox-imis."""

from __future__ import annotations

import os

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.options import json_option


@click.command("sandbox-imis")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port to listen on; 0 for a free one."
)
@click.option("--username", default="sandbox", show_default=True, help="User name of its one account.")
@click.option("--password", default="sandbox", show_default=True, help="Password of its one account.")
@json_option
def sandbox_imis(*, host: str, port: int, username: str, password: str, as_json: bool) -> None:
    """Run a sandbox iMIS for development and tests; it holds all data in memory."""
    from learning_hub.sandbox import serve

    try:
        serve(host, port, username, password, as_json=as_json)
    except OSError as error:
        # Python repeats the address in the message of such an error.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise FailedError(
            f"Cannot listen on port {port} of {host}: {reason}. Choose another one with --port."
        ) from error
