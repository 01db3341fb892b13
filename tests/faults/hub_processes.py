"""Hub processes on one database that are killed at random moments and started again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

from forked_program import ForkedProgram
from programs import environment

START_SECONDS = 120


class HubProcesses:
    """
    Some hub processes, each of which is started again as soon as it is killed.

    Args:
        commands: What to start, `serve` or `work`.
        settings: Of the hub, named without their prefix.
        folder: For the logs.
    """

    def __init__(self, commands: Sequence[str], settings: Mapping[str, str], folder: Path) -> None:
        self._commands = list(commands)
        self._environment = environment(settings)
        self._folder = folder
        self._processes: dict[int, ForkedProgram] = {}
        self._addresses: dict[int, str] = {}
        self.kills = 0

    def addresses(self) -> list[str]:
        """Where hubs serve at this moment."""
        return list(self._addresses.values())

    async def start(self) -> None:
        """All of them run."""
        await asyncio.gather(*(self._start(place) for place in range(len(self._commands))))

    async def kill_at_random(self, chance: Random, seconds: tuple[float, float]) -> None:
        """
        Kill one after the other until cancelled, each a while after the one before was started again.

        All of them run afterwards.
        """
        try:
            while True:
                await asyncio.sleep(chance.uniform(*seconds))
                places = [chance.randrange(len(self._commands))]
                if chance.random() < 1 / 5:
                    # A machine that goes down takes all of them with it.
                    places = list(range(len(self._commands)))
                await asyncio.gather(*(self._kill(place) for place in places))
                await asyncio.gather(*(self._start(place) for place in places))
        finally:
            await asyncio.gather(
                *(self._start(place) for place in range(len(self._commands)) if place not in self._processes)
            )

    async def stop(self) -> None:
        """Let them end by themselves."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            await asyncio.to_thread(process.wait, START_SECONDS)
            process.stdout.close()

    def errors(self) -> list[str]:
        """What they logged of faults of their own."""
        lines = [json.loads(line) for log in self._folder.glob("*.log") for line in log.read_text().splitlines()]
        return [str(line) for line in lines if line.get("level") in ("error", "critical")]

    async def _start(self, place: int) -> None:
        command = self._commands[place]
        more = ["--port", "0", "--json"] if command == "serve" else []
        with (self._folder / f"{place}.log").open("ab") as log:
            process = ForkedProgram([command, *more], self._environment, log)
        reading = asyncio.ensure_future(asyncio.to_thread(process.stdout.readline))
        try:
            line = await asyncio.wait_for(asyncio.shield(reading), START_SECONDS)
            assert line, (self._folder / f"{place}.log").read_text()[-2000:]
        except BaseException:
            # Cancelled meanwhile, nobody else would ever end it.
            process.kill()
            await asyncio.wait([reading])
            process.stdout.close()
            raise
        self._processes[place] = process
        if command == "serve":
            self._addresses[place] = json.loads(line)["Address"]

    async def _kill(self, place: int) -> None:
        self._addresses.pop(place, None)
        process = self._processes.pop(place)
        process.kill()
        try:
            await asyncio.to_thread(process.wait)
        finally:
            # The kills are cancelled at any moment.
            process.stdout.close()
        self.kills += 1


@asynccontextmanager
async def running_hubs(hubs: HubProcesses) -> AsyncIterator[None]:
    """They run, and end with the block."""
    await hubs.start()
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            await hubs.stop()


@asynccontextmanager
async def killed_meanwhile(hubs: HubProcesses, chance: Random, seconds: tuple[float, float]) -> AsyncIterator[None]:
    """They are killed at random during the block, and run after it."""
    killing = asyncio.create_task(hubs.kill_at_random(chance, seconds))
    try:
        yield
    finally:
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing
