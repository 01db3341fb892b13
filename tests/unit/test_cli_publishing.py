"""Publishing a file: batches, patience, order, and going on where it stopped."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import an_event_body

from learning_hub.cli.failures import FailedError
from learning_hub.cli.publishing.client import Batches
from learning_hub.cli.publishing.progress_file import ProgressFile
from learning_hub.cli.publishing.publishing import Publishing, Report

URL = "http://hub"
SOURCE = ("PublisherProgramId", "PublisherSystemId", "PublisherEventId", "EventType")
CUT_AFTER = httpx.ReadError("cut")


class Hub:
    """
    Takes batches and keeps the revisions of each source, as a hub does.

    *faults* are what becomes of the first requests instead: an answer, or an exception, before which CUT_AFTER alone
    lets the hub store what was sent. *busy_for* are sources whose first event is answered 503 within the batch.
    """

    def __init__(self, *faults: httpx.Response | Exception | None, busy_for: Sequence[str] = ()) -> None:
        self._faults = list(faults)
        self._busy_for = list(busy_for)
        self.batches: list[list[Any]] = []
        self.revisions: dict[str, list[Any]] = defaultdict(list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert (request.url.path, request.headers["content-type"]) == ("/events/batch", "application/x-ndjson")
        assert "idempotency-key" not in request.headers
        lines = request.content.split(b"\n")
        fault = self._faults.pop(0) if self._faults else None
        if isinstance(fault, httpx.Response):
            self.batches.append(lines)
            return fault
        if isinstance(fault, Exception) and fault is not CUT_AFTER:
            raise fault
        results = [self._take(line) | {"Index": index} for index, line in enumerate(lines)]
        self.batches.append([_value(line) for line in lines])
        if fault:
            raise fault
        return httpx.Response(200, json={"Results": results})

    def _take(self, line: bytes) -> dict[str, Any]:
        event = _value(line)
        if event is None:
            return {"Status": 400, "Problem": {"detail": "No JSON."}}
        source = ":".join(event[name] for name in SOURCE)
        if event["PublisherEventId"] in self._busy_for:
            self._busy_for.remove(event["PublisherEventId"])
            return {"Status": 503, "Problem": {"detail": "Busy."}}
        taken = {"EventId": "E:NURSES-1", "Location": "/events/E:NURSES-1"}
        if self.revisions[source] and self.revisions[source][-1] == event["PublisherEventData"]:
            return taken | {"Status": 200}
        self.revisions[source].append(event["PublisherEventData"])
        return taken | {"Status": 201}

    def held(self, event_id: str, event_type: str = "AI_COMP_SUCCESS") -> list[Any]:
        """The data of each revision of a source."""
        return self.revisions[f"NURSES:TopClass:{event_id}:{event_type}"]


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _event(event_id: str, credits_: int = 1, **other: Any) -> dict[str, Any]:
    return an_event_body(
        PublisherSystemId="TopClass", PublisherEventId=event_id, PublisherEventData={"Credits": credits_}, **other
    )


async def _publish(
    hub: Hub, *events: dict[str, Any] | bytes, file: Path | None = None, connections: int = 4, patience: float = 5
) -> Report:
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    report = Report()
    async with httpx.AsyncClient(transport=httpx.MockTransport(hub), base_url=URL) as client:
        with ProgressFile(file, URL) as progress:
            publishing = Publishing(
                Batches(client),
                progress,
                report,
                connections=connections,
                patience_seconds=patience,
                advance=lambda _: None,
            )
            await publishing.publish(enumerate(lines, start=1))
    return report


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning_hub.cli.publishing.publishing.FIRST_WAIT_SECONDS", 0.01)


async def test_a_change_back_is_a_change(tmp_path: Path) -> None:
    """A line that is set to another value and back again is three revisions, each counted as new."""
    hub, file = Hub(), tmp_path / "x.published"
    for credits_ in (1, 2, 1):
        report = await _publish(hub, _event("AI:1", credits_), file=file)
        assert (report.new, report.same) == (1, 0)
    report = await _publish(hub, _event("AI:1", 1), file=file)
    assert (report.new, report.same, report.before) == (0, 0, 1)
    assert hub.held("AI:1") == [{"Credits": 1}, {"Credits": 2}, {"Credits": 1}]


async def test_files_do_not_answer_for_each_other(tmp_path: Path) -> None:
    """The same event on the same line of another file is judged by the hub alone."""
    hub = Hub()
    for name, credits_, new in (("a", 1, 1), ("b", 2, 1), ("c", 1, 1), ("d", 1, 0)):
        report = await _publish(hub, _event("AI:1", credits_), file=tmp_path / name)
        assert (report.new, report.same) == (new, 1 - new)
    assert len(hub.held("AI:1")) == 3


async def test_what_is_repeated_is_not_counted_as_new() -> None:
    """The same lines once more, with nothing kept of the first time, are what the hub had already."""
    hub = Hub()
    events = [_event(f"AI:{number}") for number in range(20)]
    assert (await _publish(hub, *events)).new == 20
    report = await _publish(hub, *events)
    assert (report.new, report.same) == (0, 20)


async def test_many_events_go_in_few_requests() -> None:
    """Some hundreds to a batch, never more than the hub takes."""
    hub = Hub()
    report = await _publish(hub, *(_event(f"AI:{number}") for number in range(3000)))
    assert report.new == 3000
    assert len(hub.batches) < 20
    assert max(map(len, hub.batches)) <= 500


async def test_a_batch_has_few_bytes() -> None:
    """Large events go in smaller batches, so that proxies let them pass."""
    hub = Hub()
    events = [_event(f"AI:{number}", Note="x") for number in range(30)]
    for event in events:
        event["PublisherEventData"]["Text"] = "x" * 100_000
    report = await _publish(hub, *events, connections=1)
    assert report.new == 30
    assert max(sum(len(json.dumps(event)) for event in batch) for batch in hub.batches) < 1_000_000


async def test_what_is_too_large_together_goes_in_parts() -> None:
    """A proxy that takes less gets less; the one event that is too large by itself is reported."""
    large = httpx.Response(413, text="<html>")
    hub = Hub(large, large, large)
    report = await _publish(hub, *(_event(f"AI:{number}") for number in range(4)), connections=1)
    assert (report.new, [(bad.line, bad.status) for bad in report.failed]) == (3, [(1, 413)])
    assert [len(batch) for batch in hub.batches] == [4, 2, 1, 1, 2]


async def test_lines_of_one_source_record_go_in_order() -> None:
    """A later revision never overtakes an earlier one, and no batch has two of one record."""
    hub = Hub()
    events = [_event(f"AI:{number % 5}", number) for number in range(50)]
    report = await _publish(hub, *events, connections=8)
    assert report.new == 50
    for source in range(5):
        assert [held["Credits"] for held in hub.held(f"AI:{source}")] == list(range(source, 50, 5))
    for batch in hub.batches:
        assert len({event["PublisherEventId"] for event in batch}) == len(batch)


async def test_pairs_of_one_record_fill_batches() -> None:
    """Started and completed side by side in a file do not make a request of each."""
    hub = Hub()
    events = [
        _event(f"AI:{number}", EventType=event_type)
        for number in range(200)
        for event_type in ("AI_STARTED", "AI_COMP_SUCCESS")
    ]
    await _publish(hub, *events, connections=1)
    assert len(hub.batches) == 2


async def test_a_batch_that_was_cut_stores_nothing_twice() -> None:
    """It is sent again, and the hub has what it took already; revisions of one event stay in order."""
    hub = Hub(None, CUT_AFTER, httpx.ConnectError("refused"), CUT_AFTER)
    events = [_event("AI:1", 1), _event("AI:2"), _event("AI:1", 2), _event("AI:1", 3)]
    report = await _publish(hub, *events, connections=1)
    assert report.new + report.same == 4
    assert hub.held("AI:1") == [{"Credits": 1}, {"Credits": 2}, {"Credits": 3}]


async def test_one_that_must_wait_holds_up_its_record_alone() -> None:
    """An event that the hub cannot take now is sent again before later ones of its record; the others are done."""
    hub = Hub(busy_for=["AI:1"])
    report = await _publish(hub, _event("AI:1", 1), _event("AI:1", 2), _event("AI:2"), connections=1)
    assert (report.new, report.failed) == (3, [])
    assert hub.held("AI:1") == [{"Credits": 1}, {"Credits": 2}]
    assert len([event for batch in hub.batches for event in batch if event["PublisherEventId"] == "AI:2"]) == 1


async def test_a_bad_line_does_not_stop_the_others() -> None:
    """It is reported with its number."""
    report = await _publish(Hub(), _event("AI:1"), b"{no json", _event("AI:2"))
    assert (report.new, [(bad.line, bad.status, bad.detail) for bad in report.failed]) == (2, [(2, 400, "No JSON.")])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_later_is_tried_later(status: int) -> None:
    """What passes is waited for, and is no failure."""
    later = httpx.Response(status, headers={"Retry-After": "0"})
    hub = Hub(later, later)
    report = await _publish(hub, _event("AI:1"))
    assert (report.new, report.failed, len(hub.batches)) == (1, [], 3)


async def test_publishing_ends_with_the_hubs_sentence_after_its_patience() -> None:
    """What does not pass in time ends it with the hub's own sentence."""
    away = {"detail": "The database is away."}
    answer = httpx.Response(503, json=away, headers={"Content-Type": "application/problem+json"})
    with pytest.raises(FailedError, match="The database is away"):
        await _publish(Hub(*[answer] * 100), _event("AI:1"), patience=0.05)


