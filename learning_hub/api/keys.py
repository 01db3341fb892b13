"""API keys over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from learning_hub.api.call import Call
from learning_hub.api.lists import Listing, Page, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS
from learning_hub.api.routing import route
from learning_hub.model.api_key import Key, KeyBody, NewKey, key_hash, new_key, scope_faults
from learning_hub.model.caller import EVERY_PROGRAM, SCOPES, check_grant
from learning_hub.model.clock import now
from learning_hub.model.errors import FieldError, InvalidFields, NotFound, gathered
from learning_hub.model.fields import collect, not_told, sound_texts
from learning_hub.model.ids import new_id
from learning_hub.store import api_keys, audit, programs

LISTING = Listing("keys", ordered_by="key_id")
LONGEST_ID = 25
EXAMPLE_BODY = {"Name": "TopClass publishes", "Programs": ["NURSES"], "Scopes": ["publish", "read"], "ExpiresUtc": None}
NO_SUCH_KEY = NotFound("There is no such key.")
EXAMPLE = {
    "KeyId": ID_FORMS["KeyId"].example,
    **EXAMPLE_BODY,
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "RevokedUtc": None,
    "LastUsedUtc": None,
}
EXAMPLE_NEW = {
    "KeyId": ID_FORMS["KeyId"].example,
    "Key": "lh_01KAN3S8E0QW5V8GJ1T2Z9RX4M_(43 letters and digits)_(checksum)",
    **EXAMPLE_BODY,
    "CreatedUtc": "2026-11-22T08:00:00Z",
}


@route(
    Operation(
        method="POST",
        path="/keys",
        operation_id="makeKey",
        summary="Make a key",
        description="The key is shown this once; the hub keeps only its hash.",
        tag="Setting up",
        scopes=("admin",),
        body=KeyBody,
        body_example=EXAMPLE_BODY,
        answers=(
            Answer(
                status=201,
                meaning="The key, shown this once.",
                body=NewKey,
                headers={"Location": "/keys/{KeyId} of the key."},
                example=EXAMPLE_NEW,
            ),
        ),
    )
)
async def make_key(call: Call) -> Reply:
    sent = await call.fields()
    values, errors = collect(sent, KeyBody)
    if errors := errors + not_told(await _faults(call, sent, values), errors):
        raise InvalidFields(errors)
    body = KeyBody(**values | {"programs": list(dict.fromkeys(values["programs"]))})
    key_id = new_id()
    key = new_key(key_id)
    async with call.hub.database.transaction() as connection:
        made = await api_keys.insert(connection, key_id, body, key_hash(key))
        await audit.write(connection, call.caller, "create", "key", key_id, before=None, after=made)
    answer = NewKey(
        key_id=key_id,
        key=key,
        name=made.name,
        programs=made.programs,
        scopes=made.scopes,
        created_utc=made.created_utc,
        expires_utc=made.expires_utc,
    )
    return Reply(status=201, body=answer, headers={"Location": f"/keys/{key_id}"})


@route(
    Operation(
        method="GET",
        path="/keys",
        operation_id="listKeys",
        summary="List the keys, revoked and expired ones as well",
        tag="Setting up",
        scopes=("admin",),
        query=PageQuery,
        answers=(
            Answer(
                status=200,
                meaning="Keys without their secrets, the oldest first.",
                body=Page[Key],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
    )
)
async def list_keys(call: Call) -> Reply:
    query = call.query(PageQuery)
    found = await api_keys.page(call.hub.database, LISTING.after(query.cursor), query.limit + 1)
    return Reply(body=LISTING.page(found, query.limit))


@route(
    Operation(
        method="GET",
        path="/keys/{KeyId}",
        operation_id="getKey",
        summary="Read a key, without its secret",
        tag="Setting up",
        scopes=("admin",),
        answers=(Answer(status=200, meaning="The key.", body=Key, example=EXAMPLE),),
        errors=(NO_SUCH_KEY,),
    )
)
async def get_key(call: Call) -> Reply:
    found = await api_keys.find_with_hash(call.hub.database, _key_id(call))
    if found is None:
        raise NotFound("There is no such key.")
    return Reply(body=found[0])


@route(
    Operation(
        method="DELETE",
        path="/keys/{KeyId}",
        operation_id="revokeKey",
        summary="Revoke a key: it opens nothing any more, in every process within a second",
        tag="Setting up",
        scopes=("admin",),
        answers=(Answer(status=204, meaning="It is revoked, now or before."),),
        errors=(NO_SUCH_KEY,),
    )
)
async def revoke_key(call: Call) -> Reply:
    key_id = _key_id(call)
    async with call.hub.database.transaction() as connection:
        found = await api_keys.find_with_hash(connection, key_id)
        after = await api_keys.revoke(connection, key_id)
        if found is None or after is None:
            raise NotFound("There is no such key.")
        if found[0].revoked_utc is None:
            await audit.write(connection, call.caller, "revoke", "key", key_id, before=found[0], after=after)
    call.hub.authenticator.forget(key_id)
    return Reply(status=204)


async def _faults(call: Call, sent: Mapping[str, Raw], values: dict[str, Any]) -> list[FieldError]:
    """What is wrong with those fields of a KeyBody, and items of its lists, that have the right form."""
    named = {
        at: one for at, one in sound_texts(bytes(sent.get("Programs", b""))).items() if 1 <= len(one) <= LONGEST_ID
    }
    scopes = sound_texts(bytes(sent.get("Scopes", b"")))
    errors = scope_faults(scopes)
    if named and scopes:
        with gathered(errors):
            check_grant(list(dict.fromkeys(named.values())), [scope for scope in SCOPES if scope in scopes.values()])
    there = await programs.page(call.hub.database, [*named.values()], "", len(named)) if named else []
    known = {program.program_id for program in there} | {EVERY_PROGRAM}
    errors += [FieldError(f"Programs[{at}]", "is not a known Program") for at, one in named.items() if one not in known]
    expires_utc = values.get("expires_utc")
    if expires_utc and expires_utc <= now():
        errors.append(FieldError("ExpiresUtc", "must be in the future"))
    return errors


def _key_id(call: Call) -> str:
    key_id = call.path["KeyId"]
    if not key_id.isalnum() or not key_id.isascii():
        raise NotFound("There is no such key.")
    return key_id


ROUTES = (make_key, list_keys, get_key, revoke_key)
