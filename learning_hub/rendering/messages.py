"""
The messages between the hub and a render process: length-prefixed frames of MessagePack over its pipes.

A render process sends an empty frame when it is ready. It answers each request in order, with one frame for each job of
a `RenderRequest` and one frame for an `AnalysisRequest`, so the hub knows during which job a process died.
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
    """Jobs to render."""

    templates: list[str]
    jobs: list[WireJob]


class AnalysisRequest(msgspec.Struct, tag="analyze"):
    """Templates to analyze."""

    templates: str


class WireError(msgspec.Struct, array_like=True):
    """A TemplateError."""

    message: str
    place: str
    code: str


class RenderResult(msgspec.Struct, array_like=True):
    """A payload as JSON and the name of its template, or an error."""

    payload: bytes = b""
    template_name: str = ""
    error: WireError | None = None


class AnalysisResult(msgspec.Struct, array_like=True):
    """The errors of templates, and what is known of their leaves."""

    errors: list[WireError] = []
    leaves: list[Leaf] = []


Request = RenderRequest | AnalysisRequest

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)

read_request = _REQUESTS.decode
read_render_result = msgspec.msgpack.Decoder(RenderResult).decode
read_analysis_result = msgspec.msgpack.Decoder(AnalysisResult).decode


def write_message(message: Request | RenderResult | AnalysisResult) -> bytes:
    """The frame of a message."""
    return write_frame(_ENCODER.encode(message))


def write_frame(body: bytes = b"") -> bytes:
    """*body*, preceded by its length."""
    return len(body).to_bytes(PREFIX_BYTES) + body


def read_length(prefix: bytes) -> int:
    """The length of the frame that follows."""
    return int.from_bytes(prefix)
