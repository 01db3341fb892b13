"""Setting up webhooks over HTTP: the signing secret is made, shown once, changed, and never shown again."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from cryptography.fernet import Fernet
from dirty_equals import IsPartialDict, IsStr
from msgspec.structs import replace
from running import RunningHub, running_hub

from learning_hub.connectors.webhook.secrets import RETIRING
from learning_hub.connectors.webhook.signing import make_secret
from learning_hub.settings import Settings
from learning_hub.store import subscribers
from learning_hub.store.database import Database
from learning_hub.store.vault import Vault

BODY: dict[str, Any] = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hooks.example.org/x"}}


async def put(hub: RunningHub, status: int = 200, **changes: Any) -> dict[str, Any]:
    answer = await hub.client.put("/subscribers/hook", json={**BODY, **changes})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def stored(hub: RunningHub) -> dict[str, Any]:
    return await subscribers.credentials(hub.database, Vault.of(hub.settings), "hook")


async def stored_headers(hub: RunningHub) -> dict[str, str]:
    """The decrypted values; what the database holds has none of them."""
    text = await hub.database.fetchval("SELECT settings::text FROM subscriber WHERE subscriber_id = 'hook'")
    headers = dict(Vault.of(hub.settings).decrypt_settings(json.loads(text), ["Headers"])["Headers"])
    assert not any(value in text for value in headers.values() if value)
    return headers


async def told(hub: RunningHub) -> str:
    """Everything the hub says about subscribers."""
    paths = ("/subscribers", "/subscribers/hook", "/audit")
    return "".join([(await hub.client.get(path)).text for path in paths])


async def test_a_secret_that_is_left_out_is_made_and_shown_once(
    hub_without_worker: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the answer of the PUT that made it has the secret; no other answer, no audit entry and no log line."""
    caplog.set_level(logging.DEBUG)
    hub = hub_without_worker
    made = await put(hub, 201)

    assert made == IsPartialDict(
        SigningSecret=IsStr(regex=r"whsec_[A-Za-z0-9+/]{43}="), HasCredentials=True, CredentialFields=["SigningSecret"]
    )
    assert await stored(hub) == {"SigningSecret": made["SigningSecret"]}
    for again in (await put(hub), await put(hub, Credentials={}), await put(hub, Name="Other")):
        assert "SigningSecret" not in again
    assert await stored(hub) == {"SigningSecret": made["SigningSecret"]}
    assert made["SigningSecret"] not in await told(hub) + caplog.text


async def test_a_new_secret_retires_the_old_one(hub_without_worker: RunningHub) -> None:
    """The old one is kept for a day, saving the same again changes nothing, and neither is ever shown."""
    hub, old, new = hub_without_worker, make_secret(), make_secret()
    first = await put(hub, 201, Credentials={"SigningSecret": old, "Token": "t0ken"})
    second = await put(hub, Credentials={"SigningSecret": new, "Token": "t0ken"})
    after = await stored(hub)
    await put(hub, Credentials={"SigningSecret": new, "Token": "t0ken"})

    assert first["CredentialFields"] == second["CredentialFields"] == ["SigningSecret", "Token"]
    assert after == {
        "SigningSecret": new,
        "Token": "t0ken",
        RETIRING: [{"SigningSecret": old, "UntilUtc": IsStr}],
    }
    assert await stored(hub) == after
    said = str(first) + str(second) + await told(hub)
    for secret in (old, new, "t0ken", RETIRING):
        assert secret not in said


async def test_the_same_credentials_again_are_no_change(hub_without_worker: RunningHub) -> None:
    """An equal PUT, with empty or with the same credentials, moves no time and leaves no audit entry."""
    hub = hub_without_worker
    made = await put(hub, 201, Credentials={})
    secret = made.pop("SigningSecret")
    entries = (await hub.client.get("/audit")).json()["Items"]
    for credentials in ({}, {"SigningSecret": secret}, None):
        assert await put(hub, Credentials=credentials) == made
    assert (await hub.client.get("/audit")).json()["Items"] == entries
    changed = await put(hub, Credentials={"Token": "new"})
    assert changed["CredentialsChangedUtc"] > made["CredentialsChangedUtc"]


async def test_credentials_without_a_secret_keep_it(hub_without_worker: RunningHub) -> None:
    """A Token alone is put beside the secret there is, and left out it is gone."""
    hub = hub_without_worker
    secret = (await put(hub, 201, Credentials={"Token": "one"}))["SigningSecret"]
    assert await stored(hub) == {"SigningSecret": secret, "Token": "one"}
    await put(hub, Credentials={"Token": "two"})
    assert await stored(hub) == {"SigningSecret": secret, "Token": "two"}
    await put(hub, Credentials={})
    assert await stored(hub) == {"SigningSecret": secret}


async def test_an_archived_webhook_comes_back_with_its_secret(hub_without_worker: RunningHub) -> None:
    """A PUT after an archiving makes no new secret."""
    hub = hub_without_worker
    secret = (await put(hub, 201))["SigningSecret"]
    await hub.client.delete("/subscribers/hook")
    back = await put(hub)
    assert "SigningSecret" not in back
    assert await stored(hub) == {"SigningSecret": secret}