async def test_a_hub_that_was_never_there_is_told_at_once() -> None:
    """Nobody waits for a wrong address."""
    with pytest.raises(FailedError, match="The hub at http://hub does not answer: refused"):
        await _publish(Hub(httpx.ConnectError("refused")), _event("AI:1"))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"detail": "Nothing here."}, headers={"Content-Type": "application/problem+json"}),
        httpx.Response(404, text="<html>"),
        httpx.Response(405, json={"detail": "Method Not Allowed"}),
        httpx.Response(301, headers={"Location": "https://hub/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"Results": []}),
        httpx.Response(500, text="Oops"),
    ],
    ids=["another path", "a web server", "another API", "a redirect", "a page", "nothing", "broken"],
)
async def test_what_is_no_hub_ends_it(answer: httpx.Response) -> None:
    """One sentence with the address, not one for each line."""
    hub = Hub(answer)
    with pytest.raises(FailedError, match=r"^http://hub is not the address of a hub: ") as caught:
        await _publish(hub, *(_event(f"AI:{number}") for number in range(2000)), connections=1)
    assert len(hub.batches) == 1
    assert ("https://hub/" in str(caught.value)) == (answer.status_code == 301)


@pytest.mark.parametrize(("status", "code"), [(401, "not_authenticated"), (403, "scope_missing")])
async def test_a_refused_key_ends_it(status: int, code: str) -> None:
    """Every other batch would get the same answer."""
    problem = {"detail": "No.", "code": code}
    hub = Hub(httpx.Response(status, json=problem, headers={"Content-Type": "application/problem+json"}))
    with pytest.raises(FailedError, match="No"):
        await _publish(hub, *(_event(str(number)) for number in range(1000)), connections=1)
    assert len(hub.batches) == 1


