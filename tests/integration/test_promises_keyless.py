"""Rows of a panel that has no column for the record key: each source record has one, whatever is cut."""

from __future__ import annotations

from typing import Any

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from panels import WITH_KEY
from running import eventually

from learning_hub.settings import Settings

KEYLESS = {"Kind": "panel", "Name": "TopClass_Learning"}
KEYED = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
FIRST = {"Activity Code": "FIRE-201", "Activity Title": "Fire safety refresher", "Credits": 1.5}
SECOND = FIRST | {"Activity Title": "Fire safety, second edition", "Credits": 2}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """What failed is tried again when a test has done something about it, and what was cut is asked about then."""
    return replace(settings, retry_seconds=(4,) * 8, settle_seconds=2, send_timeout_seconds=15)


async def set_up(imis_hub: ImisHub, target: dict[str, Any] = KEYLESS) -> None:
    await imis_hub.make_panel(KEYED["Name"], WITH_KEY)
    preset = (await imis_hub.client.get("/presets")).json()["Items"][-1]
    assert preset["PresetId"] == "topclass-imis-panel"
    await imis_hub.set_up(Target=target, Templates=preset["Templates"])


async def publish(imis_hub: ImisHub, data: dict[str, Any]) -> str:
    return await imis_hub.publish(PublisherEventCategory={"value": "Online"}, PublisherEventData=data)


async def rows(imis_hub: ImisHub, target: dict[str, Any] = KEYLESS) -> list[tuple[str, float]]:
    found = (await imis_hub.state())["Panels"][target["Name"]]
    return [(row["Course"], float(row["Units"])) for row in found]


@pytest.mark.parametrize("fault", ["cut-after", "cut-before", "500"])
async def test_a_revision_waits_for_a_row_in_doubt(imis_hub: ImisHub, fault: str) -> None:
    """Of a row whose answer was lost, it is found out first where it is, and the revision that came then updates it."""
    await set_up(imis_hub)
    await imis_hub.fault(fault, Method="POST", Path="/api/TopClass_Learning", Times=1)
    first = await publish(imis_hub, FIRST)
    await imis_hub.settled(first, "retrying")

    second = await publish(imis_hub, SECOND)

    delivered = await imis_hub.delivered(second)
    assert await rows(imis_hub) == [("Fire safety, second edition", 2)]
    assert (await imis_hub.delivered(first))["SubscriberRecordId"] == delivered["SubscriberRecordId"]


async def test_a_revision_that_comes_while_the_row_is_sent(imis_hub: ImisHub) -> None:
    """A try that ends in doubt after the revision came is not superseded by it, and there is one row."""
    await set_up(imis_hub)
    await imis_hub.fault("hold", Method="GET", Times=1)
    await imis_hub.fault("cut-after", Method="POST", Path="/api/TopClass_Learning", Times=1)
    first = await publish(imis_hub, FIRST)
    await imis_hub.settled(first, "sending")

    second = await publish(imis_hub, SECOND)
    await eventually(lambda: imis_hub.deliveries_of(second))
    await imis_hub.mend("hold")
    await imis_hub.delivered(second)

    assert await rows(imis_hub) == [("Fire safety, second edition", 2)]
    assert (await imis_hub.delivered(first))["Attempts"] == 2


class TestWithTimeBetweenTries:
    """A revision comes well before the next try."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, retry_seconds=(20,) * 8)

    @pytest.mark.parametrize(("target", "fault"), [(KEYLESS, "503"), (KEYED, "cut-after")])
    async def test_a_revision_supersedes_what_is_not_in_doubt(
        self, imis_hub: ImisHub, target: dict[str, Any], fault: str
    ) -> None:
        """What was surely not written, or can be found by its key, gives way to the revision at once."""
        await set_up(imis_hub, target)
        await imis_hub.fault(fault, Method="POST", Path=f"/api/{target['Name']}", Times=1)
        first = await publish(imis_hub, FIRST)
        await imis_hub.settled(first, "retrying")

        await imis_hub.delivered(await publish(imis_hub, SECOND))

        assert await rows(imis_hub, target) == [("Fire safety, second edition", 2)]
        assert (await imis_hub.settled(first, "superseded"))["Code"] == "superseded"

    async def test_a_row_in_doubt_that_staff_put_back(self, imis_hub: ImisHub) -> None:
        """Putting back what is tried again anyway does not give up the row in doubt for its revision."""
        await set_up(imis_hub)
        await imis_hub.fault("cut-after", Method="POST", Path="/api/TopClass_Learning", Times=1)
        first = await publish(imis_hub, FIRST)
        await imis_hub.settled(first, "retrying")
        second = await publish(imis_hub, SECOND)
        await eventually(lambda: imis_hub.deliveries_of(second), until=bool)

        assert (await imis_hub.client.post("/deliveries/requeue", params={"State": "retrying"})).json() == {
            "Requeued": 1
        }

        await imis_hub.delivered(second)
        assert await rows(imis_hub) == [("Fire safety, second edition", 2)]
