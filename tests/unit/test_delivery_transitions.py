"""The list of a delivery's transitions is what the statements and the documentation say."""

from __future__ import annotations

import re

from delivery_states_page import PAGE, made, written

from learning_hub.model.delivery_transitions import TRANSITIONS
from learning_hub.store import migrations
from learning_hub.store.delivery_transitions import queries

HEADER = re.compile(r"^-- transition: (.+)$", re.MULTILINE)
# An UPDATE of delivery whose SET names the state, or an INSERT into it.
WRITES_STATE = re.compile(r"UPDATE delivery\b(?:(?!\bWHERE\b).)*?\bstate = |INSERT INTO delivery\b", re.DOTALL)
PACKAGE = migrations.HERE.parent


def arrows_in(sql: str) -> set[tuple[str, str]]:
    """The arrows that the header of a statement names."""
    found: set[tuple[str, str]] = set()
    for header in HEADER.findall(sql):
        if header != "none":
            before, _, after = header.partition(" -> ")
            found |= {(one, other) for one in before.split(", ") for other in after.split(", ")}
    return found


def test_the_statements_take_the_arrows_of_the_list() -> None:
    """The header lines of each statement name the arrows that the list has for it, and no others."""
    listed: dict[str, set[tuple[str, str]]] = {name: set() for name in queries.by_name}
    for transition in TRANSITIONS:
        listed[transition.statement] |= transition.arrows

    assert {name: arrows_in(sql) for name, sql in queries.by_name.items()} == listed


def test_every_statement_says_which_arrows_it_takes() -> None:
    """A statement without a header line, or with `none`, does not write the state."""
    for name, sql in queries.by_name.items():
        assert HEADER.search(sql), name
        assert bool(arrows_in(sql)) == bool(WRITES_STATE.search(sql)), name


def test_the_state_is_written_in_no_other_file() -> None:
    """No statement outside store/delivery_transitions.sql writes the state of a delivery."""
    files = [file for file in PACKAGE.rglob("*") if file.suffix in (".sql", ".py")]
    assert len(files) > 200
    writing = {file.name for file in files if WRITES_STATE.search(file.read_text(encoding="utf-8"))}
    assert writing == {"delivery_transitions.sql"}


def test_the_page_is_made_from_the_list() -> None:
    """The diagram and the transitions of docs/reference/delivery-states.md are current."""
    page = PAGE.read_text(encoding="utf-8")

    assert written(page) == made(), "Write it anew: .venv/bin/python tests/delivery_states_page.py"
