"""The rate limit: requests a second for each key, in each process, as a token bucket."""

from __future__ import annotations

import time

from learning_hub.model.errors import TooManyRequests

MOST_BUCKETS = 10_000


class RateLimiter:
    """Allows each key *a_second* requests a second on average, and as many at once after a pause."""

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._room = max(1.0, a_second)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> None:
        """
        Count one request.

        Raises:
            TooManyRequests: The bucket is empty; the error says when it has a token again.
        """
        moment = time.monotonic()
        left, since = self._buckets.get(key_id, (self._room, moment))
        left = min(self._room, left + (moment - since) * self._a_second)
        if left < 1:
            self._buckets[key_id] = (left, moment)
            raise TooManyRequests((1 - left) / self._a_second)
        if len(self._buckets) >= MOST_BUCKETS:
            self._buckets.clear()
        self._buckets[key_id] = (left - 1, moment)
