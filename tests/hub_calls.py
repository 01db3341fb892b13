"""What tests ask of a hub, whatever kind of subscriber it delivers to."""

from __future__ import annotations

from typing import Any

from factories import an_event_body
from running import RunningHub, eventually


class HubCalls:
    """Calls a hub with the admin key."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.client = hub.client

    async def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make or change what is at *path*."""
        answer = await self.client.put(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def attempts(self, delivery: dict[str, Any]) -> list[dict[str, Any]]:
        """The attempts of a delivery, the first one first."""
        answer = await self.client.get(f"/deliveries/{delivery['DeliveryId']}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["AttemptLog"])

    async def publish(self, status: int = 201, **changes: Any) -> str:
        """Publish an event; its address."""
        answer = await self.client.post("/events", json=an_event_body(**changes))
        assert answer.status_code == status, answer.text
        return str(answer.headers["Location"])

    async def deliveries_of(self, location: str) -> list[dict[str, Any]]:
        answer = await self.client.get(f"{location}/deliveries")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["Items"])

    async def settled(self, location: str, *states: str, seconds: float = 30) -> dict[str, Any]:
        """The event's newest delivery once it is in one of *states*."""
        found = await eventually(
            lambda: self.deliveries_of(location),
            until=lambda items: bool(items) and items[0]["State"] in states,
            seconds=seconds,
        )
        return dict(found[0])

    async def delivered(self, location: str) -> dict[str, Any]:
        return await self.settled(location, "delivered")

    async def process(self, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = await self.client.post("/processEvents", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json()) if answer.content else {}
