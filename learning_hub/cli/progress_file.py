"""What of a file was published already, kept beside it, so that publishing it again goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class ProgressFile:
    """
    `FILE.published`: a JSON line for each line of FILE that the hub at *url* has, with its EventId.

    A line that was changed since, or that another hub has, counts as not published. The last line of the file may be
    torn, when the program was killed; that line is published again, which the hub takes as the same event.
    """

    def __init__(self, path: Path | None, url: str) -> None:
        self._path = path
        self._url = url
        self._known: dict[int, str] = {}
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        is_torn = False
        if self._path.exists():
            text = self._path.read_text(encoding="utf-8")
            is_torn = not text.endswith("\n")
            for line in text.splitlines():
                self._read(line)
        self._file = self._path.open("a", encoding="utf-8")
        if is_torn:
            self._file.write("\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def has(self, number: int, content: bytes) -> bool:
        """Whether line *number* was published as it is now."""
        return self._known.get(number) == _mark(content)

    def add(self, number: int, content: bytes, event_id: str) -> None:
        """Line *number* is published."""
        if self._file:
            entry = {"Line": number, "Content": _mark(content), "EventId": event_id, "Url": self._url}
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            if entry["Url"] == self._url:
                self._known[int(entry["Line"])] = entry["Content"]
        except (ValueError, KeyError, TypeError):
            return


def _mark(content: bytes) -> str:
    return hashlib.sha256(content.strip()).hexdigest()[:32]
