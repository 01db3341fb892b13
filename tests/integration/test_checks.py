"""What the check of a subscriber looks after: what its subscriptions need, as they are stored."""

from __future__ import annotations

from typing import Any

import pytest
from imis_hub import TEMPLATE, ImisHub
from running import eventually

from learning_hub.sandbox import seeds

PANEL = {"Kind": "panel", "Name": "TopClass_Learning"}
ROW = {"CourseCode": "{{ data['Activity Code'] }}"}


async def check(imis_hub: ImisHub, client: Any = None) -> dict[str, Any]:
    answer = await (client or imis_hub.client).post("/subscribers/imis/check")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def pause_of(imis_hub: ImisHub) -> Any:
    return (await imis_hub.client.get("/subscribers/imis")).json()["Paused"]


def wrong(checked: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Subject, name and subscriptions of what is wrong."""
    found = [one for one in checked["Details"] if one["State"] == "wrong"]
    return [(one["Subject"], one["Name"], one["SubscriptionIds"]) for one in found]


async def test_a_check_looks_after_the_subscriptions_in_use(imis_hub: ImisHub) -> None:
    """Literal activity types of any template, and columns of panels; archived subscriptions need nothing."""
    await imis_hub.set_up()
    of_event = {**TEMPLATE, "ActivityType": "{{ data['Type'] }}"}
    other = {**TEMPLATE, "ActivityType": "LHUB"}
    await imis_hub.put_subscription("others", Templates={"_default": of_event, "CPD": other, "Off": None})
    # Saved while nobody could be asked for the columns.
    await imis_hub.fault("503", Method="GET")
    await imis_hub.put_subscription("rows", Target=PANEL, Templates={"_default": {**ROW, "Grade": "A"}})
    await imis_hub.mend()
    assert wrong(await check(imis_hub)) == [
        ("activity-type", "LHUB", ["others"]),
        ("panel-columns", "TopClass_Learning.Grade", ["rows"]),
    ]
    for subscription_id in ("others", "rows"):
        await imis_hub.client.delete(f"/subscriptions/{subscription_id}")
    checked = await check(imis_hub)
    assert (checked["Works"], wrong(checked)) == (True, [])


async def test_a_key_for_some_programs_hears_of_their_subscriptions_alone(imis_hub: ImisHub) -> None:
    """What another Program sends is nothing it may know."""
    await imis_hub.set_up()
    await imis_hub.hub.make_program("DOCTORS")
    lhub = {"_default": {**TEMPLATE, "ActivityType": "LHUB"}}
    await imis_hub.put_subscription("doctors", ProgramId="DOCTORS", Templates=lhub)
    assert wrong(await check(imis_hub)) == [("activity-type", "LHUB", ["doctors"])]
    nurses = await imis_hub.hub.caller("staff", programs=["NURSES"])
    checked = await check(imis_hub, nurses)
    assert checked["Works"] is True
    assert "doctors" not in str(checked)


async def test_what_one_subscription_lacks_keeps_no_pause(imis_hub: ImisHub) -> None:
    """The credentials are fixed, so that all others go on, though the check does not find everything well."""
    await imis_hub.set_up()
    await imis_hub.put_subscription("rows", Target={"Kind": "panel", "Name": "LH_Missing"}, Templates={"_default": ROW})
    await imis_hub.change_password("changed")
    await imis_hub.publish()
    await eventually(lambda: pause_of(imis_hub))
    await imis_hub.change_password("sandbox")
    assert wrong(await check(imis_hub)) == [("panel", "LH_Missing", ["rows"])]
    assert await pause_of(imis_hub) is None
    await eventually(imis_hub.activities)


@pytest.mark.parametrize("made_of_it", ["refuse", "ignore"])
async def test_a_query_without_the_prompt_is_told_by_the_check_as_by_deliveries(
    imis_hub: ImisHub, made_of_it: str
) -> None:
    """Whatever iMIS makes of the prompt, both name it, nobody is taken for another, and a right one fixes it all."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish())
    await imis_hub.switch(UnknownFilter=made_of_it)
    lookup = {"Query": seeds.ACTIVITIES_QUERY, "Prompt": "Email"}
    await imis_hub.put_subscriber(ParticipantLookup=lookup)

    checked = await check(imis_hub)
    event = await imis_hub.publish(PublisherEventId="AI:2", PublisherParticipantId=seeds.SHARED_EMAIL)
    delivery = await imis_hub.settled(event, "parked")

    assert wrong(checked) == [("query", seeds.ACTIVITIES_QUERY, [])]
    assert f"{seeds.ACTIVITIES_QUERY} took no prompt Email" in " ".join(checked["Findings"])
    assert (delivery["Code"], delivery["Class"]) == ("refused", "refused")
    assert "prompt Email" in delivery["Message"]
    assert len(await imis_hub.activities()) == 1
    await imis_hub.put_subscriber(ParticipantLookup={"Query": seeds.CONTACT_QUERY, "Prompt": "Email"})
    assert (await check(imis_hub))["Works"] is True


async def test_a_stopped_subscription_is_only_to_be_looked_at(imis_hub: ImisHub) -> None:
    """What keeps it alone from sending is said, and the subscriber works; started, it is wrong for it."""
    await imis_hub.set_up()
    rows = {"Target": {"Kind": "panel", "Name": "LH_Missing"}, "Templates": {"_default": ROW}}
    await imis_hub.put_subscription("rows", State="stopped", **rows)
    checked = await check(imis_hub)
    assert (checked["Works"], wrong(checked)) == (True, [])
    [finding] = [one for one in checked["Details"] if one["Subject"] == "panel"]
    assert (finding["State"], finding["SubscriptionIds"]) == ("look", ["rows"])
    assert finding["Advice"].endswith("This keeps only rows from sending, which is stopped.")
    await imis_hub.put_subscription("rows", State="started", **rows)
    checked = await check(imis_hub)
    assert (checked["Works"], wrong(checked)) == (False, [("panel", "LH_Missing", ["rows"])])
