"""
Activities: the columns, what a template may call them, and an outbound record laid out in them.

Source: iMIS reference, section 7; the labels are those of the TopClass document (7.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

from learning_hub.connectors.base import OutboundRecord
from learning_hub.connectors.imis.column import Column
from learning_hub.connectors.imis.record import Record, is_single_value, plain_value, template_error
from learning_hub.connectors.template_validation import TemplateProblem

ENTITY = "Activity"

_TEXTS = (
    "ACTIVITY_TYPE ACTION_CODES BATCH_NUM CAMPAIGN_CODE CATEGORY CO_ID DESCRIPTION INTENT_TO_EDIT MEMBER_TYPE "
    "MEM_TRIB_CODE NOTE NOTE_2 OBJECT ORG_CODE OTHER_CODE OTHER_ID PAY_METHOD PRODUCT_CODE SOLICITOR_ID "
    "SOURCE_CODE SOURCE_SYSTEM STATUS_CODE UF_1 UF_2 UF_3"
)
_DATES = "EFFECTIVE_DATE NEXT_INSTALL_DATE THRU_DATE TICKLER_DATE TRANSACTION_DATE UF_6 UF_7"
_DECIMALS = "AMOUNT QUANTITY TAXABLE_VALUE UF_4 UF_5 UNITS"
_INTEGERS = "ATTACH_SEQN ATTACH_TOTAL GRACE_PERIOD ORIGINATING_TRANS_NUM"
COLUMNS: dict[str, Column] = {
    **dict.fromkeys(_TEXTS.split(), Column("String")),
    **dict.fromkeys(_DATES.split(), Column("Date")),
    **dict.fromkeys(_DECIMALS.split(), Column("Decimal")),
    **dict.fromkeys(_INTEGERS.split(), Column("Integer")),
    "RECURRING_REQUEST": Column("Boolean"),
}
"""The columns a template may fill."""

KEY_COLUMNS = (
    "UF_3", "UF_2", "UF_1", "ACTION_CODES", "DESCRIPTION", "INTENT_TO_EDIT", "NOTE", "NOTE_2", "OBJECT", "SOURCE_CODE",
)  # fmt: skip
"""
The columns of text that hold 36 characters in common installations, those least used by a site itself first.

The other texts are narrower there, such as 31 for PRODUCT_CODE and 10 for SOURCE_SYSTEM (section 7.3).
"""

_LABELS = {
    "ActivityType": "ACTIVITY_TYPE",
    "Source": "SOURCE_CODE",
    "Subtype": "PRODUCT_CODE",
    "Description": "DESCRIPTION",
    "EffectiveDate": "EFFECTIVE_DATE",
    "Units": "UNITS",
    "CeuType": "CATEGORY",
}
_NAMES = {name.casefold(): column for name, column in [*_LABELS.items(), *zip(COLUMNS, COLUMNS, strict=True)]}
_LABEL_OF = {column: label for label, column in _LABELS.items()}
_FILLED_BY_THE_HUB = {"partyid", "id"}
_FILLED_BY_IMIS = {"seqn"}


def column_for_keys(key_property: str) -> str | None:
    """The column that `ActivityKeyProperty` names, by its name or label in any case; None where it can hold no key."""
    column = _NAMES.get(key_property.casefold())
    return column if column in KEY_COLUMNS else None


def column_of(name: str) -> str | None:
    """The column that a template calls *name*, by its name or label in any case; None where there is none."""
    return _NAMES.get(name.casefold())


def label_of(column: str) -> str | None:
    """What templates may call the column as well."""
    return _LABEL_OF.get(column)


def filled_by(name: str, key_property: str) -> Literal["hub", "imis"] | None:
    """Who fills the column *name*, which may be in any case; None where a template does."""
    folded = name.casefold()
    if folded in _FILLED_BY_THE_HUB or (column_of(name) and column_of(name) == column_of(key_property)):
        return "hub"
    return "imis" if folded in _FILLED_BY_IMIS else None


def types_named(template: Mapping[str, Any]) -> list[Any]:
    """What *template* says for the type of the activity, by any of its names."""
    return [value for name, value in template.items() if column_of(name) == "ACTIVITY_TYPE"]


def lay_out(outbound: OutboundRecord, key_property: str, zone: ZoneInfo) -> Record:
    """
    The activity for an outbound record, at a site in the time zone *zone*; *key_property* keeps the record key.

    Raises:
        Failed: The payload has a key that is no column, or a value that is no single value.
    """
    problems = _check_keys(outbound.payload, key_property)
    if problems:
        raise template_error(" ".join(f"{problem.place}: {problem.message}" for problem in problems))
    key_column = _NAMES.get(key_property.casefold(), key_property)
    values = {}
    for name, value in outbound.payload.items():
        column = _NAMES[name.casefold()]
        values[column] = COLUMNS[column].as_sent(plain_value(name, value), zone)
    values[key_column] = outbound.record_key
    return Record(
        entity=ENTITY,
        party_id=outbound.participant_id,
        values=values,
        # Activities have no definition that could be read, so the rounding of their columns is not known.
        stored_values=values,
        key_property=key_column,
        key_setting="ActivityKeyProperty in the subscriber's Settings",
        key=outbound.record_key,
        identity_columns=("SEQN",),
        party_columns=("PartyId", "ID"),
        is_numbered_late=False,
    )


def check_template(template: Mapping[str, Any], key_property: str) -> list[TemplateProblem]:
    """What keeps *template* from making an activity, in the order of the template."""
    problems = _check_keys(template, key_property)
    named = {_NAMES.get(name.casefold()): leaf for name, leaf in template.items()}
    if named.get("ACTIVITY_TYPE") in (None, ""):
        problems.append(TemplateProblem("ActivityType", "An activity must have an ActivityType."))
    return problems


def _check_keys(template: Mapping[str, Any], key_property: str) -> list[TemplateProblem]:
    problems: list[TemplateProblem] = []
    taken: dict[str | None, str] = {}
    for name, leaf in template.items():
        column = _NAMES.get(name.casefold())
        if message := _column_fault(name, column, leaf, key_property):
            problems.append(TemplateProblem(name, message))
        elif column in taken:
            message = f"{taken[column]} is already the same column, {column}."
            problems.append(TemplateProblem(name, message))
        taken[column] = name
    return problems


def _column_fault(name: str, column: str | None, leaf: Any, key_property: str) -> str | None:
    if name.casefold() in _FILLED_BY_THE_HUB | _FILLED_BY_IMIS:
        return "This is filled by the hub and by iMIS."
    if column is not None and column == _NAMES.get(key_property.casefold()):
        return (
            "This column keeps the hub's record key; ActivityKeyProperty in the subscriber's Settings can name another."
        )
    if column is None:
        return f"An activity has no such column. It has {', '.join(_LABELS)}, and by name {', '.join(COLUMNS)}."
    if not is_single_value(leaf):
        return "iMIS takes only single values here."
    return None
