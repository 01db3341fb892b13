"""The file of events to publish: lines, or a document."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from learning_hub.cli.publishing.event_file import EventFile


def _read(folder: Path, content: str) -> tuple[list[tuple[int, bytes]], str]:
    file = folder / "events"
    file.write_text(content)
    events = EventFile(str(file))
    read = list(events)
    assert events.count() == len(read)
    return read, events.unit


def test_lines_are_numbered_as_they_stand(tmp_path: Path) -> None:
    """Blank ones count and are passed over; one that is no JSON is left for the hub to refuse, also the first."""
    assert _read(tmp_path, '{"a":1}\n\n {"b":2}\r\nno json') == (
        [(1, b'{"a":1}'), (3, b'{"b":2}'), (4, b"no json")],
        "Line",
    )
    assert _read(tmp_path, '{"a":\n{"b":2}\n') == ([(1, b'{"a":'), (2, b'{"b":2}')], "Line")
    assert _read(tmp_path, "\n \n") == ([], "Line")


def test_a_document_is_an_event_as_it_is_spelled(tmp_path: Path) -> None:
    """Over several lines, with the order of its keys and the spelling of its numbers."""
    read, unit = _read(tmp_path, '{\n  "b": 1.30,\r\n  "a": "x\\ny"\n}\n')
    assert [number for number, _ in read] == [1]
    assert b"\n" not in read[0][1]
    assert read[0][1].split() == [b"{", b'"b":', b"1.30,", b'"a":', b'"x\\ny"', b"}"]
    assert unit == "Event"


def test_an_array_is_its_events(tmp_path: Path) -> None:
    """On one line or on several."""
    for content in ('[{"a":1.0},{"b":2}]', '[\n {"a":1.0},\n {"b":2}\n]'):
        assert _read(tmp_path, content) == ([(1, b'{"a":1.0}'), (2, b'{"b":2}')], "Event")
    assert _read(tmp_path, "[]") == ([], "Event")


def test_the_samples_are_ready_to_publish() -> None:
    """Each is one event."""
    samples = sorted((Path(__file__).parents[2] / "learning_hub" / "demo" / "samples").glob("*.json"))
    assert samples
    for sample in samples:
        ((_, event),) = EventFile(str(sample))
        assert json.loads(event) == json.loads(sample.read_text())


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_nothing_is_kept_beside_a_stream(name: str) -> None:
    """Stdin is read once, however it is named."""
    assert EventFile(name).beside(".published") is None
    assert EventFile(name).count() is None


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """So is one that a shell makes of a command."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not EventFile(str(pipe)).can_be_read_again
    assert EventFile(__file__).beside(".published") == Path(f"{__file__}.published")
