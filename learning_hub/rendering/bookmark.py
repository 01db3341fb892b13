"""
Where a rendering process is in its templates, told in a page of memory that outlives it.

A process that takes too long is ended by the kernel in the midst of whatever it does, and can say nothing any more.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Literal

import msgspec

Stage = Literal["compiling", "rendering"]

_PAGE_BYTES = 512
# What stands before the place: a letter for the stage, and the length of the place.
_HEAD_BYTES = 3
_LETTERS: dict[Stage, bytes] = {"compiling": b"c", "rendering": b"r"}


class Standing(msgspec.Struct, frozen=True):
    """What a process is at, and the place of the leaf (`_default.Items[0].Name`); empty outside of any leaf."""

    stage: Stage
    place: str


class Bookmark:
    """The page as the process has it; without a *file* it tells nobody."""

    def __init__(self, file: int | None = None) -> None:
        self._page = None if file is None else mmap.mmap(file, _PAGE_BYTES)

    def put(self, stage: Stage, place: str = "") -> None:
        """The process is at *place* now."""
        if self._page is not None:
            told = place.encode(errors="replace")[: _PAGE_BYTES - _HEAD_BYTES]
            self._page[: _HEAD_BYTES + len(told)] = _LETTERS[stage] + len(told).to_bytes(2) + told


class SharedPage:
    """The page as the hub has it; *file* is what the process gets."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.file = os.memfd_create("bookmark")
        else:  # macOS
            with tempfile.TemporaryFile() as file:
                self.file = os.dup(file.fileno())
        os.truncate(self.file, _PAGE_BYTES)

    def read(self) -> Standing | None:
        """Where the process is, or was when it ended; None when it had not begun."""
        page = os.pread(self.file, _PAGE_BYTES, 0)
        for stage, letter in _LETTERS.items():
            if page.startswith(letter):
                length = int.from_bytes(page[1:_HEAD_BYTES])
                return Standing(stage, page[_HEAD_BYTES : _HEAD_BYTES + length].decode(errors="ignore"))
        return None

    def close(self) -> None:
        """Let go of it."""
        os.close(self.file)
