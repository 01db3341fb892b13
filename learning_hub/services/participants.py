"""Participants: match a publisher's participant with a contact of a subscriber by hand, if the lookup fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from learning_hub.connectors.kinds import KINDS
from learning_hub.model.caller import Caller
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, NotFound, gathered
from learning_hub.model.fields import NOT_BLANK, collect
from learning_hub.model.pagination import Limit, Listing, Page
from learning_hub.model.participant import Participant
from learning_hub.model.participant_id import participant_key
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.subscriber import Subscriber
from learning_hub.services.programs import need_program
from learning_hub.services.requeue import requeue
from learning_hub.services.subscribers import need_subscriber
from learning_hub.store import audit, deliveries, participants
from learning_hub.store.database import Connection, Database
from learning_hub.store.notifications import Notifications

LISTING = Listing("participants", ordered_by="position")
LONGEST_ID = 200
REQUEUED_AT_ONCE = 1000
# For deliveries that failed without the id just before the match, and are parked just after it.
UNDER_WAY_SECONDS = 1.0
POLL_SECONDS = 0.1

PROGRAM_NEEDED = InvalidFields([FieldError("ProgramId", "is required")])

ProgramIdParameter = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=25,
        description="The Program of the participant; required unless the key has one Program.",
    ),
]


class ParticipantQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The Program of the participant, and the publisher system."""

    program_id: ProgramIdParameter | None = None
    publisher_system_id: (
        Annotated[str, Meta(min_length=1, max_length=25, description="Only for this system; left out: for all.")] | None
    ) = None


class ParticipantsQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The Program whose participants are listed, and how many."""

    program_id: ProgramIdParameter | None = None
    limit: Limit = 100
    # Longer than others: a participant's id may have 200 characters of any alphabet.
    cursor: Annotated[str, Meta(max_length=3000, description="NextCursor of the previous page.")] | None = None


class ParticipantBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The match of a participant."""

    subscriber_participant_id: Annotated[
        str,
        Meta(min_length=1, max_length=200, pattern=NOT_BLANK, description="The participant's id at the subscriber."),
    ]


class MatchedParticipant(Participant, frozen=True, kw_only=True, rename="pascal"):
    """A matched participant, and how many parked deliveries were requeued."""

    requeued: int


