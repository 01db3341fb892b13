"""From a committed event to a record in iMIS, with the real sandbox at the other end."""

from __future__ import annotations

import pytest
from factories import an_event_body
from imis_hub import TEMPLATE, ImisHub
from msgspec.structs import replace
from panels import WITH_KEY
from running import eventually

from learning_hub.settings import Settings

DATA = {"Activity Code": "FIRE-201", "Activity Title": "Fire safety refresher", "Credits": 1.5}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Retries that a test can wait for."""
    return replace(settings, retry_seconds=(0.1, 0.1, 0.2), settle_seconds=0.3, send_timeout_seconds=15)


async def test_a_committed_event_becomes_an_activity(imis_hub: ImisHub) -> None:
    """A committed event is an activity in iMIS a moment later, without any call."""
    await imis_hub.set_up()
    location = await imis_hub.publish(PublisherEventData=DATA)
    delivery = await imis_hub.delivered(location)
    (activity,) = await imis_hub.activities()
    assert (delivery["Attempts"], delivery["Code"], delivery["NextTryUtc"]) == (1, None, None)
    assert activity["PartyId"] == "10042"
    assert (activity["ACTIVITY_TYPE"], activity["SOURCE_CODE"]) == ("TCLEARNING", "TopClass")
    assert (activity["PRODUCT_CODE"], activity["DESCRIPTION"]) == ("FIRE-201", "Fire safety refresher")
    assert delivery["SubscriberRecordId"]


async def test_a_revision_updates_the_same_record(imis_hub: ImisHub) -> None:
    """Changed content of the same source is an update of its one record, and null clears a column."""
    await imis_hub.set_up()
    first = await imis_hub.delivered(await imis_hub.publish(PublisherEventData=DATA))
    changed = {"Activity Code": "FIRE-202", "Activity Title": "Fire safety refresher", "Credits": None}
    second = await imis_hub.delivered(await imis_hub.publish(PublisherEventData=changed))
    (activity,) = await imis_hub.activities()
    assert first["SubscriberRecordId"] == second["SubscriberRecordId"]
    assert (activity["PRODUCT_CODE"], activity["UNITS"]) == ("FIRE-202", None)


async def test_started_and_completed_are_one_record(imis_hub: ImisHub) -> None:
    """Started and completed of one source record are one row at iMIS."""
    await imis_hub.set_up(EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"])
    await imis_hub.delivered(await imis_hub.publish(EventType="AI_STARTED"))
    await imis_hub.delivered(await imis_hub.publish(EventType="AI_COMP_SUCCESS"))
    assert len(await imis_hub.activities()) == 1


async def test_withdrawal_keeps_by_default(imis_hub: ImisHub) -> None:
    """Withdrawing what was delivered leaves the record at iMIS unless the subscription says otherwise."""
    await imis_hub.set_up()
    location = await imis_hub.publish()
    await imis_hub.delivered(location)
    assert (await imis_hub.client.delete(location)).status_code == 204
    marker = await imis_hub.publish(PublisherEventId="AI:later")
    await imis_hub.delivered(marker)
    assert len(await imis_hub.activities()) == 2
    assert [item["Action"] for item in await imis_hub.deliveries_of(location)] == ["send"]


async def test_withdrawal_removes_where_asked(imis_hub: ImisHub) -> None:
    """With OnWithdraw remove the record is taken back by a delivery of its own."""
    await imis_hub.set_up(OnWithdraw="remove")
    location = await imis_hub.publish()
    await imis_hub.delivered(location)
    await imis_hub.client.delete(location)
    await eventually(imis_hub.activities, until=lambda rows: not rows)
    found = await eventually(
        lambda: imis_hub.deliveries_of(location), until=lambda items: items[0]["State"] == "delivered"
    )
    assert [item["Action"] for item in found] == ["remove", "send"]


async def test_reopening_takes_back_where_asked(imis_hub: ImisHub) -> None:
    """With OnReopened remove a reopened activity is taken back, and completed again it is there again."""
    await imis_hub.set_up(OnReopened="remove")
    await imis_hub.delivered(await imis_hub.publish())
    await imis_hub.publish(EventType="AI_REOPENED")
    await eventually(imis_hub.activities, until=lambda rows: not rows)
    await imis_hub.delivered(await imis_hub.publish(PublisherEventData=DATA))
    assert len(await imis_hub.activities()) == 1


async def test_withdrawn_before_it_was_sent(imis_hub: ImisHub) -> None:
    """What is withdrawn while it waits is skipped and never sent."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish()
    await imis_hub.settled(location, "waiting")
    await imis_hub.client.delete(location)
    delivery = await imis_hub.settled(location, "skipped")
    assert delivery["Code"] == "withdrawn"
    assert await imis_hub.activities() == []


