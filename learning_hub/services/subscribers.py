"""Subscribers: make, change, list and archive them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from learning_hub.connectors.base import PreparedCredentials
from learning_hub.connectors.factory import ConnectorFactory
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.audit import Action
from learning_hub.model.caller import Caller
from learning_hub.model.circuit_breaker import Pause
from learning_hub.model.circuit_breaker import shown as shown_pause
from learning_hub.model.clock import now
from learning_hub.model.errors import (
    Conflict,
    CredentialsUnreadable,
    FieldError,
    InvalidFields,
    LearningHubError,
    NotFound,
)
from learning_hub.model.fields import collect, not_reported, valid_members
from learning_hub.model.ids import id_errors, need_id
from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.subscriber import SavedSubscriber, ShownSubscriber, Subscriber, SubscriberBody
from learning_hub.process.bulk_changer import BulkChanger
from learning_hub.services.archiving import archive_subscriptions
from learning_hub.services.patching import patched
from learning_hub.store import audit, participants, pauses, subscribers
from learning_hub.store.database import Connection, Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.vault import Vault

LISTING = Listing("subscribers", ordered_by="subscriber_id")


class Subscribers:
    """What callers do with subscribers."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        connector_factory: ConnectorFactory,
        notifications: Notifications,
        bulk_changer: BulkChanger,
    ) -> None:
        self._database = database
        self._vault = vault
        self._connector_factory = connector_factory
        self._notifications = notifications
        self._bulk_changer = bulk_changer

    async def put(
        self,
        caller: Caller,
        subscriber_id: str,
        fields: Mapping[str, Raw],
        precondition: Precondition = NO_PRECONDITION,
    ) -> tuple[SavedSubscriber, bool]:
        """
        Make or change a subscriber; without Credentials the stored ones stay.

        Args:
            caller: An administrator.
            subscriber_id: The subscriber.
            fields: The fields of a SubscriberBody, as sent.
            precondition: What must hold of the subscriber before.

        Returns:
            The subscriber as it may be shown, and whether it is new.

        Raises:
            InvalidFields: With every bad field.
            Conflict: The subscriber is of another kind.
            KeysMissing: The hub has no key to encrypt credentials with.
            PreconditionFailed: The precondition does not hold.
        """
        async with self._database.transaction() as connection:
            await subscribers.lock(connection, subscriber_id)
            existing = self._decrypted(await subscribers.find(connection, subscriber_id))
            spec = _SubscriberSpec(self._connector_factory, subscriber_id, fields, existing)
            spec.need_fit(existing)
            precondition.check(*([self._shown(existing).tag] if existing else []))
            prepared = spec.prepared_credentials(existing, self._vault)
            if existing and prepared is None and spec.describes(existing):
                shown = self._shown(existing, await pauses.find(connection, subscriber_id))
                return _saved(shown, None), False
            saved = await self._save(connection, subscriber_id, spec, prepared)
            await self._lift_pause(connection, existing, saved, has_new_credentials=prepared is not None)
            action: Action = "update" if existing else "create"
            before, after = (self._shown(existing) if existing else None), self._shown(saved)
            await audit.write(connection, caller, action, "subscriber", subscriber_id, before=before, after=after)
            pause = await pauses.find(connection, subscriber_id)
        self._notifications.notify(self._notifications.deliveries)
        return _saved(self._shown(saved, pause), prepared), existing is None

    async def page(self, caller: Caller, query: PageQuery) -> Page[ShownSubscriber]:
        """Subscribers, ordered by id; a key for some Programs sees those that get events of these Programs."""
        after = LISTING.after(query.cursor)
        found = await subscribers.page(self._database, caller.visible_programs, after, query.limit + 1)
        paused = await pauses.of(self._database, [each.subscriber_id for each in found])
        items = [_for(caller, self._shown(each, paused.get(each.subscriber_id))) for each in found]
        return LISTING.page(items, query.limit)

    async def get(self, caller: Caller, subscriber_id: str) -> ShownSubscriber:
        """One subscriber without its credentials; the errors of `need_subscriber`."""
        subscriber = await need_subscriber(self._database, caller, subscriber_id)
        return _for(caller, self._shown(subscriber, await pauses.find(self._database, subscriber_id)))

    async def patch(
        self, caller: Caller, subscriber_id: str, patch: Mapping[str, Raw], precondition: Precondition
    ) -> SavedSubscriber:
        """
        Change the fields of a subscriber that a merge patch names, within its Settings and Credentials as well.

        Raises:
            NotFound: The subscriber does not exist, or is archived.
            InvalidFields, Conflict, KeysMissing, PreconditionFailed: As for `put`.
        """

        async def read() -> tuple[str, dict[str, Any]]:
            stored = await need_subscriber_in_use(self._database, caller, subscriber_id)
            existing = self._decrypted(stored) or stored
            whole = {"Name": existing.name, "Connector": existing.connector, "Settings": existing.settings}
            if read_json(patch.get("Credentials", b"null")) is not None:
                whole["Credentials"] = self._known_credentials(existing)
            return self._shown(existing).tag, whole

        async def write(fields: Mapping[str, Raw], unchanged: Precondition) -> SavedSubscriber:
            return (await self.put(caller, subscriber_id, fields, unchanged))[0]

        return await patched(patch, SubscriberBody, read, write, precondition)

    async def archive(self, caller: Caller, subscriber_id: str, precondition: Precondition = NO_PRECONDITION) -> None:
        """Archive a subscriber and its subscriptions; the errors of `need_subscriber`, and PreconditionFailed."""
        existing = await need_subscriber(self._database, caller, subscriber_id)
        async with self._database.transaction() as connection:
            await subscribers.lock(connection, subscriber_id)
            existing = await subscribers.find(connection, subscriber_id) or existing
            precondition.check(self._shown(existing).tag)
            archived = await subscribers.archive(connection, subscriber_id)
            if archived and existing.archived_utc is None:
                before, after = self._shown(existing), self._shown(archived)
                await audit.write(
                    connection, caller, "archive", "subscriber", subscriber_id, before=before, after=after
                )
            run_ids = await archive_subscriptions(connection, caller, subscriber_id=subscriber_id)
        await self._bulk_changer.carry_out(run_ids)

    async def _save(
        self, connection: Connection, subscriber_id: str, spec: _SubscriberSpec, prepared: PreparedCredentials | None
    ) -> Subscriber:
        kind = KINDS[spec.connector]
        saved = await subscribers.put(
            connection,
            subscriber_id,
            name=spec.name,
            connector=spec.connector,
            settings=self._vault.encrypt_settings(spec.settings, kind.secret_settings),
            encrypted_credentials=None if prepared is None else self._vault.encrypt(prepared.credentials),
            max_concurrency=kind.max_concurrency(spec.settings),
        )
        return msgspec.structs.replace(saved, settings=spec.settings)

    async def _lift_pause(
        self, connection: Connection, existing: Subscriber | None, saved: Subscriber, *, has_new_credentials: bool
    ) -> None:
        """End the pause if the change may have ended its cause."""
        has_other_settings = existing is not None and saved.settings != existing.settings
        if has_other_settings:
            await participants.delete_look_ups(connection, saved.subscriber_id)
        if has_other_settings or has_new_credentials:
            # The same credentials would be refused again, and each sign-in may bring the account nearer to a lock-out.
            await pauses.lift(connection, saved.subscriber_id, credentials_fixed=has_new_credentials)

    def _shown(self, subscriber: Subscriber, pause: Pause | None = None) -> ShownSubscriber:
        return ShownSubscriber(
            subscriber_id=subscriber.subscriber_id,
            name=subscriber.name,
            connector=subscriber.connector,
            settings=KINDS[subscriber.connector].shown_settings(subscriber.settings),
            has_credentials=subscriber.encrypted_credentials is not None,
            credential_fields=self._credential_fields(subscriber),
            credentials_changed_utc=subscriber.credentials_changed_utc,
            created_utc=subscriber.created_utc,
            changed_utc=subscriber.changed_utc,
            archived_utc=subscriber.archived_utc,
            paused=shown_pause(pause) if pause else None,
        )

    def _decrypted(self, stored: Subscriber | None) -> Subscriber | None:
        """The subscriber with its secret settings in clear text; those that cannot be decrypted are None."""
        if stored is None:
            return None
        names = KINDS[stored.connector].secret_settings
        return msgspec.structs.replace(
            stored, settings=self._vault.decrypt_settings(stored.settings, names, tolerant=True)
        )

    def _known_credentials(self, subscriber: Subscriber) -> dict[str, Any]:
        """The credentials as somebody sent them; none if they cannot be decrypted, so that all must be sent anew."""
        if subscriber.encrypted_credentials is None:
            return {}
        try:
            stored = self._vault.decrypt(subscriber.encrypted_credentials)
        except CredentialsUnreadable:
            return {}
        return {name: stored[name] for name in KINDS[subscriber.connector].credential_names(stored)}

    def _credential_fields(self, subscriber: Subscriber) -> list[str]:
        if subscriber.encrypted_credentials is None:
            return []
        try:
            stored = self._vault.decrypt(subscriber.encrypted_credentials)
            return KINDS[subscriber.connector].credential_names(stored)
        except LearningHubError:
            return []


