"""Programs: make, rename, list and archive them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from learning_hub.model.audit import Action
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, NotFound
from learning_hub.model.fields import collect
from learning_hub.model.ids import id_errors, is_id, need_id
from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.program import ARCHIVED, NOT_KNOWN, Program, ProgramBody
from learning_hub.services.archiving import archive_subscriptions
from learning_hub.store import audit, programs
from learning_hub.store.database import Database

LISTING = Listing("programs", ordered_by="program_id")


class Programs:
    """What callers do with Programs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, caller: Caller, program_id: str, fields: Mapping[str, Raw]) -> tuple[Program, bool]:
        """
        Make or rename a Program.

        Args:
            caller: An administrator.
            program_id: The Program.
            fields: The fields of a ProgramBody, as sent.

        Returns:
            The Program, and whether it is new.

        Raises:
            InvalidFields: With every bad field.
        """
        values, errors = collect(fields, ProgramBody)
        if errors := id_errors("ProgramId", program_id) + errors:
            raise InvalidFields(errors)
        body = ProgramBody(**values)
        async with self._database.transaction() as connection:
            await programs.lock(connection, program_id)
            before = await programs.find(connection, program_id)
            after = await programs.put(connection, program_id, body.name)
            if before != after:
                action: Action = "update" if before else "create"
                await audit.write(connection, caller, action, "program", program_id, before=before, after=after)
        return after, before is None

    async def page(self, caller: Caller, query: PageQuery) -> Page[Program]:
        """The caller's Programs, ordered by id."""
        found = await programs.page(
            self._database, caller.visible_programs, LISTING.after(query.cursor), query.limit + 1
        )
        return LISTING.page(found, query.limit)

    async def get(self, caller: Caller, program_id: str) -> Program:
        """
        One Program.

        Raises:
            NotAllowed: The key is not for the Program, whether or not it exists.
            InvalidFields: The id does not have the form of one.
            NotFound: The Program does not exist.
        """
        caller.need_program(program_id)
        program = await programs.find(self._database, need_id("ProgramId", program_id))
        if program is None:
            raise no_such_program(program_id)
        return program

    async def archive(self, caller: Caller, program_id: str) -> None:
        """
        Archive a Program and its subscriptions: it accepts and sends no more events, its history stays.

        Raises:
            InvalidFields: The id does not have the form of one.
            NotFound: The Program does not exist.
        """
        need_id("ProgramId", program_id)
        async with self._database.transaction() as connection:
            await programs.lock(connection, program_id)
            before = await programs.find(connection, program_id)
            after = await programs.archive(connection, program_id)
            if before is None or after is None:
                raise no_such_program(program_id)
            if before != after:
                await audit.write(connection, caller, "archive", "program", program_id, before=before, after=after)
            await archive_subscriptions(connection, caller, program_id=program_id)


def no_such_program(program_id: str) -> NotFound:
    """The error for a Program that does not exist."""
    return NotFound(f"There is no Program {program_id}.")


async def need_program(database: Database, caller: Caller, program_id: str, *, field: str = "ProgramId") -> None:
    """
    Check that the key is for a Program, and that the Program exists.

    Raises:
        NotAllowed: The key is not for the Program, or the Program does not exist and the key is not for all Programs.
        InvalidFields: The Program does not exist, and the key is for all Programs; *field* named it.
    """
    caller.need_program(program_id)
    # A key names only Programs that exist, and a Program is never deleted.
    if caller.has_every_program and (not is_id(program_id) or await programs.find(database, program_id) is None):
        raise InvalidFields([FieldError(field, NOT_KNOWN)])


async def closed_program_errors(database: Database, caller: Caller, program_id: str) -> list[FieldError]:
    """The bad field of an event whose Program takes no events; none for a caller who may not use the Program."""
    if not caller.may_use(program_id):
        return []
    closed = await programs.closed(database, [program_id])
    return [FieldError("PublisherProgramId", closed[program_id])] if closed else []


async def open_program_errors(database: Database, program_id: str) -> list[FieldError]:
    """Why no subscription can be for events of this Program; empty if one can."""
    program = await programs.find(database, program_id)
    if program is None:
        return [FieldError("ProgramId", NOT_KNOWN)]
    return [] if program.archived_utc is None else [FieldError("ProgramId", ARCHIVED)]
