"""The caller of a request: a key without its secret, its scopes, and its Programs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from learning_hub.model.errors import FieldError, InvalidFields, NotAllowed

Scope = Literal["publish", "read", "process", "staff", "admin"]
SCOPES: tuple[Scope, ...] = ("publish", "read", "process", "staff", "admin")
EVERY_PROGRAM = "*"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a request: a key without its secret. *programs* is `("*",)` for every Program."""

    key_id: str
    name: str
    programs: tuple[str, ...]
    scopes: frozenset[str]
    expires_utc: datetime | None = None

    @property
    def has_every_program(self) -> bool:
        return EVERY_PROGRAM in self.programs

    @property
    def visible_programs(self) -> list[str] | None:
        """The Programs that lists are restricted to; None for no restriction."""
        return None if self.has_every_program else list(self.programs)

    def may_use(self, program_id: str) -> bool:
        """Whether the key is for this Program, whether or not it exists."""
        return self.has_every_program or program_id in self.programs

    def need(self, *scopes: Scope) -> None:
        """
        Check that the key has one of *scopes*; `admin` includes the others.

        Raises:
            NotAllowed: The key has none of them.
        """
        if self.scopes.isdisjoint(scopes) and "admin" not in self.scopes:
            raise NotAllowed(f"This needs a key with the scope {' or '.join(scopes)}.", code="scope_missing")

    def need_program(self, program_id: str) -> None:
        """
        Check that the key is for *program_id*.

        Raises:
            NotAllowed: The key is not for the Program, whether or not the Program exists.
        """
        if not self.may_use(program_id):
            raise not_for_program()

    def only_program(self) -> str | None:
        """The Program of a key that has exactly one; None for other keys."""
        return self.programs[0] if len(self.programs) == 1 and not self.has_every_program else None


def not_for_program() -> NotAllowed:
    """The error for a Program that the key is not for."""
    return NotAllowed("This key is not for this Program.", code="program_not_allowed")


# The command line, which uses the database of its settings without a key.
COMMAND_LINE = Caller(key_id="cli", name="command line", programs=(EVERY_PROGRAM,), scopes=frozenset(SCOPES))
# The caller in the audit log for changes that the hub makes by itself.
HUB = Caller(key_id="hub", name="The hub itself", programs=(EVERY_PROGRAM,), scopes=frozenset())


def check_grant(programs: list[str], scopes: list[Scope]) -> None:
    """
    Check that a key with these Programs and scopes may be created.

    Raises:
        InvalidFields: `*` is among other Programs, or `admin` is granted for some Programs only.
    """
    errors = []
    if EVERY_PROGRAM in programs and len(programs) > 1:
        errors.append(FieldError("Programs", 'is either ["*"] or a list of Programs'))
    if "admin" in scopes and programs != [EVERY_PROGRAM]:
        errors.append(FieldError("Scopes", 'admin is only given for all Programs (["*"])'))
    if errors:
        raise InvalidFields(errors)
