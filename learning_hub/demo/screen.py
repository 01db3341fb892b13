"""The output of the demo: readable at any width from 60 columns, with or without colours, also in a pipe."""

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
RESPONSIBLE = {
    "data": "the publisher",
    "mapping": "whoever maintains the template",
    "identity": "whoever maintains the contacts in iMIS",
    "refused": "whoever maintains iMIS",
    "unavailable": "nobody: the hub retries",
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

    def _print(self, content: Any) -> None:
        """Print *content* at once, without blanks at the ends of lines."""
        with self._console.capture() as captured:
            self._console.print(content)
        for line in captured.get().splitlines():
            print(line.rstrip(), flush=True)

    def heading(self, text: str) -> None:
        """The heading of a part."""
        self._print(Text(f"\n{text}", style="bold"))

    def text(self, text: str, *, style: str = "") -> None:
        """A paragraph."""
        self._print(Text(text, style=style))

    def verbatim(self, text: str) -> None:
        """A line to copy, which is never wrapped."""
        print(f"  {text}", flush=True)

    def fact(self, name: str, text: str) -> None:
        """A line of a list."""
        self._grid([(name, Text(text))], indent=2, width=14)

    def chapter(self, number: int, chapter: story.Chapter) -> None:
        """The heading of an event."""
        self._print("")
        self._grid([(f"{number:>2}.", Text(chapter.title, style="bold"))], indent=0, width=3)
        self._print(Padding(Text(chapter.note, style="dim"), (0, 0, 0, INDENT)))

    def published(self, event: Json, published: Published) -> None:
        """The response that the publisher got."""
        answers = {201: "201, stored", 200: "200, already stored"}
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

    def not_selected(self, subscription_id: str, why: str) -> None:
        """A subscription that does not get the event."""
        self._subscription(subscription_id, Text(why, style="dim"))

    def delivered(self, delivery: Json, held: Held | None, *, is_known: bool) -> None:
        """A delivered event: the sent values beside those of iMIS. *is_known*: the record existed before."""
        said = Text("delivered", style=STYLES["delivered"])
        said.append(f" as {'the same ' if is_known else ''}{held.name}" if held else ", but iMIS holds no such record")
        subscription_id = delivery["SubscriptionId"]
        self._subscription(subscription_id, said)
        self._columns(subscription_id, delivery["Payload"] or {}, held.values if held else {})

    def as_before(self, delivery: Json, held: Held | None) -> None:
        """A delivery of an event that was delivered before; nothing was sent now."""
        record = f"iMIS still holds {held.name}" if held else "iMIS holds no such record"
        self._subscription(delivery["SubscriptionId"], Text(f"delivered before, nothing sent: {record}"))

    def not_delivered(self, deliveries: Sequence[Json]) -> None:
        """Deliveries of an event that did not arrive, all for the same reason."""
        first = deliveries[0]
        said = Text(first["State"], style=STYLES.get(first["State"], "red"))
        if first["Code"]:
            said.append(f", {first['Code']}")
        for delivery in deliveries:
            self._subscription(delivery["SubscriptionId"], said)
        facts = [
            ("why", first["Message"]),
            ("responsible", RESPONSIBLE.get(first["Class"] or "")),
            ("what to do", first["Advice"]),
        ]
        self._grid([(name, Text(text)) for name, text in facts if text], indent=INDENT + 2, width=10)

    def totals(self, rows: Sequence[tuple[str, int, str]]) -> None:
        """The number of deliveries in each state, and the meaning of the state."""
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
        """The sent values beside those of iMIS."""
        is_narrow = self._console.width < NARROW
        table = Table(box=None, padding=(0, 1 if is_narrow else 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("", no_wrap=True)
        # On a narrow screen the width of a time decides the width of a column, so that no time is wrapped.
        table.add_column("sent", overflow="fold", width=len("2026-11-20 15:20:00.000") if is_narrow else None)
        table.add_column("iMIS holds", overflow="fold", width=len("2026-11-20T15:20:00") if is_narrow else None)
        for sent_as, column in story.COLUMNS[subscription_id].items():
            if sent_as in payload:
                table.add_row(Text(column, style="dim"), _shown(payload[sent_as]), _shown(values.get(column)))
        self._print(Padding(table, (0, 0, 0, 1 if is_narrow else INDENT + 2)))

    def _grid(self, rows: Sequence[tuple[str, Text]], *, indent: int, width: int) -> None:
        """Names on the left; on the right, text that wraps within its column."""
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(min_width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in rows:
            table.add_row(Text(name, style="dim" if indent else ""), text)
        self._print(Padding(table, (0, 0, 0, indent)))


def _shown(value: Any) -> str:
    return "(null)" if value is None else str(value)
