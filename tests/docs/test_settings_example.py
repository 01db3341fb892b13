"""settings.example.env explains every setting, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from learning_hub.settings import PREFIX, Settings, read_settings

EXAMPLE = Path(__file__).parents[2] / "settings.example.env"
SETTING = re.compile(r"#(LEARNING_HUB_[A-Z_]+)=(.*)")


def _explained() -> dict[str, tuple[str, str]]:
    """The value and the comment of each setting in the file."""
    found: dict[str, tuple[str, str]] = {}
    for block in EXAMPLE.read_text(encoding="utf-8").split("\n\n"):
        *comment, last = block.strip().splitlines() or [""]
        if match := SETTING.fullmatch(last):
            found[match[1]] = (match[2], "\n".join(comment))
    return found


SETTINGS = [f"{PREFIX}{field.name.upper()}" for field in msgspec.structs.fields(Settings)]


def test_every_setting_is_explained_and_nothing_else() -> None:
    """The file has the settings of the hub, all of them, each once."""
    lines = [match[1] for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if (match := SETTING.match(line))]

    assert sorted(lines) == sorted(SETTINGS)
    assert sorted(_explained()) == sorted(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_meaning_unit_default_and_danger_are_told(name: str) -> None:
    """Each setting has its meaning, then its unit, its default and its danger."""
    _, comment = _explained()[name]
    assert re.match(r"# .+\n(# .*\n)*# Unit: .+\n(# .*\n)*# Default: .+\n(# .*\n)*# Danger: .+", comment), comment


def test_the_values_are_the_defaults() -> None:
    """What stands in the file is what the hub does without it."""
    values = {name: value for name, (value, _) in _explained().items()}
    assert read_settings(values) == Settings()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_default_is_told_as_it_is(name: str) -> None:
    """The comment names the value that stands below it, or says that the setting is unset."""
    value, comment = _explained()[name]
    told = re.search(r"^# Default: (\S+)", comment, re.MULTILINE)
    assert told
    assert told[1] == (value or "unset:")
