"""Publishing a file: patience, order, and going on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import an_event_body

from learning_hub.cli.failing import FailedError
from learning_hub.cli.progress_file import ProgressFile
from learning_hub.cli.publishing import Publishing, Report

URL = "http://hub"
Answering = Callable[[httpx.Request], httpx.Response]


class Hub:
    """Answers each request with the next of *answers*, the last one for ever, and keeps what it was sent."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.bodies: list[Any] = []
        self.keys: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        self.keys.append(request.headers["idempotency-key"])
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def _taken() -> httpx.Response:
    return httpx.Response(201, headers={"Location": "/events/E:NURSES-1"})


async def _publish(hub: Hub, *events: dict[str, Any], file: Path | None = None, connections: int = 4) -> Report:
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    transport = httpx.MockTransport(hub)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        with ProgressFile(file, URL) as progress:
            publishing = Publishing(client, progress, connections=connections, patience_seconds=5, advance=lambda: None)
            return await publishing.publish(lines)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("learning_hub.cli.publishing.FIRST_WAIT_SECONDS", 0.01)
    return


async def test_lines_of_one_source_record_go_in_order() -> None:
    """A later revision never overtakes an earlier one, however many connections there are."""
    hub = Hub(_taken())
    events = [
        an_event_body(PublisherEventId=f"AI:{number % 5}", PublisherEventData={"n": number}) for number in range(50)
    ]
    report = await _publish(hub, *events, connections=8)
    assert report.new == 50
    for source in range(5):
        sent = [body["PublisherEventData"]["n"] for body in hub.bodies if body["PublisherEventId"] == f"AI:{source}"]
        assert sent == sorted(sent)
    assert len(set(hub.keys)) == 50


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_later_is_tried_later(status: int) -> None:
    """What passes is waited for, and is no failure."""
    later = httpx.Response(status, headers={"Retry-After": "0"})
    hub = Hub(later, later, _taken())
    report = await _publish(hub, an_event_body())
    assert (report.new, report.failed, len(hub.bodies)) == (1, [], 3)
    assert len(set(hub.keys)) == 1


async def test_a_cut_connection_is_tried_again_once_the_hub_has_answered() -> None:
    """A hub that was never there is told at once."""
    hub = Hub(_taken(), httpx.ReadError("cut"), _taken())
    report = await _publish(hub, *(an_event_body() for _ in range(2)), connections=1)
    assert report.new == 2
    with pytest.raises(FailedError, match="The hub at http://hub does not answer: refused"):
        await _publish(Hub(httpx.ConnectError("refused")), an_event_body())


@pytest.mark.parametrize(("status", "code"), [(401, "not_authenticated"), (403, "scope_missing")])
async def test_a_refused_key_ends_it(status: int, code: str) -> None:
    """Every other line would get the same answer."""
    hub = Hub(httpx.Response(status, json={"detail": "No.", "code": code}))
    with pytest.raises(FailedError, match="No"):
        await _publish(hub, *(an_event_body(PublisherEventId=str(number)) for number in range(100)), connections=2)
    assert len(hub.bodies) <= 2


async def test_what_was_published_is_not_sent_again(tmp_path: Path) -> None:
    """Only what was changed, or refused, or never sent; even after a kill in the middle of a line."""
    file = tmp_path / "x.published"
    events = [an_event_body(PublisherEventId=f"AI:{number}") for number in range(3)]
    await _publish(Hub(_taken()), *events, file=file)
    with file.open("a") as torn:
        torn.write('{"Line": 4, "Con')

    hub = Hub(_taken())
    changed = an_event_body(PublisherEventId="AI:1", PublisherEventData={"Grade": "A"})
    report = await _publish(hub, events[0], changed, events[2], an_event_body(PublisherEventId="AI:3"), file=file)
    assert (report.new, report.before) == (2, 2)
    assert sorted(body["PublisherEventId"] for body in hub.bodies) == ["AI:1", "AI:3"]
    report = await _publish(hub, events[0], changed, events[2], an_event_body(PublisherEventId="AI:3"), file=file)
    assert report.before == 4


async def test_another_hub_gets_everything(tmp_path: Path) -> None:
    """What one hub has another does not."""
    file = tmp_path / "x.published"
    await _publish(Hub(_taken()), an_event_body(), file=file)
    line = json.dumps(an_event_body()).encode()
    with ProgressFile(file, URL) as here, ProgressFile(file, "http://other") as there:
        assert here.has(1, line)
        assert not there.has(1, line)
