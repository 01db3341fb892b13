"""
The progress of a render process, in a page of memory that outlives the process.

The kernel ends a process that takes too long, at any point of its work. The page then shows which leaf it was compiling
or rendering.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Literal

import msgspec

Stage = Literal["compiling", "rendering"]

_PAGE_BYTES = 512
# The bytes before the place: a letter for the stage, and the length of the place.
_HEAD_BYTES = 3
_LETTERS: dict[Stage, bytes] = {"compiling": b"c", "rendering": b"r"}


class Progress(msgspec.Struct, frozen=True):
    """The stage of a process, and the place of the leaf (`_default.Items[0].Name`), empty outside of any leaf."""

    stage: Stage
    place: str


class ProgressWriter:
    """The render process's side of the page; without a *file* it writes nothing."""

    def __init__(self, file: int | None = None) -> None:
        self._page = None if file is None else mmap.mmap(file, _PAGE_BYTES)

    def write(self, stage: Stage, place: str = "") -> None:
        """Record that *stage* begins at *place*."""
        if self._page is not None:
            cut = place.encode(errors="replace")[: _PAGE_BYTES - _HEAD_BYTES]
            self._page[: _HEAD_BYTES + len(cut)] = _LETTERS[stage] + len(cut).to_bytes(2) + cut


# For templates that are compiled and rendered in the process of the caller.
UNSHARED_PROGRESS = ProgressWriter()


class ProgressPage:
    """The hub's side of the page; the render process inherits *file*."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.file = os.memfd_create("progress")
        else:  # macOS
            with tempfile.TemporaryFile() as file:
                self.file = os.dup(file.fileno())
        os.truncate(self.file, _PAGE_BYTES)

    def read(self) -> Progress | None:
        """The progress of the process, readable even after its end; None before its first job."""
        page = os.pread(self.file, _PAGE_BYTES, 0)
        for stage, letter in _LETTERS.items():
            if page.startswith(letter):
                length = int.from_bytes(page[1:_HEAD_BYTES])
                return Progress(stage, page[_HEAD_BYTES : _HEAD_BYTES + length].decode(errors="ignore"))
        return None

    def close(self) -> None:
        os.close(self.file)
