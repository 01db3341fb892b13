"""PATCH: a JSON merge patch changes what it names, and the whole is checked as a PUT of it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from factories import ACTIVITY_TEMPLATE, a_subscriber_body, a_subscription_body
from running import RunningHub

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
async def client(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client of a hub with the Program NURSES, the subscriber imis and the subscription s."""
    await hub_without_worker.make_program()
    client = hub_without_worker.client
    assert (await client.put("/subscribers/imis", json=a_subscriber_body())).status_code == 201
    assert (await client.put("/subscriptions/s", json=a_subscription_body())).status_code == 201
    return client


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if before.get(name) != value and name != "ChangedUtc"}


async def test_a_patch_changes_what_it_names(client: httpx.AsyncClient) -> None:
    """What a patch does not name stays; the answer is the thing as it is now, with its ETag."""
    for address, patch in (
        ("/programs/NURSES", {"Name": "Nurses"}),
        ("/subscribers/imis", {"Name": "The iMIS"}),
        ("/subscriptions/s", {"Schedule": "manual", "EventTypes": ["AI_STARTED"]}),
    ):
        before = (await client.get(address)).json()
        answer = await client.patch(address, json=patch, headers=MERGE_PATCH)
        assert answer.status_code == 200, answer.text
        after = await client.get(address)
        assert changes(before, after.json()) == patch
        assert answer.headers["ETag"] == after.headers["ETag"]
        assert {name: answer.json()[name] for name in after.json()} == after.json()


async def test_a_key_gets_another_name_and_another_end(client: httpx.AsyncClient) -> None:
    """Name and ExpiresUtc of a key can be changed; null removes the end; nothing else can be changed."""
    made = (await client.post("/keys", json={"Name": "A", "Programs": ["NURSES"], "Scopes": ["read"]})).json()
    address = f"/keys/{made['KeyId']}"

    named = await client.patch(address, json={"Name": "B", "ExpiresUtc": "2099-01-01T00:00:00Z"})
    assert (named.json()["Name"], named.json()["ExpiresUtc"]) == ("B", "2099-01-01T00:00:00Z")
    endless = await client.patch(address, json={"ExpiresUtc": None})
    assert (endless.json()["Name"], endless.json()["ExpiresUtc"]) == ("B", None)

    refused = await client.patch(address, json={"Scopes": ["admin"], "Name": "", "ExpiresUtc": "2020-01-01T00:00:00Z"})
    assert refused.status_code == 400
    assert sorted(error["field"] for error in refused.json()["errors"]) == ["ExpiresUtc", "Name", "Scopes"]
    (first, *_) = (await client.get("/audit", params={"ObjectType": "key"})).json()["Items"]
    assert (first["Action"], first["After"]["ExpiresUtc"]) == ("update", None)


async def test_a_shortened_key_ends(hub_without_worker: RunningHub, client: httpx.AsyncClient) -> None:
    """A key whose end is brought forward is refused from then on."""
    made = (await client.post("/keys", json={"Name": "A", "Programs": ["NURSES"], "Scopes": ["read"]})).json()
    async with hub_without_worker.client_with(made["Key"]) as other:
        assert (await other.get("/programs")).status_code == 200
        await hub_without_worker.database.execute("UPDATE api_key SET expires_utc = now() - interval '1 second'")
        renamed = await client.patch(f"/keys/{made['KeyId']}", json={"Name": "B"})
        assert renamed.status_code == 200, "the end of a key that has expired may stay"
        assert (await other.get("/programs")).status_code == 401


async def test_null_removes_but_within_templates(client: httpx.AsyncClient) -> None:
    """Null removes a field, which takes its default; within Templates it is a value that switches a category off."""
    assert (await client.patch("/subscriptions/s", json={"PublisherSystemId": "TopClass"})).status_code == 200
    patched = await client.patch(
        "/subscriptions/s",
        json={"PublisherSystemId": None, "Templates": {"ABC": ACTIVITY_TEMPLATE, "Internal": None}},
    )
    assert patched.status_code == 200, patched.text
    assert patched.json()["PublisherSystemId"] is None
    templates = a_subscription_body()["Templates"]
    assert patched.json()["Templates"] == templates | {"ABC": ACTIVITY_TEMPLATE, "Internal": None}

    off = await client.patch("/subscriptions/s", json={"Templates": {"ABC": None}})
    assert off.json()["Templates"] == templates | {"ABC": None, "Internal": None}
    leaf = await client.patch("/subscriptions/s", json={"Templates": {"_default": {"Description": "Patched"}}})
    assert leaf.json()["Templates"]["_default"] == templates["_default"] | {"Description": "Patched"}


