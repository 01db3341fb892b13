"""The three kinds of subscribers as fault runs use them: a real server each, and what must be true of it in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx
from faults.final_deliveries import confirm_all, deliveries_of, newest_first
from faults.story import Source
from http_server import Receiver, running
from learningbuilder_site import API_KEY, PROCESS, LearningBuilder
from panels import WITH_KEY, make_panel
from plain_http import plain_async_client

from learning_hub.sandbox import RunningSandbox, running_sandbox

EVENT_TYPES = ["AI_STARTED", "AI_COMP_SUCCESS"]
CODE, TITLE = "{{ data['Activity Code'] }}", "{{ data['Activity Title'] }}"

Delivery = dict[str, Any]


class Kind(Protocol):
    """
    A subscriber that is running.

    *address* is where it is, without any line in between; it *takes_back* what was withdrawn, or cannot.
    *slow_seconds*: how long its answers take where kills are to come before them.
    """

    address: str
    subscriptions: tuple[str, ...]
    takes_back: bool
    slow_seconds: float

    async def set_up(self, client: httpx.AsyncClient, address: str) -> None:
        """A hub sends to it at *address*."""

    async def is_right(
        self, client: httpx.AsyncClient, story: Sequence[Source], deliveries: Sequence[Delivery]
    ) -> None:
        """It got what it should of the *story*, all *deliveries* of which are finished."""


async def put(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    answer = await client.put(path, json=body)
    assert answer.status_code in (200, 201), answer.text


async def _put_subscription(client: httpx.AsyncClient, subscription_id: str, **more: Any) -> None:
    common = {"Name": "All", "SubscriberId": "s", "ProgramId": "NURSES", "EventTypes": EVENT_TYPES}
    await put(client, f"/subscriptions/{subscription_id}", common | more)


class Imis:
    """Activities, of which withdrawn ones are taken back, and rows of a panel with a key, which are kept."""

    subscriptions: tuple[str, ...] = ("activities", "rows")
    takes_back = True
    slow_seconds = 0.5

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self.address = sandbox.address
        make_panel(sandbox.address, "LH_Learning", WITH_KEY)

    async def set_up(self, client: httpx.AsyncClient, address: str) -> None:
        settings = {
            "BaseUrl": address,
            "TimeZone": "America/New_York",
            "ParticipantLookup": "email",
            "MaxConcurrency": 6,
        }
        account = {"Username": self._sandbox.username, "Password": self._sandbox.password}
        await put(
            client,
            "/subscribers/s",
            {"Name": "iMIS", "Connector": "imis", "Settings": settings, "Credentials": account},
        )
        activity = {"ActivityType": "TCLEARNING", "Source": "TopClass", "Subtype": CODE, "Description": TITLE}
        await _put_subscription(
            client,
            "activities",
            Target={"Kind": "activity"},
            Templates={"_default": activity},
            OnWithdraw="remove",
        )
        await _put_subscription(
            client,
            "rows",
            Target={"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"},
            Templates={"_default": {"CourseCode": CODE, "Course": TITLE}},
        )

    async def is_right(
        self, client: httpx.AsyncClient, story: Sequence[Source], deliveries: Sequence[Delivery]
    ) -> None:
        """
        Each source record once, under a key of its own, as its newest revision says; removed ones are gone.

        Nothing is parked, and reconciliation finds everything there as it was sent, and confirms it.
        """
        assert [one for one in deliveries if one["State"] in ("parked", "discarded")] == []
        async with plain_async_client(self.address) as imis:
            state = (await imis.get("/_sandbox/state")).json()
        activities = [one["Properties"] for one in state["Activities"]]
        assert sorted((one["PRODUCT_CODE"], one["DESCRIPTION"]) for one in activities) == sorted(
            (source.publisher_event_id, source.title) for source in story if not source.is_withdrawn
        )
        assert len({one["UF_3"] for one in activities}) == len(activities)
        self._rows_are_right(state["Panels"]["LH_Learning"], story, deliveries)
        for subscription in self.subscriptions:
            found = await confirm_all(client, subscription)
            assert (found["Missing"], found["Different"], found["Doubled"]) == ([], [], [])
        after = await deliveries_of(client)
        for source in story:
            for subscription in self.subscriptions:
                newest = newest_first(after, source, subscription)[0]
                assert newest["State"] != "delivered" or newest["Action"] == "remove" or newest["ConfirmedUtc"], newest

    def _rows_are_right(
        self, rows: Sequence[dict[str, Any]], story: Sequence[Source], deliveries: Sequence[Delivery]
    ) -> None:
        held = {row["CourseCode"]: row["Course"] for row in rows}
        assert len(held) == len({row["RecordKey"] for row in rows}) == len(rows)
        for source in story:
            if not source.is_withdrawn:
                assert held[source.publisher_event_id] == source.title
            elif any(one["State"] == "delivered" for one in newest_first(deliveries, source, "rows")):
                assert source.publisher_event_id in held


class Webhook:
    """A receiver that is also told of what was withdrawn."""

    subscriptions: tuple[str, ...] = ("all",)
    takes_back = True
    slow_seconds = 0.5

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.address = receiver.address

    async def set_up(self, client: httpx.AsyncClient, address: str) -> None:
        await put(client, "/subscribers/s", {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": address}})
        await _put_subscription(
            client,
            "all",
            Target={"Kind": "post"},
            Templates={"_default": {"EventId": "{{ event.EventId }}", "Title": TITLE}},
            OnWithdraw="remove",
        )

    async def is_right(
        self, client: httpx.AsyncClient, story: Sequence[Source], deliveries: Sequence[Delivery]
    ) -> None:
        """
        Every delivery arrived, each time with the same id and content, and those of a source record in order.

        The last that it hears of a source record is its newest revision, or that it was taken back.
        """
        assert [one for one in deliveries if one["State"] in ("parked", "discarded")] == []
        content: dict[str, bytes] = {}
        heard: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for request in self._receiver.taken:
            webhook_id = request.headers["webhook-id"]
            assert content.setdefault(webhook_id, request.body) == request.body
            heard[request.value["EventId"]].append((request.headers["learning-hub-action"], webhook_id))
        ids = {one["DeliveryId"]: (one["Action"], one["EventId"]) for one in deliveries}
        assert {(ids[one], event) for event, all_heard in heard.items() for action, one in all_heard} == {
            ((action, event), event) for event, all_heard in heard.items() for action, _ in all_heard
        }
        assert {one["DeliveryId"] for one in deliveries if one["State"] == "delivered"} <= content.keys()
        for source in story:
            self._heard_in_order(source)

    def _heard_in_order(self, source: Source) -> None:
        places = {event_id: place for place, event_id in enumerate(source.event_ids)}
        heard = [
            (places[request.value["EventId"]], request.headers["learning-hub-action"] == "remove")
            for request in self._receiver.taken
            if request.value["EventId"] in places
        ]
        assert heard == sorted(heard), source
        if heard or not source.is_withdrawn:
            assert heard[-1] == (len(source.event_ids) - 1, source.is_withdrawn), source


class Importer:
    """A LearningBuilder, which cannot be asked what became of a batch."""

    subscriptions: tuple[str, ...] = ("all",)
    takes_back = False
    slow_seconds = 1.5

    def __init__(self, site: LearningBuilder) -> None:
        self._site = site
        self.address = site.address

    async def set_up(self, client: httpx.AsyncClient, address: str) -> None:
        body = {"Connector": "learningbuilder", "Settings": {"BaseUrl": address}, "Credentials": {"ApiKey": API_KEY}}
        await put(client, "/subscribers/s", {"Name": "LearningBuilder", **body})
        await _put_subscription(
            client,
            "all",
            Target={"Kind": "import", "ImportProcessId": PROCESS},
            Templates={"_default": {"EventId": "{{ event.EventId }}", "Title": TITLE}},
        )

    async def is_right(
        self, client: httpx.AsyncClient, story: Sequence[Source], deliveries: Sequence[Delivery]
    ) -> None:
        """
        No event is imported twice, and each source record's are in order.

        What is delivered was imported; what is parked is so because nobody knows; nothing else was imported.
        """
        imported = [line["EventId"] for line in self._site.lines]
        assert len(imported) == len(set(imported))
        states = {one["EventId"]: one["State"] for one in deliveries}
        assert {event for event, state in states.items() if state == "delivered"} <= set(imported)
        assert {states[event] for event in imported} <= {"delivered", "parked"}
        assert {one["Code"] for one in deliveries if one["State"] == "parked"} <= {"outcome_unknown"}
        assert set(states.values()) <= {"delivered", "parked", "superseded"}
        for source in story:
            own = [event for event in imported if event in source.event_ids]
            assert own == [event for event in source.event_ids if event in own], source


@asynccontextmanager
async def a_subscriber(name: str) -> AsyncIterator[Kind]:
    """One that is running: `imis`, `webhook` or `learningbuilder`."""
    if name == "imis":
        with running_sandbox() as sandbox:
            yield Imis(sandbox)
    elif name == "webhook":
        receiver = Receiver()
        async with running(receiver):
            yield Webhook(receiver)
    else:
        site = LearningBuilder()
        async with running(site):
            yield Importer(site)
