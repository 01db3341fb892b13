"""Events whose category has no template: where the hub reports them, and what it says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from imis_hub import TEMPLATE, ImisHub
from programs import quick_command

NOT_THERE = 'The subscription has no template for the category "online", only for Online: is it Online?'


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, Any]]:
    """The category and the reason of each log line about a category without a template."""
    found = [vars(record) for record in caplog.records if record.getMessage() == "no_template"]
    return [(record.get("category"), record["reason"]) for record in found]


async def published(imis_hub: ImisHub, *sources: str, category: str | None = "online") -> None:
    """Publish an event for each of the source records, and wait until it is skipped."""
    value = None if category is None else {"value": category}
    for source in sources:
        location = await imis_hub.publish(PublisherEventId=source, PublisherEventCategory=value)
        await imis_hub.settled(location, "skipped")


async def test_each_category_without_a_template_is_logged_once(
    imis_hub: ImisHub, caplog: pytest.LogCaptureFixture
) -> None:
    """A category without a template is logged with its first event, and again once the templates were changed."""
    await imis_hub.set_up(Templates={"Online": TEMPLATE})
    await published(imis_hub, "AI:1", "AI:2")
    await published(imis_hub, "AI:3", category="Webinar")
    await published(imis_hub, "AI:4", category=None)
    await published(imis_hub, "AI:5")
    processed = await imis_hub.process(ProgramId="NURSES", EventDateBucket=None, SubscriptionId="completions")
    assert processed["Matched"] == 0
    beginning = "The subscription has no template for"

    assert logged(caplog) == [
        ("online", NOT_THERE),
        ("Webinar", f'{beginning} the category "Webinar", only for Online.'),
        (None, f"{beginning} events without a category, only for Online."),
    ]

    caplog.clear()
    await imis_hub.put_subscription(Templates={"Online": TEMPLATE, "ILT": TEMPLATE})
    await published(imis_hub, "AI:6", "AI:7")
    assert logged(caplog) == [("online", NOT_THERE.replace("Online:", "Online and ILT:"))]


async def test_a_run_logs_a_category_without_a_template(imis_hub: ImisHub, caplog: pytest.LogCaptureFixture) -> None:
    """A run that gathers an event before the feed is read logs its category, once as well."""
    await imis_hub.set_up(Templates={"Online": TEMPLATE})
    async with imis_hub.hub.database.transaction() as connection:
        # An open writing transaction hides the event in the feed; a run sees it.
        await connection.execute("SELECT pg_current_xact_id()")
        location = await imis_hub.publish(PublisherEventCategory={"value": "online"})
        event_id = location.removeprefix("/events/")
        for _ in range(2):
            assert (await imis_hub.process(EventIds=[event_id]))["Skipped"] == 1
        assert logged(caplog) == [("online", NOT_THERE)]


async def test_a_template_removed_before_sending_is_logged_once(
    imis_hub: ImisHub, caplog: pytest.LogCaptureFixture
) -> None:
    """Deliveries that lose their template while they wait are skipped, and the reason is logged once."""
    await imis_hub.set_up(State="stopped")
    locations = [
        await imis_hub.publish(PublisherEventId=source, PublisherEventCategory={"value": "online"})
        for source in ("AI:1", "AI:2")
    ]
    for location in locations:
        await imis_hub.settled(location, "waiting")
    await imis_hub.put_subscription(Templates={"Online": TEMPLATE}, State="started")
    for location in locations:
        await imis_hub.settled(location, "skipped")

    assert logged(caplog) == [(None, NOT_THERE)]


async def test_the_doctor_reports_a_category_without_a_template(imis_hub: ImisHub) -> None:
    """`doctor` names the category, those that have a template, how many events, and what to do."""
    await imis_hub.set_up(Templates={"Online": TEMPLATE})
    await published(imis_hub, "AI:1", "AI:2")
    settings = {
        "HOME": str(imis_hub.hub.settings.home),
        "DATABASE_URL": str(imis_hub.hub.settings.database_url),
        "SECRET_KEYS": ",".join(imis_hub.hub.settings.secret_keys),
        "ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
    }

    told = await asyncio.to_thread(quick_command, "doctor", settings=settings)

    words = " ".join(told.stdout.split())
    assert f"Subscription completions: 2 skipped: {NOT_THERE}" in words
    assert "To requeue: learning-hub delivery requeue --signature" in words


CASES: list[tuple[dict[str, Any], str | None, str]] = [
    ({"ILT": None}, "Online", 'the category "Online".'),
    ({"ILT": None}, None, "events without a category."),
    ({"Online": TEMPLATE}, " Online", 'the category " Online", only for Online: is it Online?'),
    ({"Online": TEMPLATE}, "ONLINE ", 'the category "ONLINE ", only for Online: is it Online?'),
    ({"On line": TEMPLATE}, "On-Line", 'the category "On-Line", only for On line: is it On line?'),
    ({"Online": TEMPLATE}, "Online\u200b", 'the category "Online<U+200B>", only for Online: is it Online?'),
    ({"On\u00a0line": TEMPLATE}, "On line", 'the category "On line", only for On<U+00A0>line: is it On<U+00A0>line?'),
    ({"Online": None}, "online", 'the category "online": is it Online, which is switched off?'),
    ({'5" pipe': TEMPLATE}, '5" Pipe', r'the category "5\" Pipe", only for 5" pipe: is it 5" pipe?'),
    (
        {f"Course {number:03}": TEMPLATE for number in range(200)},
        "course 123",
        'the category "course 123", only for '
        + ", ".join(f"Course {number:03}" for number in range(10))
        + " and 190 more: is it Course 123?",
    ),
]


async def test_the_message_names_the_category_and_the_similar_one(imis_hub: ImisHub) -> None:
    """Delivery and preview say which category has no template, which have, and which is spelled alike."""
    await imis_hub.set_up()
    for number, (templates, category, message) in enumerate(CASES):
        await imis_hub.put_subscription(Templates=templates)
        value = None if category is None else {"value": category}
        location = await imis_hub.publish(PublisherEventId=f"AI:{number}", PublisherEventCategory=value)
        delivery = await imis_hub.settled(location, "skipped")
        body = {"EventId": delivery["EventId"]}
        preview = (await imis_hub.client.post("/subscriptions/completions/preview", json=body)).json()

        expected = f"The subscription has no template for {message}"
        assert (delivery["Code"], delivery["Class"], delivery["Message"]) == ("no_template", "mapping", expected)
        assert preview["Error"]["Message"] == expected
