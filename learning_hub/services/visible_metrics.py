"""The metrics as a caller may see them: all of them, or those of the caller's own subscribers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from learning_hub.metrics import DELIVERIES_COMPLETED, DELIVERIES_OPEN, SUBSCRIBER_PAUSED
from learning_hub.model.caller import Caller
from learning_hub.services.hub_status import OPEN_STATES, HubStatus
from learning_hub.store import deliveries, pauses, subscribers
from learning_hub.store.database import Database


class VisibleMetrics:
    """Writes the metrics of this process in the text format of Prometheus."""

    def __init__(self, database: Database, status: HubStatus) -> None:
        self._database = database
        self._status = status

    async def text(self, caller: Caller) -> bytes:
        """
        The metrics that *caller* may see.

        A key that is not for every Program sees its own subscribers and deliveries alone: how much is published and
        requested in all concerns other Programs.
        """
        programs = caller.visible_programs
        if programs is None:
            await self._status.refresh_gauges()
            return generate_latest()
        registry = CollectorRegistry()
        registry.register(_Collected(await self._metrics_of(programs)))
        return generate_latest(registry)

    async def _metrics_of(self, programs: list[str]) -> list[Metric]:
        visible = await subscribers.ids_used_by(self._database, programs)
        by_state = await deliveries.count_open(self._database, programs)
        seconds_paused = await pauses.seconds_paused(self._database)
        is_open = _gauge(DELIVERIES_OPEN.describe(), ["state"])
        for state in OPEN_STATES:
            is_open.add_metric([state], by_state.get(state, 0))
        paused = _gauge(SUBSCRIBER_PAUSED.describe(), ["subscriber", "code"])
        for (subscriber_id, code), seconds in seconds_paused.items():
            if subscriber_id in visible:
                paused.add_metric([subscriber_id, code], seconds)
        return [*_of_subscribers(DELIVERIES_COMPLETED.collect(), visible), is_open, paused]


class _Collected(Collector):
    """Metrics that have been collected already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauge(described: Iterable[Metric], labels: list[str]) -> GaugeMetricFamily:
    (metric,) = described
    return GaugeMetricFamily(metric.name, metric.documentation, labels=labels)


def _of_subscribers(metrics: Iterable[Metric], visible: set[str]) -> Iterator[Metric]:
    """The *metrics* with the samples of the *visible* subscribers alone."""
    for metric in metrics:
        kept = Metric(metric.name, metric.documentation, metric.type)
        kept.samples = [sample for sample in metric.samples if sample.labels["subscriber"] in visible]
        yield kept
