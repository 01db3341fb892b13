"""What the demo asks of the hub, as a publisher and as an administrator, and of the sandbox iMIS; all over HTTP."""

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

SETTLE_SECONDS = 20.0
LOOK_EVERY_SECONDS = 0.05
UNSETTLED = ("waiting", "sending", "retrying")
TIMEOUT_SECONDS = 30.0

Json = dict[str, Any]


class Published(msgspec.Struct, frozen=True):
    """What a publisher was answered."""

    status: int
    event_id: str


class Held(msgspec.Struct, frozen=True):
    """A record as iMIS holds it: *name* says which in words."""

    name: str
    party_id: str
    values: Mapping[str, Any]

    def differing(self, expected: story.Expected) -> list[str]:
        """What is not as it should be, by column."""
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
        """Let go of connections, so that nobody waits for them."""
        for client in (self._admin, self._imis, self._publisher):
            if client:
                client.close()

    def make_program(self) -> None:
        """The Program whose learning is recorded."""
        _need(self._admin.put(f"/programs/{story.PROGRAM}", json={"Name": "Nurses"}))

    def make_publisher_key(self) -> str:
        """A key that may publish and read events of the Program and nothing else; publishing uses it from now on."""
        body = {"Name": "TopClass and LearningBuilder", "Programs": [story.PROGRAM], "Scopes": ["publish", "read"]}
        key: str = _json(self._admin.post("/keys", json=body))["Key"]
        self._publisher = _client(self._world.hub_address, key)
        return key

    def make_subscriber(self) -> list[str]:
        """The sandbox iMIS as a subscriber; what its check found, in words."""
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
        """A subscription laid out from a preset; its name."""
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
        assert self._publisher is not None  # noqa: S101 - the setting up made it
        answer = _need(self._publisher.post("/events", content=body, headers={"Content-Type": "application/json"}))
        return Published(answer.status_code, answer.headers["Location"].removeprefix("/events/"))

    def event(self, event_id: str) -> Json:
        """An event as the hub stored it."""
        assert self._publisher is not None  # noqa: S101 - the setting up made it
        found: Json = _json(self._publisher.get(f"/events/{event_id}"))
        return found

    def settled(self, event_id: str, subscriptions: Iterable[str]) -> dict[str, Json]:
        """
        The deliveries of an event by subscription, each with its payload.

        It waits until those at *subscriptions* are settled, at most 20 seconds; then they are as they are.
        """
        wanted = set(subscriptions)
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            items = _json(self._admin.get(f"/events/{event_id}/deliveries"))["Items"]
            there = {item["SubscriptionId"]: item for item in items}
            is_over = wanted <= set(there) and all(item["State"] not in UNSETTLED for item in items)
            if is_over or time.monotonic() > deadline:
                break
            time.sleep(LOOK_EVERY_SECONDS)
        return {name: _json(self._admin.get(f"/deliveries/{item['DeliveryId']}")) for name, item in there.items()}

    def deliveries(self) -> list[Json]:
        """Every delivery of the hub."""
        items: list[Json] = _json(self._admin.get("/deliveries", params={"Limit": 1000}))["Items"]
        return items

    def requeue(self, code: str) -> int:
        """Put the parked deliveries with *code* back into the queue; how many there were."""
        count: int = _json(self._admin.post("/deliveries/requeue", params={"State": "parked", "Code": code}))[
            "Requeued"
        ]
        return count

    def add_person(self, person: Json) -> str:
        """Add a contact to iMIS over its own API, as its staff would; its id."""
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
        """All that iMIS holds, by the identity that the hub knows a record by."""
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
    # The addresses are this machine's own; a proxy has no part in it.
    return httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)


def _need(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    request = answer.request
    raise DemoFailedError(
        f"{request.method} {request.url.path} was answered {answer.status_code}: {answer.text.strip()}"
    )


def _json(answer: httpx.Response) -> Json:
    """The answer's JSON object; numbers with a fraction keep their spelling."""
    value: Json = json.loads(_need(answer).text, parse_float=Decimal)
    return value


def _are_same(wanted: str | None, held: Any) -> bool:
    """Whether iMIS holds what was wanted: numbers compared as decimals, times as moments."""
    if wanted is None or held is None or wanted == held:
        return bool(wanted == held)
    try:
        return Decimal(wanted) == Decimal(str(held))
    except InvalidOperation:
        pass
    try:
        return datetime.fromisoformat(wanted) == datetime.fromisoformat(str(held))
    except ValueError:
        return False
