"""Programs over HTTP."""

from __future__ import annotations

from learning_hub.api.call import Call
from learning_hub.api.lists import Listing, Page, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS, id_faults, id_in_path
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.api.subscriptions import archive_all
from learning_hub.model.audit import Action
from learning_hub.model.errors import FieldError, InvalidFields, NotFound
from learning_hub.model.fields import collect
from learning_hub.model.ids import is_id
from learning_hub.model.program import Program, ProgramBody
from learning_hub.store import audit, programs

LISTING = Listing("programs", ordered_by="program_id")
NO_SUCH_PROGRAM = NotFound(f"There is no Program {ID_FORMS['ProgramId'].example}.")
EXAMPLE = {
    "ProgramId": "NURSES",
    "Name": "Nurses' continuing education",
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "ArchivedUtc": None,
}


@route(
    Operation(
        method="PUT",
        path="/programs/{ProgramId}",
        operation_id="putProgram",
        summary="Make or rename a Program",
        tag="Setting up",
        scopes=("admin",),
        body=ProgramBody,
        body_example={"Name": "Nurses' continuing education"},
        answers=(
            Answer(status=201, meaning="It was made.", body=Program, example=EXAMPLE),
            Answer(status=200, meaning="It was there, and has this name now.", body=Program, example=EXAMPLE),
        ),
    )
)
async def put_program(call: Call) -> Reply:
    program_id = call.path["ProgramId"]
    values, errors = collect(await call.fields(), ProgramBody)
    if errors := id_faults(call, "ProgramId") + errors:
        raise InvalidFields(errors)
    body = ProgramBody(**values)
    async with call.hub.database.transaction() as connection:
        await programs.lock(connection, program_id)
        before = await programs.find(connection, program_id)
        after = await programs.put(connection, program_id, body.name)
        if before != after:
            action: Action = "update" if before else "create"
            await audit.write(connection, call.caller, action, "program", program_id, before=before, after=after)
    return Reply(status=200 if before else 201, body=after)


@route(
    Operation(
        method="GET",
        path="/programs",
        operation_id="listPrograms",
        summary="List the Programs of the key",
        tag="Setting up",
        scopes=("publish", "read", "process", "staff", "admin"),
        query=PageQuery,
        answers=(
            Answer(
                status=200,
                meaning="Programs by id.",
                body=Page[Program],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
    )
)
async def list_programs(call: Call) -> Reply:
    query = call.query(PageQuery)
    within = None if call.caller.has_every_program else list(call.caller.programs)
    found = await programs.page(call.hub.database, within, LISTING.after(query.cursor), query.limit + 1)
    return Reply(body=LISTING.page(found, query.limit))


@route(
    Operation(
        method="GET",
        path="/programs/{ProgramId}",
        operation_id="getProgram",
        summary="Read a Program",
        tag="Setting up",
        scopes=("publish", "read", "process", "staff", "admin"),
        answers=(Answer(status=200, meaning="The Program.", body=Program, example=EXAMPLE),),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_PROGRAM),
    )
)
async def get_program(call: Call) -> Reply:
    program_id = call.path["ProgramId"]
    call.caller.need_program(program_id)
    id_in_path(call, "ProgramId")
    program = await programs.find(call.hub.database, program_id)
    if program is None:
        raise NotFound(f"There is no Program {program_id}.")
    return Reply(body=program)


@route(
    Operation(
        method="DELETE",
        path="/programs/{ProgramId}",
        operation_id="archiveProgram",
        summary="Archive a Program: it takes and sends nothing more, its history stays",
        tag="Setting up",
        scopes=("admin",),
        answers=(Answer(status=204, meaning="It is archived."),),
        errors=(NO_SUCH_PROGRAM,),
    )
)
async def archive_program(call: Call) -> Reply:
    program_id = id_in_path(call, "ProgramId")
    async with call.hub.database.transaction() as connection:
        await programs.lock(connection, program_id)
        before = await programs.find(connection, program_id)
        after = await programs.archive(connection, program_id)
        if before is None or after is None:
            raise NotFound(f"There is no Program {program_id}.")
        if before != after:
            await audit.write(connection, call.caller, "archive", "program", program_id, before=before, after=after)
        await archive_all(connection, call.caller, program_id=program_id)
    return Reply(status=204)


async def need_program(call: Call, program_id: str, field: str = "ProgramId") -> None:
    """
    Go on only if the key is for a Program, and the Program exists.

    Raises:
        NotAllowed: The key is not for it; the same for a Program that does not exist.
        InvalidFields: There is none, told only to a key for all Programs; *field* is what named it.
    """
    call.caller.need_program(program_id)
    if not is_id(program_id) or await programs.find(call.hub.database, program_id) is None:
        raise InvalidFields([FieldError(field, "is not a known Program")])


ROUTES = (put_program, list_programs, get_program, archive_program)
