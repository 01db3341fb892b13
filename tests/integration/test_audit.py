"""The audit log over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr
from factories import a_subscriber_body, a_subscription_body
from running import RunningHub


async def entries(hub: RunningHub, **filters: Any) -> list[dict[str, Any]]:
    answer = await hub.client.get("/audit", params=filters)
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["Items"]
    return items


async def test_every_change_is_taken_down(hub_without_worker: RunningHub) -> None:
    """Who, when, what before and what after, newest first; with the key that made the change."""
    hub = hub_without_worker
    made = (await hub.client.post("/keys", json={"Name": "Kim", "Programs": ["*"], "Scopes": ["admin"]})).json()
    kim = hub.client_with(made["Key"])
    await kim.put("/programs/NURSES", json={"Name": "Nurses"})
    await kim.put("/programs/NURSES", json={"Name": "All nurses"})
    await kim.put("/programs/NURSES", json={"Name": "All nurses"})
    await kim.put("/subscribers/imis", json=a_subscriber_body())
    await kim.put("/subscribers/imis", json=a_subscriber_body(Name="New"))
    await kim.put("/subscriptions/s", json=a_subscription_body())
    await kim.put("/subscriptions/s", json=a_subscription_body(State="stopped"))
    await kim.delete("/subscriptions/s")
    await kim.delete("/subscribers/imis")
    await kim.delete("/programs/NURSES")

    log = await entries(hub)

    assert [(entry["Action"], entry["ObjectType"], entry["ObjectId"]) for entry in log] == [
        ("archive", "program", "NURSES"),
        ("archive", "subscriber", "imis"),
        ("archive", "subscription", "s"),
        ("update", "subscription", "s"),
        ("create", "subscription", "s"),
        ("update", "subscriber", "imis"),
        ("create", "subscriber", "imis"),
        ("update", "program", "NURSES"),
        ("create", "program", "NURSES"),
        ("create", "key", made["KeyId"]),
    ]
    assert {entry["KeyId"] for entry in log[:-1]} == {made["KeyId"]}
    assert {entry["KeyName"] for entry in log[:-1]} == {"Kim"}
    assert log[-1] == IsPartialDict(KeyId="admin", Before=None, After=IsPartialDict(Name="Kim"))
    assert log[3] == {
        "AuditId": log[4]["AuditId"] + 1,
        "AtUtc": IsStr(regex=".*Z"),
        "KeyId": made["KeyId"],
        "KeyName": "Kim",
        "Action": "update",
        "ObjectType": "subscription",
        "ObjectId": "s",
        "Before": log[4]["After"],
        "After": IsPartialDict(log[4]["After"] | {"State": "stopped", "ChangedUtc": IsStr}),
    }
    assert (log[5]["Before"]["Name"], log[5]["After"]["Name"]) == ("Association iMIS", "New")
    assert "horse" not in str(log)
    assert "gAAAA" not in str(log)


async def test_what_was_refused_leaves_no_entry(hub_without_worker: RunningHub) -> None:
    """A change that fails is not in the log."""
    hub = hub_without_worker
    await hub.client.put("/programs/NURSES", json={})
    await hub.client.put("/subscribers/imis", json=a_subscriber_body(Connector="fax"))
    await hub.client.put("/subscriptions/s", json=a_subscription_body())
    await hub.client.post("/keys", json={"Name": "k", "Programs": ["NURSES"], "Scopes": ["admin"]})
    assert await entries(hub) == []


async def test_the_log_can_be_narrowed_and_followed(hub_without_worker: RunningHub) -> None:
    """ObjectType and ObjectId filter; NextCursor leads through every entry once and ends with null."""
    hub = hub_without_worker
    for number in range(5):
        await hub.make_program(f"P{number}")
    await hub.client.put("/subscribers/P1", json=a_subscriber_body())

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await hub.client.get("/audit", params={"Limit": 2, "ObjectType": "program", **cursor})).json()
        seen += [entry["ObjectId"] for entry in page["Items"]]
        if page["NextCursor"] is None:
            break
        cursor = {"Cursor": page["NextCursor"]}

    assert seen == ["P4", "P3", "P2", "P1", "P0"]
    assert [entry["ObjectType"] for entry in await entries(hub, ObjectId="P1")] == ["subscriber", "program"]
    assert len(await entries(hub, ObjectId="P1", ObjectType="program")) == 1


@pytest.mark.parametrize("query", [{"ObjectType": "shoe"}, {"Cursor": "eA"}, {"Limit": 0}, {"ObjectID": "x"}])
async def test_a_mistyped_filter_is_refused(hub_without_worker: RunningHub, query: dict[str, Any]) -> None:
    """What is no filter, or has a value it cannot have, is 400 with its name."""
    answer = await hub_without_worker.client.get("/audit", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, next(iter(query)))


async def test_only_an_administrator_reads_the_log(hub_without_worker: RunningHub) -> None:
    """Every scope but admin is refused."""
    hub = hub_without_worker
    caller = await hub.caller("publish", "read", "process", "staff")
    assert (await caller.get("/audit")).status_code == 403


async def test_a_change_of_credentials_is_told_without_them(hub_without_worker: RunningHub) -> None:
    """CredentialsChangedUtc differs between Before and After where other credentials were sent, and nowhere else."""
    hub = hub_without_worker
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    await hub.client.put("/subscribers/imis", json=a_subscriber_body(Name="New", Credentials=None))
    await hub.client.put("/subscribers/imis", json=a_subscriber_body(Name="New"))
    other = {"Username": "hub", "Password": "other horse"}
    await hub.client.put("/subscribers/imis", json=a_subscriber_body(Name="New", Credentials=other))

    changed, renamed, made = await entries(hub, ObjectType="subscriber")

    assert made["After"]["CredentialsChangedUtc"] == IsStr(regex=".*Z")
    assert _differing(renamed) == {"Name", "ChangedUtc"}
    assert _differing(changed) == {"CredentialsChangedUtc", "ChangedUtc"}
    assert "horse" not in str([changed, renamed, made])


def _differing(entry: dict[str, Any]) -> set[str]:
    return {name for name, value in entry["After"].items() if entry["Before"][name] != value}