async def test_no_participant_is_parked_with_advice(imis_hub: ImisHub) -> None:
    """An event of somebody iMIS does not know is parked, and says whose move it is and what to do."""
    await imis_hub.set_up()
    delivery = await imis_hub.settled(await imis_hub.publish(PublisherParticipantId="nobody@example.org"), "parked")
    assert (delivery["Code"], delivery["Class"]) == ("participant_not_found", "identity")
    assert delivery["Message"]
    assert delivery["Advice"]


async def test_requeue_renders_with_todays_template(imis_hub: ImisHub) -> None:
    """A delivery parked for its template goes out with the fixed one once it is put back."""
    await imis_hub.set_up(Templates={"_default": TEMPLATE | {"Subtype": "{{ data['Nope'] }}"}})
    location = await imis_hub.publish(PublisherEventData=DATA)
    parked = await imis_hub.settled(location, "parked")
    assert (parked["Code"], parked["Class"]) == ("template_error", "mapping")
    assert "_default.Subtype" in parked["Message"]
    await imis_hub.put_subscription()
    answer = await imis_hub.client.post("/deliveries/requeue", params={"State": "parked", "Code": "template_error"})
    assert answer.json() == {"Requeued": 1}
    delivered = await imis_hub.delivered(location)
    assert delivered["Attempts"] == 2
    (entry,) = (await imis_hub.client.get("/audit", params={"ObjectType": "delivery"})).json()["Items"]
    (run,) = [one for one in (await imis_hub.client.get("/runs")).json()["Items"] if one["Trigger"] == "requeue"]
    assert (entry["Action"], entry["ObjectId"], entry["Before"]) == ("requeue", run["RunId"], None)
    assert entry["After"] == {
        "Filter": {"State": "parked", "Code": "template_error"},
        "Deliveries": 1,
        "Reason": None,
    }


async def test_what_is_parked_for_an_archived_subscription_cannot_be_put_back(imis_hub: ImisHub) -> None:
    """The answer says that the subscription is archived; brought back, it takes the delivery."""
    await imis_hub.set_up()
    location = await imis_hub.publish(PublisherParticipantId="nobody@example.org")
    parked = await imis_hub.settled(location, "parked")
    assert (await imis_hub.client.delete("/subscriptions/completions")).status_code == 204
    refused = await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")
    assert (refused.status_code, refused.json()["code"]) == (409, "cannot_requeue")
    assert refused.json()["detail"].startswith("The subscription completions is archived")
    await imis_hub.put_subscription()
    put_back = await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")
    assert put_back.status_code == 200, put_back.text


@pytest.mark.parametrize("reason", ["", "   ", "\n\t", None])
async def test_a_discard_needs_a_reason(imis_hub: ImisHub, reason: str | None) -> None:
    """A delivery is not given up without a reason; blanks are none."""
    await imis_hub.set_up(State="stopped")
    delivery = await imis_hub.settled(await imis_hub.publish(), "waiting")
    answer = await imis_hub.client.post(f"/deliveries/{delivery['DeliveryId']}/discard", json={"Reason": reason})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Reason"]


async def test_attempts_are_kept_without_secrets(imis_hub: ImisHub) -> None:
    """A delivery shows what was sent and what came back, and no token or password."""
    await imis_hub.set_up()
    delivery = await imis_hub.delivered(await imis_hub.publish(PublisherEventData=DATA))
    answer = await imis_hub.client.get(f"/deliveries/{delivery['DeliveryId']}")
    detail = answer.json()
    (attempt,) = detail["AttemptLog"]
    assert detail["Payload"]["Description"] == "Fire safety refresher"
    assert detail["Event"]["PublisherEventData"] == DATA
    assert attempt["Request"]["Method"] == "POST"
    assert attempt["Request"]["Url"].endswith("/api/Activity")
    assert attempt["Response"]["Status"] == 201
    assert attempt["Request"]["Headers"].get("Authorization", "***") == "***"


