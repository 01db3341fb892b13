"""Hub processes that are killed in the midst of sending: nothing is lost, and at iMIS nothing is doubled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography.fernet import Fernet
from factories import an_event_body
from forked_program import ForkedProgram
from panels import WITH_KEY, make_panel
from plain_http import plain_client
from running import ADMIN_KEY

from learning_hub.sandbox import RunningSandbox, running_sandbox

EVENTS = 60
SECONDS = 180
PEOPLE = ("robin.vale@example.org", "amara.okafor@example.org", "jun.takeda@example.org", "lena.hartmann@example.org")
ACTIVITY = {"ActivityType": "TCLEARNING", "Source": "TopClass", "Subtype": "{{ event.PublisherEventId }}"}
ROW = {"CourseCode": "{{ event.PublisherEventId }}", "Course": "{{ data['Activity Title'] }}"}
PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
SUBSCRIPTIONS = 3


@pytest.fixture
def home() -> Iterator[Path]:
    """A home for the embedded PostgreSQL; short, because its socket is in it."""
    folder = Path(tempfile.mkdtemp(prefix="killed-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def imis() -> Iterator[RunningSandbox]:
    """A sandbox that outlives the hubs."""
    with running_sandbox() as running:
        make_panel(running.address, "LH_Learning", WITH_KEY)
        yield running


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """
    Of hubs that try again soon.

    A lease lasts longer than any of these tests: what a killed worker held is released because it is gone.
    """
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LEARNING_HUB_")},
        "LEARNING_HUB_HOME": str(home),
        "LEARNING_HUB_ADMIN_KEY": ADMIN_KEY,
        "LEARNING_HUB_SECRET_KEYS": Fernet.generate_key().decode(),
        "LEARNING_HUB_ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
        "LEARNING_HUB_SEND_TIMEOUT_SECONDS": "30",
        "LEARNING_HUB_SETTLE_SECONDS": "2",
        "LEARNING_HUB_RETRY_SECONDS": "2,2,2,2,2,2,2,2,2,2",
    }


def test_a_killed_hub_loses_nothing_and_doubles_nothing(environment: dict[str, str], imis: RunningSandbox) -> None:
    """
    Killed thrice while it takes and sends, each event answered 201 is one activity and one row in the end.

    Of a panel with a column for the record key, and of the one of the preset, whose rows are matched by their values.
    """
    published: list[str] = []
    for life in range(3):
        with _Hub(environment) as hub:
            # More room in each life: what the one before held takes up room until it is released.
            hub.set_up(imis, MaxConcurrency=5 * (life + 1))
            if life == 0:
                _fault(imis, Fault="slow", Path="/api", Share=0.5, Seconds=0.1)
            published += hub.publish(range(life * EVENTS // 3, (life + 1) * EVENTS // 3))
            hub.wait_for_some(imis, at_least=6 * (life + 1))
            hub.kill()

    with _Hub(environment) as hub:
        hub.wait_until_all_are("delivered", SUBSCRIPTIONS * len(published))

    state = _state(imis)
    activities = Counter(one["Properties"]["PRODUCT_CODE"] for one in state["Activities"])
    assert activities == Counter(published)
    for panel in ("LH_Learning", "TopClass_Learning"):
        assert Counter(row["CourseCode"] for row in state["Panels"][panel]) == Counter(published)


def test_two_hubs_on_one_database_keep_to_the_subscribers_limit(
    environment: dict[str, str], imis: RunningSandbox
) -> None:
    """Two processes that deliver together send no more at once than MaxConcurrency, and each event once."""
    with _Hub(environment) as hub, _Hub(environment):
        hub.set_up(imis, MaxConcurrency=1)
        _fault(imis, Fault="slow", Path="/api", Share=0.3, Seconds=0.02)
        published = hub.publish(range(20))
        hub.wait_until_all_are("delivered", SUBSCRIPTIONS * len(published))

    with plain_client(imis.address) as client:
        requests = client.get("/_sandbox/requests").json()["Items"]
    assert max(one["InFlight"] for one in requests) == 1
    assert Counter(one["Properties"]["PRODUCT_CODE"] for one in _state(imis)["Activities"]) == Counter(published)


class _Hub:
    """`learning-hub serve` as a process, and a client with the admin key."""

    def __init__(self, environment: dict[str, str]) -> None:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            self._process = ForkedProgram(["serve", "--port", "0", "--json"], environment, nowhere)
        address = json.loads(self._process.stdout.readline())["Address"]
        self._client = plain_client(address, headers={"X-API-Key": ADMIN_KEY})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._process.stdout.close()

    def kill(self) -> None:
        self._process.kill()

    def set_up(self, imis: RunningSandbox, **settings: Any) -> None:
        """A Program, the sandbox, and subscriptions: activities, and rows of panels with and without a key column."""
        common = {"SubscriberId": "imis", "ProgramId": "NURSES", "EventTypes": ["AI_COMP_SUCCESS"]}
        subscriber = {
            "Name": "iMIS",
            "Connector": "imis",
            "Settings": {
                "BaseUrl": imis.address,
                "TimeZone": "America/New_York",
                "ParticipantLookup": "email",
                **settings,
            },
            "Credentials": {"Username": imis.username, "Password": imis.password},
        }
        activities = {"Name": "Activities", "Target": {"Kind": "activity"}, "Templates": {"_default": ACTIVITY}}
        rows = {"Name": "Rows", "Target": PANEL, "Templates": {"_default": ROW}}
        for path, body in (
            ("/programs/NURSES", {"Name": "Nurses"}),
            ("/subscribers/imis", subscriber),
            ("/subscriptions/activities", common | activities),
            ("/subscriptions/rows", common | rows),
            ("/subscriptions/preset", common | {"Preset": "topclass-imis-panel"}),
        ):
            answer = self._client.put(path, json=body)
            assert answer.status_code in (200, 201), answer.text

    def publish(self, numbers: range) -> list[str]:
        """The ids of the events that were answered 201, which is all of them."""
        ids = [f"AI:{number}" for number in numbers]
        for number, publisher_event_id in zip(numbers, ids, strict=True):
            body = an_event_body(
                PublisherEventId=publisher_event_id,
                PublisherParticipantId=PEOPLE[number % len(PEOPLE)],
                PublisherEventCategory={"value": "Online"},
                PublisherEventData={"Activity Code": publisher_event_id, "Activity Title": "Fire safety refresher"},
            )
            answer = self._client.post("/events", json=body)
            assert answer.status_code == 201, answer.text
        return ids

    def wait_for_some(self, imis: RunningSandbox, *, at_least: int) -> None:
        self._wait(lambda: len(_state(imis)["Activities"]) >= at_least)

    def wait_until_all_are(self, state: str, count: int) -> None:
        def is_so() -> bool:
            answer = self._client.get("/deliveries", params={"State": state, "Limit": 1000})
            return len(answer.json()["Items"]) == count

        self._wait(is_so)

    def _wait(self, is_so: Any) -> None:
        deadline = time.monotonic() + SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                states = Counter(
                    (one["State"], one["Code"], one["Message"])
                    for one in self._client.get("/deliveries", params={"Limit": 1000}).json()["Items"]
                )
                pytest.fail(f"After {SECONDS} seconds there still was {states}.")
            time.sleep(0.1)


def _state(imis: RunningSandbox) -> dict[str, Any]:
    with plain_client(imis.address) as client:
        return dict(client.get("/_sandbox/state").json())


def _fault(imis: RunningSandbox, **fault: Any) -> None:
    with plain_client(imis.address) as client:
        assert client.post("/_sandbox/faults", json=fault).status_code < 300
