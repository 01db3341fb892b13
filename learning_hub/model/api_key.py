"""API keys: the form of a key, its stored hash, and a key as administrators see it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.caller import SCOPES, Scope
from learning_hub.model.errors import FieldError
from learning_hub.model.precondition import entity_tag

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43  # 62 ** 43 > 2 ** 256: as hard to guess as 32 random bytes

ProgramList = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=25)]],
    Meta(min_length=1, max_length=1000, description='Programs the key is for, or ["*"] for all of them.'),
]
# Plain texts instead of choices: msgspec's error would name neither all wrong scopes nor the valid ones.
ScopeList = Annotated[
    list[Annotated[str, Meta(extra_json_schema={"enum": SCOPES})]],
    Meta(min_length=1, max_length=5, description="What the key may do."),
]


class KeyBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of a request that creates a key."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    programs: ProgramList
    scopes: ScopeList
    expires_utc: datetime | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A key without its secret."""

    key_id: str
    name: str
    programs: list[str]
    scopes: list[Scope]
    created_utc: datetime
    expires_utc: datetime | None
    revoked_utc: datetime | None
    last_used_utc: Annotated[datetime, Meta(description="When the key was last used, to within some seconds.")] | None

    @property
    def tag(self) -> str:
        return entity_tag(self, Key, without={"last_used_utc"})


class KeyPatch(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The fields of a key that a merge patch changes; nothing else of a key can be changed."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    expires_utc: Annotated[datetime, Meta(description="When the key expires; null: never.")] | None = None


class ChangedKey(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What can be changed of a key, whole."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    expires_utc: datetime | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A new key; the field `Key` is shown only in this response."""

    key_id: str
    key: Annotated[str, Meta(description="The key itself. It is not stored and cannot be shown again.")]
    name: str
    programs: list[str]
    scopes: list[Scope]
    created_utc: datetime
    expires_utc: datetime | None


def scope_faults(scopes: Mapping[int, str]) -> list[FieldError]:
    """Errors for the scopes of a KeyBody by their index in the list, each with the valid scopes."""
    return [
        FieldError(f"Scopes[{index}]", f"must be one of {', '.join(SCOPES)}")
        for index, scope in scopes.items()
        if scope not in SCOPES
    ]


def new_key(key_id: str) -> str:
    """A new key: `lh_{KeyId}_{43 random characters}_{checksum}`, the checksum for secret scanners."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH))
    body = f"lh_{key_id}_{secret}"
    return f"{body}_{_checksum(body)}"


def key_id_of(key: str) -> str | None:
    """The KeyId inside a key; None for a string that does not have the form of the hub's keys."""
    body, _, checksum = key.rpartition("_")
    pieces = body.split("_")
    # The database does not accept every unprintable character.
    is_plain = key.isascii() and key.isprintable()
    if len(pieces) != 3 or pieces[0] != "lh" or not is_plain or _checksum(body) != checksum:
        return None
    return pieces[1]


def key_hash(key: str) -> bytes:
    """The hash under which a key is stored: its SHA-256, 32 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def same_secret(left: bytes, right: bytes) -> bool:
    """Compare in constant time, so that the time taken does not reveal how many bytes agree."""
    return hmac.compare_digest(left, right)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("utf-8", "replace"))
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