async def test_passing_failures_are_retried(imis_hub: ImisHub) -> None:
    """A failure that may pass is tried again by itself, and the record arrives once."""
    await imis_hub.set_up()
    await imis_hub.fault("503", Path="/api/Activity", Times=2)
    delivery = await imis_hub.delivered(await imis_hub.publish())
    assert delivery["Attempts"] == 3
    assert len(await imis_hub.activities()) == 1


async def test_retries_are_used_up(imis_hub: ImisHub) -> None:
    """What fails at every try is parked and says so; put back, it has its tries anew."""
    await imis_hub.set_up()
    await imis_hub.fault("500", Path="/api/Activity")
    location = await imis_hub.publish()
    delivery = await imis_hub.settled(location, "parked")
    assert (delivery["Code"], delivery["Attempts"]) == ("retries_used_up", 4)
    await imis_hub.mend()
    answer = await imis_hub.client.post(f"/deliveries/{delivery['DeliveryId']}/requeue")
    assert answer.json()["State"] == "waiting"
    await imis_hub.delivered(location)


class TestWithoutPatience:
    """A time-out that ends before a slow or late answer, and a settling time in which a late request lands."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, send_timeout_seconds=2, settle_seconds=3)

    @pytest.mark.parametrize("fault", ["cut-after", "cut-before", "slow", "late"])
    async def test_an_unknown_outcome_is_never_doubled(self, imis_hub: ImisHub, fault: str) -> None:
        """When the answer to a write is lost, the hub asks first: one record, whether or not it was carried out."""
        await imis_hub.set_up()
        await imis_hub.fault(fault, Method="POST", Path="/api/Activity", Times=1, Seconds=3.5)
        delivery = await imis_hub.delivered(await imis_hub.publish())
        assert delivery["Attempts"] >= 2
        if fault in ("slow", "late"):
            await eventually(
                lambda: imis_hub.requests("/api/Activity"),
                until=lambda found: [one["Status"] for one in found if one["Fault"]] == [201],
            )
        assert len(await imis_hub.activities()) == 1


async def test_refused_is_parked(imis_hub: ImisHub) -> None:
    """What iMIS does not accept is parked with iMIS's own words."""
    await imis_hub.set_up(Templates={"_default": TEMPLATE | {"ActivityType": "NOSUCHTYPE"}})
    delivery = await imis_hub.settled(await imis_hub.publish(), "parked")
    assert (delivery["Code"], delivery["Class"], delivery["Attempts"]) == ("refused", "refused", 1)
    assert "ACTIVITY_TYPE" in delivery["Message"]


async def test_categories_choose_templates(imis_hub: ImisHub) -> None:
    """Each category has its template; one that is null is off, one without any is skipped, and both are seen."""
    await imis_hub.set_up(Templates={"Online": TEMPLATE | {"Source": "Online"}, "External Training": None})
    online = await imis_hub.delivered(await imis_hub.publish())
    off = await imis_hub.settled(
        await imis_hub.publish(PublisherEventId="2", PublisherEventCategory={"value": "External Training"}), "skipped"
    )
    none = await imis_hub.settled(await imis_hub.publish(PublisherEventId="3", PublisherEventCategory=None), "skipped")
    assert (online["State"], off["Code"], none["Code"]) == ("delivered", "category_off", "no_template")
    assert [row["SOURCE_CODE"] for row in await imis_hub.activities()] == ["Online"]


async def test_older_ones_never_follow_newer_ones(imis_hub: ImisHub) -> None:
    """A parked revision that is put back after a newer one was delivered is superseded."""
    await imis_hub.set_up(Templates={"_default": TEMPLATE | {"Subtype": "{{ data['Activity Code'] | must_have }}"}})
    old = await imis_hub.publish(PublisherEventData={"Activity Title": "Old", "Activity Code": ""})
    parked = await imis_hub.settled(old, "parked")
    await imis_hub.delivered(await imis_hub.publish(PublisherEventData=DATA))
    answer = await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")
    assert (answer.status_code, answer.json()["State"]) == (200, "superseded")
    (activity,) = await imis_hub.activities()
    assert activity["DESCRIPTION"] == "Fire safety refresher"


