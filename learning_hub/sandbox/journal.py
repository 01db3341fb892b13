"""Every iMIS request, kept for assertions; the control addresses and the page are not written down."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest

KEPT_ENTRIES = 5000
KEPT_BODY_BYTES = 100_000

_SECRET_HEADERS = {"authorization", "cookie", "requestverificationtoken", "x-api-key"}
# Of a form sent to /token all else is left out: an unencoded "&" in a password makes a field of its end.
_SHOWN_FIELDS = {"grant_type", "username", "client_id", "redirect_uri"}
_SECRET_FIELDS = {"password", "client_secret", "refresh_token"}
_REMOVED = "(removed)"


@dataclass(slots=True)
class Entry:
    """One request; *status* is None while it runs and after a cut connection, *in_flight* counts it too."""

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


class Journal:
    """The newest 5,000 requests, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self.total = 0
        self.in_flight = 0

    def clear(self) -> None:
        self.entries.clear()
        self.total = 0

    def begin(self, *, method: str, path: str, query: str, headers: dict[str, str], body: bytes, at: datetime) -> Entry:
        """Write a request down without its token, password or secret; *headers* have lower-case names."""
        self.total += 1
        self.in_flight += 1
        shown = {name: _REMOVED if name in _SECRET_HEADERS else value for name, value in headers.items()}
        is_form = "x-www-form-urlencoded" in headers.get("content-type", "").casefold()
        # A password must not slip in because a client forgot to say that it sends a form.
        is_form = is_form or path.casefold().rstrip("/").endswith("/token")
        content = _shown_body(body, is_form=is_form)
        entry = Entry(method, path, query, shown, content, at, self.in_flight)
        self.entries.append(entry)
        return entry

    def end(self, entry: Entry, status: int | None) -> None:
        entry.status = status
        self.in_flight -= 1


def _shown_body(body: bytes, *, is_form: bool) -> Any:
    """A form as an object without what may be secret, JSON as it is, anything else as text, null for none."""
    if not body:
        return None
    text = body[:KEPT_BODY_BYTES].decode("utf-8", "replace")
    if is_form:
        pairs = parse_qsl(text, keep_blank_values=True)
        shown = [(name, value) for name, value in pairs if name.casefold() in _SHOWN_FIELDS | _SECRET_FIELDS]
        return {name: _REMOVED if name.casefold() in _SECRET_FIELDS else value for name, value in shown}
    try:
        # Read to be sure that it is JSON, but kept as it came, to the digit.
        wire.decode(body)
    except BadRequest:
        return text
    return msgspec.Raw(body.removeprefix(wire.BYTE_ORDER_MARK)) if len(body) <= KEPT_BODY_BYTES else text
