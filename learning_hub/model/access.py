"""API keys: their form, what they may do, and the three ways to send one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from learning_hub.model.errors import FieldError, InvalidFields, NotAllowed
from learning_hub.model.header import header_text

Scope = Literal["publish", "read", "process", "staff", "admin"]
SCOPES: tuple[Scope, ...] = ("publish", "read", "process", "staff", "admin")
EVERY_PROGRAM = "*"

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43  # 62 ** 43 > 2 ** 256: as much chance as 32 random bytes


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling: a key without its secret. *programs* is `("*",)` for every Program."""

    key_id: str
    name: str
    programs: tuple[str, ...]
    scopes: frozenset[str]
    expires_utc: datetime | None = None

    @property
    def has_every_program(self) -> bool:
        return EVERY_PROGRAM in self.programs

    def may(self, scope: Scope) -> bool:
        """Whether the key has *scope*; `admin` includes the others."""
        return scope in self.scopes or "admin" in self.scopes

    def may_use(self, program_id: str) -> bool:
        """Whether the key is for this Program, whether or not it exists."""
        return self.has_every_program or program_id in self.programs

    def need(self, *scopes: Scope) -> None:
        """
        Go on only with one of *scopes*.

        Raises:
            NotAllowed: The key has none of them.
        """
        if self.scopes.isdisjoint(scopes) and "admin" not in self.scopes:
            raise NotAllowed(f"This needs a key with the scope {' or '.join(scopes)}.", code="scope_missing")

    def need_program(self, program_id: str) -> None:
        """
        Go on only if the key is for *program_id*.

        Raises:
            NotAllowed: It is not; the same answer for a Program that does not exist.
        """
        if not self.may_use(program_id):
            raise NotAllowed("This key is not for this Program.", code="program_not_allowed")

    def only_program(self) -> str | None:
        """The Program of a key that has exactly one."""
        return self.programs[0] if len(self.programs) == 1 and not self.has_every_program else None


# Who stands in the audit log for what the hub does by itself.
HUB = Caller(key_id="hub", name="The hub itself", programs=(EVERY_PROGRAM,), scopes=frozenset())


def check_grant(programs: list[str], scopes: list[Scope]) -> None:
    """
    Whether a key with these Programs and scopes may be made.

    Raises:
        InvalidFields: `*` among other Programs, or `admin` for some Programs only.
    """
    errors = []
    if EVERY_PROGRAM in programs and len(programs) > 1:
        errors.append(FieldError("Programs", 'is either ["*"] or a list of Programs'))
    if "admin" in scopes and programs != [EVERY_PROGRAM]:
        errors.append(FieldError("Scopes", 'admin is only given for all Programs (["*"])'))
    if errors:
        raise InvalidFields(errors)


def new_key(key_id: str) -> str:
    """A new key: `lh_{KeyId}_{43 random characters}_{checksum}`, the checksum for secret scanners."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH))
    body = f"lh_{key_id}_{secret}"
    return f"{body}_{_checksum(body)}"


def key_id_of(key: str) -> str | None:
    """The KeyId inside a key; None for a string that cannot be one of ours."""
    body, _, checksum = key.rpartition("_")
    pieces = body.split("_")
    # What is not printable might be something that the database does not take.
    is_plain = key.isascii() and key.isprintable()
    if len(pieces) != 3 or pieces[0] != "lh" or not is_plain or _checksum(body) != checksum:
        return None
    return pieces[1]


def key_hash(key: str) -> bytes:
    """What is stored of a key: its SHA-256, 32 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def same_secret(left: bytes, right: bytes) -> bool:
    """Compare without telling by the time taken how much agrees."""
    return hmac.compare_digest(left, right)


def sent_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """
    The key in a request's headers: `X-API-Key`, else `Authorization: Bearer`, else the password of HTTP Basic.

    None where there is none, or where the header cannot be read.
    """
    authorization = b""
    for name, value in headers:
        if name == b"x-api-key" and value:
            return header_text(value.strip())
        if name == b"authorization":
            authorization = value.strip()
    scheme, _, rest = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return header_text(rest.strip()) or None
    if scheme.lower() == b"basic":
        return _basic_password(rest.strip())
    return None


def _basic_password(encoded: bytes) -> str | None:
    """What stands behind the first colon; the name before it may be anything, in any encoding."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return header_text(decoded.partition(b":")[2]) or None


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("utf-8", "replace"))
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
