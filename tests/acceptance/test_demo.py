"""The demo from outside: what it shows, what it leaves behind, how it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from learning_hub.demo import story
from learning_hub.demo.calls import Held, Published
from learning_hub.demo.screen import Screen
from learning_hub.model.received_event import read_event
from learning_hub.presets import PRESETS

DEMO = [sys.executable, "-m", "learning_hub", "demo"]
SECONDS = 180


class Told:
    """One run of `demo --once`: what it printed, how it ended, what it left in *folder*."""

    def __init__(self, folder: Path) -> None:
        ran = _run([*DEMO, "--once"], _environment(folder))
        self.status, self.stdout, self.stderr = ran.returncode, ran.stdout, ran.stderr
        self.words = " ".join(ran.stdout.split())
        self.left = _left_in(folder)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for the demo's temporary ones; short, because PostgreSQL's socket is in it."""
    folder = Path(tempfile.mkdtemp(prefix="demo-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """The demo, run once for all tests that only look at it."""
    folder = Path(tempfile.mkdtemp(prefix="demo-test-"))
    yield Told(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(temporary: Path) -> dict[str, str]:
    """The environment of a demo that has its temporary folders in this test's."""
    return _environment(temporary)


def test_the_demo_tells_where_each_event_went_and_ends_with_0(told: Told) -> None:
    """`demo --once` shows for each of a dozen events what was sent and what iMIS holds, or why not; all arrived."""
    assert told.status == 0, told.stdout + told.stderr
    assert len(re.findall(r"EventId +E:NURSES-[0-9a-f-]{36}\n", told.stdout)) == 12
    assert len(re.findall(r"bucket +NURSES-LB-\d{8}\n", told.stdout)) == 12
    for shown in (
        "delivered as activity 880123 of contact 10042",
        "delivered as the same activity 880123 of contact 10042",
        "201, stored as revision 2",
        "200, already stored",
        "skipped, category_off",
        "parked, participant_not_found",
        "parked, participant_ambiguous",
        "parked, template_error",
        "(at Online.Units)",
        "ACTIVITY_TYPE TCLEARNING TCLEARNING",
        "SOURCE_CODE LearningBuilder LearningBuilder",
        "CreditType Continuing professional Continuing professional",
        "UNITS (null) (null)",
        "iMIS has no active contact with the e-mail address",
        "EFFECTIVE_DATE 2024-08-03 21:43:58.000 2024-08-03T21:43:58",
        "iMIS holds 6 activities and 5 panel rows",
    ):
        assert shown in told.words
    assert told.stderr == ""


def test_a_demo_that_ends_names_nothing_that_is_gone(told: Told) -> None:
    """With --once there are no addresses or keys to go on with, but how to keep it up."""
    end = told.stdout.partition("The result")[2]
    assert "http" not in end
    assert "key" not in end.replace("a key.", "")
    assert "without ONCE=1" in told.words


def test_all_that_is_sent_is_shown_and_judged() -> None:
    """The columns of the story are those of the presets' templates, every one."""
    for subscription_id, told_there in story.SUBSCRIPTIONS.items():
        for template in PRESETS[told_there["Preset"]].templates.values():
            assert template is None or list(template) == list(story.COLUMNS[subscription_id])


def test_nothing_breaks_in_60_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids and times stay whole, no line is longer, and none ends in blanks."""
    monkeypatch.setenv("COLUMNS", "60")
    screen = Screen()
    event: dict[str, Any] = {
        "EventType": "AI_COMP_SUCCESS",
        "PublisherEventCategory": {"value": "Online"},
        "PublisherSystemId": "TopClass",
        "PublisherParticipantId": "robin.vale@example.org",
        "Revision": 1,
        "EventId": "E:NURSES-01a203c6-2fc9-7e94-9b6d-e66999a2496e",
        "EventDateBucket": "NURSES-LB-20261122",
    }
    screen.published(event, Published(201, event["EventId"]))
    sent = {"Course": "Infusion pumps, final test and what follows", "CourseCompleted": "2026-11-20 15:20:00.000"}
    held = sent | {"CourseCompleted": "2026-11-20T15:20:00"}
    delivery = {"SubscriptionId": story.PANEL, "Payload": sent}
    screen.delivered(delivery, Held("panel row 1 of contact 10042", "10042", held), is_known=False)
    shown = capsys.readouterr().out
    assert event["EventId"] in shown
    assert "CourseCompleted 2026-11-20 15:20:00.000 2026-11-20T15:20:00" in shown
    assert [line for line in shown.splitlines() if len(line) > 60 or line != line.rstrip()] == []


def test_the_readme_shows_what_the_demo_shows(told: Told) -> None:
    """Every line of the README's excerpt is one of the demo, ids and dates apart."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    excerpt = readme.partition("```text\n")[2].partition("```")[0].splitlines()
    lines = {_bare(line) for line in told.stdout.splitlines()}

    assert len(excerpt) > 10
    assert [line for line in excerpt if line != "…" and _bare(line) not in lines] == []


def test_the_demo_reads_well_in_a_pipe_of_80_columns(told: Told) -> None:
    """No line but those to copy is longer than 80 characters, none ends in blanks, and there are no colours."""
    lines = told.stdout.splitlines()

    assert [line for line in lines if len(line) > 80 and "curl" not in line] == []
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in told.stdout


def test_the_demo_leaves_nothing_behind(told: Told) -> None:
    """When it has ended, its folder is removed and none of its programs runs."""
    assert told.left == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_stays_up_until_it_is_stopped(
    environment: dict[str, str], temporary: Path, number: signal.Signals
) -> None:
    """Without --once the hub and iMIS answer until Ctrl-C or SIGTERM; then all of it ends within seconds, with 0."""
    process = subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told = _read_until(process, "Stop it with Ctrl-C")
        hub = _found(r"API explained +(\S+)/schema", told)
        imis = _found(r"inside iMIS +(\S+)", told)
        key = _found(r"admin key +(\S+)", told)
        headers = {"X-API-Key": key}
        parked = httpx.get(f"{hub}/deliveries?State=parked", headers=headers, timeout=60, trust_env=False).json()[
            "Items"
        ]
        page = httpx.get(imis, timeout=60, trust_env=False)
        programs = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert {delivery["Code"] for delivery in parked} == {"participant_ambiguous", "template_error"}
    assert "Robin" in page.text
    assert process.returncode == 0, rest + errors
    assert _left_in(temporary) == []
    # Whether anybody listens at the hub's port would tell nothing: it may be another's by now.
    assert len(programs) > 2
    assert [one for one in programs if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


def test_ctrl_c_while_starting_leaves_nothing_behind(environment: dict[str, str], temporary: Path) -> None:
    """Interrupted before anything is up, it ends with 0 as well and cleans up."""
    process = subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _read_until(process, "Starting")
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert _left_in(temporary) == []


def test_the_demo_ends_with_1_when_something_is_not_in_imis_as_it_should_be(environment: dict[str, str]) -> None:
    """Values in iMIS that are not those that were meant are reported in a sentence, and the exit status is 1."""
    code = (
        "import sys\n"
        "from learning_hub.demo import demonstration, story\n"
        "first = story.STORY[0]\n"
        "learned = ('FIRE-201', 'Fire safety refresher', '2026-11-20T15:20:00', '9.99', *story.CPD)\n"
        "wrong = story._at_both('10042', story.Learned(*learned))\n"
        "story.STORY = (story.msgspec.structs.replace(first, expected=wrong), story.STORY[7])\n"
        "sys.exit(demonstration.run_demo(True))\n"
    )
    told = _run([sys.executable, "-c", code], environment)

    assert told.returncode == 1
    said = " ".join(told.stdout.split())
    assert "Event 1 at topclass-activities: iMIS holds activity 880123 of contact 10042 with another UNITS." in said


def test_a_demo_that_cannot_start_says_so_in_one_sentence(environment: dict[str, str], temporary: Path) -> None:
    """What keeps a program from starting is reported on stderr without a traceback, and the exit status is 1."""
    code = (
        "import sys\n"
        "from learning_hub.demo import demonstration, world\n"
        "world.START_SECONDS = 0\n"
        "sys.exit(demonstration.run_demo(True))\n"
    )
    told = _run([sys.executable, "-c", code], environment)

    assert told.returncode == 1
    assert re.fullmatch(r"The sandbox iMIS did not start within 0 seconds\. .+\n", told.stderr)
    assert _left_in(temporary) == []


def test_every_sample_is_an_event_that_a_publisher_may_send() -> None:
    """The files of the samples are bodies of POST /events, and each has its part in the story."""
    folder = resources.files("learning_hub.demo") / "samples"
    files = sorted(Path(str(file)).stem for file in folder.iterdir())

    for chapter in story.STORY:
        event = read_event(msgspec.json.decode(chapter.body(), type=dict[str, msgspec.Raw]), max_data_bytes=10_000)
        assert event.publisher_program_id == story.PROGRAM
        assert event.publisher_participant_id.endswith("@example.org")
    assert files == sorted({chapter.sample for chapter in story.STORY})


def _bare(text: str) -> str:
    """*text* without what differs from run to run."""
    return re.sub(r"E:NURSES-[0-9a-f-]{36}|NURSES-LB-\d{8}", "", text)


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, check=False
    )


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    """What *process* prints, up to the line with *text*."""
    assert process.stdout
    told = ""
    giving_up = threading.Timer(SECONDS, process.kill)
    giving_up.start()
    while text not in told:
        line = process.stdout.readline()
        assert line, f"{text!r} was not printed, but:\n{told}"
        told += line
    giving_up.cancel()
    return told


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def _environment(folder: Path) -> dict[str, str]:
    """As of a person who has a hub of their own, which is none of the demo's business."""
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "LEARNING_HUB_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
        "COLUMNS": "80",
    }


def _left_in(folder: Path) -> list[str]:
    """What a demo left of itself: its folders, and the command lines of its programs."""
    found = [str(path) for path in folder.glob("learning-hub-*")]
    for process in psutil.process_iter():
        try:
            about = [*process.cmdline(), process.environ().get("TMPDIR", "")]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in about):
            found.append(" ".join(about))
    return found
