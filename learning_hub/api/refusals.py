"""
The problems an operation can answer, each as it is answered.

What every operation may refuse is made here, by the code that refuses it where that is possible; an operation declares
the rest in its `errors`, filled for the ids that stand for examples in its path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_origin

import msgspec
from litestar.exceptions import MethodNotAllowedException

from learning_hub.api.call import body_too_large, not_json
from learning_hub.api.operations import JSON, JSON_LINES, Operation
from learning_hub.api.parameters import read_query
from learning_hub.api.paths import example_path
from learning_hub.api.problems import Answer, answer_for
from learning_hub.api.routing import NoQuery
from learning_hub.model.caller import Caller
from learning_hub.model.errors import (
    InvalidFields,
    LearningHubError,
    NotAllowed,
    NotAuthenticated,
    TooManyRequests,
    Unavailable,
)
from learning_hub.model.fields import read_struct
from learning_hub.settings import Settings

NOT_FOR_PROGRAM = NotAllowed("This key is not for this Program.", code="program_not_allowed")
NOBODY = Caller(key_id="", name="", programs=(), scopes=frozenset())


def refusals(operation: Operation) -> dict[int, list[Answer]]:
    """What *operation* can answer from 400 on: for each status an answer of every code worth showing."""
    path = example_path(operation.path)
    found: dict[int, list[Answer]] = {}
    for error in (*_always(operation), *operation.errors):
        answer = answer_for(error, path)
        found.setdefault(answer.problem.status, []).append(answer)
    for error in _usually(operation):
        answer = answer_for(error, path)
        found.setdefault(answer.problem.status, [answer])
    return found


def _always(operation: Operation) -> Iterator[Exception]:
    """What an operation can answer whatever it declares."""
    yield MethodNotAllowedException()
    if operation.is_public:
        return
    yield NotAuthenticated()
    try:
        NOBODY.need(*operation.scopes)
    except NotAllowed as error:
        yield error
    yield TooManyRequests(retry_after_seconds=1)
    yield Unavailable("The database is away.", retry_after_seconds=2)


def _usually(operation: Operation) -> Iterator[LearningHubError]:
    """What stands for a status where the operation declares nothing for it."""
    yield _bad_fields(operation)
    if operation.body is not None:
        limit = Settings().max_body_bytes
        yield body_too_large(limit + 1, limit)
        yield not_json("text/plain", (JSON, JSON_LINES) if operation.takes_lines else (JSON,))


def _bad_fields(operation: Operation) -> InvalidFields:
    """An empty object for the body, a Limit that is too high, or else a parameter that nobody knows."""
    query = operation.query or NoQuery
    try:
        if operation.body is not None and get_origin(operation.body) is None:
            read_struct({}, operation.body)
        if "Limit" in {field.encode_name for field in msgspec.structs.fields(query)}:
            read_query([("Limit", "5000")], query)
        read_query([("Verbose", "true")], query)
    except InvalidFields as error:
        return error
    raise AssertionError(f"{operation.operation_id} takes anything")
