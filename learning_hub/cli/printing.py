"""Print results: tables and lists for people, the API's JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

import rich_click as click

# Wide enough that nothing is cut or folded if the output goes to another program.
PIPE_WIDTH = 1000


def values_of(result: Any) -> Any:
    """A result of a service as the JSON values that the API sends, numbers as they were spelled."""
    from learning_hub.model.json_values import read_json, write_json

    return read_json(write_json(result))


def print_json(result: Any) -> None:
    """A result of a service as indented JSON, its values as they were spelled."""
    click.echo(_indented(_json(result)))


def print_page(page: Any, columns: Sequence[str], *, as_json: bool) -> None:
    """A page of a list: a row for each item with the fields *columns*."""
    if as_json:
        print_json(page)
        return
    values = values_of(page)
    print_table(values["Items"], columns)
    if values.get("NextCursor"):
        click.echo(f"For the next page: --cursor {values['NextCursor']}", err=True)


def print_warnings(warnings: Sequence[str]) -> None:
    """Print warnings to stderr, since they are not part of the result."""
    for warning in warnings:
        click.echo(f"Warning: {_plain(warning)}", err=True)


def print_line(result: Any, fields: Sequence[str], *, as_json: bool) -> None:
    """One object of a stream, on one line: as JSON, or its *fields* one after the other."""
    import msgspec

    line = msgspec.json.encode(result)
    if as_json:
        click.echo(line.decode())
        return
    value = msgspec.json.decode(line)
    click.echo("  ".join(_plain(_text(value[field])) for field in fields))


def print_table(items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A row for each item with the fields *columns*."""
    from rich.table import Table
    from rich.text import Text

    if not items:
        click.echo("None.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(*(Text(_short(item.get(column))) for column in columns))
    if _fits(table):
        _print(table)
        return
    # A value that is folded in its column can be neither read nor copied.
    for number, item in enumerate(items):
        if number:
            click.echo()
        print_fields({column: _short(item.get(column)) for column in columns})


def print_object(result: Any, *, as_json: bool) -> None:
    """One object: a line for each of its fields."""
    if as_json:
        print_json(result)
        return
    print_fields(values_of(result))


def print_fields(fields: Mapping[str, Any]) -> None:
    """A line for each field; below them, objects and lists as indented JSON."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if not _has_parts(value):
            table.add_row(name, Text(_long(value)))
    _print(table)
    for name, value in fields.items():
        if _has_parts(value):
            click.echo(f"{name}\n{indent(_indented(_json(value)), '  ')}")


def _fits(table: Any) -> bool:
    console = _console()
    return bool(console.measure(table, options=console.options.update(max_width=PIPE_WIDTH)).maximum <= console.width)


def _print(table: Any) -> None:
    """Print *table* without blanks at the ends of lines."""
    console = _console()
    with console.capture() as captured:
        console.print(table)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def _short(value: Any) -> str:
    if _is_texts(value):
        return _plain(", ".join(value))
    if isinstance(value, dict) and "Message" in value:
        # Such as a pause; its other fields are shown with the single item.
        return _plain(_text(value["Message"]))
    return _plain(_text(value))


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value) and not _is_texts(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _long(value: Any) -> str:
    if value and _is_texts(value):
        return "\n".join(_plain(item) for item in value)
    return _plain(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else _json(value).decode()


def _json(value: Any) -> bytes:
    from learning_hub.model.json_values import write_json

    return write_json(value)


def _indented(content: bytes) -> str:
    import msgspec

    return msgspec.json.format(content, indent=2).decode()


def _plain(text: str) -> str:
    """*text* without characters that control the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
