"""A panel source at iMIS by a command, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from programs import quick_command

from learning_hub.sandbox import RunningSandbox


def test_a_panel_is_made_by_a_command(settings: dict[str, str], imis: RunningSandbox, tmp_path: Path) -> None:
    """It prints the fields and what is to be done; with a file of fields it adds them; what is refused is reported."""

    def run(*arguments: str, stdin: str | None = None, fails: bool = False) -> str:
        done = quick_command(*arguments, settings=settings, stdin=stdin)
        assert done.exit_code == int(fails), done.stderr
        return done.stderr if fails else done.stdout

    subscriber = {
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": imis.address, "TimeZone": "America/New_York"},
        "Credentials": {"Username": imis.username, "Password": imis.password},
    }
    run("program", "put", "NURSES", "--name", "Nurses")
    run("subscriber", "put", "imis", "--file", "-", stdin=json.dumps(subscriber))
    panel = ("subscriber", "panel", "imis", "lh_completions")

    told = run(*panel, "--program", "NURSES")
    assert [line.split() for line in told.splitlines()[:3]] == [
        ["Name", "Type", "Length"],
        ["RecordKey", "text", "40"],
        ["EventId", "text", "400"],
    ]
    assert "tick Available via the REST API" in told
    assert "The subscription lh_completions was made, stopped." in told

    check = ("subscriber", "check", "imis", "--steps")
    assert run(*check).endswith("so no steps can show them.\n")
    httpx.put(f"{imis.address}/_sandbox/panels/lh_completions", json={"AvailableViaRest": True}).raise_for_status()
    assert "To show the rows of lh_completions in iMIS:\n  1. In iMIS, go to RiSE" in run(*check)
    assert "Select Run to see the rows" not in run(*check[:-1])

    file = tmp_path / "more.json"
    file.write_text('["Remark"]')
    more = run(*panel, "--program", "NURSES", "--fields", str(file))
    assert "To fill Remark as well, PUT the Subscription of this response" in more
    assert "--json shows it" in more

    unmade = run("subscriber", "panel", "imis", "lh_alone")
    assert "No subscription fills the panel yet. To have one made, name the Program NURSES" in unmade
    assert unmade.endswith("To name the Program, run the command again with --program.\n")

    run("program", "put", "DOCTORS", "--name", "Doctors")
    unsaid = run("subscriber", "panel", "imis", "lh_other")
    assert unsaid.endswith("To name the Program, run the command again with --program.\n")
    assert "--program" not in told

    file = tmp_path / "fields.json"
    file.write_text('["Grade", {"Name": "Hours", "Type": "decimal"}]')
    answer: dict[str, Any] = json.loads(run(*panel, "--fields", str(file), "--json"))
    assert answer["Added"] == ["Grade", "Hours"]
    assert json.loads(run("subscription", "show", "lh_completions", "--json"))["State"] == "stopped"
    assert "LEARNING_HUB_PANEL_PREFIX" in run("subscriber", "panel", "imis", "completions", fails=True)
    missing = str(tmp_path / "missing.json")
    assert run(*panel, "--fields", missing, fails=True) == f"{missing}: No such file or directory\n"
