"""Options that many commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
file_option = click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="JSON file with the body of the API request; - for stdin.",
)


def page_options(command: F) -> F:
    """The options of a command that lists: the limit and the cursor."""
    command = click.option("--cursor", "Cursor", help="Cursor that the previous page printed.")(command)
    return click.option(
        "--limit",
        "Limit",
        type=click.IntRange(1, 1000),
        default=100,
        show_default=True,
        help="Largest number of items.",
    )(command)


def read_file(file: str) -> bytes:
    """The content of a file, of stdin for `-`."""
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def read_object(file: str | None) -> dict[str, Any]:
    """
    The JSON object in a file, its numbers as they are spelled; an empty object if no file is given.

    Raises:
        FailedError: The file does not hold a JSON object.
    """
    from learning_hub.cli.failures import FailedError

    if file is None:
        return {}
    value = read_json_file(file)
    if not isinstance(value, dict):
        raise FailedError(f"{file} is not a JSON object.")
    return value


def read_json_file(file: str) -> Any:
    """
    The JSON in a file, its numbers as they are spelled.

    Raises:
        FailedError: The file cannot be read, or is not JSON.
    """
    from learning_hub.cli.failures import FailedError
    from learning_hub.model.errors import InvalidInput
    from learning_hub.model.json_values import read_json

    try:
        return read_json(read_file(file))
    except OSError as error:
        raise FailedError(f"{file}: {error.strerror}") from error
    except InvalidInput as error:
        raise FailedError(f"{file}: {error.detail}") from error
