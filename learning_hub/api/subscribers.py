"""Subscribers over HTTP."""

from __future__ import annotations

from litestar.di import NamedDependency
from msgspec import UNSET

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.headers import NO_STORE
from learning_hub.api.http.operation import MERGE_PATCH_TEXT, Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.errors import KeysMissing
from learning_hub.model.pagination import Page, PageQuery
from learning_hub.model.subscriber import SavedSubscriber, ShownSubscriber, SubscriberBody, SubscriberPatch
from learning_hub.services.subscribers import Subscribers, connector_differs, no_such_subscriber

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
NO_SUCH_SUBSCRIBER = no_such_subscriber(ID_FORMS["SubscriberId"].example)

PUT_SUBSCRIBER = Operation(
    method="PUT",
    path="/subscribers/{SubscriberId}",
    operation_id="putSubscriber",
    summary="Make or change a subscriber",
    description=(
        f"{' '.join(kind.description for kind in KINDS.values())} A PUT without Credentials leaves them unchanged. "
        "Sending the same Credentials again changes nothing: it ends no pause for refused credentials. "
        "The kind of a subscriber cannot be changed."
    ),
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=SubscriberBody,
    body_example=EXAMPLE_BODY,
    responses=(
        ResponseSpec(status=201, meaning="The subscriber was made.", body=SavedSubscriber, example=EXAMPLE),
        ResponseSpec(
            status=200, meaning="The subscriber existed, and was changed.", body=SavedSubscriber, example=EXAMPLE
        ),
    ),
    errors=(
        connector_differs(ID_FORMS["SubscriberId"].example, "webhook"),
        KeysMissing("There is no Fernet key in secret.key."),
    ),
)
PATCH_SUBSCRIBER = Operation(
    method="PATCH",
    path="/subscribers/{SubscriberId}",
    operation_id="patchSubscriber",
    summary="Change fields of a subscriber",
    description=f"{MERGE_PATCH_TEXT} Credentials that it does not name stay.",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=SubscriberPatch,
    body_example={"Settings": {"TimeZone": "America/Chicago"}},
    responses=(
        ResponseSpec(status=200, meaning="The subscriber as it is now.", body=SavedSubscriber, example=EXAMPLE),
    ),
    errors=(
        NO_SUCH_SUBSCRIBER,
        connector_differs(ID_FORMS["SubscriberId"].example, "webhook"),
        KeysMissing("There is no Fernet key in secret.key."),
    ),
)
LIST_SUBSCRIBERS = Operation(
    method="GET",
    path="/subscribers",
    operation_id="listSubscribers",
    summary="List subscribers",
    tag="Setting up",
    scopes=("process", "staff", "admin"),
    query=PageQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Subscribers, ordered by id; a key for some Programs sees those that get events of these Programs.",
            body=Page[ShownSubscriber],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
)
GET_SUBSCRIBER = Operation(
    method="GET",
    path="/subscribers/{SubscriberId}",
    operation_id="getSubscriber",
    summary="Read a subscriber, without its credentials",
    tag="Setting up",
    scopes=("process", "staff", "admin"),
    responses=(
        ResponseSpec(status=200, meaning="The subscriber.", body=ShownSubscriber, example=EXAMPLE, has_figures=True),
    ),
    errors=(NO_SUCH_SUBSCRIBER,),
)
ARCHIVE_SUBSCRIBER = Operation(
    method="DELETE",
    path="/subscribers/{SubscriberId}",
    operation_id="archiveSubscriber",
    summary="Archive a subscriber: it gets no more events, its history stays",
    description="Its subscriptions are archived as well. A PUT restores the subscriber; each subscription needs a PUT "
    "of its own.",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    responses=(ResponseSpec(status=204, meaning="The subscriber is archived, by this request or an earlier one."),),
    errors=(NO_SUCH_SUBSCRIBER,),
)


class SubscriberController(ApiController):
    """Subscribers."""

    @route(PUT_SUBSCRIBER)
    async def put_subscriber(self, request: ApiRequest, subscribers: NamedDependency[Subscribers]) -> ApiResponse:
        subscriber, is_new = await subscribers.put(
            request.caller, request.path_id("SubscriberId"), await request.read_fields(), request.precondition()
        )
        return _saved(subscriber, status=201 if is_new else 200)

    @route(PATCH_SUBSCRIBER)
    async def patch_subscriber(self, request: ApiRequest, subscribers: NamedDependency[Subscribers]) -> ApiResponse:
        subscriber = await subscribers.patch(
            request.caller, request.path_id("SubscriberId"), await request.read_fields(), request.precondition()
        )
        return _saved(subscriber, status=200)

    @route(LIST_SUBSCRIBERS)
    async def list_subscribers(self, request: ApiRequest, subscribers: NamedDependency[Subscribers]) -> ApiResponse:
        return ApiResponse(await subscribers.page(request.caller, request.read_query(PageQuery)))

    @route(GET_SUBSCRIBER)
    async def get_subscriber(self, request: ApiRequest, subscribers: NamedDependency[Subscribers]) -> ApiResponse:
        subscriber = await subscribers.get(request.caller, request.path_id("SubscriberId"))
        return ApiResponse(subscriber, tag=subscriber.tag, has_figures=True)

    @route(ARCHIVE_SUBSCRIBER)
    async def archive_subscriber(self, request: ApiRequest, subscribers: NamedDependency[Subscribers]) -> ApiResponse:
        await subscribers.archive(request.caller, request.path_id("SubscriberId"), request.precondition())
        return ApiResponse(status=204)


def _saved(subscriber: SavedSubscriber, *, status: int) -> ApiResponse:
    headers = {} if subscriber.signing_secret is UNSET else NO_STORE
    return ApiResponse(subscriber, status=status, headers=headers, tag=subscriber.tag)