def no_such_subscriber(subscriber_id: str) -> NotFound:
    """The error for a subscriber that does not exist, or that the caller's Programs do not use."""
    return NotFound(f"There is no subscriber {subscriber_id}.")


def connector_differs(subscriber_id: str, connector: str) -> Conflict:
    """The error for a subscriber that is to be of another kind than *connector*."""
    return Conflict(f"{subscriber_id} is of the kind {connector}, which cannot be changed.", code="connector_differs")


async def visible_subscriber(database: Database, caller: Caller, subscriber_id: str) -> Subscriber | None:
    """The subscriber; None if it does not exist, or none of the caller's Programs uses it."""
    subscriber = await subscribers.find(database, subscriber_id)
    is_visible = caller.has_every_program or await subscribers.is_used_by(
        database, subscriber_id, list(caller.programs)
    )
    return subscriber if is_visible else None


async def need_subscriber(database: Database, caller: Caller, subscriber_id: str) -> Subscriber:
    """
    The subscriber, also if it is archived.

    Raises:
        InvalidFields: The id does not have the form of one.
        NotFound: The subscriber does not exist, or the caller's Programs do not use it.
    """
    need_id("SubscriberId", subscriber_id)
    subscriber = await visible_subscriber(database, caller, subscriber_id)
    if subscriber is None:
        raise no_such_subscriber(subscriber_id)
    return subscriber


async def need_subscriber_in_use(database: Database, caller: Caller, subscriber_id: str) -> Subscriber:
    """The subscriber; NotFound also if it is archived."""
    subscriber = await need_subscriber(database, caller, subscriber_id)
    if subscriber.archived_utc is not None:
        raise NotFound(f"The subscriber {subscriber_id} is archived; saving it again restores it.")
    return subscriber


def _for(caller: Caller, shown: ShownSubscriber) -> ShownSubscriber:
    """What the caller may see: an address may hold a secret, which only administrators see."""
    if "admin" in caller.scopes:
        return shown
    return msgspec.structs.replace(shown, settings=KINDS[shown.connector].masked_settings(shown.settings))


def _saved(subscriber: ShownSubscriber, prepared: PreparedCredentials | None) -> SavedSubscriber:
    """The subscriber as it is shown, with the secret that the hub made for it and shows only now."""
    made = prepared.made.get("SigningSecret", UNSET) if prepared else UNSET
    return SavedSubscriber(**msgspec.structs.asdict(subscriber), signing_secret=made)


class _SubscriberSpec:
    """The specification in a PUT; errors are gathered until the stored subscriber is known."""

    def __init__(
        self,
        connector_factory: ConnectorFactory,
        subscriber_id: str,
        fields: Mapping[str, Raw],
        existing: Subscriber | None,
    ) -> None:
        values, errors = collect(fields, SubscriberBody)
        self.errors = id_errors("SubscriberId", subscriber_id) + errors
        self.name: str = values.get("name", "")
        self.connector: str = values.get("connector", "")
        settings = self._object("Settings", fields, values.get("settings"))
        self.settings: dict[str, Any] = settings or {}
        self.credentials = self._object("Credentials", fields, values.get("credentials"))
        bad = {error.field for error in self.errors}
        if "Connector" in bad:
            return
        if objection := connector_factory.check_kind(self.connector):
            self.errors.append(FieldError("Connector", objection))
            return
        if existing is not None and existing.connector == self.connector:
            self.settings = KINDS[self.connector].kept_settings(self.settings, existing.settings)
        if "Settings" not in bad:
            self.errors += not_reported(connector_factory.check_settings(self.connector, self.settings), self.errors)
        if "Credentials" not in bad and self.credentials is not None:
            self.errors += not_reported(KINDS[self.connector].check_credentials(self.credentials), self.errors)

    def need_fit(self, existing: Subscriber | None) -> None:
        """
        Check that this can replace *existing*.

        Raises:
            InvalidFields: With every bad field.
            Conflict: The subscriber is of another kind.
        """
        if (
            self._credentials_are_needed
            and self.credentials is None
            and not (existing and existing.encrypted_credentials)
        ):
            known = any(error.field.partition(".")[0] in ("Credentials", "Connector") for error in self.errors)
            self.errors += [] if known else [FieldError("Credentials", "is required for a new subscriber")]
        if self.errors:
            raise InvalidFields(self.errors)
        if existing and existing.connector != self.connector:
            raise connector_differs(existing.subscriber_id, existing.connector)

    def prepared_credentials(self, existing: Subscriber | None, vault: Vault) -> PreparedCredentials | None:
        """
        The credentials to store; None if the stored ones stay, also because the same were sent again.

        *existing* is locked, so that no change is lost.
        """
        stored = existing.encrypted_credentials if existing else None
        if self.credentials is None and stored is not None:
            return None
        try:
            known = vault.decrypt(stored) if stored else {}
        except CredentialsUnreadable:
            # The new credentials replace those that can no longer be decrypted.
            known = {}
        prepared = KINDS[self.connector].prepare_credentials(self.credentials or {}, known, now())
        return prepared if self._named(prepared.credentials) != self._named(known) else None

    def describes(self, existing: Subscriber) -> bool:
        """Whether *existing* already is as specified, credentials apart."""
        return (
            existing.archived_utc is None
            and self.name == existing.name
            and write_json(self.settings) == write_json(existing.settings)
        )

    def _named(self, credentials: Mapping[str, Any]) -> dict[str, Any]:
        """The credentials without the values that the hub stores with them for itself."""
        return {name: credentials[name] for name in KINDS[self.connector].credential_names(credentials)}

    @property
    def _credentials_are_needed(self) -> bool:
        return self.connector not in KINDS or KINDS[self.connector].needs_credentials

    def _object(self, field: str, fields: Mapping[str, Raw], raw: bytes | None) -> dict[str, Any] | None:
        """The field as far as it is valid; None if it was not sent."""
        if raw is None:
            return valid_members(bytes(fields.get(field, b""))) or None
        if raw.strip() == b"null":
            return None
        value = read_json(raw)
        if isinstance(value, dict):
            return value
        self.errors.append(FieldError(field, "must be an object"))
        return None
