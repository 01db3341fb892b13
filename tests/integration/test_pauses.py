"""A subscriber that is away or refuses the credentials is paused; once it is back every delivery arrives."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from running import eventually, running_hub

from learning_hub.settings import Settings

ACTIVITY = "/api/Activity"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Probes that a test can wait for, and few attempts, so that it shows when they are used up."""
    return replace(settings, retry_seconds=(1, 1, 1), settle_seconds=0.3, probe_seconds=0.5, pause_alarm_seconds=0.5)


async def publish_many(hub: ImisHub, count: int) -> list[str]:
    return [await hub.publish(PublisherEventId=f"AI:{number}") for number in range(count)]


async def deliveries(hub: ImisHub, **filters: str) -> list[dict[str, Any]]:
    answer = await hub.client.get("/deliveries", params={"Limit": "1000", **filters})
    return list(answer.json()["Items"])


async def pause_of(hub: ImisHub) -> dict[str, Any] | None:
    found = (await hub.client.get("/subscribers/imis")).json()["Paused"]
    return dict(found) if found else None


async def is_paused(hub: ImisHub) -> dict[str, Any]:
    found = await eventually(lambda: pause_of(hub))
    return dict(found)


async def all_arrive(hub: ImisHub, events: list[str], seconds: float = 60) -> None:
    """All are delivered, and each is one record at iMIS."""
    await eventually(
        lambda: deliveries(hub, State="delivered"), until=lambda found: len(found) == len(events), seconds=seconds
    )
    keys = [activity["UF_3"] for activity in await hub.activities()]
    assert len(keys) == len(set(keys)) == len(events)
    assert await pause_of(hub) is None


async def sign_ins(hub: ImisHub) -> int:
    return len(await hub.requests("/token"))


async def test_while_a_subscriber_is_away_no_attempts_are_used_up(imis_hub: ImisHub) -> None:
    """Of many deliveries only probes are sent, one at a time; the first success lets all be sent, each once."""
    await imis_hub.set_up()
    await imis_hub.put_subscriber(MaxConcurrency=4)
    await imis_hub.fault("503")
    events = await publish_many(imis_hub, 40)
    pause = await is_paused(imis_hub)
    assert pause["Code"] == "connection_failed"
    assert "503" in pause["Message"]
    assert pause["NextProbeUtc"]
    before = await deliveries(imis_hub)
    await asyncio.sleep(4)
    while_away = await deliveries(imis_hub)
    tried = Counter(one["State"] for one in while_away)
    # Four were under way; then a probe after half a second, after one more, after two more, and so on.
    away = (datetime.now(UTC) - datetime.fromisoformat(pause["SinceUtc"])).total_seconds()
    probes = sum(0.5 * (2**number - 1) <= away for number in range(1, 12))
    assert sum(one["Attempts"] for one in before) < sum(one["Attempts"] for one in while_away) <= 4 + probes
    assert tried["parked"] == 0
    assert tried["waiting"] >= 30
    waiting = next(one for one in while_away if one["State"] == "waiting")
    assert waiting["Message"].startswith("The subscriber is paused")
    assert waiting["NextTryUtc"]
    assert waiting["Code"] is None

    await imis_hub.mend()

    await all_arrive(imis_hub, events)


async def test_what_found_the_subscriber_away_belongs_to_its_pause(imis_hub: ImisHub) -> None:
    """It is not attempted before the next probe, says so, and is in one group with the deliveries that wait."""
    await imis_hub.set_up()
    await imis_hub.fault("503")
    events = await publish_many(imis_hub, 5)
    pause, tried = await eventually(lambda: _standing_still(imis_hub), until=lambda found: found is not None)
    retrying = [one for one in tried if one["State"] == "retrying"]
    assert retrying
    assert all(one["NextTryUtc"] >= pause["NextProbeUtc"] for one in tried)
    assert all("503" in one["Message"] and not one["Message"].startswith("The subscriber") for one in retrying)

    listed = (await imis_hub.client.get("/deliveries/groups")).json()["Items"]

    assert [(one["Kind"], one["Code"], one["Count"]) for one in listed] == [("pause", "connection_failed", len(events))]
    alone = (await imis_hub.client.get("/deliveries/groups?State=retrying")).json()["Items"]
    assert [(one["Kind"], one["Code"]) for one in alone] == [("failures", "connection_failed")]


async def _standing_still(hub: ImisHub) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """A pause some time before its next probe, after several, and the states of all deliveries meanwhile."""
    before, found, after = await pause_of(hub), await deliveries(hub), await pause_of(hub)
    if before is None or before != after or sum(one["Attempts"] for one in found) < 3:
        return None
    left = datetime.fromisoformat(before["NextProbeUtc"]) - datetime.now(UTC)
    is_still = {one["State"] for one in found} <= {"waiting", "retrying"} and left.total_seconds() > 1
    return (before, found) if is_still else None


