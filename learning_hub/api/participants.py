"""Participants over HTTP: match a publisher's participant with a contact of a subscriber by hand."""

from __future__ import annotations

from typing import Any

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER
from learning_hub.model.pagination import Page
from learning_hub.model.participant import Participant
from learning_hub.services.participants import (
    PROGRAM_NEEDED,
    MatchedParticipant,
    ParticipantBody,
    ParticipantMatches,
    ParticipantQuery,
    ParticipantsQuery,
    nothing_remembered,
    participants_not_supported,
)

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
NOT_SUPPORTED = participants_not_supported("webhook")
UNKNOWN = nothing_remembered(ID_FORMS["PublisherParticipantId"].example)

MATCH_PARTICIPANT = Operation(
    method="PUT",
    path="/subscribers/{SubscriberId}/participants/{PublisherParticipantId}",
    operation_id="settleParticipant",
    summary="Match a participant with a subscriber's contact, and requeue the participant's parked deliveries",
    description="The match is valid until it is changed, and takes precedence over a lookup; a match for one publisher "
    "system takes precedence over a match for all systems. The id in the address is percent-encoded.",
    tag="Delivering",
    is_conditional=True,
    scopes=("process", "staff"),
    query=ParticipantQuery,
    body=ParticipantBody,
    body_example={"SubscriberParticipantId": "12345"},
    responses=(
        ResponseSpec(
            status=200,
            meaning="The participant is matched, by this request or an earlier one.",
            body=MatchedParticipant,
            example=EXAMPLE | {"Requeued": 3},
        ),
    ),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, PROGRAM_NEEDED, NOT_SUPPORTED),
)
LIST_PARTICIPANTS = Operation(
    method="GET",
    path="/subscribers/{SubscriberId}/participants",
    operation_id="listParticipants",
    summary="List the participants matched by hand at a subscriber",
    tag="Delivering",
    scopes=("process", "staff"),
    query=ParticipantsQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="A page of participants, ordered by id, without those that were looked up.",
            body=Page[Participant],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, PROGRAM_NEEDED),
)
GET_PARTICIPANT = Operation(
    method="GET",
    path="/subscribers/{SubscriberId}/participants/{PublisherParticipantId}",
    operation_id="getParticipant",
    summary="Read the remembered match of a participant at a subscriber",
    description="The match was made by hand, or by a lookup that has not expired; the subscriber is not asked.",
    tag="Delivering",
    scopes=("process", "staff"),
    query=ParticipantQuery,
    responses=(ResponseSpec(status=200, meaning="The participant.", body=Participant, example=EXAMPLE),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, UNKNOWN, PROGRAM_NEEDED, NOT_SUPPORTED),
)
FORGET_PARTICIPANT = Operation(
    method="DELETE",
    path="/subscribers/{SubscriberId}/participants/{PublisherParticipantId}",
    operation_id="forgetParticipant",
    summary="Forget the match of a participant at a subscriber: the next delivery looks it up again",
    description="Without PublisherSystemId, the matches for every publisher system are forgotten.",
    tag="Delivering",
    is_conditional=True,
    scopes=("process", "staff"),
    query=ParticipantQuery,
    responses=(ResponseSpec(status=204, meaning="No match of the participant is remembered."),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_SUBSCRIBER, PROGRAM_NEEDED, NOT_SUPPORTED),
)


class ParticipantController(ApiController):
    """Participants at subscribers."""

    @route(MATCH_PARTICIPANT)
    async def match_participant(
        self, request: ApiRequest, participants: NamedDependency[ParticipantMatches]
    ) -> ApiResponse:
        query, fields = request.read_query(ParticipantQuery), await request.read_fields()
        matched = await participants.match(request.caller, *_ids_of(request), query, fields, request.precondition())
        return ApiResponse(matched, tag=matched.tag)

    @route(LIST_PARTICIPANTS)
    async def list_participants(
        self, request: ApiRequest, participants: NamedDependency[ParticipantMatches]
    ) -> ApiResponse:
        query = request.read_query(ParticipantsQuery)
        return ApiResponse(await participants.page(request.caller, request.path_id("SubscriberId"), query))

    @route(GET_PARTICIPANT)
    async def get_participant(
        self, request: ApiRequest, participants: NamedDependency[ParticipantMatches]
    ) -> ApiResponse:
        query = request.read_query(ParticipantQuery)
        participant = await participants.get(request.caller, *_ids_of(request), query)
        return ApiResponse(participant, tag=participant.tag)

    @route(FORGET_PARTICIPANT)
    async def forget_participant(
        self, request: ApiRequest, participants: NamedDependency[ParticipantMatches]
    ) -> ApiResponse:
        query = request.read_query(ParticipantQuery)
        await participants.forget(request.caller, *_ids_of(request), query, request.precondition())
        return ApiResponse(status=204)


def _ids_of(request: ApiRequest) -> tuple[str, str]:
    return request.path_id("SubscriberId"), request.path_id("PublisherParticipantId")
