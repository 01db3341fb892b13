"""Refresh tokens that are good for once, in a hub of several processes."""

from __future__ import annotations

import asyncio
from typing import Any

from imis_hub import ImisHub
from plain_http import plain_async_client
from running import eventually, running_hub

from learning_hub.sandbox import RunningSandbox, seeds
from learning_hub.settings import Settings
from learning_hub.store.database import Database

CLIENT = {
    "ClientId": seeds.CLIENT_ID,
    "ClientSecret": seeds.CLIENT_SECRET,
    "RefreshToken": seeds.REFRESH_TOKEN,
}
ROUNDS, EVENTS = 4, 30


async def _with_a_client_application(imis_hub: ImisHub, **settings: Any) -> None:
    """The subscriber signs in as a client application instead of with a password."""
    there = (await imis_hub.client.get("/subscribers/imis")).json()
    body = {
        "Name": there["Name"],
        "Connector": "imis",
        "Settings": {**there["Settings"], **settings},
        "Credentials": CLIENT,
    }
    answer = await imis_hub.client.put("/subscribers/imis", json=body)
    assert answer.status_code == 200, answer.text


async def _revoke_tokens(imis: RunningSandbox) -> None:
    async with plain_async_client(imis.address) as client:
        assert (await client.delete("/_sandbox/tokens")).status_code == 204


async def test_checks_and_deliveries_use_one_refresh_token_after_the_other(imis_hub: ImisHub) -> None:
    """A check uses the stored one up, and stores the new one; so do deliveries and further checks."""
    await imis_hub.set_up()
    await _with_a_client_application(imis_hub)
    for number in range(3):
        check = await imis_hub.client.post("/subscribers/imis/check")
        assert check.json()["Works"], check.text
        await _revoke_tokens(imis_hub.imis)
        await imis_hub.delivered(await imis_hub.publish(PublisherEventId=f"AI:{number}"))


async def test_a_new_name_does_not_lose_what_is_renewed_meanwhile(imis_hub: ImisHub) -> None:
    """An administrator changes something else than the credentials while the site is being signed in to."""
    await imis_hub.set_up()
    await _with_a_client_application(imis_hub)
    await imis_hub.fault("hold", Path="/token", Times=1)
    checking = asyncio.create_task(imis_hub.client.post("/subscribers/imis/check"))
    await eventually(lambda: imis_hub.requests("/token"))
    there = (await imis_hub.client.get("/subscribers/imis")).json()
    renamed = {"Name": "Renamed", "Connector": "imis", "Settings": there["Settings"]}
    assert (await imis_hub.client.put("/subscribers/imis", json=renamed)).status_code == 200
    await imis_hub.mend()
    assert (await checking).json()["Works"]
    assert (await imis_hub.client.post("/subscribers/imis/check")).json()["Works"]


async def test_two_hubs_on_one_database_share_a_refresh_token(
    settings: Settings, imis_hub: ImisHub, database_address: str
) -> None:
    """However often the site forgets its tokens, both go on with the refresh token of now, and nothing is parked."""
    await imis_hub.set_up()
    await _with_a_client_application(imis_hub, MaxConcurrency=8)
    second = Database(database_address, max_connections=10)
    await second.open()
    try:
        async with running_hub(settings, second) as other:
            for number in range(ROUNDS):
                for place in range(EVENTS):
                    await imis_hub.publish(PublisherEventId=f"AI:{number}-{place}")
                checks = await asyncio.gather(
                    *(hub.client.post("/subscribers/imis/check") for hub in (imis_hub.hub, other))
                )
                assert all(check.json()["Works"] for check in checks)
                delivered = {"delivered": (number + 1) * EVENTS}
                await eventually(lambda: _states(imis_hub), until=delivered.__eq__, seconds=90)
                await _revoke_tokens(imis_hub.imis)
            assert len(await imis_hub.activities()) == ROUNDS * EVENTS
    finally:
        await second.close()


async def _states(imis_hub: ImisHub) -> dict[str, int]:
    async with imis_hub.hub.database.connection() as connection:
        rows = await connection.fetch("SELECT state, count(*) AS number FROM delivery GROUP BY state")
    return {row["state"]: row["number"] for row in rows}
