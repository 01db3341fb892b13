"""
The metrics of a process, for Prometheus. docs/reference/events-and-metrics.md explains each.

Each process counts for itself. The processes of `serve --processes` share one port, so that a scrape reaches one of
them; where counters matter, run each process on its own port. The gauges come from the database and are the same in
every process.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "learning_hub_request_seconds",
    "Time to answer a request, by method, route and status.",
    ["method", "route", "status"],
)
EVENTS_PUBLISHED = Counter(
    "learning_hub_events_published_total",
    "Events that were published: stored, or equal to a stored one.",
    ["status"],
)
EVENTS_IN_COMMIT = Histogram(
    "learning_hub_events_in_commit",
    "Events that were committed together.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
DELIVERIES_COMPLETED = Counter(
    "learning_hub_deliveries_settled_total",
    "Attempts that ended, by the delivery's next state and code.",
    ["subscriber", "state", "code"],
)
SUBSCRIBER_PAUSED = Gauge(
    "learning_hub_subscriber_paused_seconds",
    "For how long a subscriber has been paused because it is away or refuses the credentials.",
    ["subscriber", "code"],
)
DELIVERIES_NO_TEMPLATE = Gauge(
    "learning_hub_deliveries_no_template",
    "Deliveries that were skipped because their category has no template, over all processes.",
    ["subscriber", "subscription"],
)
DELIVERIES_OPEN = Gauge(
    "learning_hub_deliveries_open",
    "Deliveries that are not final, over all processes.",
    ["state"],
)
FEED_HELD_BACK = Gauge(
    "learning_hub_feed_held_back_seconds",
    "Age of the oldest entry of the feed that no reader may see yet; 0 if readers see all entries.",
)
