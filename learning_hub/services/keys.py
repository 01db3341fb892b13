"""API keys: make, list and revoke them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from learning_hub.model.api_key import ChangedKey, Key, KeyBody, KeyPatch, NewKey, key_hash, new_key, scope_faults
from learning_hub.model.caller import EVERY_PROGRAM, SCOPES, Caller, check_grant
from learning_hub.model.clock import now
from learning_hub.model.errors import FieldError, InvalidFields, NotFound, gathered
from learning_hub.model.fields import collect, not_reported, valid_texts
from learning_hub.model.ids import new_id
from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.program import NOT_KNOWN
from learning_hub.services.authentication import Authenticator
from learning_hub.services.patching import patched
from learning_hub.store import api_keys, audit, programs
from learning_hub.store.database import Database

LISTING = Listing("keys", ordered_by="key_id")
LONGEST_PROGRAM_ID = 25


class Keys:
    """What administrators do with API keys."""

    def __init__(self, database: Database, authenticator: Authenticator) -> None:
        self._database = database
        self._authenticator = authenticator

    async def create(self, caller: Caller, fields: Mapping[str, Raw]) -> NewKey:
        """
        Make a key; only this result shows it.

        Args:
            caller: An administrator.
            fields: The fields of a KeyBody, as sent.

        Raises:
            InvalidFields: With every bad field.
        """
        values, errors = collect(fields, KeyBody)
        if errors := errors + not_reported(await self._value_errors(fields, values), errors):
            raise InvalidFields(errors)
        body = KeyBody(**values | {"programs": list(dict.fromkeys(values["programs"]))})
        key_id = new_id()
        key = new_key(key_id)
        async with self._database.transaction() as connection:
            created = await api_keys.insert(connection, key_id, body, key_hash(key))
            await audit.write(connection, caller, "create", "key", key_id, before=None, after=created)
        return NewKey(
            key_id=key_id,
            key=key,
            name=created.name,
            programs=created.programs,
            scopes=created.scopes,
            created_utc=created.created_utc,
            expires_utc=created.expires_utc,
        )

    async def page(self, query: PageQuery) -> Page[Key]:
        """All keys without their secrets, including revoked and expired ones, the oldest first."""
        found = await api_keys.page(self._database, LISTING.after(query.cursor), query.limit + 1)
        return LISTING.page(found, query.limit)

    async def get(self, key_id: str) -> Key:
        """One key without its secret; NotFound if it does not exist."""
        found = await api_keys.find_with_hash(self._database, _valid(key_id))
        if found is None:
            raise no_such_key()
        return found[0]

    async def patch(self, caller: Caller, key_id: str, patch: Mapping[str, Raw], precondition: Precondition) -> Key:
        """
        Change the name of a key, or when it expires.

        Raises:
            NotFound: The key does not exist.
            InvalidFields: With every bad field.
            PreconditionFailed: The precondition does not hold.
        """

        async def read() -> tuple[str, dict[str, Any]]:
            key = await self.get(key_id)
            return key.tag, {"Name": key.name, "ExpiresUtc": key.expires_utc}

        async def write(fields: Mapping[str, Raw], unchanged: Precondition) -> Key:
            return await self._update(caller, key_id, fields, unchanged, expires_is_sent="ExpiresUtc" in patch)

        return await patched(patch, KeyPatch, read, write, precondition)

    async def _update(
        self,
        caller: Caller,
        key_id: str,
        fields: Mapping[str, Raw],
        unchanged: Precondition,
        *,
        expires_is_sent: bool,
    ) -> Key:
        values, errors = collect(fields, ChangedKey)
        expires_utc = values.get("expires_utc")
        # The time of a key that has expired may stay.
        if expires_is_sent and expires_utc and expires_utc <= now():
            errors.append(_must_be_in_the_future())
        if errors:
            raise InvalidFields(errors)
        async with self._database.transaction() as connection:
            before = await api_keys.lock(connection, _valid(key_id))
            if before is None:
                raise no_such_key()
            unchanged.check(before.tag)
            after = await api_keys.update(connection, key_id, ChangedKey(**values))
            if before != after:
                await audit.write(connection, caller, "update", "key", key_id, before=before, after=after)
        self._authenticator.forget(key_id)
        return after

    async def revoke(self, caller: Caller, key_id: str, precondition: Precondition = NO_PRECONDITION) -> None:
        """
        Revoke a key, in every running process within a second; revoking it again changes nothing.

        Raises:
            NotFound: The key does not exist.
            PreconditionFailed: The precondition does not hold.
        """
        async with self._database.transaction() as connection:
            before = await api_keys.lock(connection, _valid(key_id))
            if before is None:
                raise no_such_key()
            precondition.check(before.tag)
            after = await api_keys.revoke(connection, key_id)
            if before.revoked_utc is None:
                await audit.write(connection, caller, "revoke", "key", key_id, before=before, after=after)
        self._authenticator.forget(key_id)

    async def _value_errors(self, fields: Mapping[str, Raw], values: dict[str, Any]) -> list[FieldError]:
        """Errors in the values of those fields and list items of a KeyBody that have the right form."""
        texts = valid_texts(bytes(fields.get("Programs", b"")))
        named = {index: text for index, text in texts.items() if 1 <= len(text) <= LONGEST_PROGRAM_ID}
        scopes = valid_texts(bytes(fields.get("Scopes", b"")))
        errors = scope_faults(scopes)
        if named and scopes:
            with gathered(errors):
                known_scopes = [scope for scope in SCOPES if scope in scopes.values()]
                check_grant(list(dict.fromkeys(named.values())), known_scopes)
        existing = await programs.page(self._database, [*named.values()], "", len(named)) if named else []
        known = {program.program_id for program in existing} | {EVERY_PROGRAM}
        errors += [FieldError(f"Programs[{at}]", NOT_KNOWN) for at, text in named.items() if text not in known]
        expires_utc = values.get("expires_utc")
        if expires_utc and expires_utc <= now():
            errors.append(_must_be_in_the_future())
        return errors


def no_such_key() -> NotFound:
    """The error for a key that does not exist."""
    return NotFound("There is no such key.")


def _must_be_in_the_future() -> FieldError:
    return FieldError("ExpiresUtc", "must be in the future")


def _valid(key_id: str) -> str:
    if not key_id.isalnum() or not key_id.isascii():
        raise no_such_key()
    return key_id
