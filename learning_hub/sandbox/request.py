"""An HTTP request, read completely from ASGI."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request.

    Attributes:
        path: As sent, still percent-encoded, so that an encoded slash does not split an identity.
        query: As sent.
        pairs: Names and values of the query, decoded.
        headers: Names in lower case; the last value of a repeated header.
    """

    method: str
    path: str
    query: str
    pairs: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes

    def parameter(self, name: str) -> str | None:
        """The last value of a query parameter, whose name may have any letter case."""
        values = [value for key, value in self.pairs if key.casefold() == name.casefold()]
        return values[-1] if values else None


async def read_request(scope: Scope, receive: Receive) -> Request | None:
    """The request with its body; None when the client disconnected before the body was complete."""
    body = bytearray()
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    query = scope["query_string"].decode("latin-1")
    raw_path = scope.get("raw_path") or scope["path"].encode()
    return Request(
        method=scope["method"].upper(),
        path=raw_path.decode("latin-1").partition("?")[0],
        query=query,
        pairs=tuple(parse_qsl(query, keep_blank_values=True)),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )
