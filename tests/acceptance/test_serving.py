"""The hub as a program: started, served, stopped, and its database killed under it."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import programs
import psutil
import pytest
from factories import an_event_body
from programs import LIMIT_SECONDS, Served, command, quick_command
from running import ADMIN_KEY

served = functools.partial(programs.served, start=programs.anew)
started = functools.partial(programs.started, start=programs.anew)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, str]:
    """Settings for a hub on a database of its own."""
    return {"HOME": str(tmp_path / "home"), "ADMIN_KEY": ADMIN_KEY}


@pytest.fixture
def given(tmp_path: Path, database_address: str) -> dict[str, str]:
    """Settings for a hub on this test's database."""
    return {"HOME": str(tmp_path / "home"), "ADMIN_KEY": ADMIN_KEY, "DATABASE_URL": database_address}


def test_a_hub_with_a_database_of_its_own_serves_and_stops(embedded: dict[str, str], log: Path) -> None:
    """
    With nothing but an empty home it serves; on SIGTERM it ends with 0 and its PostgreSQL with it.

    No setting of the hub, which may be a secret, is in the environment of its PostgreSQL.
    """
    with served(settings=embedded, log=log) as hub:
        assert hub.announced["Documentation"] == f"{hub.address}/schema"
        answer = hub.client.get("/health/ready")
        assert answer.json()["Status"] == "ready"
        assert "server" not in answer.headers
        assert _postgres(embedded)
        assert not [name for name in _postgres(embedded)[0].environ() if name.startswith("LEARNING_HUB_")]
        assert hub.stop() == 0
    assert not _postgres(embedded)


def test_stopping_while_it_starts_leaves_nothing_behind(embedded: dict[str, str], log: Path) -> None:
    """SIGTERM while PostgreSQL is being set up ends the hub with 0, and PostgreSQL with it."""
    with started("serve", "--port", "0", settings=embedded, log=log) as program:
        _until((Path(embedded["HOME"]) / "postgres").exists, log)
        assert program.stop() == 0
    assert not _postgres(embedded)


def test_a_killed_database_comes_back_and_nothing_is_lost(embedded: dict[str, str], log: Path) -> None:
    """Callers get 503 with Retry-After until its PostgreSQL is back; then 201 again, and what was stored is there."""
    with served(settings=embedded, log=log) as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})
        stored = [_publish(hub.client, number).headers["location"] for number in range(20)]
        for process in _postgres(embedded):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + 60

        # The watch looks every second: it may be back already, and test_http.py proves the 503 with a proxy.
        while (answer := _publish(hub.client, 20)).status_code not in (200, 201):
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
            assert time.monotonic() < deadline, hub.log
            time.sleep(0.1)

        assert [hub.client.get(location).status_code for location in stored] == [200] * 20
        assert hub.client.get("/health/ready").status_code == 200
        # Publishers may be answered again before the watch has seen for itself that the server takes connections.
        _until(lambda: "embedded_server_started_again" in hub.log, log)
        assert hub.stop() == 0
    assert not _postgres(embedded)


def test_processes_share_one_port(given: dict[str, str], log: Path) -> None:
    """Of two processes one may die: the other goes on answering and the first is replaced; Ctrl-C ends all with 0."""
    with served("--processes", "2", settings=given, log=log) as hub:
        # A member takes several seconds to start; the address is reported once one answers.
        assert httpx.get(f"{hub.address}/health/live", trust_env=False, timeout=10).status_code == 200
        _until(lambda: len(_members(hub.process.pid)) == 2, log)
        assert hub.client.get("/health/ready").status_code == 200
        killed = _members(hub.process.pid)[0]
        killed.kill()
        killed.wait(60)
        assert {
            httpx.get(f"{hub.address}/health/live", timeout=60, trust_env=False).status_code for _ in range(10)
        } == {200}
        _until(lambda: len(_members(hub.process.pid)) == 2 and killed not in _members(hub.process.pid), log)
        members = _members(hub.process.pid)
        assert hub.stop(signal.SIGINT) == 0
    assert not any(_is_alive(member) for member in members)


