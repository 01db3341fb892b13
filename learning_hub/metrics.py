"""
What a process counts, for Prometheus. docs/reference/events-and-metrics.md explains each.

With several processes each counts for itself. Those of `serve --processes` share one port, so that a scrape gets one of
them; where counters matter, each runs on a port of its own. The gauges come from the database and are the
same everywhere.
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
    "Events that were published: stored, or the same as one that is there already.",
    ["status"],
)
EVENTS_IN_COMMIT = Histogram(
    "learning_hub_events_in_commit",
    "Events that were written together.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
DELIVERIES_COMPLETED = Counter(
    "learning_hub_deliveries_settled_total",
    "Tries that ended, by what became of the delivery and why.",
    ["subscriber", "state", "code"],
)
SUBSCRIBER_PAUSED = Gauge(
    "learning_hub_subscriber_paused_seconds",
    "For how long nothing has been sent to a subscriber because it is away or refuses the credentials.",
    ["subscriber", "code"],
)
DELIVERIES_OPEN = Gauge(
    "learning_hub_deliveries_open",
    "Deliveries that are not settled, over all processes.",
    ["state"],
)