async def test_discarding_needs_a_reason_and_is_final(imis_hub: ImisHub) -> None:
    """A discarded delivery keeps its reason and cannot be put back."""
    await imis_hub.set_up()
    delivery = await imis_hub.settled(await imis_hub.publish(PublisherParticipantId="nobody@example.org"), "parked")
    address = f"/deliveries/{delivery['DeliveryId']}"
    assert (await imis_hub.client.post(f"{address}/discard", json={})).status_code == 400
    answer = await imis_hub.client.post(f"{address}/discard", json={"Reason": "Entered by hand."})
    assert (answer.json()["State"], answer.json()["Message"]) == ("discarded", "Entered by hand.")
    assert (await imis_hub.client.post(f"{address}/requeue")).status_code == 409


async def test_panel_rows_are_inserted_and_updated(imis_hub: ImisHub) -> None:
    """A panel row is inserted once and updated by revisions; the hub's key finds it."""
    template = {"CourseCode": "{{ data['Activity Code'] }}", "Units": "{{ data['Credits'] | decimal }}"}
    await imis_hub.make_panel("LH_Learning", WITH_KEY)
    await imis_hub.set_up(
        Target={"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"},
        Templates={"_default": template},
    )
    await imis_hub.delivered(await imis_hub.publish(PublisherEventData=DATA))
    delivery = await imis_hub.delivered(await imis_hub.publish(PublisherEventData=DATA | {"Credits": 2.25}))
    (row,) = (await imis_hub.state())["Panels"]["LH_Learning"]
    assert len(row["RecordKey"]) == 36
    assert (row["ID"], row["CourseCode"], float(row["Units"])) == ("10042", "FIRE-201", 2.25)
    assert delivery["SubscriberRecordId"] == f"~10042|{row['Ordinal']}"


@pytest.mark.parametrize("fault", [None, "cut-after", "cut-before", "429"])
async def test_equal_rows_of_a_panel_without_key_stay_two(imis_hub: ImisHub, fault: str | None) -> None:
    """Two completions with equal values are two rows, even where the panel has no column for the record key."""
    await imis_hub.set_up(
        Target={"Kind": "panel", "Name": "TopClass_Learning"},
        Templates={"_default": {"CourseCode": "{{ data['Activity Code'] }}"}},
    )
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:1"))
    if fault:
        await imis_hub.fault(fault, Method="POST", Path="/api/TopClass_Learning", Times=1)
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:2"))
    assert len((await imis_hub.state())["Panels"]["TopClass_Learning"]) == 2


async def test_a_worker_that_is_taken_for_gone_lets_go(imis_hub: ImisHub) -> None:
    """A worker whose presence ends amid a try stops it; the next try asks first, and there is one record."""
    await imis_hub.set_up()
    await imis_hub.fault("hold", Method="POST", Path="/api/Activity", Times=1)
    location = await imis_hub.publish()
    await eventually(imis_hub.activities)
    await imis_hub.hub.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN delivery"
        " ON (classid::bigint << 32 | objid::bigint) = lease_worker WHERE locktype = 'advisory' AND objsubid = 1"
    )
    delivery = await imis_hub.delivered(location)
    assert delivery["Attempts"] == 2
    assert len(await imis_hub.activities()) == 1


async def test_one_token_serves_all(imis_hub: ImisHub) -> None:
    """However many deliveries there are, the hub signs in once."""
    await imis_hub.set_up()
    locations = [await imis_hub.publish(PublisherEventId=f"AI:{number}") for number in range(10)]
    for location in locations:
        await imis_hub.delivered(location)
    assert len(await imis_hub.requests("/token")) == 1
    assert len(await imis_hub.activities()) == 10


async def test_equal_rows_of_a_contact_stay_apart(imis_hub: ImisHub) -> None:
    """Events that look the same are each a row of a panel without a key, also when several are sent at once."""
    await imis_hub.set_up(
        Target={"Kind": "panel", "Name": "TopClass_Learning"}, Templates={"_default": {"Course": "{{ data.Title }}"}}
    )
    await imis_hub.put_subscriber(MaxConcurrency=4)
    events = [an_event_body(PublisherEventId=str(number), PublisherEventData={"Title": "Same"}) for number in range(8)]
    results = (await imis_hub.client.post("/events/batch", json=events)).json()["Results"]

    records = [(await imis_hub.delivered(result["Location"]))["SubscriberRecordId"] for result in results]

    assert len(set(records)) == 8


