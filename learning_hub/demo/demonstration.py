"""
learning-hub demo: the hub, an iMIS and a dozen events, told so that a stranger understands what it is for.

    story    the events, and what should become of each
    world    the two programs, started and stopped
    calls    the requests to them, over HTTP
    screen   what is shown
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
    "The Learning Hub brings what people learned from the systems where it happens to the systems that must know: a "
    "course completed in TopClass becomes an activity in iMIS, where an association keeps its members. "
    "Below, a dozen events are published to a hub over HTTP, as TopClass and LearningBuilder would, and an iMIS made "
    "for trying things out receives them. "
    "For each event you see its journey: what was sent, what iMIS holds now, or why not and whose move it is."
)
NEW, SAME = 201, 200
MEANINGS = {
    "delivered": "in iMIS, as it should be there",
    "skipped": "known, and not sent on purpose",
    "parked": "waits for a person, who sees why and what to do",
    "superseded": "a newer revision took its place",
    "retrying": "failed in a way that may pass; it is tried again by itself",
}
HOW_TO_STAY = (
    "That was all; everything stops now. To look further, run it without ONCE=1, or without --once: then "
    "the hub and iMIS stay up, and it ends with their addresses and a key."
)
NOT_MEANT = "does not get it: it takes completions only"


def run_demo(once: bool) -> int:  # noqa: FBT001 - the command's one option
    """
    Tell the story, and leave everything up until Ctrl-C, or with *once* end.

    Returns:
        The exit status: 0, or 1 when it could not start or something that should have arrived did not.
    """
    try:
        return _demonstrate(Screen(), once=once)
    except BrokenPipeError:
        # Whoever read along has gone. Python writes what is left when it ends, and must not fail then.
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
        screen.heading("A dozen events, and what becomes of each")
        for number, chapter in enumerate(story.STORY, 1):
            telling.tell(number, chapter)
        telling.mend()
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
    screen.fact("iMIS", f"{world.imis_address}, a sandbox that keeps everything in memory")
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
    The story as it is told.

    *missing* are sentences about what should have arrived and did not.
    """

    def __init__(self, screen: Screen, calls: Calls) -> None:
        self._screen = screen
        self._calls = calls
        self._answers: Counter[int] = Counter()
        self._seen: set[str] = set()
        self._to_mend: list[str] = []
        self.missing: list[str] = []

    def tell(self, number: int, chapter: story.Chapter) -> None:
        """Publish an event, wait until it has settled, and show what became of it."""
        self._screen.chapter(number, chapter)
        published = self._calls.publish(chapter.body())
        self._answers[published.status] += 1
        if published.status != chapter.answer:
            self.missing.append(f"Event {number} was answered {published.status} and not {chapter.answer}.")
        event = self._calls.event(published.event_id)
        self._screen.published(event, published)
        deliveries = self._calls.settled(published.event_id, chapter.expected)
        held = self._calls.held()
        self._show(deliveries, held, is_new=published.status == NEW)
        for subscription_id, told in story.SUBSCRIPTIONS.items():
            is_of_system = told["PublisherSystemId"] == event["PublisherSystemId"]
            if is_of_system and subscription_id not in deliveries and subscription_id not in chapter.expected:
                self._screen.not_meant(subscription_id, NOT_MEANT)
        self._judge(f"Event {number}", deliveries, chapter.expected, held)
        codes = {expected.code for expected in chapter.expected.values()}
        if story.MENDED_CODE in codes:
            self._to_mend.append(published.event_id)

    def mend(self) -> None:
        """What a person does about a parked delivery: mend the cause, put it back, see it arrive."""
        self._screen.heading("A person mends one of them")
        party_id = self._calls.add_person(story.MENDED_PERSON)
        count = self._calls.requeue(story.MENDED_CODE)
        self._screen.text(
            f"Somebody adds Kim Ferrer to iMIS, as contact {party_id}, and puts the {count} deliveries that waited for "
            "that back into the queue:"
        )
        self._screen.verbatim(f"POST /deliveries/requeue?State=parked&Code={story.MENDED_CODE}")
        expected = story.mended(party_id)
        for event_id in self._to_mend:
            deliveries = self._calls.settled(event_id, expected)
            held = self._calls.held()
            self._show(deliveries, held, is_new=True)
            self._judge("The mended event", deliveries, expected, held)

    def sum_up(self) -> None:
        """How it stands, and whether all is there that should be."""
        deliveries, held = self._calls.deliveries(), self._calls.held()
        self._count_records(held)
        self._screen.heading("How it stands")
        self._screen.text(
            f"{self._answers.total()} events were sent: {self._answers[NEW]} were stored, and {self._answers[SAME]} "
            "was there already. "
            "Their deliveries, one for each event and subscription:"
        )
        states = Counter(delivery["State"] for delivery in deliveries)
        self._screen.totals([(state, count, MEANINGS.get(state, "")) for state, count in states.most_common()])
        if self.missing:
            self._screen.text("Not everything arrived as it should:", style="bold red")
            for sentence in self.missing:
                self._screen.text(f"  {sentence}", style="red")
        else:
            rows = sum(record_id.startswith("~") for record_id in held)
            self._screen.text(
                f"iMIS holds {len(held) - rows} activities and {rows} panel rows: all that should be there, with the "
                "values that should be there, and nothing twice.",
                style="bold green",
            )

    def _show(self, deliveries: dict[str, Json], held: dict[str, Held], *, is_new: bool) -> None:
        """What became of an event; *is_new* is false for one that was there already."""
        alike: dict[tuple[str, str, str], list[Json]] = {}
        for subscription_id in story.SUBSCRIPTIONS:
            delivery = deliveries.get(subscription_id)
            if delivery is None:
                continue
            if delivery["State"] != "delivered":
                alike.setdefault((delivery["State"], delivery["Code"], delivery["Message"]), []).append(delivery)
                continue
            record_id = str(delivery["SubscriberRecordId"])
            if is_new:
                self._screen.delivered(delivery, held.get(record_id), is_known=record_id in self._seen)
            else:
                self._screen.as_before(delivery, held.get(record_id))
            self._seen.add(record_id)
        for group in alike.values():
            self._screen.not_delivered(group)

    def _judge(
        self,
        name: str,
        deliveries: dict[str, Json],
        expected: Mapping[str, story.Expected],
        held: dict[str, Held],
    ) -> None:
        """Add to *missing* what is not as it should be."""
        unwanted = [subscription_id for subscription_id in deliveries if subscription_id not in expected]
        self.missing += [f"{name} at {subscription_id}: it should not have got it." for subscription_id in unwanted]
        for subscription_id, wanted in expected.items():
            if fault := _fault(deliveries.get(subscription_id), wanted, held):
                self.missing.append(f"{name} at {subscription_id}: {fault}")

    def _count_records(self, held: dict[str, Held]) -> None:
        """Nothing may stand in iMIS that no delivery accounts for."""
        strangers = [record.name for record_id, record in held.items() if record_id not in self._seen]
        self.missing += [f"iMIS holds {name}, which should not be there." for name in strangers]


