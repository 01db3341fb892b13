"""An account that loses its role of staff at iMIS while the hub goes on delivering with it."""

from __future__ import annotations

import pytest
from imis_hub import ImisHub
from panels import WITH_KEY

PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
ROW = {"CourseCode": "{{ data['Activity Code'] }}", "Course": "{{ data['Activity Title'] }}"}
CHANGED = {"Activity Code": "FIRE-201", "Activity Title": "Mended"}


@pytest.fixture
async def hub(imis_hub: ImisHub) -> ImisHub:
    """A hub that writes activities and rows of the panel LH_Learning."""
    await imis_hub.make_panel("LH_Learning", WITH_KEY)
    await imis_hub.set_up(EventTypes=["LPI_COMP_SUCCESS"])
    await imis_hub.put_subscription("rows", Target=PANEL, Templates={"_default": ROW})
    return imis_hub


async def test_what_needs_the_role_is_parked_and_goes_out_once_it_is_back(hub: ImisHub) -> None:
    """Rows are refused with iMIS's words, activities arrive all the same, and put back each row is there once."""
    first = await hub.publish()
    await hub.delivered(first)
    await hub.give_roles("Everyone")

    revised = await hub.settled(await hub.publish(PublisherEventData=CHANGED), "parked")
    new = await hub.settled(await hub.publish(PublisherEventId="AI:2"), "parked")
    activity = await hub.publish(PublisherEventId="LPI:3", EventType="LPI_COMP_SUCCESS")

    assert (await hub.delivered(activity))["SubscriptionId"] == "completions"
    for delivery in (revised, new):
        assert (delivery["Code"], delivery["Class"], delivery["Attempts"]) == ("refused", "refused", 1)
        assert "You do not have permission to write LH_Learning" in delivery["Message"]
    assert (await hub.client.get("/subscribers/imis")).json()["Paused"] is None
    await hub.give_roles("Everyone", "StaffUser")
    answer = await hub.client.post("/deliveries/requeue", params={"State": "parked"})
    assert answer.json() == {"Requeued": 2}
    for event_id in (revised["EventId"], new["EventId"]):
        await hub.delivered(f"/events/{event_id}")
    rows = (await hub.state())["Panels"]["LH_Learning"]
    assert sorted(row["Course"] for row in rows) == ["Fire safety refresher", "Mended"]


async def test_a_record_is_taken_back_once_the_role_is_back(hub: ImisHub) -> None:
    """A removal that iMIS does not allow is parked as well, and the row is gone in the end."""
    await hub.put_subscription("rows", Target=PANEL, Templates={"_default": ROW}, OnWithdraw="remove")
    event = await hub.publish()
    await hub.delivered(event)
    await hub.give_roles("Everyone")

    assert (await hub.client.delete(event)).status_code == 204
    removal = await hub.settled(event, "parked")

    assert (removal["Action"], removal["Code"]) == ("remove", "refused")
    await hub.give_roles("SysAdmin")
    await hub.client.post(f"/deliveries/{removal['DeliveryId']}/requeue")
    await hub.delivered(event)
    assert (await hub.state())["Panels"]["LH_Learning"] == []


async def test_the_check_and_making_a_panel_say_so(hub: ImisHub) -> None:
    """The check shows the roles and what an account without that of staff needs; a new panel is refused in words."""
    await hub.give_roles("Everyone")

    checked = (await hub.client.post("/subscribers/imis/check")).json()
    made = await hub.client.post("/subscribers/imis/panels", json={"Name": "lh_new"})

    (roles,) = [one for one in checked["Details"] if one["Subject"] == "roles"]
    assert (roles["State"], roles["Message"]) == ("look", "The account has the roles Everyone.")
    assert "grants Read, Add, Update and Delete" in roles["Advice"]
    assert (made.status_code, made.json()["code"]) == (409, "subscriber_refused")
    assert "permission" in made.json()["detail"]