async def test_each_probe_is_another_record(imis_hub: ImisHub) -> None:
    """A record that always fails at iMIS does not keep the others from showing that iMIS is back."""
    await imis_hub.set_up()
    await imis_hub.fault("503")
    events = await publish_many(imis_hub, 6)
    await is_paused(imis_hub)
    tried = await eventually(
        lambda: deliveries(imis_hub), until=lambda found: sum(one["Attempts"] for one in found) >= 4
    )
    assert [one["Attempts"] for one in tried if one["Attempts"]] == [1, 1, 1, 1]
    await imis_hub.mend()
    await all_arrive(imis_hub, events)


async def test_a_lone_failure_pauses_nobody(imis_hub: ImisHub) -> None:
    """A 500 for a record concerns that record only: the others are sent."""
    await imis_hub.set_up()
    await imis_hub.fault("500", Method="POST", Path=ACTIVITY, Times=1)
    first = await imis_hub.publish(PublisherEventId="AI:first")
    await imis_hub.settled(first, "retrying", "delivered")
    assert await pause_of(imis_hub) is None
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:second"))


async def test_a_subscriber_that_asks_to_wait_is_left_alone_until_then(imis_hub: ImisHub) -> None:
    """A 429 with `Retry-After` holds every delivery, not only the one that received it."""
    await imis_hub.set_up()
    await imis_hub.fault("429", Method="POST", Path=ACTIVITY, Times=1, RetryAfter="3")
    events = await publish_many(imis_hub, 5)
    pause = await is_paused(imis_hub)
    assert pause["Code"] == "rate_limited"
    asked = len(await imis_hub.requests())
    await asyncio.sleep(2)
    assert len(await imis_hub.requests()) == asked
    await all_arrive(imis_hub, events)


async def test_a_wait_of_centuries_is_kept_for_a_day(imis_hub: ImisHub) -> None:
    """`Retry-After: 9999999999` holds the subscriber and its deliveries, and is not ignored."""
    await imis_hub.set_up()
    await imis_hub.fault("429", Method="POST", Path=ACTIVITY, Times=1, RetryAfter="9999999999")
    await publish_many(imis_hub, 2)
    pause = await is_paused(imis_hub)
    wait = datetime.fromisoformat(pause["NextProbeUtc"]) - datetime.fromisoformat(pause["SinceUtc"])
    assert wait.total_seconds() == 86_400
    assert all(one["NextTryUtc"] >= pause["NextProbeUtc"] for one in await deliveries(imis_hub))


@pytest.mark.parametrize(
    ("fault", "path"),
    [("500", "/token"), ("rubbish", "/token"), ("302", "/token"), ("302", None), ("302", "/api"), ("401", "/api")],
)
async def test_a_subscriber_that_is_away_in_any_way_uses_up_no_attempts(
    fault: str, path: str | None, imis_hub: ImisHub
) -> None:
    """A sign-in that fails, a redirect of everything, a denied token: probes alone are sent until iMIS is back."""
    await imis_hub.set_up()
    # The token of the setting up is valid no more, so that the next delivery signs in.
    await imis_hub.change_password("sandbox")
    await imis_hub.fault(fault, Path=path)
    events = await publish_many(imis_hub, 5)
    pause = await is_paused(imis_hub)
    assert pause["NextProbeUtc"]
    tried = await eventually(
        lambda: deliveries(imis_hub), until=lambda found: sum(one["Attempts"] for one in found) >= 2
    )
    assert {one["State"] for one in tried} <= {"waiting", "retrying", "sending"}
    await imis_hub.mend()
    await all_arrive(imis_hub, events)


async def test_a_redirect_of_one_target_pauses_nobody(imis_hub: ImisHub) -> None:
    """The look-up of the contact was answered, so that the delivery is parked."""
    await imis_hub.set_up()
    await imis_hub.fault("302", Path=ACTIVITY, Times=1)
    delivery = await imis_hub.settled(await imis_hub.publish(PublisherEventId="AI:first"), "parked")
    assert delivery["Code"] == "refused"
    assert await pause_of(imis_hub) is None
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:second"))


async def test_the_third_probe_that_is_denied_ends_the_probes(imis_hub: ImisHub) -> None:
    """The account is left alone until a check succeeds; then everything is sent, and no attempt was used up by it."""
    await imis_hub.set_up()
    await imis_hub.fault("401", Path="/api")
    events = await publish_many(imis_hub, 5)
    pause = await eventually(
        lambda: pause_of(imis_hub), until=lambda found: bool(found) and found["Code"] == "credentials_refused"
    )
    assert pause["NextProbeUtc"] is None
    # The first attempt and three probes sign in; each of them renews the token once.
    assert await sign_ins(imis_hub) <= 8
    waiting = await deliveries(imis_hub)
    assert {one["State"] for one in waiting} <= {"waiting", "retrying"}
    assert (await imis_hub.client.post("/subscribers/imis/check")).json()["Works"] is False
    assert await is_paused(imis_hub) == pause
    await imis_hub.mend()
    assert (await imis_hub.client.post("/subscribers/imis/check")).json()["Works"] is True
    await all_arrive(imis_hub, events)


