"""learning-hub openapi."""

from __future__ import annotations

import difflib
from pathlib import Path

import rich_click as click

from learning_hub.cli.failures import FailedError


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write nothing; compare this file, show the difference, and exit with 1 if they differ.",
)
def openapi(*, output: Path | None, check: Path | None) -> None:
    """Write the OpenAPI document of the API. It needs no database."""
    text = _document()
    if check:
        _compare(check, text)
    elif output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


def _document() -> str:
    import msgspec

    from learning_hub.api.app import operations
    from learning_hub.api.openapi.document import build_document
    from learning_hub.model.json_values import write_json

    return msgspec.json.format(write_json(build_document(operations())), indent=2).decode() + "\n"


def _compare(file: Path, text: str) -> None:
    written = file.read_text(encoding="utf-8") if file.exists() else ""
    if written == text:
        click.echo(f"{file} is current.")
        return
    lines = difflib.unified_diff(
        written.splitlines(keepends=True), text.splitlines(keepends=True), str(file), "generated from the code"
    )
    click.echo("".join(lines), nl=False)
    raise FailedError(f"{file} is not current. Write it with: learning-hub openapi --output {file}")
