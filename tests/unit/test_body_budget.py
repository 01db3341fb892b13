"""Room for large bodies, which several requests share."""

from __future__ import annotations

import asyncio

import pytest

from learning_hub.api.http import body_budget
from learning_hub.api.http.body_budget import BodyBudget
from learning_hub.model.errors import Unavailable


async def test_who_finds_no_room_waits_in_turn() -> None:
    """A large one that waits is not overtaken by small ones that would fit, and all get room in the end."""
    room, order = BodyBudget(10), []
    first_may_go = asyncio.Event()

    async def come(name: str, size: int) -> None:
        async with room.taken(size):
            order.append(name)
            if name == "first":
                await first_may_go.wait()

    coming = [asyncio.create_task(come(name, size)) for name, size in (("first", 6), ("large", 10), ("small", 1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["first"]
    first_may_go.set()
    await asyncio.gather(*coming)
    assert order == ["first", "large", "small"]


async def test_who_waits_too_long_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for long it is answered that it may be tried again; what was not taken is not given back."""
    monkeypatch.setattr(body_budget, "WAIT_SECONDS", 0.05)
    room = BodyBudget(10)
    async with room.taken(10):
        with pytest.raises(Unavailable) as refused:
            async with room.taken(1):
                pytest.fail("there was room")
        assert refused.value.retry_after_seconds
    async with room.taken(10):
        pass


async def test_room_is_given_back_whatever_happens() -> None:
    """An error while a body is held, or a caller that goes, frees its room."""
    room = BodyBudget(10)
    with pytest.raises(ValueError, match="it broke"):
        async with room.taken(10):
            raise ValueError("it broke")
    holding = asyncio.create_task(_hold(room))
    await asyncio.sleep(0)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    async with room.taken(10):
        pass


async def _hold(room: BodyBudget) -> None:
    async with room.taken(10):
        await asyncio.sleep(60)