def test_connections_made_while_it_stops_do_not_hang(given: dict[str, str], log: Path) -> None:
    """While two processes stop, a new connection is answered or refused, and waits for nobody."""
    with served("--processes", "2", settings=given, log=log) as hub:
        _until(lambda: len(_members(hub.process.pid)) == 2, log)
        hub.process.send_signal(signal.SIGTERM)
        refused = 0
        while hub.process.poll() is None:
            try:
                httpx.get(f"{hub.address}/health/live", trust_env=False, timeout=5)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                refused += 1
                time.sleep(0.01)
        assert refused > 0


def test_members_end_with_their_parent(given: dict[str, str], log: Path) -> None:
    """A parent that is killed leaves no process behind on its port."""
    with served("--processes", "2", settings=given, log=log) as hub:
        _until(lambda: len(_members(hub.process.pid)) == 2, log)
        members = _members(hub.process.pid)
        hub.stop(signal.SIGKILL)
        psutil.wait_procs(members, timeout=60)
        assert not any(_is_alive(member) for member in members)


def test_who_waits_is_answered_when_the_parent_dies(given: dict[str, str], log: Path) -> None:
    """A caller that waits at a member gets its empty page when the parent is killed, and no other answer."""
    with served("--processes", "2", settings=given, log=log) as hub, contextlib.ExitStack() as waiting:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})
        answers = [waiting.enter_context(_waiting(hub, seconds=30)) for _ in range(6)]
        hub.stop(signal.SIGKILL)
        for answer in answers:
            answer.begin()
            assert (answer.status, json.loads(answer.read())["Items"]) == (200, [])


def test_a_request_under_way_is_answered(given: dict[str, str], log: Path) -> None:
    """A caller that waits for events when the hub is stopped gets its answer."""
    with programs.served(settings=given, log=log) as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})
        with _waiting(hub, seconds=2) as answer:
            assert hub.stop() == 0
            answer.begin()
            assert answer.status == 200


def test_who_waits_does_not_hold_up_the_end(given: dict[str, str], log: Path) -> None:
    """Callers that wait for events get an empty page at once when the hub is stopped, and the hub ends."""
    with programs.served(settings=given, log=log) as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})
        began = time.monotonic()
        with _waiting(hub, seconds=30) as answer:
            assert hub.stop() == 0
            assert time.monotonic() - began < 25
            answer.begin()
            assert (answer.status, json.loads(answer.read())["Items"]) == (200, [])


def test_the_log_is_json_and_names_nobody(given: dict[str, str], log: Path) -> None:
    """Every line of the log is a JSON object; a request is reported by its route, without ids, queries and keys."""
    with programs.served(settings=given | {"LOG_FORMAT": "json"}, log=log) as hub:
        hub.client.get("/programs/SECRETPROGRAM", params={"email": "robin@example.org"})
        hub.stop()
        lines = [json.loads(line) for line in hub.log.splitlines()]
    told = next(line for line in lines if line["event"] == "request")
    assert (told["method"], told["route"], told["status"]) == ("GET", "/programs/{ProgramId}", 400)
    assert "SECRETPROGRAM" not in hub.log
    assert "robin" not in hub.log
    assert ADMIN_KEY not in hub.log


def test_a_worker_runs_until_it_is_stopped(given: dict[str, str], log: Path) -> None:
    """`work` serves nothing, and ends with 0."""
    with started("work", settings=given, log=log) as worker:
        assert worker.line().startswith("Delivering")
        assert worker.stop() == 0


def test_a_database_that_is_out_of_date_is_refused(tmp_path: Path, empty_database_address: str, log: Path) -> None:
    """--no-migrate names what is missing, and migrate fixes it."""
    settings = {"HOME": str(tmp_path), "DATABASE_URL": empty_database_address}
    refused = command("serve", "--port", "0", "--no-migrate", settings=settings)
    assert refused.returncode == 1
    assert "missing: 0001_pre_first_release" in refused.stderr
    assert "learning-hub migrate" in refused.stderr
    assert command("migrate", settings=settings).stdout == "The database is up to date.\n"
    with served("--no-migrate", settings=settings, log=log) as hub:
        assert hub.client.get("/health/ready").status_code == 200
        # Without LEARNING_HUB_ADMIN_KEY it serves all the same, and says how to make a key.
        assert "learning-hub key create" in hub.log