async def test_refused_credentials_lock_no_account_and_everything_arrives_once_they_are_mended(
    imis_hub: ImisHub,
) -> None:
    """The password is broken and fifty events are published: one sign-in; a new password, and all fifty arrive."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:before"))
    await imis_hub.change_password("changed")
    before = await sign_ins(imis_hub)
    events = await publish_many(imis_hub, 50)
    pause = await is_paused(imis_hub)
    assert (pause["Code"], pause["NextProbeUtc"]) == ("credentials_refused", None)
    await asyncio.sleep(2)
    assert await sign_ins(imis_hub) - before == 1
    waiting = await deliveries(imis_hub, State="waiting")
    assert len(waiting) == 50
    assert {one["NextTryUtc"] for one in waiting} == {None}
    assert "valid credentials" in waiting[0]["Advice"]

    await imis_hub.put_subscriber(password="changed")

    await all_arrive(imis_hub, ["before", *events])
    assert max(one["Attempts"] for one in await deliveries(imis_hub)) <= 2


async def test_the_same_refused_credentials_again_sign_in_no_more(imis_hub: ImisHub) -> None:
    """A PUT that repeats them, alone or with other settings, leaves the pause; a successful check ends it."""
    await imis_hub.set_up()
    await imis_hub.change_password("changed")
    event = await imis_hub.publish()
    before = await is_paused(imis_hub)
    changed_utc = (await imis_hub.client.get("/subscribers/imis")).json()["CredentialsChangedUtc"]
    signed_in = await sign_ins(imis_hub)

    await imis_hub.put_subscriber()
    await imis_hub.put_subscriber(MaxConcurrency=2)
    await asyncio.sleep(1)

    assert await pause_of(imis_hub) == before
    assert await sign_ins(imis_hub) == signed_in
    assert (await imis_hub.client.get("/subscribers/imis")).json()["CredentialsChangedUtc"] == changed_utc
    await imis_hub.change_password("sandbox")
    assert (await imis_hub.client.post("/subscribers/imis/check")).json()["Works"] is True
    await imis_hub.delivered(event)


async def test_a_check_that_succeeds_lets_everything_go(imis_hub: ImisHub, settings: Settings) -> None:
    """Credentials that were fixed at iMIS: a check finds them valid, also for the other hub processes."""
    await imis_hub.set_up()
    async with running_hub(settings, imis_hub.hub.database):
        await imis_hub.change_password("changed")
        events = await publish_many(imis_hub, 20)
        await is_paused(imis_hub)
        failed = await imis_hub.client.post("/subscribers/imis/check")
        assert failed.json()["Works"] is False
        assert await pause_of(imis_hub) is not None

        await imis_hub.change_password("sandbox")
        assert (await imis_hub.client.post("/subscribers/imis/check")).json()["Works"] is True

        await all_arrive(imis_hub, events)


async def test_other_settings_are_tried_at_once(imis_hub: ImisHub) -> None:
    """A wrong address is corrected: no delivery waits for the next probe or attempt."""
    await imis_hub.set_up()
    good, bad = imis_hub.imis.address, "http://127.0.0.1:9"
    await imis_hub.put_subscriber(BaseUrl=bad)
    event = await imis_hub.publish()
    await is_paused(imis_hub)
    await imis_hub.put_subscriber(BaseUrl=good)
    await imis_hub.delivered(event)


async def test_a_test_of_a_paused_subscriber_says_why(imis_hub: ImisHub) -> None:
    """A run probes the subscriber at once; refused credentials are not tried at all."""
    await imis_hub.set_up()
    await imis_hub.change_password("changed")
    event = await imis_hub.publish()
    await is_paused(imis_hub)
    body = {"EventId": event.removeprefix("/events/")}
    answer = await imis_hub.client.post("/subscriptions/completions/test", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "subscriber_paused")
    assert "invalid_grant" in answer.json()["detail"] or "password" in answer.json()["detail"]


async def test_a_test_of_a_paused_subscriber_leaves_nothing_to_be_sent_later(imis_hub: ImisHub) -> None:
    """Each click probes the subscriber and answers 409; the event that was delivered before is not queued again."""
    await imis_hub.set_up()
    before = await imis_hub.publish(PublisherEventId="AI:before")
    await imis_hub.delivered(before)
    await imis_hub.fault("503")
    waiting = await imis_hub.publish(PublisherEventId="AI:waiting")
    await is_paused(imis_hub)
    attempts = (await imis_hub.deliveries_of(waiting))[0]["Attempts"]
    body = {"EventId": before.removeprefix("/events/")}
    for _ in range(3):
        answer = await imis_hub.client.post("/subscriptions/completions/test", json=body)
        assert (answer.status_code, answer.json().get("code")) == (409, "subscriber_paused"), answer.text
    assert (await imis_hub.deliveries_of(waiting))[0]["Attempts"] >= attempts + 3
    assert [one["State"] for one in await imis_hub.deliveries_of(before)] == ["delivered"]

    await imis_hub.mend()
    tested = await imis_hub.client.post("/subscriptions/completions/test", json=body)

    assert (tested.status_code, tested.json()["Delivery"]["State"]) == (200, "delivered"), tested.text
    assert [one["State"] for one in await imis_hub.deliveries_of(before)] == ["delivered"] * 2
    assert await pause_of(imis_hub) is None


async def test_a_test_of_the_event_that_is_the_probe_sends_it_once(imis_hub: ImisHub) -> None:
    """The subscriber is back, and the only thing that waits is what is tested: one delivery, and its attempt."""
    await imis_hub.set_up()
    await imis_hub.fault("503")
    event = await imis_hub.publish()
    await is_paused(imis_hub)
    await imis_hub.mend()
    body = {"EventId": event.removeprefix("/events/")}
    answer = await imis_hub.client.post("/subscriptions/completions/test", json=body)
    assert (answer.status_code, answer.json()["Delivery"]["State"]) == (200, "delivered"), answer.text
    assert [one["State"] for one in await imis_hub.deliveries_of(event)] == ["delivered"]


async def test_a_lasting_pause_is_an_alarm(imis_hub: ImisHub, caplog: pytest.LogCaptureFixture) -> None:
    """A long pause is logged once as an error, and shown in the metrics for as long as it lasts."""
    caplog.set_level(logging.INFO)
    await imis_hub.set_up()
    await imis_hub.fault("503")
    event = await imis_hub.publish()
    await is_paused(imis_hub)
    await asyncio.sleep(3)
    told = [record for record in caplog.records if record.getMessage() == "subscriber_paused_long"]
    assert [(record.levelname, record.__dict__["subscriber_id"]) for record in told] == [("ERROR", "imis")]
    metrics = (await imis_hub.client.get("/metrics")).text
    assert 'learning_hub_subscriber_paused_seconds{code="connection_failed",subscriber="imis"}' in metrics
    await imis_hub.mend()
    await imis_hub.delivered(event)
    assert "subscriber_paused_seconds{" not in (await imis_hub.client.get("/metrics")).text


async def test_a_refusal_of_credentials_that_were_mended_meanwhile_pauses_nobody(imis_hub: ImisHub) -> None:
    """An attempt with the old password ends after the new one was saved: the delivery is sent with the new one."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:before"))
    await imis_hub.change_password("changed")
    await imis_hub.fault("slow", Path="/token", Times=1, Seconds=2)
    event = await imis_hub.publish()
    await eventually(lambda: deliveries(imis_hub, State="sending"))
    await imis_hub.put_subscriber(password="changed")
    delivery = await imis_hub.delivered(event)
    assert delivery["Attempts"] == 2
    assert await pause_of(imis_hub) is None


