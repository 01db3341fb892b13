"""Filters of lists: one that names nothing is reported, so that it never looks like an empty list."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from imis_hub import ImisHub
from running import RunningHub, eventually

from learning_hub.api.app import operations
from learning_hub.api.http.operation import Operation
from learning_hub.model.pagination import Page

NOWHERE = "01a203c0-0942-73a9-941c-331c76c4a131"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("State", "waitin"),
        ("SubscriptionId", "nope"),
        ("SubscriberId", "nope"),
        ("ProgramId", "NOPE"),
        ("Class", "nope"),
        ("Code", "nope"),
        ("EventId", f"E:NURSES-{NOWHERE}"),
        ("EventId", "nope"),
    ],
)
async def test_an_unknown_value_is_refused(imis_hub: ImisHub, field: str, value: str) -> None:
    """GET /deliveries and requeueing by filter answer 400 and name the field."""
    await imis_hub.set_up()

    for method, path in (("GET", "/deliveries"), ("POST", "/deliveries/requeue")):
        answer = await imis_hub.client.request(method, path, params={field: value})

        assert answer.status_code == 400, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_what_belongs_to_others_is_as_unknown(imis_hub: ImisHub) -> None:
    """A key for another Program learns nothing of a subscription, a subscriber or an event from a filter."""
    await imis_hub.set_up()
    event = await imis_hub.publish()
    await imis_hub.hub.make_program("OTHER")
    other = await imis_hub.hub.caller("process", programs=["OTHER"])

    statuses = {
        f"{field}={value}": (await other.get("/deliveries", params={field: value})).status_code
        for field, value in (
            ("SubscriptionId", "completions"),
            ("SubscriptionId", "nope"),
            ("SubscriberId", "imis"),
            ("SubscriberId", "nope"),
            ("EventId", event.removeprefix("/events/")),
            ("EventId", f"E:NURSES-{NOWHERE}"),
            ("EventId", f"E:NOPE-{NOWHERE}"),
        )
    }

    assert list(statuses.values()) == [400, 400, 400, 400, 403, 403, 403]


async def test_what_is_there_can_be_filtered_by(imis_hub: ImisHub) -> None:
    """Each filter that names something finds the delivery it is about."""
    await imis_hub.set_up()
    event = await imis_hub.publish()
    delivery = await imis_hub.delivered(event)

    for field in ("State", "SubscriptionId", "SubscriberId", "ProgramId", "EventId"):
        answer = await imis_hub.client.get("/deliveries", params={field: delivery[field]})

        assert [one["DeliveryId"] for one in answer.json()["Items"]] == [delivery["DeliveryId"]], field


async def test_a_cursor_of_another_list_is_refused(hub_without_worker: RunningHub) -> None:
    """Each list takes its own cursors, and answers 400 to those of every other list and of the feed."""
    hub = hub_without_worker
    for number in (1, 2):
        await hub.make_program(f"P{number}")
        await hub.make_key("read")
    lists = [o.path for o in operations() if "Cursor" in _parameters(o) and "{" not in o.path and o.path != "/events"]
    pages = {path: (await hub.client.get(path, params={"Limit": 1})).json() for path in lists}
    feed = (await hub.client.get("/events?ProgramId=P1")).json()["NextCursor"]
    cursors = {path: page["NextCursor"] for path, page in pages.items() if page["NextCursor"]} | {"/events": feed}
    assert {"/programs", "/keys", "/audit", "/presets", "/events"} <= set(cursors)

    for path in [*lists, "/events?ProgramId=P1"]:
        for origin, cursor in cursors.items():
            answer = await hub.client.get(path, params=httpx.QueryParams(path.partition("?")[2]).set("Cursor", cursor))
            wanted = 200 if path.partition("?")[0] == origin else 400
            assert answer.status_code == wanted, (path, origin, answer.text)
            if wanted == 400:
                assert [error["field"] for error in answer.json()["errors"]] == ["Cursor"]


async def test_every_list_is_paged(hub_without_worker: RunningHub) -> None:
    """Every list takes Limit, from 1 to 1000, and Cursor."""
    lists = [o for o in operations() if o.method == "GET" and getattr(o.responses[0].body, "__origin__", None) is Page]
    assert len(lists) >= 9
    for operation in lists:
        assert {"Limit", "Cursor"} <= _parameters(operation), operation.path


async def test_deliveries_of_an_event_are_paged(imis_hub: ImisHub) -> None:
    """The deliveries of an event come in pages, newest first, each of them once."""
    await imis_hub.set_up()
    for number in range(4):
        await imis_hub.put_subscription(f"more-{number}", StartFrom="beginning")
    event = await imis_hub.publish()
    await eventually(lambda: imis_hub.deliveries_of(event), until=lambda items: len(items) == 5)
    expected = [one["DeliveryId"] for one in await imis_hub.deliveries_of(event)]

    seen: list[str] = []
    query: dict[str, Any] = {"Limit": 2}
    while True:
        page = (await imis_hub.client.get(f"{event}/deliveries", params=query)).json()
        seen += [one["DeliveryId"] for one in page["Items"]]
        if page["NextCursor"] is None:
            break
        query["Cursor"] = page["NextCursor"]

    assert seen == expected == sorted(expected, reverse=True)
    for wrong in ({"Limit": 0}, {"Limit": 1001}, {"Cursor": "nonsense"}):
        assert (await imis_hub.client.get(f"{event}/deliveries", params=wrong)).status_code == 400


async def test_subscriptions_of_an_unknown_program(imis_hub: ImisHub) -> None:
    """A mistyped Program is 400 in the list of subscriptions as well."""
    answer = await imis_hub.client.get("/subscriptions", params={"ProgramId": "NOPE"})

    assert answer.status_code == 400


async def test_runs_under_way_are_listed_with_their_counts(imis_hub: ImisHub) -> None:
    """The list shows of a run that goes on what the run itself shows."""
    await imis_hub.set_up()
    await imis_hub.fault("hold", Path="/api/Activity", Times=1)
    await imis_hub.publish()

    await imis_hub.process(status=202, ProgramId="NURSES", Wait=False)
    await eventually(lambda: _runs(imis_hub), until=lambda runs: runs[0]["Counts"]["Matched"] == 1)

    (run,) = await _runs(imis_hub)
    assert (run["State"], run["Counts"]["Waiting"]) == ("running", 1)
    await imis_hub.mend()


def _parameters(operation: Operation) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(operation.query)} if operation.query else set()


async def _runs(imis_hub: ImisHub) -> list[dict[str, Any]]:
    return list((await imis_hub.client.get("/runs")).json()["Items"])