def test_a_port_in_use_is_told(given: dict[str, str]) -> None:
    """One sentence on stderr, and nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = command("serve", "--port", port, settings=given)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"Cannot listen on port {port} of 127.0.0.1: Address already in use. Choose another one with --port."
    ]


def test_a_wrong_setting_is_told(given: dict[str, str]) -> None:
    """One sentence on stderr that names it, and exit status 2."""
    refused = command("serve", settings=given | {"PROBE_SECONDS": "soon"})
    assert refused.returncode == 2
    assert refused.stderr == "LEARNING_HUB_PROBE_SECONDS: must be a number of seconds from 0.1 to 3600, not 'soon'\n"


def test_a_wrong_private_target_is_told(given: dict[str, str]) -> None:
    """It is reported as any other setting, before anything is started."""
    home = Path(given["HOME"])
    settings = {"HOME": str(home), "ALLOWED_PRIVATE_TARGETS": "a b/99"}
    for arguments in (("serve", "--port", "0"), ("work",), ("program", "list")):
        refused = quick_command(*arguments, settings=settings)
        assert refused.exit_code == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith("LEARNING_HUB_ALLOWED_PRIVATE_TARGETS: 'a b/99' is no host")
    assert not home.exists()


def test_a_password_is_not_told(given: dict[str, str]) -> None:
    """An address of a database that cannot be read is reported without a part of it."""
    for address in ("postgresql://hub:let/mein@db/hub", "postgresql://hub@127.0.0.1/hub?sslmode=letmein"):
        refused = command("serve", "--port", "0", settings=given | {"DATABASE_URL": address})
        assert refused.returncode in (1, 2)
        assert "LEARNING_HUB_DATABASE_URL" in refused.stderr
        assert "mein" not in refused.stderr


def _publish(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/events", json=an_event_body(PublisherEventId=f"AI:{number}"))


@contextlib.contextmanager
def _waiting(hub: Served, *, seconds: int) -> Iterator[HTTPResponse]:
    """The answer, not begun yet, to a request for events that the hub has got."""
    url = httpx.URL(hub.address)
    head = f"GET /events?ProgramId=NURSES&Wait={seconds} HTTP/1.1\r\nHost: hub\r\nX-API-Key: {ADMIN_KEY}\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=LIMIT_SECONDS) as connection:
        connection.sendall(head.encode())
        # The process that has accepted it reads it before what comes later.
        ours = connection.getsockname()
        _until(lambda: ours in _callers(hub.process.pid), hub._log)
        assert httpx.get(f"{hub.address}/health/live", timeout=60, trust_env=False).status_code == 200
        with HTTPResponse(connection) as answer:
            yield answer


def _postgres(settings: dict[str, str]) -> list[psutil.Process]:
    """The processes of a home's PostgreSQL server, the parent before its children."""
    folder = str(Path(settings["HOME"]) / "postgres")
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        if process.info["name"] == "postgres" and folder in (process.info["cmdline"] or []):
            found.append(process)
            # It may end while it is asked.
            with contextlib.suppress(psutil.NoSuchProcess):
                found += process.children(recursive=True)
    return found


def _callers(parent: int) -> set[tuple[Any, ...]]:
    """The other ends of the connections of a hub's processes."""
    found: set[tuple[Any, ...]] = set()
    for process in (psutil.Process(parent), *_members(parent)):
        with contextlib.suppress(psutil.NoSuchProcess):
            found |= {tuple(one.raddr) for one in process.net_connections("tcp")}
    return found


def _members(parent: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(parent).children() if _is_alive(child)]


def _is_alive(process: psutil.Process) -> bool:
    # A member may be replaced, and gone, between two questions.
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _until(look: Callable[[], Any], log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds} seconds; the log:\n{log.read_text(encoding='utf-8')}"
        time.sleep(0.1)
