"""A home that cannot hold the hub's database is reported in a sentence that names the setting."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from programs import command, quick_command


def _file(folder: Path) -> Path:
    home = folder / "home"
    home.write_text("")
    return home


def _below_a_file(folder: Path) -> Path:
    return _file(folder) / "deeper"


def _with_a_file_for_its_database(folder: Path) -> Path:
    (folder / "postgres").write_text("")
    return folder


def _with_another_version(folder: Path) -> Path:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("12\n")
    return folder


def _with_something_else_in_its_database(folder: Path) -> Path:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "notes.txt").write_text("")
    return folder


def _read_only(folder: Path) -> Path:
    folder.chmod(0o500)
    return folder


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_file, "the folder {home} cannot be made: a file is in the way."),
        (_below_a_file, "the folder {home} cannot be made: a file is in the way."),
        (lambda _: Path("/proc/hub"), "the folder {home} cannot be made: No such file or directory."),
        (_with_a_file_for_its_database, "the folder {home}/postgres cannot be made: a file is in the way."),
        (_with_another_version, "the database in {home}/postgres is of PostgreSQL '12', and the embedded server is "),
        (
            _with_something_else_in_its_database,
            "no database can be made in {home}/postgres: it must be empty, and holds notes.txt.",
        ),
        pytest.param(
            _read_only,
            "the hub may not write to {home}.",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere"),
        ),
    ],
)
def test_a_home_that_cannot_be_used_is_told(make: object, told: str, tmp_path: Path) -> None:
    """At once, without a traceback; the doctor has it as a finding."""
    assert callable(make)
    home = make(tmp_path)
    settings = {"HOME": str(home)}

    refused = quick_command("migrate", settings=settings)

    assert refused.exit_code == 2, refused.stderr
    assert refused.stderr.splitlines()[-1].startswith(f"LEARNING_HUB_HOME: {told.format(home=home)}")
    assert "Traceback" not in refused.stderr
    examined = quick_command("doctor", "--json", settings=settings)
    assert examined.exit_code == 1
    (finding,) = json.loads(examined.stdout)["Checks"]
    assert (finding["Name"], finding["State"]) == ("Settings", "wrong")
    assert finding["Message"] == refused.stderr.splitlines()[-1]


def test_the_doctor_has_a_wrong_setting_as_a_finding() -> None:
    """Programs that read its JSON get an answer then as well."""
    examined = command("doctor", "--json", settings={"MAX_CONNECTIONS": "many"})
    assert examined.returncode == 1
    (finding,) = json.loads(examined.stdout)["Checks"]
    assert finding["Message"].startswith("LEARNING_HUB_MAX_CONNECTIONS: must be ")
    assert "settings.example.env" in finding["Advice"]


def test_nothing_is_wrong_with_a_new_installation(tmp_path: Path) -> None:
    """A database without tables is no fault: serve brings it up to date when it starts."""
    examined = command("doctor", settings={"HOME": str(tmp_path)})
    assert examined.returncode == 0
    assert "Database: The database is new." in examined.stdout
    assert "learning-hub serve brings it up to date when it starts" in examined.stdout
    assert "\nWRONG" not in examined.stdout
