"""The progress file: records which events of a file were published, so that publishing it again continues."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from learning_hub.cli.failures import FailedError


class ProgressFile:
    """
    `FILE.published`: a JSON line for each line of FILE that the hub at *url* has, with its EventId.

    A line that was changed since, or that was published to another hub, counts as not published. The last line of the
    progress file may be incomplete if the program was killed; that event is published again, and the hub recognises it
    as the same. Without a *path* nothing is recorded.

    A line with `Forgotten` says that the hub went back in time: the lines before it count as not published.
    """

    def __init__(self, path: Path | None, url: str) -> None:
        self._path = path
        self._url = url
        # By line, the mark of its content, and its EventId.
        self._known: dict[int, tuple[str, str]] = {}
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """
        Read the recorded lines, and open the file for more.

        Raises:
            FailedError: The file cannot be read or written.
        """
        if self._path is None:
            return self
        try:
            is_incomplete = self._read_all(self._path)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._failure(error) from error
        if is_incomplete:
            self._file.write("\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was published before."""
        return not self._known

    def has(self, number: int, content: bytes) -> bool:
        """Whether line *number* was published with this content."""
        return number in self._known and self._known[number][0] == _mark(content)

    def event_id(self, number: int) -> str:
        """The EventId of line *number*, which was published."""
        return self._known[number][1]

    def newest(self, most: int) -> list[int]:
        """The numbers of the lines that were recorded last, up to *most*, in that order."""
        return list(self._known)[-most:]

    def forget(self) -> None:
        """
        Let all lines count as not published, also in later runs.

        Raises:
            FailedError: The file can no longer be written.
        """
        self._known.clear()
        self._write([{"Forgotten": True, "Url": self._url}])

    def add(self, lines: Iterable[tuple[int, bytes, str]]) -> None:
        """
        Record published lines, each with its number, content and EventId.

        Raises:
            FailedError: The file can no longer be written.
        """
        self._write(
            [
                {"Line": number, "Content": _mark(content), "EventId": event_id, "Url": self._url}
                for number, content, event_id in lines
            ]
        )

    def _write(self, entries: list[dict[str, Any]]) -> None:
        if self._file is None:
            return
        try:
            self._file.write("".join(json.dumps(entry) + "\n" for entry in entries))
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _read_all(self, path: Path) -> bool:
        """Read all entries; whether the last line is incomplete, which may cut a character in half."""
        if not path.exists():
            return False
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in text.split("\n"):
            self._read(line)
        return bool(text) and not text.endswith("\n")

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            if entry["Url"] != self._url:
                return
            if entry.get("Forgotten"):
                self._known.clear()
                return
            number, content, event_id = int(entry["Line"]), entry["Content"], str(entry["EventId"])
            # Those recorded last stand last.
            self._known.pop(number, None)
            self._known[number] = content, event_id
        except (ValueError, KeyError, TypeError, RecursionError):
            return

    def _failure(self, error: OSError) -> FailedError:
        return FailedError(
            f"{self._path}, which records the published events, cannot be used: {error.strerror or error}. Publish a "
            "copy of the file from a folder you may write to, or give it as stdin: then nothing is recorded."
        )


def _mark(content: bytes) -> str:
    return hashlib.sha256(content.strip()).hexdigest()[:32]
