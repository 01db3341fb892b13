"""How a command fails: a sentence on stderr and an exit status, without a traceback for expected failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click

# The status of a wrong option as well: the command did not begin.
WRONG_SETTING = 2


class FailedError(Exception):
    """A command failed; the text says why, in whole sentences."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


@contextmanager
def report_failures(ctx: click.Context) -> Iterator[None]:
    """End the program with a sentence on stderr for expected failures inside."""
    try:
        yield
    except Exception as error:
        failure = _known(error)
        if failure is None:
            raise
        click.echo(str(failure), err=True)
        ctx.exit(failure.status)


def _known(error: Exception) -> FailedError | None:
    if isinstance(error, FailedError):
        return error
    if isinstance(error, click.ClickException | RuntimeError):  # click ends programs by RuntimeErrors of its own
        return None
    from learning_hub.model.errors import LearningHubError
    from learning_hub.settings import SettingsError
    from learning_hub.store.database_server import DatabaseNotReadyError

    if isinstance(error, SettingsError):
        return FailedError(str(error), WRONG_SETTING)
    if isinstance(error, DatabaseNotReadyError):
        return FailedError(str(error))
    if isinstance(error, LearningHubError):
        # The detail, then a line for each bad field.
        return FailedError("\n".join([error.detail, *(f"  {bad.field}: {bad.message}" for bad in error.field_errors)]))
    return None
