"""The budget of bodies, which the requests of all keys share."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from learning_hub.api.http import body_budget
from learning_hub.api.http.body_budget import BodyBudget
from learning_hub.model.errors import TooManyBodies, Unavailable


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "WAIT_SECONDS", 0.05)


async def test_a_key_holds_half_of_the_budget() -> None:
    """Bodies of one key hold half of it at most, whatever they hold; those of another key have the other half."""
    budget = BodyBudget(10)
    async with budget.body("one") as first, budget.body("one") as second, budget.body("other") as other:
        await first.grow(3)
        await second.grow(2)
        with pytest.raises(TooManyBodies) as refused:
            await second.grow(1)
        assert refused.value.retry_after_seconds
        await other.grow(5)
        assert budget.held == 10


async def test_all_keys_hold_the_budget() -> None:
    """Bodies of all keys hold the whole of it at most; a body that goes leaves its room to those that wait."""
    budget = BodyBudget(10)
    async with AsyncExitStack() as stack:
        for number in range(5):
            body = await stack.enter_async_context(budget.body(f"{number}"))
            await body.grow(2)
        async with budget.body("last") as last:
            with pytest.raises(Unavailable):
                await last.grow(1)
            waiting = asyncio.create_task(last.grow(1))
            await asyncio.sleep(0)
            await stack.aclose()
            await waiting
            assert budget.held == 1


async def test_the_oldest_body_always_goes_on() -> None:
    """Bodies that fill the budget do not wait for each other: the oldest one grows until it is whole."""
    budget = BodyBudget(10)
    async with budget.body("one") as first, budget.body("other") as second:
        await first.grow(5)
        await second.grow(5)
        await first.grow(5)
        with pytest.raises(Unavailable):
            await second.grow(1)


async def test_bodies_that_reserve_come_in_turn() -> None:
    """Of one key, a large body that waits is not overtaken by small ones that would fit; other keys do not wait."""
    budget, order = BodyBudget(20), []
    first_may_go = asyncio.Event()

    async def come(name: str, size: int, key: str = "one") -> None:
        async with budget.body(key, reserved=size):
            order.append(name)
            if name == "first":
                await first_may_go.wait()

    coming = [asyncio.create_task(come(name, size)) for name, size in (("first", 6), ("large", 10), ("small", 1))]
    await asyncio.sleep(0)
    await come("other", 10, key="other")
    assert order == ["first", "other"]
    first_may_go.set()
    await asyncio.gather(*coming)
    assert order == ["first", "other", "large", "small"]


async def test_the_number_of_bodies_is_bounded() -> None:
    """More bodies of one key than its share, or more of all keys than the hub takes, are refused at once."""
    budget = BodyBudget(10, most=3, most_of_key=2)
    async with budget.body("one"), budget.body("one"):
        with pytest.raises(TooManyBodies):
            async with budget.body("one"):
                pytest.fail("there was room")
        async with budget.body("other"):
            with pytest.raises(Unavailable):
                async with budget.body("third"):
                    pytest.fail("there was room")


async def test_room_is_given_back_whatever_happens() -> None:
    """An error while a body is held, a wait that is too long, and a caller that goes, free its room."""
    budget = BodyBudget(10)
    with pytest.raises(ValueError, match="it broke"):
        await _break(budget)
    async with budget.body("one", reserved=5):
        with pytest.raises(TooManyBodies):
            async with budget.body("one", reserved=1):
                pytest.fail("there was room")
    holding = asyncio.create_task(_hold(budget))
    await asyncio.sleep(0)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    async with budget.body("one", reserved=5) as body:
        await body.grow(5)
    assert budget.held == 0


async def _break(budget: BodyBudget) -> None:
    async with budget.body("one", reserved=5) as body:
        await body.grow(5)
        raise ValueError("it broke")


async def _hold(budget: BodyBudget) -> None:
    async with budget.body("one", reserved=5) as body:
        await body.grow(5)
        await asyncio.sleep(60)
