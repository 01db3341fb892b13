"""Jobs of the hub that end though they should not."""

from __future__ import annotations

import asyncio

import pytest

from learning_hub.jobs import Jobs


async def test_a_job_that_ends_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A background job that fails is reported in the log and named; one that is cancelled at the end is not."""

    async def fails() -> None:
        raise ZeroDivisionError

    async def goes_on() -> None:
        await asyncio.sleep(60)

    jobs = Jobs()
    async with jobs.running([fails(), goes_on()]):
        await asyncio.sleep(0.01)
        assert [name.rpartition(".")[2] for name in jobs.ended] == ["fails"]

    assert len(jobs.ended) == 1
    assert "job_ended" in caplog.text
