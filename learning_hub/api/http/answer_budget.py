"""
The answer budget: how many answers one process holds that are not taken yet, and their bytes, for all and by key.

A caller that asks and does not read makes the hub hold what it asked for. An answer counts from its first byte until
its last piece was handed to the connection, whose own buffer is small (`cli/serving/protocol.py`).
"""

from __future__ import annotations

from learning_hub.model.errors import TooManyAnswers, Unavailable

RETRY_SECONDS = 5


class _Key:
    """The answers of one key."""

    def __init__(self) -> None:
        self.count = 0
        self.held = 0


class AnswerBudget:
    """
    A budget of *size* bytes, of which the answers of one key may hold a quarter.

    *most* answers are on their way at once, of one key *most_of_key*. Where an answer is larger than its share, it is
    sent alone.
    """

    def __init__(self, size: int, *, most: int = 400, most_of_key: int = 100) -> None:
        self._size = size
        self._share = size // 4
        self._most = most
        self._most_of_key = most_of_key
        self._keys: dict[str, _Key] = {}
        self._count = 0
        self.held = 0

    def need_room(self, key_id: str, size: int = 0) -> None:
        """
        Check that a key may have one more answer, of *size* bytes.

        Raises:
            TooManyAnswers: The key does not take those that it has.
            Unavailable: All keys together do not.
        """
        key = self._keys.get(key_id)
        if key and (key.count >= self._most_of_key or key.held + size > self._share):
            raise TooManyAnswers(RETRY_SECONDS)
        if size and self._count and (self._count >= self._most or self.held + size > self._size):
            raise Unavailable("Too many answers are not taken.", retry_after_seconds=RETRY_SECONDS)

    def begin(self, key_id: str, size: int) -> None:
        """Hold an answer of *size* bytes, until `end` is called with the same."""
        key = self._keys.setdefault(key_id, _Key())
        key.count += 1
        self._count += 1
        key.held += size
        self.held += size

    def end(self, key_id: str, size: int) -> None:
        """The answer was taken, or given up."""
        key = self._keys[key_id]
        key.count -= 1
        self._count -= 1
        key.held -= size
        self.held -= size
        if not key.count:
            del self._keys[key_id]
