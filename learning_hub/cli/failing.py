"""How a command fails: a sentence on stderr and an exit status, no traceback for what is known to happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import rich_click as click

# As for a wrong option: the command never began.
WRONG_SETTING = 2


class FailedError(Exception):
    """A command cannot do what it was asked for; the text says why, in whole sentences."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def failed_with(problem: Mapping[str, Any]) -> FailedError:
    """The failure for a problem that the API answered: its detail, then a line for each bad field."""
    lines = [problem.get("detail") or problem.get("title") or "The hub refused."]
    lines += [f"  {error['field']}: {error['message']}" for error in problem.get("errors", [])]
    return FailedError("\n".join(lines))


@contextmanager
def told(ctx: click.Context) -> Iterator[None]:
    """Whatever fails inside in a known way ends the program with its sentence on stderr."""
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
    from learning_hub.main import DatabaseNotReadyError
    from learning_hub.model.errors import LearningHubError
    from learning_hub.settings import SettingsError

    if isinstance(error, SettingsError):
        return FailedError(str(error), WRONG_SETTING)
    if isinstance(error, DatabaseNotReadyError):
        return FailedError(str(error))
    if isinstance(error, LearningHubError):
        return FailedError(error.detail)
    return None