def _fault(delivery: Json | None, wanted: story.Expected, held: dict[str, Held]) -> str | None:
    """What is not as it should be with a delivery, as a sentence; None when all is."""
    if delivery is None:
        return "there is no delivery."
    state, code = delivery["State"], delivery["Code"]
    if (state, code) != (wanted.state, wanted.code):
        return f"it is {state}{f' ({code})' if code else ''} and should be {wanted.state}."
    if wanted.state != "delivered":
        return None
    record = held.get(str(delivery["SubscriberRecordId"]))
    if record is None:
        return "iMIS does not hold it."
    wrong = record.differing(wanted)
    return f"iMIS holds {record.name} with another {', '.join(wrong)}." if wrong else None


def _show_addresses(screen: Screen, world: World) -> None:
    hub, key = world.hub_address, world.admin_key
    screen.heading("Look further")
    screen.fact("API explained", f"{hub}/schema")
    screen.fact("OpenAPI", f"{hub}/schema/openapi.json")
    screen.fact("inside iMIS", f"{world.imis_address}/")
    screen.fact("admin key", key)
    screen.text("What is parked, and why:")
    screen.verbatim(f"curl -H 'X-API-Key: {key}' '{hub}/deliveries?State=parked'")
    screen.text("Everything that was published, in the order of the feed:")
    screen.verbatim(f"curl -H 'X-API-Key: {key}' '{hub}/events?ProgramId={story.PROGRAM}'")
    screen.text("\nEverything stays up. Stop it with Ctrl-C.", style="bold")


def _stay(world: World) -> None:
    while not world.ended():
        time.sleep(0.5)
    raise DemoFailedError("The hub or the sandbox iMIS has ended by itself.")
