"""Participants over HTTP: who a publisher's participant is at a subscriber, settled by hand where a look-up fails."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.lists import Limit, Listing, Page
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS
from learning_hub.api.programs import need_program
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER, need_subscriber
from learning_hub.connectors.registry import KINDS
from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, NotFound, gathered
from learning_hub.model.fields import NOT_BLANK, collect
from learning_hub.model.participant import Participant
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import audit, deliveries, participants
from learning_hub.store.database import Connection
from learning_hub.store.deliveries import DeliveryFilter

LISTING = Listing("participants", ordered_by="place")
REQUEUED_AT_ONCE = 1000
# For deliveries that had failed for want of the id just before it was settled, and are parked just after it.
UNDER_WAY_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.1

EXAMPLE: dict[str, Any] = {
    "SubscriberId": "imis",
    "ProgramId": "NURSES",
    "PublisherSystemId": None,
    "PublisherParticipantId": ID_FORMS["PublisherParticipantId"].example,
    "SubscriberParticipantId": "12345",
    "SettledBy": "01KAN3S8E0QW5V8GJ1T2Z9RX4M",
    "ChangedUtc": "2026-11-22T08:00:00Z",
    "ExpiresUtc": None,
}
UNKNOWN = NotFound(f"Nothing is remembered of {ID_FORMS['PublisherParticipantId'].example} there.")
PROGRAM_NEEDED = InvalidFields([FieldError("ProgramId", "is required")])

ProgramIdParameter = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=25,
        description="Whose participant it is; needed unless the key has one Program.",
    ),
]


def _not_supported(kind: str) -> InvalidInput:
    return InvalidInput(
        f"A subscriber of the kind {kind} takes participants as the publisher names them; there is none to settle.",
        code="not_supported",
    )


class ParticipantQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which Program's participant, and of which of its systems."""

    program_id: ProgramIdParameter | None = None
    publisher_system_id: (
        Annotated[str, Meta(min_length=1, max_length=25, description="Of this system alone; left out: of all.")] | None
    ) = None


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which Program's participants are listed, and how many."""

    program_id: ProgramIdParameter | None = None
    limit: Limit = 100
    # Longer than others: a participant's id may have 200 characters of any alphabet.
    cursor: Annotated[str, Meta(max_length=3000, description="NextCursor of the page before.")] | None = None


class ParticipantBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Who the participant is."""

    subscriber_participant_id: Annotated[
        str,
        Meta(min_length=1, max_length=200, pattern=NOT_BLANK, description="The participant's id at the subscriber."),
    ]


class SettledParticipant(Participant, frozen=True, kw_only=True, rename="pascal"):
    """A participant as it was settled, and how many parked deliveries were put back."""

    requeued: int


@route(
    Operation(
        method="PUT",
        path="/subscribers/{SubscriberId}/participants/{PublisherParticipantId}",
        operation_id="settleParticipant",
        summary="Settle who a participant is at a subscriber, and put the person's parked deliveries back",
        description="It counts until it is changed, before anything that is looked up; what is settled for one system "
        "counts before what is settled for all. The id in the address is percent-encoded.",
        tag="Delivering",
        scopes=("process", "staff"),
        query=ParticipantQuery,
        body=ParticipantBody,
        body_example={"SubscriberParticipantId": "12345"},
        answers=(
            Answer(
                status=200,
                meaning="It is settled, now or before.",
                body=SettledParticipant,
                example=EXAMPLE | {"Requeued": 3},
            ),
        ),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, PROGRAM_NEEDED, _not_supported("webhook")),
    )
)
async def match_participant(call: Call) -> Reply:
    who, subscriber_participant_id = await _read(call)
    async with call.hub.database.transaction() as connection:
        before = await who.remembered(connection)
        settled = await participants.match(
            connection,
            subscriber_id=who.subscriber_id,
            program_id=who.program_id,
            publisher_system_id=who.publisher_system_id,
            publisher_participant_id=who.publisher_participant_id,
            subscriber_participant_id=subscriber_participant_id,
            settled_by=call.caller.key_id,
        )
        there = next((one for one in before if one.publisher_system_id == who.publisher_system_id), None)
        await audit.write(connection, call.caller, "settle", "participant", who.object_id, before=there, after=settled)
        requeued, are_under_way = await _put_back(call, connection, who)
    call.hub.notifications.notify(call.hub.notifications.deliveries)
    deadline = asyncio.get_running_loop().time() + UNDER_WAY_SECONDS
    while are_under_way and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        async with call.hub.database.transaction() as connection:
            more, are_under_way = await _put_back(call, connection, who)
        requeued += more
        call.hub.notifications.notify(call.hub.notifications.deliveries)
    return Reply(body=SettledParticipant(**msgspec.structs.asdict(settled), requeued=requeued))


@route(
    Operation(
        method="GET",
        path="/subscribers/{SubscriberId}/participants",
        operation_id="listParticipants",
        summary="List the participants settled by hand at a subscriber",
        tag="Delivering",
        scopes=("process", "staff"),
        query=ListQuery,
        answers=(
            Answer(
                status=200,
                meaning="A page of participants, by their id; those looked up are not among them.",
                body=Page[Participant],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, PROGRAM_NEEDED),
    )
)
async def list_participants(call: Call) -> Reply:
    query = call.query(ListQuery)
    program_id = _program_named(call, query.program_id)
    subscriber = await need_subscriber(call)
    await need_program(call, program_id)
    after = _read_cursor(query.cursor)
    found = await participants.page(call.hub.database, subscriber.subscriber_id, program_id, after, query.limit + 1)
    return Reply(body=LISTING.page(found, query.limit))


@route(
    Operation(
        method="GET",
        path="/subscribers/{SubscriberId}/participants/{PublisherParticipantId}",
        operation_id="getParticipant",
        summary="Read who a participant is at a subscriber, as far as is remembered",
        description="As settled by hand, or as looked up and not expired; nobody is asked.",
        tag="Delivering",
        scopes=("process", "staff"),
        query=ParticipantQuery,
        answers=(Answer(status=200, meaning="The participant.", body=Participant, example=EXAMPLE),),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, UNKNOWN, PROGRAM_NEEDED, _not_supported("webhook")),
    )
)
async def get_participant(call: Call) -> Reply:
    who = await _Who.read(call)
    async with call.hub.database.connection() as connection:
        found = await who.remembered(connection)
    if not found:
        raise NotFound(f"Nothing is remembered of {who.publisher_participant_id} there.")
    return Reply(body=found[0])


@route(
    Operation(
        method="DELETE",
        path="/subscribers/{SubscriberId}/participants/{PublisherParticipantId}",
        operation_id="forgetParticipant",
        summary="Forget who a participant is at a subscriber: it is looked up again",
        description="Without PublisherSystemId for every system, also what was settled for one.",
        tag="Delivering",
        scopes=("process", "staff"),
        query=ParticipantQuery,
        answers=(Answer(status=204, meaning="Nothing is remembered of it, now or before."),),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, PROGRAM_NEEDED, _not_supported("webhook")),
    )
)
async def forget_participant(call: Call) -> Reply:
    who = await _Who.read(call)
    async with call.hub.database.transaction() as connection:
        for before in await participants.forget(
            connection,
            subscriber_id=who.subscriber_id,
            program_id=who.program_id,
            publisher_system_id=who.publisher_system_id,
            publisher_participant_id=who.publisher_participant_id,
        ):
            await audit.write(
                connection, call.caller, "forget", "participant", who.object_id, before=before, after=None
            )
    return Reply(status=204)


async def _read(call: Call) -> tuple[_Who, str]:
    """
    Whom the request is about, and who that is at the subscriber.

    Raises:
        InvalidFields: With every bad field of address and body.
    """
    errors: list[FieldError] = []
    who = None
    with gathered(errors):
        who = await _Who.read(call)
    values, faults = collect(await call.fields(), ParticipantBody)
    if errors or faults or who is None:
        raise InvalidFields(errors + faults)
    return who, ParticipantBody(**values).subscriber_participant_id.strip()


class _Who(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a request is about."""

    subscriber_id: str
    program_id: str
    publisher_system_id: str | None
    publisher_participant_id: str

    @classmethod
    async def read(cls, call: Call) -> _Who:
        """
        The participant of the path and the query.

        Raises:
            NotFound: There is no such subscriber.
            NotAllowed: The key is not for the Program.
            InvalidFields: The Program is missing or unknown, or the id has not the form of one.
            InvalidInput: Subscribers of this kind have no participants of their own.
        """
        query = call.query(ParticipantQuery)
        errors: list[FieldError] = []
        program_id = ""
        with gathered(errors):
            program_id = _program_named(call, query.program_id)
        subscriber = await need_subscriber(call)
        if program_id:
            with gathered(errors):
                await need_program(call, program_id)
        _need_participants(subscriber)
        with gathered(errors):
            _need_participant_in_path(call)
        if errors:
            raise InvalidFields(errors)
        return cls(
            subscriber_id=subscriber.subscriber_id,
            program_id=program_id,
            publisher_system_id=query.publisher_system_id,
            publisher_participant_id=call.path["PublisherParticipantId"],
        )

    @property
    def object_id(self) -> str:
        """What the audit log calls it."""
        return f"{self.subscriber_id}/{self.program_id}/{self.publisher_participant_id}"

    async def remembered(self, connection: Connection) -> list[Participant]:
        """All that is remembered of it, what counts first."""
        return await participants.all_of(
            connection,
            subscriber_id=self.subscriber_id,
            program_id=self.program_id,
            publisher_system_id=self.publisher_system_id,
            publisher_participant_id=self.publisher_participant_id,
        )


