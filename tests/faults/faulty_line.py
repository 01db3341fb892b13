"""A line to a subscriber that cannot be relied on: it stands between the hub and a real server, and fails at random."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from enum import Enum
from random import Random

from http_server import HttpServer, Received, Says
from plain_http import plain_async_client


class Misdeed(Enum):
    """What it does to a request in place of forwarding it and its answer."""

    CUT_BEFORE_ANSWER = "carried out, and cut before the answer"
    CUT_IN_ANSWER = "carried out, and cut in the midst of the answer"
    LATE = "carried out after the time-out"
    CUT_THEN_LATE = "cut at once, and carried out later"
    DROPPED = "cut at once, and never carried out"
    SAYS_502 = "answered 502, and never carried out"
    SAYS_502_AFTER = "carried out, and answered 502"
    SAYS_503 = "answered 503, and never carried out"
    SAYS_503_AFTER = "carried out, and answered 503"
    SAYS_504_THEN_LATE = "answered 504 at once, and carried out later"


_STATUSES = {
    Misdeed.SAYS_502: 502,
    Misdeed.SAYS_502_AFTER: 502,
    Misdeed.SAYS_503: 503,
    Misdeed.SAYS_503_AFTER: 503,
    Misdeed.SAYS_504_THEN_LATE: 504,
}
_FIRST_CARRIED_OUT = {
    Misdeed.CUT_BEFORE_ANSWER,
    Misdeed.CUT_IN_ANSWER,
    Misdeed.SAYS_502_AFTER,
    Misdeed.SAYS_503_AFTER,
}
_LATER_CARRIED_OUT = {Misdeed.CUT_THEN_LATE, Misdeed.SAYS_504_THEN_LATE}
# A 503 is taken at its word: whoever answers so did not begin (RFC 9110, 15.6.4).
BELIEVABLE = tuple(misdeed for misdeed in Misdeed if misdeed is not Misdeed.SAYS_503_AFTER)
_OF_ONE_CONNECTION = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultyLine(HttpServer):
    """
    Forwards what it gets to the server at *upstream*, and fails at random until it is told to `be_honest`.

    *done* counts what it did.

    Args:
        upstream: The address of the server behind it.
        chance: Decides which requests fail, and how.
        share_of_writes: How many of the requests that change something fail, 0 to 1.
        share_of_reads: The same for the others.
        late_seconds: After how long what is late is carried out: from, to.
        slow_seconds: How long at most the answer takes to something that was written.
        misdeeds: In which ways it fails.
    """

    def __init__(
        self,
        upstream: str,
        chance: Random,
        *,
        share_of_writes: float = 0.3,
        share_of_reads: float = 0.02,
        late_seconds: tuple[float, float] = (1.3, 2.3),
        slow_seconds: float = 0,
        misdeeds: Collection[Misdeed] = BELIEVABLE,
    ) -> None:
        super().__init__()
        self.done: Counter[Misdeed | None] = Counter()
        self._upstream = upstream
        self._chance = chance
        self._share_of_writes, self._share_of_reads = share_of_writes, share_of_reads
        self._late_seconds, self._slow_seconds = late_seconds, slow_seconds
        self._misdeeds = list(misdeeds)
        self._is_honest = False
        self._under_way: set[asyncio.Task[Says]] = set()
        self._client = plain_async_client()

    def __repr__(self) -> str:
        return ", ".join(
            f"{misdeed.value if misdeed else 'forwarded'}: {times}" for misdeed, times in self.done.items()
        )

    async def be_honest(self) -> None:
        """Fail no more; what was taken until now is carried out by the end of this."""
        self._is_honest = True
        await asyncio.gather(*self._under_way)

    async def stop(self) -> None:
        """Be gone, with what was not carried out yet."""
        for task in self._under_way:
            task.cancel()
        await super().stop()
        await self._client.aclose()

    def writes(self, request: Received) -> bool:
        return request.method != "GET" and request.path != "/token"

    async def handle(self, request: Received) -> Says:
        """The answer of the server behind it."""
        headers = {name: value for name, value in request.headers.items() if name not in _OF_ONE_CONNECTION}
        answer = await self._client.request(
            request.method, f"{self._upstream}{request.target}", headers=headers, content=request.body
        )
        kept = {name: value for name, value in answer.headers.items() if name not in _OF_ONE_CONNECTION}
        return Says(answer.status_code, answer.content, kept)

    async def _serve(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        misdeed = self._pick(request)
        self.done[misdeed] += 1
        answer = Says(_STATUSES.get(misdeed, 502)) if misdeed else None
        if misdeed is None:
            answer = await self._carry_out(request)
            if self.writes(request):
                await asyncio.sleep(self._chance.uniform(0, self._slow_seconds))
        elif misdeed in _FIRST_CARRIED_OUT:
            carried_out = await self._carry_out(request)
            answer = answer if misdeed in _STATUSES else carried_out
        elif misdeed is Misdeed.LATE:
            answer = await self._carry_out(request, self._chance.uniform(*self._late_seconds))
        elif misdeed in _LATER_CARRIED_OUT:
            self._carry_out(request, self._chance.uniform(*self._late_seconds))
        assert answer
        return await self._say(answer, misdeed, request, writer)

    async def _say(
        self, answer: Says, misdeed: Misdeed | None, request: Received, writer: asyncio.StreamWriter
    ) -> bool:
        """As much of the answer as the misdeed leaves; false where the connection ends with it."""
        written = answer.written()
        if misdeed in (Misdeed.CUT_BEFORE_ANSWER, Misdeed.CUT_THEN_LATE, Misdeed.DROPPED):
            return False
        is_whole = misdeed is not Misdeed.CUT_IN_ANSWER
        writer.write(written if is_whole else written[: self._chance.randrange(1, len(written))])
        await writer.drain()
        return is_whole and request.headers.get("connection") != "close"

    def _pick(self, request: Received) -> Misdeed | None:
        share = self._share_of_writes if self.writes(request) else self._share_of_reads
        if self._is_honest or self._chance.random() >= share:
            return None
        return self._chance.choice(self._misdeeds)

    def _carry_out(self, request: Received, after_seconds: float = 0) -> asyncio.Task[Says]:
        """A task of its own: who asked may be gone by then."""

        async def later() -> Says:
            await asyncio.sleep(after_seconds)
            return await self.handle(request)

        task = asyncio.create_task(later())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task
