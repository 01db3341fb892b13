"""The demo's HTTP requests to the hub, as a publisher and as an administrator, and to the sandbox iMIS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx
import msgspec

from learning_hub.demo import story
from learning_hub.demo.failures import DemoFailedError
from learning_hub.demo.world import World

FINISH_SECONDS = 20.0
POLL_SECONDS = 0.05
UNFINISHED = ("waiting", "sending", "retrying")
TIMEOUT_SECONDS = 30.0

Json = dict[str, Any]


class Published(msgspec.Struct, frozen=True):
    """The response that a publisher got."""

    status: int
    event_id: str


class Held(msgspec.Struct, frozen=True):
    """A record as iMIS holds it; *name* describes it for people."""

    name: str
    party_id: str
    values: Mapping[str, Any]

    def differing(self, expected: story.Expected) -> list[str]:
        """The columns whose values are not as expected."""
        wrong = [] if self.party_id == expected.party_id else ["contact"]
        wrong += [name for name, value in expected.values.items() if not _are_same(value, self.values.get(name))]
        return wrong


class Calls:
    """A publisher, an administrator and a member of staff at iMIS, each with its own key or account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._admin = _client(world.hub_address, world.admin_key)
        self._imis = _client(world.imis_address, None)
        self._publisher: httpx.Client | None = None

    def close(self) -> None:
        """Close connections, so that the servers do not wait for them."""
        for client in (self._admin, self._imis, self._publisher):
            if client:
                client.close()

    def make_program(self) -> None:
        """Make the Program."""
        _need(self._admin.put(f"/programs/{story.PROGRAM}", json={"Name": "Nurses"}))

    def make_publisher_key(self) -> str:
        """Make a key that may only publish and read events of the Program; publishing uses it from now on."""
        body = {"Name": "TopClass and LearningBuilder", "Programs": [story.PROGRAM], "Scopes": ["publish", "read"]}
        key: str = _json(self._admin.post("/keys", json=body))["Key"]
        self._publisher = _client(self._world.hub_address, key)
        return key

    def make_subscriber(self) -> list[str]:
        """Make the sandbox iMIS a subscriber; the findings of its check as sentences."""
        body = {
            "Name": "Sandbox iMIS",
            "Connector": "imis",
            "Settings": {"BaseUrl": self._world.imis_address, "TimeZone": "UTC", "ParticipantLookup": "email"},
            "Credentials": {"Username": self._world.imis_username, "Password": self._world.imis_password},
        }
        _need(self._admin.put(f"/subscribers/{story.SUBSCRIBER}", json=body))
        check = _json(self._admin.post(f"/subscribers/{story.SUBSCRIBER}/check"))
        findings: list[str] = check["Findings"]
        if not check["Works"]:
            raise DemoFailedError(f"The hub cannot use the sandbox iMIS. {' '.join(findings)}")
        return findings

    def make_subscription(self, subscription_id: str) -> str:
        """Make a subscription from a preset; its name."""
        body = {
            "SubscriberId": story.SUBSCRIBER,
            "ProgramId": story.PROGRAM,
            "StartFrom": "beginning",
            **story.SUBSCRIPTIONS[subscription_id],
        }
        name: str = _json(self._admin.put(f"/subscriptions/{subscription_id}", json=body))["Name"]
        return name

    def publish(self, body: bytes) -> Published:
        """Publish an event as its publisher."""
        assert self._publisher is not None  # noqa: S101 - make_publisher_key made it
        answer = _need(self._publisher.post("/events", content=body, headers={"Content-Type": "application/json"}))
        return Published(answer.status_code, answer.headers["Location"].removeprefix("/events/"))

    def event(self, event_id: str) -> Json:
        """An event as the hub stored it."""
        assert self._publisher is not None  # noqa: S101 - make_publisher_key made it
        event: Json = _json(self._publisher.get(f"/events/{event_id}"))
        return event

    def finished(self, event_id: str, subscriptions: Iterable[str]) -> dict[str, Json]:
        """
        The deliveries of an event by subscription, each with its payload.

        Those of *subscriptions* are waited for until they are parked or final, for at most 20 seconds.
        """
        expected = set(subscriptions)
        deadline = time.monotonic() + FINISH_SECONDS
        while True:
            items = _json(self._admin.get(f"/events/{event_id}/deliveries"))["Items"]
            existing = {item["SubscriptionId"]: item for item in items}
            are_finished = expected <= set(existing) and all(item["State"] not in UNFINISHED for item in items)
            if are_finished or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        return {name: _json(self._admin.get(f"/deliveries/{item['DeliveryId']}")) for name, item in existing.items()}

    def deliveries(self) -> list[Json]:
        """Every delivery of the hub."""
        items: list[Json] = _json(self._admin.get("/deliveries", params={"Limit": 1000}))["Items"]
        return items

    def requeue(self, code: str) -> int:
        """Requeue the parked deliveries with *code*; their number."""
        count: int = _json(self._admin.post("/deliveries/requeue", params={"State": "parked", "Code": code}))[
            "Requeued"
        ]
        return count

    def add_person(self, person: Json) -> str:
        """Add a contact to iMIS over its own API, as its staff would; the contact's id."""
        form = {
            "grant_type": "password",
            "username": self._world.imis_username,
            "password": self._world.imis_password,
        }
        token = _json(self._imis.post("/token", data=form))["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        added = _json(self._imis.post("/api/Person", json=person, headers=headers))
        return str(added["PartyId"])

    def held(self) -> dict[str, Held]:
        """All records of iMIS, by the record id that the hub stores."""
        state = _json(self._imis.get("/_sandbox/state"))
        records = {}
        for activity in state["Activities"]:
            party_id, record_id = activity["PartyId"], str(activity["Id"])
            records[record_id] = Held(f"activity {record_id} of contact {party_id}", party_id, activity["Properties"])
        for rows in state["Panels"].values():
            for row in rows:
                party_id, ordinal = row["ID"], row["Ordinal"]
                records[f"~{party_id}|{ordinal}"] = Held(f"panel row {ordinal} of contact {party_id}", party_id, row)
        return records


def _client(address: str, key: str | None) -> httpx.Client:
    headers = {"X-API-Key": key} if key else {}
    # The addresses are on this machine, so no proxy is used.
    return httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)


def _need(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    request = response.request
    raise DemoFailedError(
        f"{request.method} {request.url.path} was answered {response.status_code}: {response.text.strip()}"
    )


def _json(response: httpx.Response) -> Json:
    """The response's JSON object; numbers with a fraction keep their spelling."""
    value: Json = json.loads(_need(response).text, parse_float=Decimal)
    return value


def _are_same(expected: str | None, held: Any) -> bool:
    """Whether iMIS holds the expected value: numbers compared as decimals, times as moments."""
    if expected is None or held is None or expected == held:
        return bool(expected == held)
    try:
        return Decimal(expected) == Decimal(str(held))
    except InvalidOperation:
        pass
    try:
        return datetime.fromisoformat(expected) == datetime.fromisoformat(str(held))
    except ValueError:
        return False
