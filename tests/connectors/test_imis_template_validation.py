"""Templates held against columns that the sandbox does not have, but a site may."""

from __future__ import annotations

from typing import Any

from learning_hub.connectors.discovery import Field, Fields, Target
from learning_hub.connectors.imis.discovery import read_field
from learning_hub.connectors.imis.settings import ActivityTarget, PanelTarget
from learning_hub.connectors.imis.template_validation import validate_templates
from learning_hub.connectors.template_validation import TemplateValidation

ACTIVITY = Target(name="Activity", kind="activity")
PANEL = Target(name="LH_Odd", kind="panel")
TYPE = Field(name="ACTIVITY_TYPE", type="String", length=10, required=True)
KEY = Field(name="UF_3", type="String", length=255, read_only=True, filled_by="hub")


def of_activities(template: dict[str, Any], *fields: Field, key: Field = KEY) -> TemplateValidation:
    found = Fields(target=ACTIVITY, items=[TYPE, key, *fields])
    return validate_templates(
        ActivityTarget(kind="activity"), "UF_3", {"_default": {"ActivityType": "CALL", **template}}, {}, found
    )


def of_panel(template: dict[str, Any], *fields: Field) -> TemplateValidation:
    return validate_templates(
        PanelTarget(kind="panel", name="LH_Odd"),
        None,
        {"_default": template},
        {},
        Fields(target=PANEL, items=[*fields]),
    )


def places(validation: TemplateValidation) -> list[str]:
    return [problem.place for problem in validation.problems]


def test_a_column_of_activities_that_a_site_does_not_list_is_a_warning() -> None:
    """How sites spell the columns in the definition of activities is not confirmed, so nothing is refused for it."""
    result = of_activities({"Units": 1, "NOTE": "x"}, Field(name="Units", type="Decimal"))

    assert places(result) == []
    assert [warning.partition(":")[0] for warning in result.warnings] == ["Templates._default.NOTE"]


def test_a_key_column_of_activities_that_is_too_narrow_is_refused() -> None:
    """The error names the setting of the subscriber; a column that is not listed is a warning."""
    result = of_activities({}, key=Field(name="UF_3", type="String", length=20, read_only=True, filled_by="hub"))

    (error,) = result.target_errors
    assert error.field == "Target"
    assert "UF_3 holds 20 characters" in error.message
    assert "ActivityKeyProperty" in error.message
    unlisted = of_activities({}, key=Field(name="UF_1", type="String"))
    assert (unlisted.target_errors, len(unlisted.warnings)) == ([], 1)


def test_the_date_of_an_activity_need_not_be_mapped() -> None:
    """Blank, it becomes the time of the insert, also where the definition requires it; other columns are required."""
    required = [Field(name=name, type="Date", required=True) for name in ("TRANSACTION_DATE", "EFFECTIVE_DATE")]

    assert places(of_activities({}, *required)) == ["_default.EFFECTIVE_DATE"]


def test_identities_and_defaults() -> None:
    """A column of the identity cannot be filled, and one with a default need not be."""
    described: list[dict[str, Any]] = [
        {"$type": "X.PropertyTypeIntegerData, X", "Name": "Number", "IsIdentity": True, "Required": True},
        {"PropertyTypeName": "String", "Name": "Kind", "Required": True, "DefaultValue": "course"},
        {"PropertyTypeName": "String", "Name": "Level", "Required": {"$type": "System.Boolean", "$value": True}},
        {"$type": "X.PropertyTypeDateTimeData, X", "Name": "Day"},
    ]
    fields = [read_field(one, None) for one in described]

    assert [field.type for field in fields] == ["Integer", "String", "String", "Date"]
    assert fields[1].default == "course"
    assert places(of_panel({}, *fields)) == ["_default.Level"]
    assert places(of_panel({"number": 1, "Level": "x", "Kind": "y"}, *fields)) == ["_default.number"]


def test_nothing_is_said_of_types_that_the_hub_does_not_know() -> None:
    """Whatever stands in a column of another type, or of none that is known, is left to iMIS."""
    fields = [Field(name="Photo", type="Binary"), Field(name="Odd", type=None)]

    result = of_panel({"Photo": 5, "Odd": True}, *fields)

    assert (places(result), result.warnings) == ([], [])


def test_without_columns_nothing_is_judged() -> None:
    """A site that names no column of a source is no reason to refuse any."""
    result = validate_templates(
        PanelTarget(kind="panel", name="LH_Odd", key_property="RecordKey"),
        "RecordKey",
        {"_default": {"Anything": 1}},
        {},
        Fields(target=PANEL, items=[], warnings=["LH_Odd has no rows."]),
    )

    assert result == TemplateValidation(warnings=["LH_Odd has no rows."])
