"""The file of events to publish: JSON Lines, or one JSON document that is an event or an array of events."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

import msgspec

from learning_hub.cli.failures import FailedError

# Paths below these are streams or belong to the system, even if they look like files: /dev/stdin may be redirected.
OF_THE_SYSTEM = (Path("/dev"), Path("/proc"))


class EventFile:
    """
    The events of *name*; `-` is stdin.

    *unit* is the counted unit, known once the first event was read: `Line` in JSON Lines, `Event` in a document.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.unit = "Line"

    @property
    def can_be_read_again(self) -> bool:
        """False for stdin, a pipe or a device."""
        path = Path(self._name).absolute()
        is_of_the_system = any(path.is_relative_to(folder) for folder in OF_THE_SYSTEM)
        return self._name != "-" and path.is_file() and not is_of_the_system

    def beside(self, suffix: str) -> Path | None:
        """The path of a file next to this one; None for a stream."""
        return Path(f"{self._name}{suffix}") if self.can_be_read_again else None

    def count(self) -> int | None:
        """The number of events; None for a stream, which can be read only once."""
        return sum(1 for _ in self) if self.can_be_read_again else None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """
        Each event on one line, as it is spelled, with its number; invalid JSON is included, for the hub to refuse.

        Raises:
            FailedError: The file cannot be read.
        """
        try:
            with self._open() as stream:
                yield from self._events(stream)
        except OSError as error:
            raise FailedError(f"{self._name} cannot be read: {error.strerror or error}.") from error

    def _open(self) -> AbstractContextManager[IO[bytes]]:
        return nullcontext(sys.stdin.buffer) if self._name == "-" else Path(self._name).open("rb")

    def _events(self, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        # The byte order mark that some programs put before UTF-8 is in the first line only.
        lines = ((number, line.removeprefix(codecs.BOM_UTF8).strip()) for number, line in enumerate(stream, start=1))
        lines = ((number, line) for number, line in lines if line)
        first = next(lines, None)
        if first is None:
            return
        if not _may_begin_a_document(first[1]):
            yield first
            yield from lines
            return
        # Only the whole content shows whether it is a document, or JSON Lines with an invalid first line.
        rest = list(lines)
        events = _events_of_document(b"\n".join([first[1], *(line for _, line in rest)]))
        if events is None:
            yield from [first, *rest]
        else:
            self.unit = "Event"
            yield from enumerate(events, start=1)


def _may_begin_a_document(line: bytes) -> bool:
    return line.startswith((b"{", b"[")) and not _is_object(line)


def _is_object(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _events_of_document(content: bytes) -> list[bytes] | None:
    if _is_object(content):
        return [_on_one_line(content)]
    try:
        events = msgspec.json.decode(content, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return [_on_one_line(bytes(event)) for event in events]


def _on_one_line(content: bytes) -> bytes:
    # In JSON, line breaks occur only between values; within a string they are escaped.
    return content.replace(b"\n", b" ").replace(b"\r", b" ")
