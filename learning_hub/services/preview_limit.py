"""Limits the previews of each key, and whatever else renders or compiles templates while a caller waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from learning_hub.model.errors import TooManyPreviews

MOST_PREVIEWS = 20
RETRY_SECONDS = 5


class PreviewLimit:
    """Counts the previews of each key in one process, those that wait and those that are rendered."""

    def __init__(self) -> None:
        self._count = Counter[str]()

    @contextmanager
    def hold(self, key_id: str) -> Iterator[None]:
        """
        Count a preview of a key within the block.

        Raises:
            TooManyPreviews: The key has twenty already.
        """
        if self._count[key_id] >= MOST_PREVIEWS:
            raise TooManyPreviews(RETRY_SECONDS)
        self._count[key_id] += 1
        try:
            yield
        finally:
            self._count[key_id] -= 1
            if not self._count[key_id]:
                del self._count[key_id]
