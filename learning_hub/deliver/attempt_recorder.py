"""The HTTP exchanges of one attempt, and which of them is stored with it."""

from __future__ import annotations

from typing import Any

from learning_hub.connectors.base import Exchange


class AttemptRecorder:
    """Keeps the last exchange that was meant to write, or else the last exchange."""

    def __init__(self) -> None:
        self._last: Exchange | None = None
        self._last_is_write = False
        self._is_writing = False

    def about_to_write(self) -> None:
        """From now on something may have been written, whether or not its exchange is recorded."""
        self._is_writing = True

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        """Record one exchange; *wrote* is true for a request meant to change something at the subscriber."""
        if wrote or not self._last_is_write:
            self._last = exchange
            self._last_is_write = wrote

    @property
    def wrote(self) -> bool:
        """Whether a request that was meant to write may have been sent."""
        return self._last_is_write or self._is_writing

    @property
    def request(self) -> dict[str, Any] | None:
        """`{"Method", "Url", "Headers", "Body"}`, None when nothing was sent."""
        if self._last is None:
            return None
        return {
            "Method": self._last.method,
            "Url": self._last.url,
            "Headers": self._last.headers,
            "Body": self._last.body,
        }

    @property
    def response(self) -> dict[str, Any] | None:
        """`{"Status", "Headers", "Body"}`, None when no response came."""
        if self._last is None or self._last.status is None:
            return None
        return {
            "Status": self._last.status,
            "Headers": self._last.response_headers,
            "Body": self._last.response_body,
        }
