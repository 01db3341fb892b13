"""The command line itself: its help, its failures, and commands that need no database."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import rich.console
from click.testing import CliRunner

import learning_hub as package
from learning_hub.cli import printing
from learning_hub.cli.failures import report_failures
from learning_hub.cli.root import PANELS, learning_hub
from learning_hub.cli.subscriber import how_it_works
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.json_values import read_json


def _commands(group: click.Group = learning_hub, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*names, name))


ENDINGS = ("start", "stop", "archive", "revoke", "migrate")
COMMANDS = sorted(_commands())


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(names: tuple[str, ...]) -> None:
    """It has a sentence of help, and so has each of its options."""
    shown = CliRunner().invoke(learning_hub, [*names, "--help"])
    assert shown.exit_code == 0
    command: click.Command = learning_hub
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_every_command_is_in_a_group() -> None:
    """The list of commands is in groups, each command in one."""
    grouped = [command.name for commands in PANELS.values() for command in commands]
    assert sorted(map(str, grouped)) == sorted(learning_hub.commands)
    shown = CliRunner().invoke(learning_hub, ["--help"]).output
    assert all(title in shown for title in PANELS)


def test_what_prints_data_prints_json() -> None:
    """Whatever lists or shows has --json."""
    for names in COMMANDS:
        if names[-1] in ("list", "show", "check", "doctor", "publish", "create", "put", "preview", "log", *ENDINGS):
            assert "--json" in CliRunner().invoke(learning_hub, [*names, "--help"]).output, names


def test_the_version_is_that_of_the_package() -> None:
    """The version is that of the package."""
    assert CliRunner().invoke(learning_hub, ["--version"]).output == f"learning-hub {package.__version__}\n"


def test_the_openapi_document_is_the_same_each_time(tmp_path: Path) -> None:
    """Written, it is current; changed, the difference is shown with the command that fixes it."""
    file = tmp_path / "openapi.json"
    assert CliRunner().invoke(learning_hub, ["openapi", "--output", str(file)]).exit_code == 0
    assert CliRunner().invoke(learning_hub, ["openapi", "--check", str(file)]).output == f"{file} is current.\n"

    file.write_text(file.read_text().replace('"openapi": "3.1.0"', '"openapi": "3.0.0"'))
    checked = CliRunner().invoke(learning_hub, ["openapi", "--check", str(file)])
    assert checked.exit_code == 1
    assert '-  "openapi": "3.0.0",\n+  "openapi": "3.1.0",' in checked.stdout
    assert f"learning-hub openapi --output {file}" in checked.stderr


def test_a_wrong_setting_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, with status 2, before anything is started."""
    monkeypatch.setenv("LEARNING_HUB_MAX_CONNECTIONS", "many")
    refused = CliRunner().invoke(learning_hub, ["program", "list"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("LEARNING_HUB_MAX_CONNECTIONS: must be a whole number")
    assert refused.stdout == ""


def test_a_failure_names_every_bad_field(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence comes first, then a line for each bad field; the exit status is 1."""
    context = click.Context(learning_hub)
    with pytest.raises(click.exceptions.Exit) as ended, report_failures(context):
        raise InvalidFields([FieldError("Name", "is required")])

    assert capsys.readouterr().err == "Not accepted: Name.\n  Name: is required\n"
    assert ended.value.exit_code == 1


def test_tables_do_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others named is printed as it is: no markup, no escape sequences."""
    stream = io.StringIO()
    monkeypatch.setattr(printing, "_console", lambda: rich.console.Console(file=stream, width=200, force_terminal=True))
    printing.print_table([{"Name": "[red]x[/red] \x1b[2J\x07y"}], ["Name"])
    assert "[red]x[/red]  [2J y" in stream.getvalue()


@pytest.mark.parametrize("width", [80, 300])
def test_a_table_that_is_too_wide_is_lines_of_fields(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Nothing is folded in the midst of an id that somebody wants to copy; where there is room it is a table."""
    stream = io.StringIO()
    monkeypatch.setattr(printing, "_console", lambda: rich.console.Console(file=stream, width=width))
    monkeypatch.setattr("learning_hub.cli.printing.click.echo", lambda text="": stream.write(f"{text}\n"))
    ids = [f"NURSES-{letter * 36}" for letter in "ab"]
    printing.print_table(
        [{"DeliveryId": one, "EventId": one, "Code": "refused"} for one in ids], ["DeliveryId", "EventId", "Code"]
    )
    shown = stream.getvalue().splitlines()
    assert len(shown) == (3 if width == 300 else 7)
    assert all(one in stream.getvalue() for one in ids)


def test_what_has_parts_stands_below_with_its_indent(capsys: pytest.CaptureFixture[str]) -> None:
    """Templates are laid out as JSON that can be copied, after the fields that fit on a line."""
    printing.print_fields({"Templates": {"_default": {"Units": "{{ x }}"}}, "Name": "Completions"})
    assert capsys.readouterr().out.splitlines() == [
        "Name  Completions",
        "Templates",
        "  {",
        '    "_default": {',
        '      "Units": "{{ x }}"',
        "    }",
        "  }",
    ]


def test_lines_do_not_end_in_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a short field is not filled up to the longest."""
    printing.print_fields({"Short": "x", "Long": "y" * 300})
    printing.print_table([{"Name": "x"}, {"Name": "y" * 300}], ["Name"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["Short", "x"]
    assert [line for line in shown if line != line.rstrip()] == []


def test_a_table_tells_a_pause_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    """What has a message is that message in a row of a table, and no JSON."""
    paused = {"SinceUtc": "2026-11-26T15:05:33Z", "Code": "timed_out", "Message": "iMIS is away.", "NextProbeUtc": None}
    printing.print_table([{"SubscriberId": "imis", "Paused": paused}], ["SubscriberId", "Paused"])

    assert capsys.readouterr().out.splitlines()[1].split(maxsplit=1) == ["imis", "iMIS is away."]


def test_a_port_in_use_is_told_once() -> None:
    """The sandbox names port, host and reason, without Python's repetition of the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = CliRunner().invoke(learning_hub, ["sandbox-imis", "--port", str(port)])
    assert refused.exit_code == 1
    told = f"Cannot listen on port {port} of 127.0.0.1: Address already in use. Choose another one with --port.\n"
    assert refused.stderr == told


def test_numbers_are_shown_as_they_are_spelled(capsys: pytest.CaptureFixture[str]) -> None:
    """1.30 stays 1.30."""
    printing.print_json(read_json(b'{"Units":1.30}'))
    assert '"Units": 1.30' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([], "works"),
        ([["rows"], ["more", "rows"]], "works, but not for rows, more"),
        ([["rows"], []], "does not work"),
    ],
)
def test_a_check_says_for_whom_it_does_not_work(wrong: list[list[str]], words: str) -> None:
    """What is in the way of some subscriptions alone does not make the whole subscriber one that does not work."""
    details = [{"State": "wrong", "SubscriptionIds": names} for names in wrong]
    fine = {"State": "fine", "SubscriptionIds": []}
    assert how_it_works({"Works": not wrong, "Details": [fine, *details]}) == words
