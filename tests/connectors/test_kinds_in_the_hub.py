"""Each kind of subscriber in a whole hub: what must know the kinds besides the connectors knows them all."""

from __future__ import annotations

import pytest
from connectors.kinds_under_test import UNDER_TEST
from running import RunningHub

ADDRESS = "https://members.example.org"


@pytest.mark.parametrize("name", sorted(UNDER_TEST))
async def test_a_subscriber_of_each_kind_can_be_saved(name: str, hub_without_worker: RunningHub) -> None:
    """The API and the database accept a subscriber of every kind, and the API shows what was saved."""
    under_test = UNDER_TEST[name]
    settings = {**under_test.settings, under_test.address: ADDRESS}
    body = {"Name": "Any", "Connector": name, "Settings": settings, "Credentials": under_test.credentials}
    saved = await hub_without_worker.client.put("/subscribers/any", json=body)

    assert saved.status_code == 201, saved.text
    shown = (await hub_without_worker.client.get("/subscribers/any")).json()
    assert (shown["Connector"], shown["Settings"][under_test.address]) == (name, ADDRESS)
    assert shown["CredentialFields"] == list(under_test.credentials)
