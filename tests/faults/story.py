"""A random story of many source records, and a publisher that tells it to a hub that is not always there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx
from factories import an_event_body
from plain_http import plain_async_client

PEOPLE = ("robin.vale@example.org", "amara.okafor@example.org", "jun.takeda@example.org", "lena.hartmann@example.org")
PUBLISHERS = 6
Kind = Literal["started", "completed", "withdraw"]


@dataclass(frozen=True)
class Step:
    """One thing that a publisher does about a source record; *version* is the content's."""

    kind: Kind
    version: int


@dataclass
class Source:
    """
    A source record: what happens to it, and what became of it.

    *version* is the newest that was published, 0 for none; *location* is that event's address. What was withdrawn last
    *is_withdrawn*. *event_ids* are all events of it, the oldest first.
    """

    number: int
    steps: list[Step]
    version: int = 0
    location: str = ""
    is_withdrawn: bool = False
    event_ids: list[str] = field(default_factory=list)

    @property
    def publisher_event_id(self) -> str:
        return f"AI:{self.number}"

    @property
    def title(self) -> str:
        """What a record at a subscriber says of it in the end."""
        return title(self.publisher_event_id, self.version)


def title(publisher_event_id: str, version: int) -> str:
    return f"{publisher_event_id} version {version}"


def a_story(chance: Random, count: int, *, with_withdrawals: bool = True) -> list[Source]:
    """
    So many source records.

    Of three one is started first, of three one is revised, of six one is withdrawn, and of these one of three comes
    again. What was started is not withdrawn: the row is that of both.
    """
    return [Source(number, _steps(chance, with_withdrawals=with_withdrawals)) for number in range(count)]


def _steps(chance: Random, *, with_withdrawals: bool) -> list[Step]:
    kinds: list[Kind] = ["started"] if chance.random() < 1 / 3 else []
    kinds.append("completed")
    while chance.random() < 1 / 3:
        kinds.append("completed")
    if with_withdrawals and kinds[0] != "started" and chance.random() < 1 / 4:
        kinds.append("withdraw")
        if chance.random() < 1 / 3:
            kinds.append("completed")
    return [Step(kind, version) for version, kind in enumerate(kinds, 1)]


class Publisher:
    """
    Tells a story, several source records at once, each in order; what is not answered it tells again.

    Args:
        addresses: Where hubs are, those of this moment.
        headers: With a key.
        chance: Decides how long it waits between two steps.
        longest_wait_seconds: Of these waits.
    """

    def __init__(
        self,
        addresses: Callable[[], Sequence[str]],
        headers: dict[str, str],
        chance: Random,
        *,
        longest_wait_seconds: float,
    ) -> None:
        self._addresses = addresses
        self._chance = chance
        self._wait_seconds = longest_wait_seconds
        self._client = plain_async_client(headers=headers, seconds=10)
        self.repeated = 0

    async def tell(self, story: Sequence[Source]) -> None:
        """All of it was taken by a hub."""
        async with self._client, asyncio.TaskGroup() as group:
            for first in range(PUBLISHERS):
                group.create_task(self._tell_some(story[first::PUBLISHERS]))

    async def _tell_some(self, sources: Sequence[Source]) -> None:
        """Each time the next step of one of them, so that those of one are some time apart."""
        left = {source.number: list(source.steps) for source in sources}
        by_number = {source.number: source for source in sources}
        while left:
            number = self._chance.choice(list(left))
            await self._take(by_number[number], left[number].pop(0))
            if not left[number]:
                del left[number]
            await asyncio.sleep(self._chance.uniform(0, self._wait_seconds))

    async def _take(self, source: Source, step: Step) -> None:
        if step.kind == "withdraw":
            await self._until_answered("DELETE", source.location, None)
            source.is_withdrawn = True
            return
        body = an_event_body(
            PublisherEventId=source.publisher_event_id,
            EventType="AI_STARTED" if step.kind == "started" else "AI_COMP_SUCCESS",
            PublisherParticipantId=PEOPLE[source.number % len(PEOPLE)],
            PublisherEventData={
                "Activity Code": source.publisher_event_id,
                "Activity Title": title(source.publisher_event_id, step.version),
            },
        )
        answer = await self._until_answered("POST", "/events", body)
        source.version, source.location, source.is_withdrawn = step.version, answer.headers["Location"], False
        source.event_ids.append(source.location.removeprefix("/events/"))

    async def _until_answered(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        while True:
            for address in self._chance.sample(self._addresses(), k=len(self._addresses())):
                try:
                    answer = await self._client.request(method, f"{address}{path}", json=body)
                except httpx.TransportError:
                    self.repeated += 1
                    continue
                if answer.is_success:
                    return answer
                # A hub that is going down or coming up may say so; nothing else is wrong with what is sent.
                assert answer.status_code == 503, answer.text
                self.repeated += 1
            await asyncio.sleep(0.1)
