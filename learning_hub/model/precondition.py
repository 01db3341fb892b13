"""Entity tags, and the preconditions that a caller makes with them before a thing is changed (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

import msgspec

from learning_hub.model.errors import FieldError, InvalidFields, PreconditionFailed
from learning_hub.model.json_values import write_json

# RFC 9110, section 8.8.3. Other characters than these occur in no tag.
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"\s*{_TAG}\s*(?:,\s*(?:{_TAG}\s*)?)*")
ANY = "*"


class Precondition(msgspec.Struct, frozen=True):
    """
    What must hold of a thing before it is changed.

    *if_match*: it exists, and has one of these tags, or `*`. *if_none_match*: it has none of these tags; for `*` it
    does not exist. None: nothing is asked.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def check(self, *tags: str) -> None:
        """
        Check the precondition; within the transaction that makes the change.

        Args:
            tags: The tag of the thing as it is, or more than one that stand for it; none if it does not exist.

        Raises:
            PreconditionFailed: It does not hold.
        """
        if self.if_match is not None and not _is_among(tags, self.if_match):
            raise PreconditionFailed(
                "It has been changed since; read it again." if tags else "If-Match was sent, and it does not exist."
            )
        # A weak tag is as good as a strong one here: whoever sends it has seen the thing.
        unwanted = {tag.removeprefix("W/") for tag in self.if_none_match or ()}
        if _is_among(tags, unwanted):
            raise PreconditionFailed("It exists already, or is unchanged.")

    def __bool__(self) -> bool:
        return self.if_match is not None or self.if_none_match is not None


NO_PRECONDITION = Precondition()


def matches(tag: str) -> Precondition:
    """The precondition that a thing has this tag."""
    return Precondition(if_match=frozenset({tag}))


def read_tags(header: str, sent: str | None) -> frozenset[str] | None:
    """
    The tags of the *header* as it was *sent*; None if it was not sent.

    Raises:
        InvalidFields: It is neither `*` nor a list of quoted tags.
    """
    if sent is None:
        return None
    if sent.strip() == ANY:
        return frozenset({ANY})
    if not _TAGS.fullmatch(sent):
        raise InvalidFields([FieldError(header, 'must be *, or tags in quotes as an ETag has them, such as "5f3a"')])
    return frozenset(re.findall(_TAG, sent))


def entity_tag(thing: msgspec.Struct, set_up: type[msgspec.Struct], *, without: Collection[str] = ()) -> str:
    """The strong tag of a thing: of the fields that it has as a *set_up*, but those *without*, which are not set up."""
    names = [name for name in set_up.__struct_fields__ if name not in without]
    content = write_json({name: getattr(thing, name) for name in names})
    return f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def _is_among(tags: Collection[str], wanted: Collection[str]) -> bool:
    return bool(tags) and (ANY in wanted or any(tag in wanted for tag in tags))
