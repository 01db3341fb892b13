"""The log of iMIS requests, for assertions in tests; requests to the control addresses and the page are not logged."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest

MAX_ENTRIES = 5000
MAX_BODY_BYTES = 100_000

_SECRET_HEADERS = {"authorization", "cookie", "requestverificationtoken", "x-api-key"}
# Other fields of a form sent to /token are left out: an unencoded "&" in a password turns its rest into a field.
_PUBLIC_FIELDS = {"grant_type", "username", "client_id", "redirect_uri"}
_SECRET_FIELDS = {"password", "client_secret", "refresh_token"}
_REMOVED = "(removed)"


@dataclass(slots=True)
class LoggedRequest:
    """
    One request and the status of its response.

    Attributes:
        at: When it arrived, UTC.
        in_flight: Number of requests in progress when it arrived, itself included.
        fault: Kind of the fault that hit it.
        status: None while the request is in progress, and when its connection was cut.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    at: datetime
    in_flight: int
    fault: str | None = None
    status: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "Method": self.method,
            "Path": self.path,
            "Query": self.query,
            "Headers": self.headers,
            "Body": self.body,
            "Status": self.status,
            "Fault": self.fault,
            "InFlight": self.in_flight,
            "AtUtc": self.at.isoformat().replace("+00:00", "Z"),
        }


class RequestLog:
    """The newest 5,000 requests, oldest first; *total* counts all requests since the last `clear`."""

    def __init__(self) -> None:
        self.entries: deque[LoggedRequest] = deque(maxlen=MAX_ENTRIES)
        self.total = 0
        self.in_flight = 0

    def clear(self) -> None:
        self.entries.clear()
        self.total = 0

    def start(
        self, *, method: str, path: str, query: str, headers: dict[str, str], body: bytes, at: datetime
    ) -> LoggedRequest:
        """Log a request without its token, password or secret; *headers* have lower-case names."""
        self.total += 1
        self.in_flight += 1
        logged_headers = {name: _REMOVED if name in _SECRET_HEADERS else value for name, value in headers.items()}
        is_form = "x-www-form-urlencoded" in headers.get("content-type", "").casefold()
        # A client may forget the content type of its form; its password must not be logged then either.
        is_form = is_form or path.casefold().rstrip("/").endswith("/token")
        logged_body = _logged_body(body, is_form=is_form)
        entry = LoggedRequest(method, path, query, logged_headers, logged_body, at, self.in_flight)
        self.entries.append(entry)
        return entry

    def finish(self, entry: LoggedRequest, status: int | None) -> None:
        entry.status = status
        self.in_flight -= 1


def _logged_body(body: bytes, *, is_form: bool) -> Any:
    """A form as an object without its secrets, JSON unchanged, anything else as text; None for an empty body."""
    if not body:
        return None
    text = body[:MAX_BODY_BYTES].decode("utf-8", "replace")
    if is_form:
        pairs = parse_qsl(text, keep_blank_values=True)
        known = [(name, value) for name, value in pairs if name.casefold() in _PUBLIC_FIELDS | _SECRET_FIELDS]
        return {name: _REMOVED if name.casefold() in _SECRET_FIELDS else value for name, value in known}
    try:
        # Decoding only proves that the body is JSON. The log keeps the original bytes, so that numbers keep all digits.
        wire.decode(body)
    except BadRequest:
        return text
    return msgspec.Raw(body.removeprefix(wire.BYTE_ORDER_MARK)) if len(body) <= MAX_BODY_BYTES else text
