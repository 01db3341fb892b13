"""Subscribers over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from learning_hub.api.call import Call
from learning_hub.api.lists import Listing, Page, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS, id_faults, id_in_path
from learning_hub.api.routing import route
from learning_hub.api.subscriptions import archive_all
from learning_hub.connectors.base import Prepared
from learning_hub.connectors.registry import KINDS
from learning_hub.model.audit import Action
from learning_hub.model.circuit_breaker import Pause
from learning_hub.model.circuit_breaker import shown as shown_pause
from learning_hub.model.clock import now
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, LearningHubError, NotFound
from learning_hub.model.fields import collect, not_told, sound_members
from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.subscriber import SavedSubscriber, ShownSubscriber, Subscriber, SubscriberBody
from learning_hub.store import audit, participants, pauses, subscribers
from learning_hub.store.vault import CredentialsUnreadable, KeysMissing, Vault

LISTING = Listing("subscribers", ordered_by="subscriber_id")
EXAMPLE_SETTINGS = {
    "BaseUrl": "https://members.example.org",
    "TimeZone": "America/New_York",
    "ParticipantLookup": "email",
}
EXAMPLE_BODY = {
    "Name": "Association iMIS",
    "Connector": "imis",
    "Settings": EXAMPLE_SETTINGS,
    "Credentials": {"Username": "learning-hub", "Password": "(the password)"},
}
EXAMPLE = {
    "SubscriberId": "imis",
    "Name": "Association iMIS",
    "Connector": "imis",
    "Settings": EXAMPLE_SETTINGS,
    "HasCredentials": True,
    "CredentialFields": ["Username", "Password"],
    "CredentialsChangedUtc": "2026-11-22T08:00:00Z",
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "ChangedUtc": "2026-11-22T08:00:00Z",
    "ArchivedUtc": None,
    "Paused": None,
}
NO_SUCH_SUBSCRIBER = NotFound(f"There is no subscriber {ID_FORMS['SubscriberId'].example}.")


@route(
    Operation(
        method="PUT",
        path="/subscribers/{SubscriberId}",
        operation_id="putSubscriber",
        summary="Make or change a subscriber",
        description=(
            "For iMIS, Settings are BaseUrl, TimeZone, ParticipantLookup, MaxConcurrency and ActivityKeyProperty, and "
            "Credentials either Username and Password or ClientId, ClientSecret and RefreshToken. For a webhook, "
            "Settings are Url, Headers, TimeZone and MaxConcurrency, and Credentials SigningSecret and Token, both "
            "optional: a SigningSecret that was never given is made by the hub, and is in this answer alone; a new one "
            "signs together with the one before for 24 hours. For LearningBuilder, Settings are BaseUrl, SuccessEmail, "
            "FailureEmail and TimeZone, and Credentials ApiKey. A PUT without Credentials keeps them, and the "
            "same ones again change nothing: they lift no pause for refused credentials. The kind of system cannot be "
            "changed."
        ),
        tag="Setting up",
        scopes=("admin",),
        body=SubscriberBody,
        body_example=EXAMPLE_BODY,
        answers=(
            Answer(status=201, meaning="It was made.", body=SavedSubscriber, example=EXAMPLE),
            Answer(status=200, meaning="It was there, and is like this now.", body=SavedSubscriber, example=EXAMPLE),
        ),
        errors=(
            Conflict("imis is of the kind webhook, which cannot be changed.", code="connector_differs"),
            KeysMissing("There is no Fernet key in secret.key."),
        ),
    )
)
async def put_subscriber(call: Call) -> Reply:
    fields = await call.fields()
    values, errors = collect(fields, SubscriberBody)
    wanted = _Wanted(call, fields, values, id_faults(call, "SubscriberId") + errors)
    subscriber_id = call.path["SubscriberId"]
    vault = call.hub.vault
    async with call.hub.database.transaction() as connection:
        await subscribers.lock(connection, subscriber_id)
        there = await subscribers.find(connection, subscriber_id)
        wanted.need_fit(there)
        prepared = wanted.prepared(there, vault)
        if there and prepared is None and wanted.describes(there):
            return Reply(body=shown(there, vault, await pauses.find(connection, subscriber_id)))
        put = await subscribers.put(
            connection,
            subscriber_id,
            name=wanted.name,
            connector=wanted.connector,
            settings=wanted.settings,
            encrypted_credentials=None if prepared is None else vault.encrypt(prepared.credentials),
            max_concurrency=KINDS[wanted.connector].max_concurrency(wanted.settings),
        )
        has_other_settings = there is not None and put.settings != there.settings
        if has_other_settings:
            await participants.forget_looked_up(connection, subscriber_id)
        if has_other_settings or prepared is not None:
            # The same credentials again are as refused as before, and each sign-in may bring a lock-out nearer.
            await pauses.lift(connection, subscriber_id, credentials_mended=prepared is not None)
        action: Action = "update" if there else "create"
        before, after = (shown(there, vault) if there else None), shown(put, vault)
        await audit.write(connection, call.caller, action, "subscriber", subscriber_id, before=before, after=after)
        pause = await pauses.find(connection, subscriber_id)
    call.hub.notifications.notify(call.hub.notifications.deliveries)
    return Reply(status=200 if there else 201, body=_saved(shown(put, vault, pause), prepared))


@route(
    Operation(
        method="GET",
        path="/subscribers",
        operation_id="listSubscribers",
        summary="List subscribers",
        tag="Setting up",
        scopes=("process", "staff", "admin"),
        query=PageQuery,
        answers=(
            Answer(
                status=200,
                meaning="Subscribers by id; with a key for some Programs, those that get events of them.",
                body=Page[ShownSubscriber],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
    )
)
async def list_subscribers(call: Call) -> Reply:
    query = call.query(PageQuery)
    within = None if call.caller.has_every_program else list(call.caller.programs)
    after = LISTING.after(query.cursor)
    found = await subscribers.page(call.hub.database, within, after, query.limit + 1)
    there = await pauses.of(call.hub.database, [one.subscriber_id for one in found])
    items = [shown(one, call.hub.vault, there.get(one.subscriber_id)) for one in found]
    return Reply(body=LISTING.page(items, query.limit))


@route(
    Operation(
        method="GET",
        path="/subscribers/{SubscriberId}",
        operation_id="getSubscriber",
        summary="Read a subscriber, without its credentials",
        tag="Setting up",
        scopes=("process", "staff", "admin"),
        answers=(Answer(status=200, meaning="The subscriber.", body=ShownSubscriber, example=EXAMPLE),),
        errors=(NO_SUCH_SUBSCRIBER,),
    )
)
async def get_subscriber(call: Call) -> Reply:
    subscriber = await need_subscriber(call)
    pause = await pauses.find(call.hub.database, subscriber.subscriber_id)
    return Reply(body=shown(subscriber, call.hub.vault, pause))


@route(
    Operation(
        method="DELETE",
        path="/subscribers/{SubscriberId}",
        operation_id="archiveSubscriber",
        summary="Archive a subscriber: it gets nothing more, its history stays",
        description="Its subscriptions are archived with it. A PUT brings it back, its subscriptions one by one.",
        tag="Setting up",
        scopes=("admin",),
        answers=(Answer(status=204, meaning="It is archived, now or before."),),
        errors=(NO_SUCH_SUBSCRIBER,),
    )
)
async def archive_subscriber(call: Call) -> Reply:
    there = await need_subscriber(call)
    subscriber_id = there.subscriber_id
    async with call.hub.database.transaction() as connection:
        await subscribers.lock(connection, subscriber_id)
        there = await subscribers.find(connection, subscriber_id) or there
        after = await subscribers.archive(connection, subscriber_id)
        if after and there.archived_utc is None:
            before, then = shown(there, call.hub.vault), shown(after, call.hub.vault)
            await audit.write(
                connection, call.caller, "archive", "subscriber", subscriber_id, before=before, after=then
            )
        await archive_all(connection, call.caller, subscriber_id=subscriber_id)
    return Reply(status=204)


def shown(subscriber: Subscriber, vault: Vault, pause: Pause | None = None) -> ShownSubscriber:
    """The subscriber as it may be shown."""
    return ShownSubscriber(
        subscriber_id=subscriber.subscriber_id,
        name=subscriber.name,
        connector=subscriber.connector,
        settings=subscriber.settings,
        has_credentials=subscriber.encrypted_credentials is not None,
        credential_fields=_credential_fields(subscriber, vault),
        credentials_changed_utc=subscriber.credentials_changed_utc,
        created_utc=subscriber.created_utc,
        changed_utc=subscriber.changed_utc,
        archived_utc=subscriber.archived_utc,
        paused=shown_pause(pause) if pause else None,
    )


def _saved(subscriber: ShownSubscriber, prepared: Prepared | None) -> SavedSubscriber:
    """The subscriber as it is shown, with what the hub made for it and shows this once."""
    made = prepared.made.get("SigningSecret", UNSET) if prepared else UNSET
    return SavedSubscriber(**msgspec.structs.asdict(subscriber), signing_secret=made)


def _credential_fields(subscriber: Subscriber, vault: Vault) -> list[str]:
    if subscriber.encrypted_credentials is None:
        return []
    try:
        return KINDS[subscriber.connector].credential_names(vault.decrypt(subscriber.encrypted_credentials))
    except LearningHubError:
        return []


async def visible_subscriber(call: Call, subscriber_id: str) -> Subscriber | None:
    """The subscriber, unless the key's Programs have nothing to do with it."""
    database = call.hub.database
    subscriber = await subscribers.find(database, subscriber_id)
    is_visible = call.caller.has_every_program or await subscribers.is_used_by(
        database, subscriber_id, list(call.caller.programs)
    )
    return subscriber if is_visible else None