async def test_every_bad_field_of_a_webhook_is_named(hub_without_worker: RunningHub) -> None:
    """Settings and credentials are judged together, and no message repeats a secret."""
    answer = await hub_without_worker.client.put(
        "/subscribers/hook",
        json={
            **BODY,
            "Settings": {"Url": "https://169.254.169.254/", "Headers": {"Host": "x", "X-A": 7}, "Colour": "red"},
            "Credentials": {"SigningSecret": "whsec_short", "ApiKey": "x"},
        },
    )
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {
        "Settings.Url",
        "Settings.Headers.Host",
        "Settings.Headers.X-A",
        "Settings.Colour",
        "Credentials.SigningSecret",
        "Credentials.ApiKey",
    }
    assert "whsec_short" not in answer.text


async def test_values_of_headers_go_in_and_never_come_out(hub_without_worker: RunningHub) -> None:
    """Each header is shown as null, null keeps its stored value, and a header that is left out is removed."""
    hub = hub_without_worker

    async def headers() -> dict[str, str]:
        return await stored_headers(hub)

    def settings(**headers: str | None) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {**BODY["Settings"], "Headers": named}

    made = await put(hub, 201, Settings=settings(X_Key="s3cret-4711", X_Other="0ther-0815"))
    assert made["Settings"]["Headers"] == {"X-Key": None, "X-Other": None}
    shown = (await hub.client.get("/subscribers/hook")).json()
    again = await put(hub, Settings=shown["Settings"], Name="Renamed")
    assert again["Settings"] == shown["Settings"]
    assert await headers() == {"X-Key": "s3cret-4711", "X-Other": "0ther-0815"}
    await put(hub, Settings=settings(X_Key=None, X_Third="thir3d-1234"))
    assert await headers() == {"X-Key": "s3cret-4711", "X-Third": "thir3d-1234"}
    answer = await hub.client.put("/subscribers/hook", json={**BODY, "Settings": settings(X_Fourth=None)})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Settings.Headers.X-Fourth")
    everything = await told(hub)
    for value in ("s3cret-4711", "0ther-0815", "thir3d-1234"):
        assert value not in everything + answer.text


async def test_a_patch_changes_and_removes_single_headers(hub_without_worker: RunningHub) -> None:
    """Null removes a header, the others keep their values, and the entity tag changes with a value alone."""
    hub, tags = hub_without_worker, []
    await put(hub, 201, Settings={**BODY["Settings"], "Headers": {"X-Key": "s3cret-4711", "X-Other": "0ther-0815"}})
    for headers in ({"X-Key": "s3cret-4711"}, {"X-Key": "changed-4711"}, {"X-Other": None}):
        tags.append((await hub.client.get("/subscribers/hook")).headers["etag"])
        answer = await hub.client.patch("/subscribers/hook", json={"Settings": {"Headers": headers}})
        assert answer.status_code == 200, answer.text
    tags.append((await hub.client.get("/subscribers/hook")).headers["etag"])

    assert await stored_headers(hub) == {"X-Key": "changed-4711"}
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


async def test_only_administrators_see_what_may_be_secret_in_an_address(hub_without_worker: RunningHub) -> None:
    """Values of the query, and tokens in the path, are masked for keys without the scope admin."""
    hub, address = hub_without_worker, "https://hooks.example.org/in/T0ke9nOfThePath4711?code=s3c&v=2"
    await put(hub, 201, Settings={"Url": address})
    for scope, expected in (("admin", address), ("staff", "https://hooks.example.org/in/***?code=***&v=***")):
        client = await hub.caller(scope)
        one, every = (await client.get("/subscribers/hook")).json(), (await client.get("/subscribers")).json()
        assert [one["Settings"]["Url"], every["Items"][0]["Settings"]["Url"]] == [expected, expected]


async def test_values_that_an_earlier_version_stored_are_encrypted_at_the_start(
    settings: Settings, database: Database
) -> None:
    """The values stay what they are, and the subscriber counts as unchanged."""
    async with running_hub(settings, database, with_worker=False) as hub:
        made = await put(hub, 201)
        await database.execute(
            """UPDATE subscriber SET settings = '{"Url": "https://x", "Headers": {"X-K": "cl3ar"}}'"""
        )
    async with running_hub(settings, database, with_worker=False) as hub:
        assert await stored_headers(hub) == {"X-K": "cl3ar"}
        assert (await hub.client.get("/subscribers/hook")).json()["ChangedUtc"] == made["ChangedUtc"]


async def test_header_values_survive_a_new_key_and_are_asked_for_without_the_old_one(
    settings: Settings, database: Database
) -> None:
    """A key beside the old one decrypts them, and a save encrypts with it; without it they must be sent again."""
    old, new, other = (Fernet.generate_key().decode() for _ in range(3))
    body = {**BODY, "Settings": {**BODY["Settings"], "Headers": {"X-Key": None}}}
    async with running_hub(replace(settings, secret_keys=(old,)), database, with_worker=False) as hub:
        await put(hub, 201, Settings={**BODY["Settings"], "Headers": {"X-Key": "s3cret-4711"}})
    async with running_hub(replace(settings, secret_keys=(new, old)), database, with_worker=False) as hub:
        await put(hub, Settings=body["Settings"], Name="Renamed")
    async with running_hub(replace(settings, secret_keys=(new,)), database, with_worker=False) as hub:
        assert await stored_headers(hub) == {"X-Key": "s3cret-4711"}
    async with running_hub(replace(settings, secret_keys=(other,)), database, with_worker=False) as hub:
        answer = await hub.client.put("/subscribers/hook", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Settings.Headers.X-Key")
        await put(hub, Settings={**BODY["Settings"], "Headers": {"X-Key": "anew-4711"}})
        assert await stored_headers(hub) == {"X-Key": "anew-4711"}
