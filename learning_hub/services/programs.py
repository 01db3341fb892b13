"""Programs: make, rename, list and archive them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from learning_hub.model.audit import Action
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, NotFound
from learning_hub.model.fields import collect
from learning_hub.model.ids import id_errors, is_id, need_id
from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.program import ARCHIVED, NOT_KNOWN, Program, ProgramBody
from learning_hub.process.bulk_changer import BulkChanger
from learning_hub.services.archiving import archive_subscriptions
from learning_hub.services.patching import patched
from learning_hub.store import audit, programs
from learning_hub.store.database import Database

LISTING = Listing("programs", ordered_by="program_id")


class Programs:
    """What callers do with Programs."""

    def __init__(self, database: Database, bulk_changer: BulkChanger) -> None:
        self._database = database
        self._bulk_changer = bulk_changer

    async def put(
        self,
        caller: Caller,
        program_id: str,
        fields: Mapping[str, Raw],
        precondition: Precondition = NO_PRECONDITION,
    ) -> tuple[Program, bool]:
        """
        Make or rename a Program.

        Args:
            caller: An administrator.
            program_id: The Program.
            fields: The fields of a ProgramBody, as sent.
            precondition: What must hold of the Program before.

        Returns:
            The Program, and whether it is new.

        Raises:
            InvalidFields: With every bad field.
            PreconditionFailed: The precondition does not hold.
        """
        values, errors = collect(fields, ProgramBody)
        if errors := id_errors("ProgramId", program_id) + errors:
            raise InvalidFields(errors)
        body = ProgramBody(**values)
        async with self._database.transaction() as connection:
            await programs.lock(connection, program_id)
            before = await programs.find(connection, program_id)
            precondition.check(*([before.tag] if before else []))
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

    async def patch(
        self, caller: Caller, program_id: str, patch: Mapping[str, Raw], precondition: Precondition
    ) -> Program:
        """
        Change the fields of a Program that a merge patch names.

        Raises:
            NotFound: The Program does not exist, or is archived.
            InvalidFields, PreconditionFailed: As for `put`.
        """

        async def read() -> tuple[str, dict[str, Any]]:
            program = await self.get(caller, program_id)
            if program.archived_utc is not None:
                raise NotFound(f"The Program {program_id} is archived; saving it again restores it.")
            return program.tag, {"Name": program.name}

        async def write(fields: Mapping[str, Raw], unchanged: Precondition) -> Program:
            return (await self.put(caller, program_id, fields, unchanged))[0]

        return await patched(patch, ProgramBody, read, write, precondition)

    async def archive(self, caller: Caller, program_id: str, precondition: Precondition = NO_PRECONDITION) -> None:
        """
        Archive a Program and its subscriptions: it accepts and sends no more events, its history stays.

        Raises:
            InvalidFields: The id does not have the form of one.
            NotFound: The Program does not exist.
            PreconditionFailed: The precondition does not hold.
        """
        need_id("ProgramId", program_id)
        async with self._database.transaction() as connection:
            await programs.lock(connection, program_id)
            before = await programs.find(connection, program_id)
            if before is None:
                raise no_such_program(program_id)
            precondition.check(before.tag)
            after = await programs.archive(connection, program_id)
            if before != after:
                await audit.write(connection, caller, "archive", "program", program_id, before=before, after=after)
            run_ids = await archive_subscriptions(connection, caller, program_id=program_id)
        await self._bulk_changer.carry_out(run_ids)


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
