"""
Instructions for showing the rows of a panel source in iMIS, step by step, for its staff.

The format in which iMIS exports and imports queries is not public, so the hub cannot offer a file. The names on the
screen are those of the vendor's help on the Intelligent Query Architect.
"""

from __future__ import annotations

from collections.abc import Sequence

from learning_hub.connectors.imis import panel


def steps_to_show(source: str, columns: Sequence[str]) -> list[str]:
    """The steps for a query that lists the rows of *source* with its *columns*, in order."""
    # Columns that the hub and iMIS fill, such as who made a row and when, are of no use in the list.
    shown = ", ".join(["ID", *(name for name in columns if panel.filled_by(name) is None)])
    return [
        "In iMIS, go to RiSE > Intelligent Query Architect, open the folder for it, and select New > Query.",
        f"Enter {source}_Rows as its Name.",
        f"On the Sources tab, select All Sources under Add source, and choose {source}.",
        "On the Filters tab, for one contact's rows, take the property ID, Equal, and of Dynamic: Selected ID.",
        f"On the Display tab, choose {shown}.",
        "On the Security tab, leave All Staff Full Control; the hub does not use this query, so it needs no REST API.",
        "Select Run to see the rows, and save.",
    ]
