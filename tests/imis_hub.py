"""A hub with the sandbox iMIS as a subscriber, and ways to look at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import panels
from hub_calls import HubCalls
from panels import Columns
from plain_http import plain_async_client
from running import RunningHub

from learning_hub.sandbox import RunningSandbox

TEMPLATE = {
    "ActivityType": "TCLEARNING",
    "Source": "TopClass",
    "Subtype": "{{ data['Activity Code'] | text: 31 }}",
    "Description": "{{ data['Activity Title'] | text: 255 }}",
    "Units": "{{ data['Credits'] | default: nil | decimal }}",
}


class ImisHub(HubCalls):
    """A hub and the iMIS it delivers to."""

    def __init__(self, hub: RunningHub, imis: RunningSandbox) -> None:
        super().__init__(hub)
        self.imis = imis

    async def set_up(self, **changes: Any) -> None:
        """A Program, the sandbox as a subscriber, and the subscription `completions`."""
        await self.hub.make_program("NURSES")
        await self.put_subscriber()
        await self.put_subscription(**changes)

    async def put_subscriber(self, *, password: str | None = None, **settings: Any) -> None:
        body = {
            "Name": "iMIS",
            "Connector": "imis",
            "Settings": {
                "BaseUrl": self.imis.address,
                "TimeZone": "America/New_York",
                "ParticipantLookup": "email",
                **settings,
            },
            "Credentials": {"Username": self.imis.username, "Password": password or self.imis.password},
        }
        answer = await self.client.put("/subscribers/imis", json=body)
        assert answer.status_code in (200, 201), answer.text

    async def put_subscription(self, subscription_id: str = "completions", **changes: Any) -> None:
        body = {
            "Name": "Completions to iMIS",
            "SubscriberId": "imis",
            "ProgramId": "NURSES",
            "EventTypes": ["AI_COMP_SUCCESS"],
            "Target": {"Kind": "activity"},
            "Templates": {"_default": TEMPLATE},
            **changes,
        }
        answer = await self.client.put(f"/subscriptions/{subscription_id}", json=body)
        assert answer.status_code in (200, 201), answer.text

    async def make_panel(self, name: str, columns: Columns, *, object_type: str = "Multi") -> None:
        """Make a panel source at the iMIS by hand, as its administrator would."""
        await self.make_panels([name], columns, object_type=object_type)

    async def make_panels(self, names: Iterable[str], columns: Columns, *, object_type: str = "Multi") -> None:
        """Make many panel sources alike."""
        # The iMIS runs on the loop of the test, which must not wait.
        await asyncio.to_thread(panels.make_panels, self.imis.address, names, columns, object_type=object_type)

    async def state(self) -> dict[str, Any]:
        """Everything the iMIS holds."""
        async with self._to_imis() as client:
            return dict((await client.get("/_sandbox/state")).json())

    async def activities(self) -> list[dict[str, Any]]:
        return [activity["Properties"] for activity in (await self.state())["Activities"]]

    def _to_imis(self) -> httpx.AsyncClient:
        return plain_async_client(self.imis.address)

    async def requests(self, path: str = "") -> list[dict[str, Any]]:
        """The requests that the iMIS got at addresses that begin with *path*, the oldest first."""
        async with self._to_imis() as client:
            return list((await client.get("/_sandbox/requests", params={"Path": path})).json()["Items"])

    async def fault(self, fault: str, **details: Any) -> None:
        """Let the iMIS fail."""
        async with self._to_imis() as client:
            answer = await client.post("/_sandbox/faults", json={"Fault": fault, **details})
            assert answer.status_code < 300, answer.text

    async def change_password(self, password: str) -> None:
        """Let the iMIS take another password from now on, and no token that it gave before."""
        async with self._to_imis() as client:
            body = {"Username": self.imis.username, "Password": password}
            (await client.put("/_sandbox/account", json=body)).raise_for_status()
            (await client.delete("/_sandbox/tokens")).raise_for_status()

    async def give_roles(self, *roles: str) -> None:
        """Let the account of the hub have these roles and no others; its tokens stay good."""
        async with self._to_imis() as client:
            (await client.put("/_sandbox/account", json={"Roles": [*roles]})).raise_for_status()

    async def switch(self, **values: Any) -> None:
        """Let the iMIS do what is not confirmed in another way."""
        async with self._to_imis() as client:
            (await client.put("/_sandbox/switches", json=values)).raise_for_status()

    async def open_panel(self, name: str, *, is_open: bool = True) -> None:
        """Tick or untick the box that makes a panel source available via the REST API."""
        async with self._to_imis() as client:
            body = {"AvailableViaRest": is_open}
            (await client.put(f"/_sandbox/panels/{name}", json=body)).raise_for_status()

    async def reset(self) -> None:
        """Let the iMIS be as it was at the start."""
        async with self._to_imis() as client:
            (await client.post("/_sandbox/reset")).raise_for_status()

    async def mend(self, fault: str | None = None) -> None:
        """Let the iMIS work again; with *fault* only that kind ends."""
        async with self._to_imis() as client:
            await client.delete("/_sandbox/faults", params={"Fault": fault} if fault else {})
