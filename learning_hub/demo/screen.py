"""What the demo shows: a calm story at any width from 60 columns, with or without colours, also in a pipe."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from learning_hub.demo import story
from learning_hub.demo.calls import Held, Json, Published

WIDEST = 100
NARROW = 76
INDENT = 4
STYLES = {"delivered": "green", "skipped": "dim", "superseded": "dim", "parked": "yellow", "retrying": "yellow"}
WHOSE_MOVE = {
    "data": "the publisher",
    "mapping": "whoever keeps the template",
    "identity": "whoever keeps the contacts in iMIS",
    "refused": "whoever keeps iMIS",
    "unavailable": "nobody: it is tried again",
    "hub": "the operator of the hub",
}


class Screen:
    """Prints to stdout."""

    def __init__(self) -> None:
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):
            # A terminal that cannot show a character shows a question mark instead of ending the story.
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        width = Console().width
        self._console = Console(width=min(width, WIDEST), highlight=False, emoji=False, markup=False)

    def _print(self, what: Any) -> None:
        """Print *what* at once, without the blanks that fill up lines."""
        with self._console.capture() as captured:
            self._console.print(what)
        for line in captured.get().splitlines():
            print(line.rstrip(), flush=True)

    def heading(self, text: str) -> None:
        """A part of the story begins."""
        self._print(Text(f"\n{text}", style="bold"))

    def text(self, text: str, *, style: str = "") -> None:
        """A paragraph."""
        self._print(Text(text, style=style))

    def verbatim(self, text: str) -> None:
        """Something to copy: it is never broken into lines."""
        print(f"  {text}", flush=True)

    def fact(self, name: str, text: str) -> None:
        """A line of a list."""
        self._grid([(name, Text(text))], indent=2, width=14)

    def chapter(self, number: int, chapter: story.Chapter) -> None:
        """An event is about to be published."""
        self._print("")
        self._grid([(f"{number:>2}.", Text(chapter.title, style="bold"))], indent=0, width=3)
        self._print(Padding(Text(chapter.note, style="dim"), (0, 0, 0, INDENT)))

    def published(self, event: Json, published: Published) -> None:
        """What the publisher was answered."""
        answers = {201: "201, stored", 200: "200, there already"}
        category = (event["PublisherEventCategory"] or {}).get("value")
        what = ", ".join(filter(None, (event["EventType"], category)))
        answer = answers.get(published.status, str(published.status))
        if event["Revision"] > 1:
            answer += f" as revision {event['Revision']}"
        facts = [
            ("published", f"{what}, by {event['PublisherSystemId']}: {answer}"),
            ("about", event["PublisherParticipantId"]),
            ("EventId", event["EventId"]),
            ("bucket", event["EventDateBucket"]),
        ]
        self._grid([(name, Text(text)) for name, text in facts], indent=INDENT, width=10)

    def not_meant(self, subscription_id: str, why: str) -> None:
        """A subscription does not want the event."""
        self._subscription(subscription_id, Text(why, style="dim"))

    def delivered(self, delivery: Json, held: Held | None, *, is_known: bool) -> None:
        """An event arrived: what was sent beside what iMIS holds. *is_known*: the record was there before."""
        said = Text("delivered", style=STYLES["delivered"])
        said.append(f" as {'the same ' if is_known else ''}{held.name}" if held else ", but iMIS holds no such record")
        subscription_id = delivery["SubscriptionId"]
        self._subscription(subscription_id, said)
        self._columns(subscription_id, delivery["Payload"] or {}, held.values if held else {})

    def as_before(self, delivery: Json, held: Held | None) -> None:
        """The event was delivered before, and nothing was sent now."""
        there = f"iMIS still holds {held.name}" if held else "iMIS holds no such record"
        self._subscription(delivery["SubscriptionId"], Text(f"delivered before, nothing sent: {there}"))

    def not_delivered(self, deliveries: Sequence[Json]) -> None:
        """Why an event did not arrive; *deliveries* are those that did not for the same reason."""
        first = deliveries[0]
        said = Text(first["State"], style=STYLES.get(first["State"], "red"))
        if first["Code"]:
            said.append(f", {first['Code']}")
        for delivery in deliveries:
            self._subscription(delivery["SubscriptionId"], said)
        facts = [
            ("why", first["Message"]),
            ("whose move", WHOSE_MOVE.get(first["Class"] or "")),
            ("what to do", first["Advice"]),
        ]
        self._grid([(name, Text(text)) for name, text in facts if text], indent=INDENT + 2, width=10)

    def totals(self, rows: Sequence[tuple[str, int, str]]) -> None:
        """How many deliveries are in each state, and what that means."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        table.add_column(min_width=11)
        table.add_column(justify="right")
        table.add_column()
        for state, count, meaning in rows:
            table.add_row(Text(state, style=STYLES.get(state, "red")), str(count), meaning)
        self._print(Padding(table, (0, 0, 0, 2)))

    def _subscription(self, subscription_id: str, said: Text) -> None:
        self._grid([(f"> {subscription_id}", said)], indent=INDENT, width=21)

    def _columns(self, subscription_id: str, payload: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Side by side: what was sent, and what iMIS holds."""
        is_narrow = self._console.width < NARROW
        table = Table(box=None, padding=(0, 1 if is_narrow else 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("", no_wrap=True)
        # Where there is little room, times alone decide how wide a column is, so that none is broken.
        table.add_column("sent", overflow="fold", width=len("2026-11-20 15:20:00.000") if is_narrow else None)
        table.add_column("iMIS holds", overflow="fold", width=len("2026-11-20T15:20:00") if is_narrow else None)
        for sent_as, column in story.COLUMNS[subscription_id].items():
            if sent_as in payload:
                table.add_row(Text(column, style="dim"), _shown(payload[sent_as]), _shown(values.get(column)))
        self._print(Padding(table, (0, 0, 0, 1 if is_narrow else INDENT + 2)))

    def _grid(self, rows: Sequence[tuple[str, Text]], *, indent: int, width: int) -> None:
        """Names on the left, text on the right that wraps within its column."""
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(min_width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in rows:
            table.add_row(Text(name, style="dim" if indent else ""), text)
        self._print(Padding(table, (0, 0, 0, indent)))


def _shown(value: Any) -> str:
    return "(null)" if value is None else str(value)
