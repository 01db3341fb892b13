"""
The valid names of a panel source and of its fields.

Source: iMIS reference, section 8.1; the reserved words are those of Transact-SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from learning_hub.model.errors import FieldError
from learning_hub.model.panel import KEY_LENGTH, LONGEST_NAME, PanelField, is_key

# Columns that every source has, and the other name of the contact's column.
GIVEN = frozenset(("id", "ordinal", "partyid", "createdon", "updatedon", "createdbyuserkey", "updatedbyuserkey"))

# Entities of iMIS itself that answer like sources: writing to them would create contacts or definitions.
_OWN = frozenset(
    """
    addresspurpose boentitydefinition clientapplication cscontact cscontactbasic gentable iqa legacyactivitytype
    metadata organization paneldefinition party partysummary person personsummary query querydefinition user
    usersecurity
    """.split()  # noqa: SIM905 - as quoted words they would be a page long.
)

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}")
_RULE = f"must start with a letter, and have letters, digits and underscores only, at most {LONGEST_NAME}"
_RESERVED = frozenset(
    """
    add all alter and any as asc authorization backup begin between break browse bulk by cascade case check checkpoint
    close clustered coalesce collate column commit compute constraint contains containstable continue convert create
    cross current current_date current_time current_timestamp current_user cursor database date dbcc deallocate declare
    default delete deny desc disk distinct distributed double drop dump else end errlvl escape except exec execute
    exists exit external fetch file fillfactor for foreign freetext freetexttable from full function goto grant group
    having holdlock identity identity_insert identitycol if in index inner insert intersect into is join key kill left
    like lineno load merge national nocheck nonclustered not null nullif of off offsets on open opendatasource openquery
    openrowset openxml option or order outer over percent pivot plan precision primary print proc procedure public
    raiserror read readtext reconfigure references replication restore restrict return revert revoke right rollback
    rowcount rowguidcol rule save schema securityaudit select semantickeyphrasetable semanticsimilaritydetailstable
    semanticsimilaritytable session_user set setuser shutdown some statistics system_user table tablesample textsize
    then to top tran transaction trigger truncate try_convert tsequal union unique unpivot update updatetext use user
    values varying view waitfor when where while with within writetext
    """.split()  # noqa: SIM905 - as quoted words they would be a page long.
)


def own_fault(name: str) -> str | None:
    """Why *name*, in any case, is no panel source although it may answer like one."""
    if name.casefold() == "activity":
        return 'is no panel source; records land in activities with {"Kind": "activity"}'
    return "is an entity of iMIS itself, and no panel source" if name.casefold() in _OWN else None


def check_panel(name: str, fields: Mapping[int, PanelField]) -> list[FieldError]:
    """
    What is wrong with the names of a panel source and of its fields.

    Args:
        name: Of the source.
        fields: By their place in the list that was sent.
    """
    errors = [FieldError("Name", fault)] if (fault := _name_fault(name) or own_fault(name)) else []
    seen: dict[str, str] = {}
    for index, field in fields.items():
        folded = field.name.casefold()
        fault = _field_fault(field)
        if fault is None and folded in seen:
            fault = f"is there twice, as {seen[folded]}; upper and lower case are the same"
        seen.setdefault(folded, field.name)
        if fault:
            errors.append(FieldError(f"Fields[{index}]", f"{_shown(field.name)} {fault}"))
    return errors


def _field_fault(field: PanelField) -> str | None:
    if fault := _name_fault(field.name):
        return fault
    if field.name.casefold() in GIVEN:
        return "is filled by iMIS itself"
    if is_key(field) and (field.type != "text" or (field.length or KEY_LENGTH) < KEY_LENGTH):
        return f"keeps the hub's record key: a text, {KEY_LENGTH} or longer"
    return None


def _name_fault(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return _RULE
    return "must not be a reserved word of SQL" if name.casefold() in _RESERVED else None


def _shown(name: str) -> str:
    return name if name.isprintable() else name.encode("unicode_escape").decode()
