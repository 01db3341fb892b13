"""
The lookup of a publisher's participant among the contacts of the site.

Source: iMIS reference, sections 10 and 11. Contacts that are not active are ignored. `as-is` uses the publisher's id as
the contact's id without a request, and an unknown contact shows when a record is added.
"""

from __future__ import annotations

from typing import Any

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.contact_query import find_rows
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import QueryLookup
from learning_hub.connectors.imis.wire import Json, lookup, member, spellings, unwrap
from learning_hub.connectors.outcomes import ParticipantFound, ParticipantResult, Refused
from learning_hub.model.participant_id import is_same_participant, to_look_up, visible

_ACTIVE = "A"
_ID_COLUMNS = ("ID", "PartyId", "iMIS ID", "iMISId", "ContactKey")


async def find_participant(
    api: Api, way: str | QueryLookup, publisher_id: str, recorder: Recorder
) -> ParticipantResult:
    """
    Exactly one active contact, or why there is none.

    Raises:
        Failed: The site could not be asked.
    """
    participant_id = to_look_up(publisher_id)
    if not participant_id:
        return _not_found("The publisher gave a blank participant id.")
    if way == "as-is":
        return ParticipantFound(participant_id)
    if isinstance(way, QueryLookup):
        if "|" in participant_id:
            # iMIS may split the value there, and a part of the id would find somebody else.
            return _not_found(f'iMIS can be asked for no id with "|" in it, such as {_shown(publisher_id)}.')
        return _only_one(
            await _by_query(api, way, participant_id, recorder), f"for which {way.query} gives {_shown(publisher_id)}"
        )
    return _only_one(await _by_email(api, participant_id, recorder), f"with the e-mail address {_shown(publisher_id)}")


def _shown(publisher_id: str) -> str:
    """What iMIS was asked for, and what was sent if that looks the same and is not."""
    asked_for, sent = visible(to_look_up(publisher_id)), visible(publisher_id.strip())
    return f'"{asked_for}"' if asked_for == sent else f'"{asked_for}" (sent as "{sent}")'


async def _by_email(api: Api, email: str, recorder: Recorder) -> list[str]:
    """The ids of the active contacts with this address, in whichever of its spellings; stops at the second."""
    ids: dict[str, None] = {}
    doing = "look for a contact (PartySummary)"
    for spelling in spellings(email):
        async for page in api.pages("PartySummary", {"Email": f"eq:{spelling}"}, recorder, doing=doing):
            for row in page.rows:
                address = str(unwrap(member(row, "Email")) or "")
                if is_same_participant(address, email) and _is_active(row):
                    ids |= dict.fromkeys(_party_ids(row))
            if len(ids) > 1:
                return list(ids)
    return list(ids)


async def _by_query(api: Api, way: QueryLookup, participant_id: str, recorder: Recorder) -> list[str]:
    """The ids in the query's rows, of active contacts; stops at the second."""
    rows: list[dict[str, Any]] = []
    for spelling in spellings(participant_id):
        rows += await find_rows(api, way, spelling, recorder)
    ids: list[str] = []
    for one in dict.fromkeys(filter(None, map(_first_id, rows))):
        ids += [one] if await _is_active_contact(api, one, recorder) else []
        if len(ids) > 1:
            break
    return ids


def _first_id(row: dict[str, Any]) -> str | None:
    """The contact's id: the column that is named so, else the first one."""
    columns = {name: value for name, value in row.items() if name.casefold() != "resultrow"}
    named = next((value for name in _ID_COLUMNS if (value := lookup(columns, name)) not in (None, "")), None)
    value = named if named is not None else next(iter(columns.values()), None)
    return str(value).strip() if value not in (None, "") else None


async def _is_active_contact(api: Api, party_id: str, recorder: Recorder) -> bool:
    """Whether the contact is active; true where the account may not read contacts, and the query decides."""
    try:
        contact = await api.get("Party", party_id, recorder, doing=f"look at the contact {party_id} (Party)")
    except Failed as failed:
        if isinstance(failed.outcome, Refused) and failed.outcome.code == "refused":
            return True
        raise
    return contact is not None and _is_active(contact)


def _is_active(contact: Json) -> bool:
    """Whether the status is active; a contact without a status, which some sites leave out, counts as active."""
    status = member(contact, "Status")
    code = unwrap(member(status, "PartyStatusId")) if isinstance(status, dict) else None
    return code is None or str(code).strip().upper() == _ACTIVE


def _party_ids(row: Json) -> list[str]:
    value = unwrap(member(row, "PartyId")) or unwrap(member(row, "Id"))
    return [str(value)] if value else []


def _only_one(ids: list[str], who: str) -> ParticipantResult:
    if len(ids) == 1:
        return ParticipantFound(ids[0])
    if not ids:
        return _not_found(f"iMIS has no active contact {who}.")
    return Refused(
        code="participant_ambiguous",
        message=f"iMIS has several active contacts {who}: {', '.join(ids[:5])}.",
        failure_class="identity",
    )


def _not_found(message: str) -> Refused:
    return Refused(code="participant_not_found", message=message, failure_class="identity")
