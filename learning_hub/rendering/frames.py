"""
What travels between the hub and a rendering process: length-prefixed frames of MessagePack over its pipes.

A request is answered with one frame for each of its jobs, in order, so that the one a process dies over is known.
A process announces itself with an empty answer.
"""

from __future__ import annotations

import msgspec

from learning_hub.model.template import Leaf

# Bytes of the length before each frame, big-endian.
PREFIX_BYTES = 4


class WireJob(msgspec.Struct, array_like=True):
    """A RenderJob; *templates* is an index into the request's texts, which most jobs share."""

    templates: int
    category: str | None
    scope: bytes
    time_zone: str | None


class RenderRequest(msgspec.Struct, tag="render"):
    """Jobs to be rendered."""

    templates: list[str]
    jobs: list[WireJob]


class CheckRequest(msgspec.Struct, tag="check"):
    """Templates to be checked; answered with one frame."""

    templates: str


class Problem(msgspec.Struct, array_like=True):
    """A TemplateError."""

    message: str
    place: str
    code: str


class Answer(msgspec.Struct, array_like=True):
    """A payload and its template's name, or problems; to a check, with what is known of the leaves."""

    payload: bytes = b""
    template: str = ""
    problems: list[Problem] = []
    leaves: list[Leaf] = []


Request = RenderRequest | CheckRequest

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_ANSWERS = msgspec.msgpack.Decoder(Answer)


def write_frame(content: Request | Answer) -> bytes:
    """The frame of a request or an answer, its length before it."""
    body = _ENCODER.encode(content)
    return len(body).to_bytes(PREFIX_BYTES) + body


def read_length(prefix: bytes) -> int:
    """The length of the frame that follows."""
    return int.from_bytes(prefix)


def read_request(body: bytes) -> Request:
    """The request in a frame."""
    return _REQUESTS.decode(body)


def read_answer(body: bytes) -> Answer:
    """The answer in a frame."""
    return _ANSWERS.decode(body)