async def test_what_was_published_is_not_sent_again(tmp_path: Path) -> None:
    """Only what was changed, or refused, or never sent; even after a kill in the middle of a line or a character."""
    file, hub = tmp_path / "x.published", Hub()
    events = [_event(f"AI:{number}") for number in range(3)]
    await _publish(hub, *events, file=file)
    with file.open("ab") as torn:
        torn.write(b'{"Line": 4, "Con\xc3')

    hub.batches.clear()
    events[1] = _event("AI:1", 2)
    events.append(_event("AI:3"))
    report = await _publish(hub, *events, file=file)
    assert (report.new, report.before) == (2, 2)
    assert sorted(event["PublisherEventId"] for batch in hub.batches for event in batch) == ["AI:1", "AI:3"]
    assert (await _publish(hub, *events, file=file)).before == 4


async def test_what_follows_a_mended_line_follows_it_again(tmp_path: Path) -> None:
    """A line that is sent late does not become the latest revision where the file has a later one."""
    file, hub = tmp_path / "x.published", Hub()
    await _publish(hub, b"{no json", _event("AI:1", 2), _event("AI:2"), file=file)
    report = await _publish(hub, _event("AI:1", 1), _event("AI:1", 2), _event("AI:2"), file=file)
    assert (report.new, report.before) == (2, 1)
    assert hub.held("AI:1")[-1] == {"Credits": 2}


async def test_another_hub_gets_everything(tmp_path: Path) -> None:
    """What one hub has another does not."""
    file = tmp_path / "x.published"
    await _publish(Hub(), _event("AI:1"), file=file)
    line = json.dumps(_event("AI:1")).encode()
    with ProgressFile(file, URL) as here, ProgressFile(file, "http://other") as there:
        assert here.has(1, line)
        assert not there.has(1, line)


def test_a_progress_file_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """Its name, the reason and a way out, before anything is sent."""
    folder = tmp_path / "x.published"
    folder.mkdir()
    with pytest.raises(FailedError, match=rf"^{folder}, which records the published events, cannot be used: "):
        ProgressFile(folder, URL).__enter__()
