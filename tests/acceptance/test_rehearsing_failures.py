"""A new user lets a password and a template fail, as docs/how-to/rehearse-failures.md tells, and fixes both."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from factories import an_event_body
from pages import ROOT, FollowedPage, followed

PAGE = ROOT / "docs" / "how-to" / "rehearse-failures.md"
HEADERS = {"X-API-Key": "key-for-the-rehearsal"}
SECONDS = 60

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the page calls the sandbox with curl")


class Rehearsal:
    """The page as it is followed, and looks at the hub and at iMIS that are not the page's own."""

    def __init__(self, page: FollowedPage) -> None:
        self.follow = page.follow
        self.parts = page.parts
        self._hub = f"http://127.0.0.1:{page.ports['8000']}"
        self._imis = f"http://127.0.0.1:{page.ports['8090']}/_sandbox"

    def deliveries(self) -> list[dict[str, Any]]:
        return self._hubs_items("/deliveries?Limit=1000")

    def publish(self, **changes: Any) -> str:
        """Publish an event that is not the page's; its address."""
        answer = httpx.post(
            f"{self._hub}/events", json=an_event_body(**changes), headers=HEADERS, timeout=60, trust_env=False
        )
        assert answer.status_code == 201, answer.text
        return str(answer.headers["Location"])

    def parked_delivery_of(self, event: str) -> dict[str, Any]:
        """The one delivery of *event*, once it is parked."""
        deadline = time.monotonic() + SECONDS
        while True:
            (delivery,) = self._hubs_items(f"{event}/deliveries") or [{"State": None}]
            if delivery["State"] == "parked":
                return delivery
            assert time.monotonic() < deadline, delivery
            time.sleep(0.1)

    def groups(self) -> list[dict[str, Any]]:
        return self._hubs_items("/deliveries/groups")

    def imis_state(self) -> dict[str, Any]:
        return dict(_get(f"{self._imis}/state"))

    def written(self) -> Counter[str]:
        """How often iMIS was asked to write an activity, by method."""
        asked = _get(f"{self._imis}/requests?Path=/api/Activity")["Items"]
        return Counter(request["Method"] for request in asked if request["Method"] != "GET")

    def _hubs_items(self, path: str) -> list[dict[str, Any]]:
        return list(_get(f"{self._hub}{path}", headers=HEADERS)["Items"])


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with followed(PAGE, ports=("8000", "8090"), folder="/tmp/rehearsal") as page:
        yield Rehearsal(page)


def test_a_rehearsed_password_and_template_lose_nothing_and_double_nothing(rehearsal: Rehearsal) -> None:
    """Each command of the page does what the page says, and what the hub and iMIS hold bears it out."""
    start, connect, refused, password_mended, broken, template_mended, rest = rehearsal.parts
    rehearsal.follow(start)
    rehearsal.follow(connect)

    rehearsal.follow(refused)
    _are(rehearsal.deliveries(), 50, State="waiting", Code=None, NextTryUtc=None)
    assert sum(delivery["Attempts"] for delivery in rehearsal.deliveries()) == 1
    assert rehearsal.imis_state()["Activities"] == []

    rehearsal.follow(password_mended)
    _are(rehearsal.deliveries(), 50, State="delivered")
    assert rehearsal.written() == {"POST": 50}

    rehearsal.follow(broken)
    (group,) = rehearsal.groups()
    failed = rehearsal.deliveries()[:50]
    _are(failed, 50, State="parked", Code="template_error", Class="mapping", Message=group["Message"])
    assert (group["Count"], group["Code"]) == (50, "template_error")
    assert rehearsal.written() == {"POST": 50}

    # Something else is wrong meanwhile, which is not fixed.
    unknown = rehearsal.publish(PublisherParticipantId="nobody@example.org", PublisherEventCategory={"value": "ILT"})
    other = rehearsal.parked_delivery_of(unknown)
    assert other["Code"] == "participant_not_found"

    rehearsal.follow(template_mended)
    rehearsal.follow(rest)
    assert rehearsal.parked_delivery_of(unknown) == other
    delivered = [delivery for delivery in rehearsal.deliveries() if delivery["DeliveryId"] != other["DeliveryId"]]
    _are(delivered, 100, State="delivered")
    assert [group["Code"] for group in rehearsal.groups()] == ["participant_not_found"]
    assert rehearsal.written() == {"POST": 100}
    held = rehearsal.imis_state()
    assert held["WrongPasswords"] == 1
    properties = [activity["Properties"] for activity in held["Activities"]]
    assert len({each["UF_3"] for each in properties}) == len(properties) == 100
    assert {each["DESCRIPTION"] for each in properties} == {"Fire safety refresher"}
    told = {delivery["SubscriberRecordId"] for delivery in delivered}
    assert {activity["Id"] for activity in held["Activities"]} == told


def _are(deliveries: list[dict[str, Any]], count: int, **fields: Any) -> None:
    """There are *count* of them, and all have these *fields*."""
    assert len(deliveries) == count
    assert [delivery for delivery in deliveries if fields.items() - delivery.items()] == []


def _get(address: str, **options: Any) -> Any:
    answer = httpx.get(address, timeout=60, trust_env=False, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()
