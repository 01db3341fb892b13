"""Setting up webhooks over HTTP: the signing secret is made, shown once, changed, and never shown again."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr
from running import RunningHub

from learning_hub.connectors.webhook.secrets import RETIRING
from learning_hub.connectors.webhook.signing import make_secret
from learning_hub.store import subscribers
from learning_hub.store.vault import Vault

BODY: dict[str, Any] = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hooks.example.org/x"}}


async def put(hub: RunningHub, status: int = 200, **changes: Any) -> dict[str, Any]:
    answer = await hub.client.put("/subscribers/hook", json={**BODY, **changes})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def stored(hub: RunningHub) -> dict[str, Any]:
    return await subscribers.credentials(hub.database, Vault.of(hub.settings), "hook")


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
        subscriber = await subscribers.find(hub.database, "hook")
        assert subscriber
        return dict(subscriber.settings["Headers"])

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