class TestOneAlone:
    """A subscriber that gets little."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Its next attempt is long after the subscriber is back."""
        return replace(settings, retry_seconds=(600, 600))

    async def test_a_lone_delivery_is_the_probe_before_its_time(self, imis_hub: ImisHub) -> None:
        """A delivery that had failed does not wait for its next attempt, and uses up none as a probe."""
        await imis_hub.set_up()
        await imis_hub.fault("503")
        event = await imis_hub.publish()
        await is_paused(imis_hub)
        await eventually(
            lambda: deliveries(imis_hub),
            until=lambda found: found[0]["Attempts"] >= 4 and found[0]["State"] != "sending",
        )
        assert (await deliveries(imis_hub))[0]["State"] in ("waiting", "sending")
        await imis_hub.mend()
        await imis_hub.delivered(event)
        assert await pause_of(imis_hub) is None

    async def test_a_pause_with_nothing_to_send_ends(self, imis_hub: ImisHub) -> None:
        """The delivery that found the subscriber away was discarded: the pause ends, and no alarm is logged."""
        await imis_hub.set_up()
        await imis_hub.fault("503")
        event = await imis_hub.publish()
        await is_paused(imis_hub)
        delivery = await imis_hub.settled(event, "retrying", "waiting")
        answer = await imis_hub.client.post(
            f"/deliveries/{delivery['DeliveryId']}/discard", json={"Reason": "Not now."}
        )
        assert answer.status_code == 200, answer.text
        await eventually(lambda: pause_of(imis_hub), until=lambda found: found is None)
