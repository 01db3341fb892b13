"""JSON merge patches (RFC 7396): read a thing, change the fields that the patch names, and write the whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from learning_hub.model.errors import Conflict, InvalidFields, PreconditionFailed
from learning_hub.model.fields import shown_name
from learning_hub.model.json_values import check_json, read_json, write_json
from learning_hub.model.precondition import Precondition, matches

T = TypeVar("T")

MOST_ATTEMPTS = 20
# Within these null is a value: a category that is null is ignored on purpose.
KEEPS_NULL = frozenset({"Templates"})


async def patched(
    patch: Mapping[str, Raw],
    body: type[msgspec.Struct],
    read: Callable[[], Awaitable[tuple[str, dict[str, Any]]]],
    write: Callable[[Mapping[str, Raw], Precondition], Awaitable[T]],
    precondition: Precondition,
) -> T:
    """
    What *write* returns for the thing with *patch* applied; two patches at once are applied one after the other.

    Args:
        patch: The fields of the patch, as sent.
        body: The Struct of a whole body, whose fields the patch may name.
        read: Returns the tag of the thing, and the body that would make it.
        write: Checks and stores a whole body, if the thing has not been changed meanwhile.
        precondition: What must hold of the thing that the patch is applied to.

    Raises:
        InvalidFields: With every bad field.
        PreconditionFailed: The precondition does not hold.
        Conflict: Others keep changing the thing.
    """
    if errors := [error for name, value in patch.items() for error in check_json(bytes(value), shown_name(name))]:
        raise InvalidFields(errors)
    changes = {name: read_json(bytes(value)) for name, value in patch.items()}
    # A field that nobody knows is refused with the other bad fields, also where the patch removes it.
    known = {field.encode_name for field in msgspec.structs.fields(body)}
    unknown = {name: change for name, change in changes.items() if name not in known}
    for _ in range(MOST_ATTEMPTS):
        tag, whole = await read()
        precondition.check(tag)
        merged = merge_patch(whole, changes) | unknown
        try:
            return await write({name: Raw(write_json(value)) for name, value in merged.items()}, matches(tag))
        except PreconditionFailed:
            # Somebody was first: the patch is applied to what they made, or refused by the caller's precondition.
            continue
    raise Conflict("Others keep changing it; send the patch again.", code="in_the_way")


def merge_patch(target: Any, patch: Any, *, keeps_null: bool = False) -> Any:
    """*target* with the changes of *patch*, as RFC 7396 says; with *keeps_null* null is a value and removes nothing."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, change in patch.items():
        if change is None and not keeps_null:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), change, keeps_null=keeps_null or name in KEEPS_NULL)
    return merged
