"""
The error responses of an operation, for the OpenAPI document: each exactly as it is sent.

The responses that every operation can give are made here, where possible by the code that raises the error. An
operation declares the others in its `errors`, with the ids of the examples in its path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_origin

import msgspec
from litestar.exceptions import MethodNotAllowedException

from learning_hub.api.http.body import body_too_large, not_json
from learning_hub.api.http.guards import NoQuery
from learning_hub.api.http.operation import JSON, JSON_LINES, Operation
from learning_hub.api.http.path_ids import example_path
from learning_hub.api.http.problems import Problem, ProblemResponse, problem_response
from learning_hub.model.caller import Caller, not_for_program
from learning_hub.model.errors import (
    InvalidFields,
    LearningHubError,
    NotAllowed,
    NotAuthenticated,
    PreconditionFailed,
    TooManyRequests,
    TooManyUnknownKeys,
    TooSlow,
    Unavailable,
)
from learning_hub.model.fields import read_struct
from learning_hub.model.query_parameters import read_query

NOT_FOR_PROGRAM = not_for_program()
# The limit that the examples name: the default of LEARNING_HUB_MAX_BODY_BYTES.
EXAMPLE_LIMIT_BYTES = 1024 * 1024
NOBODY = Caller(key_id="", name="", programs=(), scopes=frozenset())


def error_responses(operation: Operation) -> dict[int, list[ProblemResponse]]:
    """The error responses of *operation* by status: one for each code worth showing."""
    path = example_path(operation.path)
    responses: dict[int, list[ProblemResponse]] = {}
    for error in (*_always(operation), *operation.errors):
        response = problem_response(error, path)
        responses.setdefault(response.problem.status, []).append(response)
    for error in _usually(operation):
        response = problem_response(error, path)
        responses.setdefault(response.problem.status, [response])
    return responses


def by_code(responses: list[ProblemResponse]) -> dict[str, Problem]:
    """The first problem of each code."""
    problems: dict[str, Problem] = {}
    for response in responses:
        problems.setdefault(response.problem.code, response.problem)
    return problems


def _always(operation: Operation) -> Iterator[Exception]:
    """Errors that every operation can answer."""
    yield MethodNotAllowedException()
    if operation.is_public:
        return
    yield NotAuthenticated()
    try:
        NOBODY.need(*operation.scopes)
    except NotAllowed as error:
        yield error
    yield TooManyRequests(retry_after_seconds=1)
    yield TooManyUnknownKeys(retry_after_seconds=60)
    yield Unavailable("The database is away.", retry_after_seconds=2)
    if operation.is_conditional:
        yield PreconditionFailed("It has been changed since; read it again.")


def _usually(operation: Operation) -> Iterator[LearningHubError]:
    """The example of a status for which the operation declares none."""
    yield _bad_fields(operation)
    if operation.body is not None:
        yield TooSlow("The body came too slowly, or no longer.")
        yield body_too_large(EXAMPLE_LIMIT_BYTES + 1, EXAMPLE_LIMIT_BYTES)
        yield not_json("text/plain", (JSON, JSON_LINES) if operation.takes_lines else (JSON,))


def _bad_fields(operation: Operation) -> InvalidFields:
    """The error for an empty object as the body, a Limit that is too high, or else an unknown parameter."""
    query = operation.query or NoQuery
    try:
        if operation.body is not None and get_origin(operation.body) is None:
            read_struct({}, operation.body)
        if "Limit" in {field.encode_name for field in msgspec.structs.fields(query)}:
            read_query([("Limit", "5000")], query)
        read_query([("Verbose", "true")], query)
    except InvalidFields as error:
        return error
    raise AssertionError(f"{operation.operation_id} accepts any request")
