"""
Several worker processes behind one port.

The parent holds the port and restarts worker processes that end. A worker process notices the death of its parent as
the end of its standard input, so that no process outlives it. This module, run with `python -m`, is a worker process.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process

from learning_hub.settings import PREFIX, Settings

log = logging.getLogger(__name__)

RESTART_SECONDS = 1


async def run_worker_processes(
    count: int, listener: socket.socket, database_address: str, *, with_worker: bool
) -> None:
    """Keep *count* hub processes serving on *listener* until cancelled, then end them cleanly."""
    arguments = [str(listener.fileno()), *([] if with_worker else ["--no-worker"])]
    # The embedded server is the parent's: worker processes only connect to it.
    environment = {**os.environ, f"{PREFIX}DATABASE_URL": database_address}
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_keep_process(arguments, listener, environment))


async def _keep_process(arguments: list[str], listener: socket.socket, environment: dict[str, str]) -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "learning_hub.cli.serving.worker_processes",
            *arguments,
            stdin=PIPE,
            pass_fds=[listener.fileno()],
            env=environment,
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            # Otherwise connections that come now would be accepted by nobody, until the last process has ended.
            listener.close()
            await _end(process)
            raise
        log.error("member_ended", extra={"pid": process.pid, "status": status})
        await asyncio.sleep(RESTART_SECONDS)


async def _end(process: Process) -> None:
    """End a worker process cleanly; a second cancellation does not wait for that."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise


def main() -> None:
    """Run a worker process: serve on the inherited port until SIGTERM, or until the parent is gone."""
    from learning_hub.cli.serving.stopping import run_until_stopped
    from learning_hub.cli.startup import begin_service

    parser = argparse.ArgumentParser()
    parser.add_argument("descriptor", type=int)
    parser.add_argument("--no-worker", action="store_true")
    arguments = parser.parse_args()
    # Ctrl-C reaches the whole process group, but the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=arguments.descriptor)
    work = _serve_until_orphaned(begin_service(), listener, with_worker=not arguments.no_worker)
    run_until_stopped(work, [signal.SIGTERM])


async def _serve_until_orphaned(settings: Settings, listener: socket.socket, *, with_worker: bool) -> None:
    loop, parent = asyncio.get_running_loop(), sys.stdin.fileno()
    serving = asyncio.create_task(_serve(settings, listener, with_worker=with_worker))

    def end() -> None:
        # The end of file stays readable, and another cancellation would cut the clean end short.
        loop.remove_reader(parent)
        serving.cancel()

    loop.add_reader(parent, end)
    try:
        await serving
    finally:
        loop.remove_reader(parent)


async def _serve(settings: Settings, listener: socket.socket, *, with_worker: bool) -> None:
    from learning_hub.cli.serving.server import serve_app
    from learning_hub.main import run_hub
    from learning_hub.store.database_server import open_database

    async with (
        open_database(settings, migrate=False) as database,
        run_hub(settings, database, with_worker=with_worker) as app,
    ):
        await serve_app(app, listener, settings)


if __name__ == "__main__":
    main()
