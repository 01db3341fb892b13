"""After the database has gone back in time, what is sent again becomes no second record at iMIS."""

from __future__ import annotations

from typing import Any

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from panels import WITH_KEY
from running import eventually

from learning_hub.settings import Settings
from learning_hub.store.database import Database

PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
ROW = {"Course": "{{ data['Activity Title'] }}", "Units": "{{ data['Credits'] | default: 1 | decimal }}"}

# What a restored database may lack.
FORGET = "DELETE FROM run_delivery; DELETE FROM attempt; DELETE FROM delivery; DELETE FROM event"
PROMOTED = "UPDATE feed_epoch SET timeline = 'another'"
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def step_back(hub_database: Database) -> None:
    """The database is as it was before anything was published, and its server is a standby that was promoted."""
    await hub_database.execute(FORGET)
    await hub_database.execute(PROMOTED)
    outside = Database(hub_database.address, max_connections=1)
    await outside.open()
    await outside.execute(CUT)
    await outside.close()

    async def is_noticed() -> bool:
        return hub_database.may_lack_records(30)

    await eventually(is_noticed)


async def publish_to_both(imis_hub: ImisHub) -> None:
    """One event, delivered as an activity and as a row."""
    location = await imis_hub.publish()

    async def deliveries() -> list[dict[str, Any]]:
        return await imis_hub.deliveries_of(location)

    await eventually(deliveries, until=lambda all_: [one["State"] for one in all_] == ["delivered", "delivered"])


async def set_up(imis_hub: ImisHub) -> None:
    await imis_hub.make_panel(PANEL["Name"], WITH_KEY)
    await imis_hub.set_up()
    await imis_hub.put_subscription("rows", Target=PANEL, Templates={"_default": ROW})


async def searches(imis_hub: ImisHub) -> int:
    """How often iMIS was searched for activities."""
    return len([one for one in await imis_hub.requests("/api/Activity") if "eq" in str(one)])


async def test_what_is_published_again_after_a_restore_is_adopted(imis_hub: ImisHub) -> None:
    """The hub lost events and deliveries and the publisher repeats them: each is one activity and one row."""
    await set_up(imis_hub)
    await publish_to_both(imis_hub)
    assert await searches(imis_hub) == 0

    await step_back(imis_hub.hub.database)
    await publish_to_both(imis_hub)

    state = await imis_hub.state()
    assert (len(state["Activities"]), len(state["Panels"]["LH_Learning"])) == (1, 1)
    assert await searches(imis_hub) == 1


class TestWithoutAsking:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, restored_days=0)

    async def test_the_setting_0_never_asks(self, imis_hub: ImisHub) -> None:
        """With LEARNING_HUB_RESTORED_DAYS=0 the first insert is sent without a search, after a restore as well."""
        await set_up(imis_hub)
        await publish_to_both(imis_hub)
        await step_back(imis_hub.hub.database)
        await publish_to_both(imis_hub)
        assert len(await imis_hub.activities()) == 2
        assert await searches(imis_hub) == 0
