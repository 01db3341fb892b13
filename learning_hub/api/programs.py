"""Programs over HTTP."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.operation import MERGE_PATCH_TEXT, Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.pagination import Page, PageQuery
from learning_hub.model.program import Program, ProgramBody, ProgramPatch
from learning_hub.services.programs import Programs, no_such_program

NO_SUCH_PROGRAM = no_such_program(ID_FORMS["ProgramId"].example)
EXAMPLE = {
    "ProgramId": "NURSES",
    "Name": "Nurses' continuing education",
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "ArchivedUtc": None,
}

PUT_PROGRAM = Operation(
    method="PUT",
    path="/programs/{ProgramId}",
    operation_id="putProgram",
    summary="Make or rename a Program",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=ProgramBody,
    body_example={"Name": "Nurses' continuing education"},
    responses=(
        ResponseSpec(status=201, meaning="The Program was made.", body=Program, example=EXAMPLE),
        ResponseSpec(status=200, meaning="The Program existed, and now has this name.", body=Program, example=EXAMPLE),
    ),
)
PATCH_PROGRAM = Operation(
    method="PATCH",
    path="/programs/{ProgramId}",
    operation_id="patchProgram",
    summary="Change fields of a Program",
    description=MERGE_PATCH_TEXT,
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=ProgramPatch,
    body_example={"Name": "Nurses' continuing education"},
    responses=(ResponseSpec(status=200, meaning="The Program as it is now.", body=Program, example=EXAMPLE),),
    errors=(NO_SUCH_PROGRAM,),
)
LIST_PROGRAMS = Operation(
    method="GET",
    path="/programs",
    operation_id="listPrograms",
    summary="List the Programs that the key may use",
    tag="Setting up",
    scopes=("publish", "read", "process", "staff", "admin"),
    query=PageQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Programs, ordered by id.",
            body=Page[Program],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
)
GET_PROGRAM = Operation(
    method="GET",
    path="/programs/{ProgramId}",
    operation_id="getProgram",
    summary="Read a Program",
    tag="Setting up",
    scopes=("publish", "read", "process", "staff", "admin"),
    responses=(ResponseSpec(status=200, meaning="The Program.", body=Program, example=EXAMPLE),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_PROGRAM),
)
ARCHIVE_PROGRAM = Operation(
    method="DELETE",
    path="/programs/{ProgramId}",
    operation_id="archiveProgram",
    summary="Archive a Program: it accepts and sends no more events, its history stays",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    responses=(ResponseSpec(status=204, meaning="The Program is archived."),),
    errors=(NO_SUCH_PROGRAM,),
)


class ProgramController(ApiController):
    """Programs."""

    @route(PUT_PROGRAM)
    async def put_program(self, request: ApiRequest, programs: NamedDependency[Programs]) -> ApiResponse:
        program, is_new = await programs.put(
            request.caller, request.path_id("ProgramId"), await request.read_fields(), request.precondition()
        )
        return ApiResponse(program, status=201 if is_new else 200, tag=program.tag)

    @route(PATCH_PROGRAM)
    async def patch_program(self, request: ApiRequest, programs: NamedDependency[Programs]) -> ApiResponse:
        program = await programs.patch(
            request.caller, request.path_id("ProgramId"), await request.read_fields(), request.precondition()
        )
        return ApiResponse(program, tag=program.tag)

    @route(LIST_PROGRAMS)
    async def list_programs(self, request: ApiRequest, programs: NamedDependency[Programs]) -> ApiResponse:
        return ApiResponse(await programs.page(request.caller, request.read_query(PageQuery)))

    @route(GET_PROGRAM)
    async def get_program(self, request: ApiRequest, programs: NamedDependency[Programs]) -> ApiResponse:
        program = await programs.get(request.caller, request.path_id("ProgramId"))
        return ApiResponse(program, tag=program.tag)

    @route(ARCHIVE_PROGRAM)
    async def archive_program(self, request: ApiRequest, programs: NamedDependency[Programs]) -> ApiResponse:
        await programs.archive(request.caller, request.path_id("ProgramId"), request.precondition())
        return ApiResponse(status=204)