class ParticipantMatches:
    """What staff do with participants at subscribers."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications

    async def match(
        self,
        caller: Caller,
        subscriber_id: str,
        participant_id: str,
        query: ParticipantQuery,
        fields: Mapping[str, Raw],
        precondition: Precondition = NO_PRECONDITION,
    ) -> MatchedParticipant:
        """
        Match a participant with a contact of a subscriber, and requeue the participant's parked deliveries.

        Args:
            caller: The person who decides.
            subscriber_id: The subscriber.
            participant_id: The publisher's id of the participant.
            query: The Program, and the system if the match is for one system only.
            fields: The fields of a ParticipantBody, as sent.
            precondition: What must hold of what is remembered before.

        Raises:
            InvalidFields: With every bad field.
            PreconditionFailed: The precondition does not hold.
            NotAllowed, NotFound, InvalidInput: As for `get`.
        """
        errors: list[FieldError] = []
        who = None
        with gathered(errors):
            who = await self._read(caller, subscriber_id, participant_id, query)
        values, field_errors = collect(fields, ParticipantBody)
        if errors or field_errors or who is None:
            raise InvalidFields(errors + field_errors)
        subscriber_participant_id = ParticipantBody(**values).subscriber_participant_id.strip()
        matched, requeued, are_under_way = await self._store(caller, who, subscriber_participant_id, precondition)
        if are_under_way:
            requeued += await self._requeue_late(caller, who)
        return MatchedParticipant(**msgspec.structs.asdict(matched), requeued=requeued)

    async def page(self, caller: Caller, subscriber_id: str, query: ParticipantsQuery) -> Page[Participant]:
        """The participants matched by hand at a subscriber, ordered by id, without those that were looked up."""
        program_id = _program_of(caller, query.program_id)
        subscriber = await need_subscriber(self._database, caller, subscriber_id)
        await need_program(self._database, caller, program_id)
        after = _read_cursor(query.cursor)
        found = await participants.page_of_matches(
            self._database, subscriber.subscriber_id, program_id, after, query.limit + 1
        )
        return LISTING.page(found, query.limit)

    async def get(
        self, caller: Caller, subscriber_id: str, participant_id: str, query: ParticipantQuery
    ) -> Participant:
        """
        The remembered match of a participant: made by hand, or by a lookup that has not expired.

        Raises:
            NotAllowed: The key is not for the Program.
            InvalidFields: The Program is missing or unknown, or the id does not have the form of one.
            NotFound: The subscriber does not exist, or nothing is remembered.
            InvalidInput: Subscribers of this kind have no participants of their own.
        """
        who = await self._read(caller, subscriber_id, participant_id, query)
        async with self._database.connection() as connection:
            found = await who.remembered(connection)
        if not found:
            raise nothing_remembered(participant_id)
        return found[0]

    async def forget(
        self,
        caller: Caller,
        subscriber_id: str,
        participant_id: str,
        query: ParticipantQuery,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Forget the match of a participant, so that it is looked up again; without a system, for every system."""
        who = await self._read(caller, subscriber_id, participant_id, query)
        async with self._database.transaction() as connection:
            await who.need(connection, precondition)
            forgotten = await participants.delete(
                connection,
                subscriber_id=who.subscriber_id,
                program_id=who.program_id,
                publisher_system_id=who.publisher_system_id,
                publisher_participant_id=who.publisher_participant_id,
            )
            for before in forgotten:
                await audit.write(connection, caller, "forget", "participant", who.audit_id, before=before, after=None)

    async def _store(
        self, caller: Caller, who: _Who, subscriber_participant_id: str, precondition: Precondition
    ) -> tuple[Participant, int, bool]:
        """The match as stored, how many deliveries were requeued with it, and whether others are under way."""
        async with self._database.transaction() as connection:
            await who.need(connection, precondition)
            before = await who.remembered(connection)
            matched = await participants.save_match(
                connection,
                subscriber_id=who.subscriber_id,
                program_id=who.program_id,
                publisher_system_id=who.publisher_system_id,
                publisher_participant_id=who.publisher_participant_id,
                subscriber_participant_id=subscriber_participant_id,
                settled_by=caller.key_id,
            )
            existing = next((each for each in before if each.publisher_system_id == who.publisher_system_id), None)
            await audit.write(connection, caller, "settle", "participant", who.audit_id, before=existing, after=matched)
            requeued, are_under_way = await _requeue(connection, caller, who)
        self._notifications.notify(self._notifications.deliveries)
        return matched, requeued, are_under_way

    async def _requeue_late(self, caller: Caller, who: _Who) -> int:
        """Requeue deliveries that attempts from before the match park without the id, until those attempts end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + UNDER_WAY_SECONDS
        total, are_under_way = 0, True
        while are_under_way and loop.time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            async with self._database.transaction() as connection:
                requeued, are_under_way = await _requeue(connection, caller, who)
            total += requeued
            self._notifications.notify(self._notifications.deliveries)
        return total

    async def _read(self, caller: Caller, subscriber_id: str, participant_id: str, query: ParticipantQuery) -> _Who:
        errors: list[FieldError] = []
        program_id = ""
        with gathered(errors):
            program_id = _program_of(caller, query.program_id)
        subscriber = await need_subscriber(self._database, caller, subscriber_id)
        if program_id:
            with gathered(errors):
                await need_program(self._database, caller, program_id)
        _need_participants(subscriber)
        with gathered(errors):
            _need_valid_id(participant_id)
        if errors:
            raise InvalidFields(errors)
        return _Who(
            subscriber_id=subscriber.subscriber_id,
            program_id=program_id,
            publisher_system_id=query.publisher_system_id,
            publisher_participant_id=participant_id,
        )


class _Who(msgspec.Struct, frozen=True, kw_only=True):
    """The participant of a request."""

    subscriber_id: str
    program_id: str
    publisher_system_id: str | None
    publisher_participant_id: str

    @property
    def audit_id(self) -> str:
        """The object id in the audit log, in the spelling of the request."""
        return f"{self.subscriber_id}/{self.program_id}/{self.publisher_participant_id}"

    async def need(self, connection: Connection, precondition: Precondition) -> None:
        """Check *precondition* against what is remembered; no other request changes it until the transaction ends."""
        # Without the lock, two requests with two spellings of the id could each delete the row that the other one adds.
        await participants.lock(
            connection, f"{self.subscriber_id}/{self.program_id}/{participant_key(self.publisher_participant_id)}"
        )
        if precondition:
            precondition.check(*(each.tag for each in (await self.remembered(connection))[:1]))

    async def remembered(self, connection: Connection) -> list[Participant]:
        """All remembered matches of the participant, in order of precedence."""
        return await participants.find_all(
            connection,
            subscriber_id=self.subscriber_id,
            program_id=self.program_id,
            publisher_system_id=self.publisher_system_id,
            publisher_participant_id=self.publisher_participant_id,
        )


def participants_not_supported(kind: str) -> InvalidInput:
    """The error for subscribers of a kind that takes participants as the publisher names them."""
    return InvalidInput(
        f"A subscriber of the kind {kind} takes participants as the publisher names them; none has to be matched.",
        code="not_supported",
    )


def nothing_remembered(participant_id: str) -> NotFound:
    """The error if the hub remembers no match of a participant at a subscriber."""
    return NotFound(f"Nothing is remembered of {participant_id} there.")


def _program_of(caller: Caller, program_id: str | None) -> str:
    """The Program of the request, which the key must be for; whether it exists is checked later."""
    program_id = program_id or caller.only_program()
    if program_id is None:
        raise PROGRAM_NEEDED
    caller.need_program(program_id)
    return program_id


def _need_participants(subscriber: Subscriber) -> None:
    kind = KINDS.get(subscriber.connector)
    if kind is None or not kind.resolves_participants:
        raise participants_not_supported(subscriber.connector)


def _need_valid_id(participant_id: str) -> None:
    if len(participant_id) > LONGEST_ID:
        raise InvalidFields([FieldError("PublisherParticipantId", f"must have at most {LONGEST_ID} characters")])
    if "\0" in participant_id:
        raise InvalidFields([FieldError("PublisherParticipantId", "must not have the character NUL")])


async def _requeue(connection: Connection, caller: Caller, who: _Who) -> tuple[int, bool]:
    """Requeue the participant's parked deliveries; how many, and whether others are under way."""
    found = await deliveries.of_participant(
        connection,
        subscriber_id=who.subscriber_id,
        program_id=who.program_id,
        publisher_system_id=who.publisher_system_id,
        publisher_participant_id=who.publisher_participant_id,
    )
    requeued = 0
    parked = DeliveryFilter(state="parked", subscriber_id=who.subscriber_id, class_="identity")
    for start in range(0, len(found.parked), REQUEUED_AT_ONCE):
        some = found.parked[start : start + REQUEUED_AT_ONCE]
        changed = await requeue(connection, caller, parked, some)
        requeued += sum(each.now.state == "waiting" for each in changed)
    return requeued, found.are_under_way


def _read_cursor(cursor: str | None) -> tuple[str, str]:
    text = LISTING.after(cursor)
    if not text:
        return "", ""
    try:
        return msgspec.json.decode(text, type=tuple[str, str])
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise LISTING.foreign() from None
