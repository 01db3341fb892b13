"""A sandbox iMIS as the tests of the connector see it, and what they send to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest
from panels import WITH_KEY, make_panel
from plain_http import plain_client

from learning_hub.connectors.base import Exchange, OutboundRecord
from learning_hub.model.json_values import read_json
from learning_hub.sandbox import RunningSandbox
from learning_hub.sandbox.switches import Switches

ROBIN, AMARA = "10042", "10043"
KEY = "01890a5d-ac96-774b-bcce-b302099a8057"
ACTIVITY = {"Kind": "activity"}
PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
PANEL_WITHOUT_KEY = {"Kind": "panel", "Name": "TopClass_Learning"}

COMPLETION = read_json(
    '{"ActivityType": "TCLEARNING", "Source": "TopClass", "Subtype": "FIRE-201", "Description": "Fire safety", '
    '"EffectiveDate": "2031-03-14 15:20:00.000", "Units": 1.30, "CeuType": "CPD"}'
)
ROW = read_json(
    '{"CourseCode": "FIRE-201", "Course": "Fire safety", "CourseCompleted": "2031-03-14 15:20:00.000", '
    '"Units": 1.30, "CreditType": "CPD"}'
)


class ImisSite:
    """Looks at a running sandbox and steers it, over HTTP but where it is prepared for each test."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.address = sandbox.address
        self._client = plain_client(sandbox.address)
        self._site = sandbox.site
        make_panel(self.address, PANEL["Name"], WITH_KEY)
        self._panel_with_key = self._site.panels[PANEL["Name"].casefold()]

    def close(self) -> None:
        self._client.close()

    def fault(self, fault: str, **how: Any) -> None:
        """What goes wrong once, or as often as `Times` says."""
        self._control("POST", "faults", {"Fault": fault, "Times": 1, **how})

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def switch(self, **switches: Any) -> None:
        self._control("PUT", "switches", switches)

    def revoke_tokens(self) -> None:
        self._control("DELETE", "tokens")

    def change_password(self, password: str) -> None:
        self._control("PUT", "account", {"Username": "sandbox", "Password": password})

    def reset(self) -> None:
        """Restore the seeds and the source of the target `PANEL`; the clock of the site is in UTC."""
        self._site.reset()
        self._site.switches = Switches(time_zone="UTC")
        self._site.add_panel(deepcopy(self._panel_with_key))

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """The requests so far, the oldest first."""
        return list(self._control("GET", f"requests?Method={method}&Path={path}")["Items"])

    def activities(self) -> list[dict[str, Any]]:
        """The columns of each."""
        return [one["Properties"] for one in self._control("GET", "state")["Activities"]]

    def rows(self, target: Mapping[str, Any] = PANEL) -> list[dict[str, Any]]:
        """The columns of each."""
        return list(self._control("GET", "state")["Panels"][target["Name"]])

    def open_panel(self, name: str, *, is_open: bool = True) -> None:
        """Tick or untick the box that makes it available via the REST API."""
        self._control("PUT", f"panels/{name}", {"AvailableViaRest": is_open})

    def make_single_panel(self, name: str, columns: list[str], *, width: int = 80) -> None:
        """A source of text columns with one row for each contact."""
        make_panel(self.address, name, dict.fromkeys(columns, width), object_type="Single")

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, f"/_sandbox/{path}", json=body).raise_for_status()
        return read_json(answer.content or b"null")


class StoredCredentials:
    """Credentials as the hub stores them, with turns at renewing them; *kept* are those that took their place."""

    def __init__(self, credentials: dict[str, Any]) -> None:
        self.credentials = credentials
        self.kept: list[dict[str, Any]] = []
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[StoredCredentials]:
        async with self._lock:
            yield self

    async def read(self) -> dict[str, Any]:
        return self.credentials

    async def keep(self, credentials: Mapping[str, Any]) -> None:
        self.credentials = dict(credentials)
        self.kept.append(self.credentials)


class RecordedExchanges:
    """Keeps every exchange, and of each whether it wrote."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.wrote: list[bool] = []

    @property
    def last_written(self) -> str:
        """The body of the last exchange that wrote."""
        return next(one.body for one, wrote in reversed([*zip(self.exchanges, self.wrote, strict=True)]) if wrote) or ""

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        self.exchanges.append(exchange)
        self.wrote.append(wrote)


def an_outbound_record(target: dict[str, Any] | None = None, **changed: Any) -> OutboundRecord:
    """A completion for Robin, on its way for the first time, unless *changed* says otherwise."""
    target = target or ACTIVITY
    given: dict[str, Any] = {
        "delivery_id": "NURSES-1",
        "action": "send",
        "target": target,
        "payload": COMPLETION if target == ACTIVITY else ROW,
        "participant_id": ROBIN,
        "record_key": KEY,
    }
    return OutboundRecord(**{**given, **changed})


TARGETS_WITH_KEY = pytest.mark.parametrize("target", [ACTIVITY, PANEL], ids=["activity", "panel"])
ALL_TARGETS = pytest.mark.parametrize(
    "target", [ACTIVITY, PANEL, PANEL_WITHOUT_KEY], ids=["activity", "panel", "keyless"]
)


def stored(site: ImisSite, target: dict[str, Any]) -> list[dict[str, Any]]:
    """The records at the site that *target* leads to."""
    return site.activities() if target == ACTIVITY else site.rows(target)


def path(target: dict[str, Any]) -> str:
    """The path of the records of *target* in the API of iMIS."""
    return f"/api/{target.get('Name', 'Activity')}"
