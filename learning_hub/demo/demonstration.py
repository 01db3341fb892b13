"""
learning-hub demo: the hub, a sandbox iMIS and a dozen events, shown so that a stranger understands what the hub does.

    story    the events, and the expected deliveries of each
    world    the two programs, started and stopped
    calls    the requests to them, over HTTP
    screen   the output
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping

import httpx

from learning_hub.demo import story
from learning_hub.demo.calls import Calls, Held, Json
from learning_hub.demo.failures import DemoFailedError
from learning_hub.demo.screen import Screen
from learning_hub.demo.world import World, running_world

INTRODUCTION = (
    "The Learning Hub delivers events from learning systems to association systems: a course completed in TopClass "
    "becomes an activity in iMIS, where an association manages its members. "
    "Below, a dozen events are published to a hub over HTTP, as TopClass and LearningBuilder would, and a sandbox iMIS "
    "receives them. "
    "For each event you see what was sent and what iMIS holds now, or why it was not sent and who has to act."
)
NEW, SAME = 201, 200
MEANINGS = {
    "delivered": "in iMIS, with the right values",
    "skipped": "not sent, on purpose",
    "parked": "waits for a person, who sees why and what to do",
    "superseded": "replaced by a newer revision",
    "retrying": "failed for a temporary reason; the hub retries it",
}
HOW_TO_STAY = (
    "That was all; everything stops now. To explore further, run the demo without ONCE=1, or without --once: then "
    "the hub and iMIS keep running, and the demo prints their addresses and a key."
)
NOT_SELECTED = "does not get it: it takes completions only"


def run_demo(once: bool) -> int:  # noqa: FBT001 - the command's one option
    """
    Tell the story, and keep everything running until Ctrl-C, or with *once* end.

    Returns:
        The exit status: 0, or 1 if the demo could not start or an expected record did not arrive.
    """
    try:
        return _demonstrate(Screen(), once=once)
    except BrokenPipeError:
        # The reader of the pipe is gone. Python flushes stdout when it ends, and must not fail then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _demonstrate(screen: Screen, *, once: bool) -> int:
    screen.heading("Learning Hub: a demonstration")
    screen.text(INTRODUCTION)
    screen.text("\nStarting PostgreSQL, and a hub and an iMIS on free ports of this machine ...", style="dim")
    try:
        with running_world() as world:
            return _tell(screen, world, once=once)
    except KeyboardInterrupt:
        screen.text("\nStopped.")
        return 0
    except DemoFailedError as error:
        print(error, file=sys.stderr)
    except httpx.HTTPError as error:
        print(f"The hub or the sandbox iMIS stopped answering: {error}.", file=sys.stderr)
    return 1


def _tell(screen: Screen, world: World, *, once: bool) -> int:
    calls = Calls(world)
    try:
        _set_up(screen, calls, world)
        telling = Telling(screen, calls)
        screen.heading("A dozen events and their deliveries")
        for number, chapter in enumerate(story.STORY, 1):
            telling.tell(number, chapter)
        telling.fix()
        telling.sum_up()
        if once:
            screen.text(f"\n{HOW_TO_STAY}")
        else:
            _show_addresses(screen, world)
            _stay(world)
        return 1 if telling.missing else 0
    finally:
        calls.close()


def _set_up(screen: Screen, calls: Calls, world: World) -> None:
    screen.heading("Started and set up over HTTP, as you would")
    screen.fact("hub", f"{world.hub_address}, with a PostgreSQL of its own")
    screen.fact("iMIS", f"{world.imis_address}, a sandbox that holds all data in memory")
    calls.make_program()
    screen.fact("Program", f"{story.PROGRAM}, which owns the events")
    key = calls.make_publisher_key()
    screen.fact("key", f"{'_'.join(key.split('_')[:2])}_..., may publish and read events of {story.PROGRAM}")
    findings = calls.make_subscriber()
    screen.fact("subscriber", f"{story.SUBSCRIBER}. {' '.join(findings)}")
    for subscription_id in story.SUBSCRIPTIONS:
        screen.fact("subscription", f"{subscription_id}: {calls.make_subscription(subscription_id)}")


class Telling:
    """
    Tells the story.

    *missing* are sentences about expected records that did not arrive.
    """

    def __init__(self, screen: Screen, calls: Calls) -> None:
        self._screen = screen
        self._calls = calls
        self._answers: Counter[int] = Counter()
        self._seen: set[str] = set()
        self._to_fix: list[str] = []
        self.missing: list[str] = []

    def tell(self, number: int, chapter: story.Chapter) -> None:
        """Publish an event, wait for its deliveries, and show them."""
        self._screen.chapter(number, chapter)
        published = self._calls.publish(chapter.body())
        self._answers[published.status] += 1
        if published.status != chapter.answer:
            self.missing.append(f"Event {number} was answered {published.status} and not {chapter.answer}.")
        event = self._calls.event(published.event_id)
        self._screen.published(event, published)
        deliveries = self._calls.finished(published.event_id, chapter.expected)
        held = self._calls.held()
        self._show(deliveries, held, is_new=published.status == NEW)
        for subscription_id, body in story.SUBSCRIPTIONS.items():
            is_of_system = body["PublisherSystemId"] == event["PublisherSystemId"]
            if is_of_system and subscription_id not in deliveries and subscription_id not in chapter.expected:
                self._screen.not_selected(subscription_id, NOT_SELECTED)
        self._check(f"Event {number}", deliveries, chapter.expected, held)
        codes = {expected.code for expected in chapter.expected.values()}
        if story.FIXED_CODE in codes:
            self._to_fix.append(published.event_id)

    def fix(self) -> None:
        """Fix the cause of a parked delivery as a person would, requeue it, and show that it arrives."""
        self._screen.heading("A person fixes one of them")
        party_id = self._calls.add_person(story.FIXED_PERSON)
        count = self._calls.requeue(story.FIXED_CODE)
        self._screen.text(
            f"A person adds Kim Ferrer to iMIS, as contact {party_id}, and requeues the {count} deliveries that were "
            "parked for this cause:"
        )
        self._screen.verbatim(f"POST /deliveries/requeue?State=parked&Code={story.FIXED_CODE}")
        expected = story.fixed(party_id)
        for event_id in self._to_fix:
            deliveries = self._calls.finished(event_id, expected)
            held = self._calls.held()
            self._show(deliveries, held, is_new=True)
            self._check("The fixed event", deliveries, expected, held)

    def sum_up(self) -> None:
        """Show the totals, and whether iMIS holds every expected record."""
        deliveries, held = self._calls.deliveries(), self._calls.held()
        self._count_records(held)
        self._screen.heading("The result")
        self._screen.text(
            f"{self._answers.total()} events were sent: {self._answers[NEW]} were stored, and {self._answers[SAME]} "
            "was already stored. "
            "Their deliveries, one for each event and subscription:"
        )
        states = Counter(delivery["State"] for delivery in deliveries)
        self._screen.totals([(state, count, MEANINGS.get(state, "")) for state, count in states.most_common()])
        if self.missing:
            self._screen.text("Not everything arrived as expected:", style="bold red")
            for sentence in self.missing:
                self._screen.text(f"  {sentence}", style="red")
        else:
            rows = sum(record_id.startswith("~") for record_id in held)
            self._screen.text(
                f"iMIS holds {len(held) - rows} activities and {rows} panel rows: every expected record, with the "
                "expected values, and none twice.",
                style="bold green",
            )

    def _show(self, deliveries: dict[str, Json], held: dict[str, Held], *, is_new: bool) -> None:
        """Show the deliveries of an event; *is_new* is false for an event that was already stored."""
        by_reason: dict[tuple[str, str, str], list[Json]] = {}
        for subscription_id in story.SUBSCRIPTIONS:
            delivery = deliveries.get(subscription_id)
            if delivery is None:
                continue
            if delivery["State"] != "delivered":
                by_reason.setdefault((delivery["State"], delivery["Code"], delivery["Message"]), []).append(delivery)
                continue
            record_id = str(delivery["SubscriberRecordId"])
            if is_new:
                self._screen.delivered(delivery, held.get(record_id), is_known=record_id in self._seen)
            else:
                self._screen.as_before(delivery, held.get(record_id))
            self._seen.add(record_id)
        for group in by_reason.values():
            self._screen.not_delivered(group)

    def _check(
        self,
        name: str,
        deliveries: dict[str, Json],
        expected: Mapping[str, story.Expected],
        held: dict[str, Held],
    ) -> None:
        """Add a sentence to *missing* for each delivery that is not as expected."""
        unexpected = [subscription_id for subscription_id in deliveries if subscription_id not in expected]
        self.missing += [f"{name} at {subscription_id}: it should not have got it." for subscription_id in unexpected]
        for subscription_id, expectation in expected.items():
            if fault := _fault(deliveries.get(subscription_id), expectation, held):
                self.missing.append(f"{name} at {subscription_id}: {fault}")

    def _count_records(self, held: dict[str, Held]) -> None:
        """Add a sentence to *missing* for each record of iMIS that no delivery accounts for."""
        unexpected = [record.name for record_id, record in held.items() if record_id not in self._seen]
        self.missing += [f"iMIS holds {name}, which is not expected." for name in unexpected]


def _fault(delivery: Json | None, expected: story.Expected, held: dict[str, Held]) -> str | None:
    """How a delivery differs from the expected one, as a sentence; None if it does not."""
    if delivery is None:
        return "no delivery exists."
    state, code = delivery["State"], delivery["Code"]
    if (state, code) != (expected.state, expected.code):
        return f"it is {state}{f' ({code})' if code else ''} and should be {expected.state}."
    if expected.state != "delivered":
        return None
    record = held.get(str(delivery["SubscriberRecordId"]))
    if record is None:
        return "iMIS does not hold it."
    wrong = record.differing(expected)
    return f"iMIS holds {record.name} with another {', '.join(wrong)}." if wrong else None


def _show_addresses(screen: Screen, world: World) -> None:
    hub, key = world.hub_address, world.admin_key
    screen.heading("Explore further")
    screen.fact("API explained", f"{hub}/schema")
    screen.fact("OpenAPI", f"{hub}/schema/openapi.json")
    screen.fact("inside iMIS", f"{world.imis_address}/")
    screen.fact("admin key", key)
    screen.text("Parked deliveries, and why:")
    screen.verbatim(f"curl -H 'X-API-Key: {key}' '{hub}/deliveries?State=parked'")
    screen.text("All published events, in the order of the feed:")
    screen.verbatim(f"curl -H 'X-API-Key: {key}' '{hub}/events?ProgramId={story.PROGRAM}'")
    screen.text("\nThe hub and iMIS keep running. Stop it with Ctrl-C.", style="bold")


def _stay(world: World) -> None:
    while not world.ended():
        time.sleep(0.5)
    raise DemoFailedError("The hub or the sandbox iMIS has ended by itself.")