def _program_named(call: Call, program_id: str | None) -> str:
    """The Program that is meant; whether the key is for it comes before what there is."""
    program_id = program_id or call.caller.only_program()
    if program_id is None:
        raise PROGRAM_NEEDED
    call.caller.need_program(program_id)
    return program_id


def _need_participants(subscriber: Subscriber) -> None:
    kind = KINDS.get(subscriber.connector)
    if kind is None or not kind.resolves_participants:
        raise _not_supported(subscriber.connector)


def _need_participant_in_path(call: Call) -> None:
    publisher_participant_id = call.path["PublisherParticipantId"]
    if len(publisher_participant_id) > ID_FORMS["PublisherParticipantId"].max_length:
        raise InvalidFields([FieldError("PublisherParticipantId", "must have at most 200 characters")])
    if "\0" in publisher_participant_id:
        raise InvalidFields([FieldError("PublisherParticipantId", "must not have the character NUL")])


async def _put_back(call: Call, connection: Connection, who: _Who) -> tuple[int, bool]:
    """Put the person's parked deliveries back; how many, and whether others are under way."""
    found = await deliveries.of_participant(
        connection,
        subscriber_id=who.subscriber_id,
        program_id=who.program_id,
        publisher_system_id=who.publisher_system_id,
        publisher_participant_id=who.publisher_participant_id,
    )
    requeued = 0
    wanted = DeliveryFilter(state="parked", subscriber_id=who.subscriber_id, class_="identity")
    for at in range(0, len(found.parked), REQUEUED_AT_ONCE):
        some = found.parked[at : at + REQUEUED_AT_ONCE]
        changed = await deliveries.requeue(connection, wanted, only=some, limit=len(some))
        entries = [audit.Change(one.now.delivery_id, one.before, one.now.standing) for one in changed]
        await audit.write_many(connection, call.caller, "requeue", "delivery", entries)
        requeued += sum(one.now.state == "waiting" for one in changed)
    return requeued, found.are_under_way


def _read_cursor(cursor: str | None) -> tuple[str, str]:
    text = LISTING.after(cursor)
    if not text:
        return "", ""
    try:
        return msgspec.json.decode(text, type=tuple[str, str])
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise LISTING.foreign() from None


ROUTES = (match_participant, list_participants, get_participant, forget_participant)
