"""Render processes are lent fairly: deliveries first, and never all of them to previews."""

from __future__ import annotations

import asyncio

from learning_hub.rendering.limits import WORKER_MEMORY_BYTES
from learning_hub.rendering.worker_pool import WorkerPool
from learning_hub.rendering.worker_process import WorkerProcess


def a_pool(processes: int) -> WorkerPool:
    """A pool whose processes are not started."""
    return WorkerPool(
        [WorkerProcess(render_seconds=1, compile_seconds=1, memory_bytes=WORKER_MEMORY_BYTES) for _ in range(processes)]
    )


async def test_previews_leave_a_process_to_deliveries() -> None:
    """While sixty previews with templates of their own wait, a delivery gets a process at once."""
    pool = a_pool(2)
    held, done = list[int](), asyncio.Event()

    async def preview(number: int) -> None:
        async with pool.worker(f"templates {number}", preview_for="a"):
            held.append(number)
            await done.wait()

    async with asyncio.TaskGroup() as tasks:
        for number in range(60):
            tasks.create_task(preview(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert held == [0]
        for _ in range(3):
            async with asyncio.timeout(1), pool.worker("a delivery"):
                assert held == [0]
        done.set()
    assert len(held) == 60


async def test_deliveries_come_before_previews() -> None:
    """With one process, a delivery that arrives after sixty previews is rendered after the one that is under way."""
    pool = a_pool(1)
    order, all_wait = list[str](), asyncio.Event()

    async def use(name: str, *, preview_for: str | None = None) -> None:
        async with pool.worker(name, preview_for=preview_for):
            await all_wait.wait()
            order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for number in range(60):
            tasks.create_task(use(f"preview {number}", preview_for="a"))
        await asyncio.sleep(0)
        tasks.create_task(use("delivery"))
        await asyncio.sleep(0)
        all_wait.set()
    assert order.index("delivery") == 1


async def test_previews_are_fair_by_caller() -> None:
    """A caller's preview waits for two of another caller who has sixty, each with templates of its own."""
    pool = a_pool(2)
    order, all_wait = list[str](), asyncio.Event()

    async def preview(name: str, caller: str) -> None:
        async with pool.worker(f"templates of {name}", preview_for=caller):
            await all_wait.wait()
            order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for number in range(60):
            tasks.create_task(preview(f"a{number}", "a"))
        await asyncio.sleep(0)
        tasks.create_task(preview("b", "b"))
        await asyncio.sleep(0)
        all_wait.set()
    assert order.index("b") <= 2


async def test_slow_deliveries_do_not_hold_up_previews_of_their_templates() -> None:
    """While deliveries of slow templates hold a process, a preview of the same templates gets another."""
    pool = a_pool(2)
    pool.mark_slow("slow")
    async with pool.worker("slow"), asyncio.timeout(1), pool.worker("slow", preview_for="a"):
        pass
