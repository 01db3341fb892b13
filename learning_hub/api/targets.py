"""Discovery over HTTP: the targets of a subscriber and their fields, which the subscriber is asked for each time."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER
from learning_hub.connectors.discovery import Field, Target
from learning_hub.connectors.outcomes import Postponed, Refused
from learning_hub.model.errors import CredentialsUnreadable, FieldError, InvalidFields
from learning_hub.model.pagination import PageQuery
from learning_hub.services.subscriber_availability import no_answer, subscriber_paused
from learning_hub.services.targets import FieldsPage, TargetLists, TargetsPage, targets_not_supported

EXAMPLE_PANEL = Target(
    name="TopClass_Learning", kind="panel", instances="multi", description="Completions from TopClass"
)
EXAMPLE_TARGETS = TargetsPage(
    items=[
        Target(name="Activity", kind="activity", instances="multi", description="Activities of contacts"),
        EXAMPLE_PANEL,
    ],
    warnings=[],
    next_cursor=None,
)
EXAMPLE_FIELDS = FieldsPage(
    target=EXAMPLE_PANEL,
    items=[
        Field(name="ID", type="String", length=10, required=True, read_only=True, filled_by="hub"),
        Field(name="CourseCode", type="String", length=80, required=True, caption="Course code"),
        Field(name="Units", type="Decimal"),
        Field(name="CreatedOn", type="Date", read_only=True, filled_by="imis"),
    ],
    rows_readable=True,
    warnings=[],
    next_cursor=None,
)
ERRORS = (
    NO_SUCH_SUBSCRIBER,
    InvalidFields([FieldError("Limit", "must be at most 1000")]),
    targets_not_supported("webhook"),
    subscriber_paused("imis", "2026-11-22T06:00:00Z", "iMIS refused the sign-in: 400.", then="ask again"),
    no_answer(
        Postponed(
            code="rate_limited",
            message="The hub could not list the panel sources (BOEntityDefinition): iMIS answered 429.",
            retry_after_seconds=30,
        )
    ),
    no_answer(Refused(code="credentials_refused", message="iMIS refused the sign-in: 400, invalid_grant.")),
    CredentialsUnreadable("The credentials were encrypted with a key that the hub does not have."),
)

LIST_TARGETS = Operation(
    method="GET",
    path="/subscribers/{SubscriberId}/targets",
    operation_id="listTargets",
    summary="Ask a subscriber for its targets",
    description="The targets of iMIS are `Activity` and the panel sources of contacts; other kinds of subscribers "
    "cannot be asked. If iMIS does not list its panel sources to the hub's account, `Warnings` says so and only "
    "`Activity` is listed.",
    tag="Setting up",
    scopes=("staff", "admin"),
    query=PageQuery,
    responses=(ResponseSpec(status=200, meaning="The targets.", body=TargetsPage, example=EXAMPLE_TARGETS),),
    errors=ERRORS,
)
LIST_FIELDS = Operation(
    method="GET",
    path="/subscribers/{SubscriberId}/targets/{Name}/fields",
    operation_id="listFields",
    summary="Ask a subscriber for the fields of a target",
    description="The name is not case-sensitive. Each field has its type, its length and whether it is required, as "
    "far as the subscriber reports them. Fields with `FilledBy` are filled by the hub or by iMIS, never by a template. "
    "For a panel source of iMIS the response also says whether its rows can be read; if not, the box *Available via "
    "the REST API* of the source is usually not ticked.",
    tag="Setting up",
    scopes=("staff", "admin"),
    query=PageQuery,
    responses=(ResponseSpec(status=200, meaning="The fields.", body=FieldsPage, example=EXAMPLE_FIELDS),),
    errors=ERRORS,
)


class TargetController(ApiController):
    """The targets of a subscriber and their fields."""

    @route(LIST_TARGETS)
    async def list_targets(self, request: ApiRequest, targets: NamedDependency[TargetLists]) -> ApiResponse:
        query = request.read_query(PageQuery)
        return ApiResponse(await targets.page(request.caller, request.path_id("SubscriberId"), query))

    @route(LIST_FIELDS)
    async def list_fields(self, request: ApiRequest, targets: NamedDependency[TargetLists]) -> ApiResponse:
        query, name = request.read_query(PageQuery), request.path_id("Name")
        return ApiResponse(await targets.fields(request.caller, request.path_id("SubscriberId"), name, query))
