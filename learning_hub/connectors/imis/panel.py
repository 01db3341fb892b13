"""
Rows of a panel source: an outbound record laid out in the columns of the source.

Source: iMIS reference, section 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

from learning_hub.connectors.base import OutboundRecord
from learning_hub.connectors.imis.column import Column
from learning_hub.connectors.imis.record import Record, is_single_value, plain_value, template_error
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import PanelTarget
from learning_hub.connectors.outcomes import Refused
from learning_hub.connectors.template_validation import TemplateProblem

_FILLED_BY_THE_HUB = {"id", "partyid"}
_UNKNOWN = Column("")
_KEY_SETTING = "KeyProperty in the subscription's Target"
_FILLED_BY_IMIS = {"ordinal", "createdon", "updatedon", "createdbyuserkey", "updatedbyuserkey"}


def lay_out(
    outbound: OutboundRecord, target: PanelTarget, columns: Mapping[str, Column] | None, zone: ZoneInfo
) -> Record:
    """
    The row for an outbound record.

    Args:
        outbound: With a payload whose keys are columns of the source.
        target: Names the source, and the column for the record key if there is one.
        columns: Those of the source by name, None where the site does not list them.
        zone: Of the site.

    Raises:
        Failed: The payload has a key that is no column, or a value that is no single value.
    """
    problems = check_template(outbound.payload, target)
    if problems:
        raise template_error(" ".join(f"{problem.place}: {problem.message}" for problem in problems))
    known = None if columns is None else {name.casefold(): name for name in columns}
    mapped = {**outbound.payload, **({target.key_property: outbound.record_key} if target.key_property else {})}
    values, stored = {}, {}
    for given, value in mapped.items():
        name = given if known is None else known.get(given.casefold())
        if name is None:
            raise _no_column(given, target, columns or {})
        column = (columns or {}).get(name, _UNKNOWN)
        values[name] = column.as_sent(plain_value(given, value), zone)
        stored[name] = column.as_stored(values[name])
    return Record(
        entity=target.name,
        party_id=outbound.participant_id,
        values=values,
        stored_values=stored,
        key_property=target.key_property,
        key_setting=_KEY_SETTING,
        key=outbound.record_key,
        identity_columns=("ID", "Ordinal"),
        party_columns=("ID", "PartyId"),
        is_numbered_late=True,
    )


def _no_column(name: str, target: PanelTarget, columns: Mapping[str, Column]) -> Failed:
    message = no_column(target.name, name, columns)
    if name != target.key_property:
        return template_error(message)
    message += f" {_KEY_SETTING} must name one for text, 36 characters or more."
    return Failed(Refused(code="refused", message=message, failure_class="mapping"))


def no_column(panel: str, name: str, columns: Iterable[str]) -> str:
    """The sentence for a column that *panel* does not have, with those of its *columns* that a template can fill."""
    return f"{panel} has no column {name}. It has {', '.join(one for one in columns if filled_by(one) is None)}."


def filled_by(name: str) -> Literal["hub", "imis"] | None:
    """Who fills the column *name*, which may be in any case; None where a template does."""
    folded = name.casefold()
    if folded in _FILLED_BY_THE_HUB:
        return "hub"
    return "imis" if folded in _FILLED_BY_IMIS else None


def check_template(template: Mapping[str, Any], target: PanelTarget) -> list[TemplateProblem]:
    """What keeps *template* from making a row, as far as that is known without asking the site."""
    problems: list[TemplateProblem] = []
    taken: dict[str, str] = {}
    for name, leaf in template.items():
        if message := _column_fault(name, leaf, target) or _repetition_fault(name, taken):
            problems.append(TemplateProblem(name, message))
        taken[name.casefold()] = name
    return problems


def _column_fault(name: str, leaf: Any, target: PanelTarget) -> str | None:
    folded = name.casefold()
    if filled_by(name):
        return "This is filled by the hub and by iMIS."
    if target.key_property and folded == target.key_property.casefold():
        return "This column keeps the hub's record key, as KeyProperty in the Target says."
    if not is_single_value(leaf):
        return "iMIS takes only single values here."
    return None


def _repetition_fault(name: str, taken: Mapping[str, str]) -> str | None:
    return f"{taken[name.casefold()]} is already the same column." if name.casefold() in taken else None
