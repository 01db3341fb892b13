"""
SQL lists made from EVENT_FIELDS, the declaration of an event's fields in model/event.py.

A query in a .sql file names lists of columns, parameters and conditions by placeholders, which `Queries` fills in:

    {event_columns}     the columns that hold the declared fields:
                        program_id, publisher_system_id, event_type, …
    {event_arrays:4}    an array parameter for each of these columns, from $4 on:
                        $4::text[], $5::text[], $6::text[], …
    {event_filters:13}  a condition for each filter that is compared entry by entry, from $13 on; null is no filter:
                        ($13::text IS NULL OR publisher_system_id = $13::text) AND …
"""

from __future__ import annotations

from collections.abc import Callable

from learning_hub.model.event import EVENT_FIELDS, SCANNED_FILTERS

COLUMNS = {column: pg_type for field in EVENT_FIELDS for column, pg_type in field.columns.items()}


def event_columns() -> str:
    return ", ".join(COLUMNS)


def event_arrays(first: int) -> str:
    return ", ".join(f"${number}::{pg_type}[]" for number, pg_type in enumerate(COLUMNS.values(), first))


def event_filters(first: int) -> str:
    columns = [next(iter(field.columns.items())) for field in SCANNED_FILTERS.values()]
    return " AND ".join(
        f"(${number}::{pg_type} IS NULL OR {column} = ${number}::{pg_type})"
        for number, (column, pg_type) in enumerate(columns, first)
    )


# By the name of the placeholder.
LISTS: dict[str, Callable[..., str]] = {list_.__name__: list_ for list_ in (event_columns, event_arrays, event_filters)}