async def test_settings_and_credentials_are_patched_within(client: httpx.AsyncClient) -> None:
    """A patch names one setting, or one of the credentials; the others stay, and credentials are never shown."""
    before = (await client.get("/subscribers/imis")).json()
    patched = await client.patch("/subscribers/imis", json={"Settings": {"TimeZone": "America/Chicago"}})
    assert patched.json()["Settings"] == before["Settings"] | {"TimeZone": "America/Chicago"}
    assert patched.json()["CredentialsChangedUtc"] == before["CredentialsChangedUtc"]
    removed = await client.patch("/subscribers/imis", json={"Settings": {"TimeZone": None}})
    assert "TimeZone" not in removed.json()["Settings"]

    changed = await client.patch("/subscribers/imis", json={"Credentials": {"Password": "another-password"}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["CredentialFields"] == before["CredentialFields"]
    assert changed.json()["CredentialsChangedUtc"] > before["CredentialsChangedUtc"]
    assert "another-password" not in changed.text
    half = await client.patch("/subscribers/imis", json={"Credentials": {"Username": None}})
    assert [error["field"] for error in half.json()["errors"]] == ["Credentials.Username"]


async def test_the_whole_is_checked(client: httpx.AsyncClient) -> None:
    """Every bad field is told at once, unknown ones too; what cannot be changed is 409; what is not there 404."""
    answer = await client.patch(
        "/subscriptions/s",
        json={
            "Schedule": "sometimes",
            "Colour": None,
            "Templates": {"_default": {"Description": "{{ data.x | nope }}"}},
        },
    )
    assert answer.status_code == 400
    fields = {error["field"] for error in answer.json()["errors"]}
    assert {"Schedule", "Colour", "Templates._default.Description"} <= fields

    assert (await client.patch("/subscriptions/s", json={"Preset": "topclass-imis-activity"})).status_code == 400
    assert (await client.patch("/subscribers/imis", json={"Connector": "webhook"})).status_code in (400, 409)
    for address in ("/programs/NONE", "/subscribers/none", "/subscriptions/none", f"/keys/{'0' * 26}"):
        assert (await client.patch(address, json={"Name": "N"})).status_code == 404, address
    assert (await client.patch("/programs/NURSES", content=b"[]")).status_code == 400
    assert (await client.delete("/subscriptions/s")).status_code == 204
    assert (await client.patch("/subscriptions/s", json={"Name": "N"})).status_code == 404


async def test_patches_at_once_lose_nothing(client: httpx.AsyncClient) -> None:
    """Patches of different fields at once are all applied, each to what the ones before it made."""
    categories = [f"C{number}" for number in range(6)]

    answers = await asyncio.gather(
        client.patch("/subscriptions/s", json={"Name": "Patched"}),
        *(client.patch("/subscriptions/s", json={"Templates": {category: None}}) for category in categories),
    )

    assert [answer.status_code for answer in answers] == [200] * 7
    now = (await client.get("/subscriptions/s")).json()
    assert now["Name"] == "Patched"
    assert set(categories) < set(now["Templates"])


async def test_a_patch_obeys_if_match(client: httpx.AsyncClient) -> None:
    """A patch with a tag that is no longer true is 412, and of many at once with one tag one is applied."""
    tag = (await client.get("/programs/NURSES")).headers["ETag"]

    answers = await asyncio.gather(
        *(client.patch("/programs/NURSES", json={"Name": f"{n}"}, headers={"If-Match": tag}) for n in range(8))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_a_patch_that_changes_nothing_leaves_no_trace(client: httpx.AsyncClient) -> None:
    """An empty patch is 200, and is no entry in the audit log."""
    before = (await client.get("/audit")).json()
    for address in ("/programs/NURSES", "/subscribers/imis", "/subscriptions/s"):
        assert (await client.patch(address, json={})).status_code == 200
    assert (await client.get("/audit")).json() == before
