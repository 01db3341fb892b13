"""A hub that makes panel sources at the sandbox iMIS, and a look at what came of it there."""

from __future__ import annotations

import json
from typing import Any

from imis_hub import ImisHub

from learning_hub.connectors.imis.panel_definition import fields_of
from learning_hub.model.panel import BASIC

BASIC_NAMES = ["RecordKey", *(one.field.name for one in BASIC)]


def said(answer: dict[str, Any]) -> str:
    """All that an answer says to a person."""
    return " ".join(answer["Findings"])


class PanelHub(ImisHub):
    """Asks for the panel lh_completions, unless another is named."""

    @classmethod
    async def of(cls, imis_hub: ImisHub) -> PanelHub:
        """With a Program, and the sandbox as a subscriber without subscriptions."""
        panel_hub = cls(imis_hub.hub, imis_hub.imis)
        await panel_hub.hub.make_program("NURSES")
        await panel_hub.put_subscriber()
        return panel_hub

    async def ask(self, status: int, **body: Any) -> dict[str, Any]:
        """What the hub answers."""
        content = json.dumps({"Name": "lh_completions"} | body)
        answer = await self.client.post("/subscribers/imis/panels", content=content)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def definition(self) -> dict[str, Any]:
        """The definition as somebody else reads it at iMIS."""
        async with self._to_imis() as client:
            form = {"grant_type": "password", "username": self.imis.username, "password": self.imis.password}
            token = (await client.post("/token", data=form)).json()["access_token"]
            path = "/api/BOEntityDefinition/lh_completions"
            return dict((await client.get(path, headers={"Authorization": f"Bearer {token}"})).json())

    async def widths(self) -> dict[str, int | str | None]:
        """The fields at iMIS: of a text its length, else its type."""
        fields = fields_of(await self.definition())
        return {field.name: field.length if field.type == "text" else field.type for field in fields}

    async def definition_writes(self) -> list[str]:
        """The methods of the requests that changed definitions."""
        found = await self.requests("/api/BOEntityDefinition")
        return [request["Method"] for request in found if request["Method"] != "GET"]
