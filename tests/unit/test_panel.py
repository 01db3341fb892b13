"""The basic fields of a panel: one list, which the preset and the documentation go by; and what fields are called."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from learning_hub.connectors.imis.panel_names import check_panel
from learning_hub.connectors.imis.settings import check_target
from learning_hub.model.panel import BASIC, RECORD_KEY, PanelField, as_added, basic_fields, basic_template, read_fields
from learning_hub.presets import PRESETS
from learning_hub.rendering.compiler import compile_templates

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FIELDS = [as_added(field) for field in (RECORD_KEY, *basic_fields())]
# As the contract has them.
CONTRACT = [
    "RecordKey", "EventId", "SourceId", "Participant", "Category", "EventType", "EventStart", "EventEnd", "Title",
    "Units",
]  # fmt: skip


def test_the_basic_fields_are_those_of_the_contract() -> None:
    """Record key, event id, source id, participant, category, type, start, end, title, units; texts are 400 long."""
    assert [field.name for field in FIELDS] == CONTRACT
    assert {field.length for field in FIELDS[1:] if field.type == "text"} == {400}


def test_the_preset_for_openwater_maps_exactly_the_basic_fields() -> None:
    """Its template has all of them but the record key, its KeyProperty; two are its own."""
    preset = PRESETS["openwater-imis-panel"]
    template = preset.templates["_default"]

    assert preset.target["KeyProperty"] == RECORD_KEY.name
    assert list(template) == CONTRACT[1:]
    basic = basic_template(FIELDS[1:])
    assert [name for name in template if template[name] != basic[name]] == ["Title", "Units"]


def test_the_basic_fields_are_documented_as_they_are() -> None:
    """The table in docs/reference/imis.md has each field with its type and length, in order, and no other."""
    page = (REFERENCE / "imis.md").read_text(encoding="utf-8").partition("### Basic fields")[2].partition("\n#")[0]
    told = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", page, re.MULTILINE)

    assert told == [(one.name, f"text, {one.length}" if one.type == "text" else one.type) for one in FIELDS]


def test_the_basic_template_compiles_for_every_type() -> None:
    """Basic fields and others, each in every type, make a template that the hub takes."""
    fields = [PanelField(name=f"A{kind}", type=kind) for kind in ("text", "integer", "decimal", "date", "boolean")]
    templates = {"_default": basic_template([*FIELDS[1:], *fields])}
    assert compile_templates(json.dumps(templates)).errors == []


def test_a_basic_name_with_another_type_is_filled_from_the_data() -> None:
    """Only where name and type are those of a basic field the hub knows what belongs there."""
    assert "data['Title']" in basic_template([PanelField(name="Title", type="integer")])["Title"]
    assert "Activity Title" in basic_template([PanelField(name="title", length=10)])["title"]


@pytest.mark.parametrize("name", ["Category", "a", "A_1", "x" * 60, "Selected", "Titel", "PartyIds"])
def test_a_name_has_letters_digits_and_underscores(name: str) -> None:
    """A letter, then letters, digits and underscores; words of SQL within a name do no harm."""
    assert check_panel(f"lh_{name}"[:60], {0: PanelField(name=name)}) == []


@pytest.mark.parametrize(
    "name", ["1a", "_a", "a-b", "a b", "ä", "x" * 61, "select", "USER", "Order", "a\n", "Id", "partyid", "UpdatedOn"]
)
def test_any_other_name_and_reserved_words_are_rejected(name: str) -> None:
    """Anything else, reserved words in any case, and what iMIS fills itself."""
    (error,) = check_panel("lh_a", {3: msgspec.structs.replace(PanelField(name="a"), name=name)})
    assert error.field == "Fields[3]"


def test_a_panel_that_can_be_made_can_be_a_target() -> None:
    """The longest name and the longest field are names that a subscription's Target takes."""
    target = {"Kind": "panel", "Name": "x" * 60, "KeyProperty": "y" * 60}
    assert check_target(target) == []


def test_fields_are_read_as_sent() -> None:
    """A name is a text; what an object leaves out is as usual; `basic` is the list itself."""
    fields, errors = read_fields(b'["A", {"Name": "B", "Type": "decimal"}, {"Name": "C", "Length": 7}]')
    assert errors == []
    assert list(fields.values()) == [
        PanelField(name="A"),
        PanelField(name="B", type="decimal"),
        PanelField(name="C", length=7),
    ]
    assert list(read_fields(b'"basic"')[0].values()) == [one.field for one in BASIC]