async def need_subscriber(call: Call) -> Subscriber:
    """The subscriber of the path; one that the key's Programs have nothing to do with is not there for it."""
    subscriber_id = id_in_path(call, "SubscriberId")
    subscriber = await visible_subscriber(call, subscriber_id)
    if subscriber is None:
        raise NotFound(f"There is no subscriber {subscriber_id}.")
    return subscriber


class _Wanted:
    """What a PUT asks for; its errors are gathered until what is there is known."""

    def __init__(self, call: Call, fields: Mapping[str, Raw], values: dict[str, Any], errors: list[FieldError]) -> None:
        self.errors = errors
        self.name: str = values.get("name", "")
        self.connector: str = values.get("connector", "")
        settings = self._object("Settings", fields, values.get("settings"))
        self.settings: dict[str, Any] = settings or {}
        self.credentials = self._object("Credentials", fields, values.get("credentials"))
        bad = {error.field for error in errors}
        if "Connector" in bad:
            return
        if objection := call.hub.registry.check_kind(self.connector):
            errors.append(FieldError("Connector", objection))
            return
        if "Settings" not in bad:
            errors += not_told(call.hub.registry.check_settings(self.connector, self.settings), errors)
        if "Credentials" not in bad and self.credentials is not None:
            errors += not_told(KINDS[self.connector].check_credentials(self.credentials), errors)

    def need_fit(self, there: Subscriber | None) -> None:
        """
        Go on only if this can be saved over *there*.

        Raises:
            InvalidFields: With every bad field.
            Conflict: The subscriber is of another kind.
        """
        if self._are_needed and self.credentials is None and not (there and there.encrypted_credentials):
            known = any(error.field.partition(".")[0] in ("Credentials", "Connector") for error in self.errors)
            self.errors += [] if known else [FieldError("Credentials", "is required for a new subscriber")]
        if self.errors:
            raise InvalidFields(self.errors)
        if there and there.connector != self.connector:
            raise Conflict(
                f"{there.subscriber_id} is of the kind {there.connector}, which cannot be changed.",
                code="connector_differs",
            )

    def prepared(self, there: Subscriber | None, vault: Vault) -> Prepared | None:
        """
        The credentials to store, None where those there are kept, also where the same were sent again.

        *there* is locked, so that no change is lost.
        """
        stored = there.encrypted_credentials if there else None
        if self.credentials is None and stored is not None:
            return None
        try:
            known = vault.decrypt(stored) if stored else {}
        except CredentialsUnreadable:
            # What is saved now takes the place of what nobody can read any more.
            known = {}
        prepared = KINDS[self.connector].prepare_credentials(self.credentials or {}, known, now())
        return prepared if self._named(prepared.credentials) != self._named(known) else None

    def _named(self, credentials: Mapping[str, Any]) -> dict[str, Any]:
        """Without what the hub keeps beside them for itself."""
        return {name: credentials[name] for name in KINDS[self.connector].credential_names(credentials)}

    @property
    def _are_needed(self) -> bool:
        return self.connector not in KINDS or KINDS[self.connector].needs_credentials

    def describes(self, there: Subscriber) -> bool:
        """Whether *there* already is what is wanted, credentials apart."""
        return (
            there.archived_utc is None
            and self.name == there.name
            and write_json(self.settings) == write_json(there.settings)
        )

    def _object(self, field: str, fields: Mapping[str, Raw], raw: bytes | None) -> dict[str, Any] | None:
        """The field as far as it can be judged, None where there is none."""
        if raw is None:
            return sound_members(bytes(fields.get(field, b""))) or None
        if raw.strip() == b"null":
            return None
        value = read_json(raw)
        if isinstance(value, dict):
            return value
        self.errors.append(FieldError(field, "must be an object"))
        return None


ROUTES = (put_subscriber, list_subscribers, get_subscriber, archive_subscriber)