async def test_a_contact_that_is_gone_is_looked_up_anew(imis_hub: ImisHub) -> None:
    """What is remembered of a person is forgotten where iMIS does not know it: putting it back finds the new one."""
    await imis_hub.set_up()
    await imis_hub.hub.database.execute(
        "INSERT INTO participant (subscriber_id, program_id, publisher_system_id, publisher_participant_id,"
        " subscriber_participant_id, expires_utc)"
        " VALUES ('imis', 'NURSES', 'LB', 'robin.vale@example.org', '99999', now() + interval '1 hour')"
    )
    event = await imis_hub.publish(PublisherSystemId="LB", PublisherParticipantId="robin.vale@example.org")
    parked = await imis_hub.settled(event, "parked")
    assert (parked["Code"], parked["Class"]) == ("participant_not_found", "identity")

    await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")

    await imis_hub.delivered(event)
    assert [one["PartyId"] for one in await imis_hub.activities()] == ["10042"]


async def test_putting_back_takes_each_once(imis_hub: ImisHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that are parked again at once are not put back twice by one request."""
    monkeypatch.setattr("learning_hub.store.bulk_changes.DELIVERIES_AT_ONCE", 2)
    await imis_hub.set_up(Templates={"_default": TEMPLATE | {"Subtype": "{{ data.nothing }}"}})
    events = [await imis_hub.publish(PublisherEventId=str(number)) for number in range(9)]
    for event in events:
        await imis_hub.settled(event, "parked")

    answer = await imis_hub.client.post("/deliveries/requeue", params={"State": "parked"})

    assert answer.json() == {"Requeued": 9}


async def test_an_outcome_that_cannot_be_stored_is_parked(
    imis_hub: ImisHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One whose record id is no id but a book waits for a person, and the next ones go on."""
    await imis_hub.set_up()
    monkeypatch.setattr(
        "learning_hub.connectors.imis.record_writer.record_id_of", lambda *_: "~" + "".join(map(str, range(9000)))
    )
    event = await imis_hub.publish()

    parked = await imis_hub.settled(event, "parked")

    assert (parked["Code"], parked["Class"]) == ("internal_error", "hub")
    assert "settling_failed" in caplog.text


async def test_metrics_tell_what_is_open_and_what_was_settled(imis_hub: ImisHub) -> None:
    """The metrics count published events, settled tries, and the deliveries that wait for a person."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish())
    await imis_hub.settled(
        await imis_hub.publish(PublisherEventId="AI:2", PublisherParticipantId="nobody@example.org"), "parked"
    )
    text = (await imis_hub.client.get("/metrics")).text
    assert 'learning_hub_deliveries_open{state="parked"} 1.0' in text
    assert 'learning_hub_deliveries_settled_total{code="",state="delivered",subscriber="imis"}' in text
    assert 'learning_hub_events_published_total{status="stored"}' in text
    assert 'route="/events"' in text
    assert "example.org" not in text


async def test_metrics_of_other_programs_are_not_seen(imis_hub: ImisHub) -> None:
    """A key of some Programs sees the figures of their subscribers and deliveries, and none of the whole hub."""
    await imis_hub.set_up()
    await imis_hub.settled(await imis_hub.publish(PublisherParticipantId="nobody@example.org"), "parked")
    await imis_hub.hub.make_program("DOCTORS")
    await imis_hub.hub.database.execute(
        "INSERT INTO subscriber_pause (subscriber_id, code, class, message, since_utc, next_probe_utc, probe_seconds) "
        "VALUES ('imis', 'connection_failed', 'unavailable', 'away', now(), now() + interval '1 hour', 5)"
    )
    nurses = (await (await imis_hub.hub.caller("process", programs=["NURSES"])).get("/metrics")).text
    doctors = (await (await imis_hub.hub.caller("process", programs=["DOCTORS"])).get("/metrics")).text

    assert (
        'learning_hub_deliveries_settled_total{code="participant_not_found",state="parked",subscriber="imis"}' in nurses
    )
    assert 'learning_hub_deliveries_open{state="parked"} 1.0' in nurses
    assert 'learning_hub_subscriber_paused_seconds{code="connection_failed",subscriber="imis"}' in nurses
    assert 'learning_hub_deliveries_open{state="parked"} 0.0' in doctors
    assert "imis" not in doctors
    named = {line.split()[2] for line in (nurses + doctors).splitlines() if line.startswith("# TYPE")}
    assert named == {
        "learning_hub_deliveries_settled_total",
        "learning_hub_deliveries_settled_created",
        "learning_hub_deliveries_open",
        "learning_hub_subscriber_paused_seconds",
    }
