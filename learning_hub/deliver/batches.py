"""Batches: outbound records of one subscription sent in one request, to subscribers that take many at once."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

import msgspec

from learning_hub.connectors.base import Batching, Exchange, OutboundRecord
from learning_hub.connectors.kind import BatchLimits
from learning_hub.connectors.outcomes import Outcome, Unknown
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.model.claimed_delivery import ClaimedDelivery
from learning_hub.model.failure import CAUSES
from learning_hub.model.json_values import write_json
from learning_hub.store import queue
from learning_hub.store.database import Database

log = logging.getLogger(__name__)


class _BatchedRecord(msgspec.Struct, kw_only=True):
    """An outbound record that waits for its batch to be sent."""

    claimed: ClaimedDelivery
    outbound: OutboundRecord
    line: bytes
    recorder: AttemptRecorder
    outcome: asyncio.Future[Outcome]


class _Batch:
    """The batch of one subscription that is being collected."""

    def __init__(self, connector: Batching, limits: BatchLimits) -> None:
        self.connector = connector
        self.records: list[_BatchedRecord] = []
        self.is_full = asyncio.Event()
        self._limits = limits
        self._bytes = 0

    def add(self, record: _BatchedRecord) -> None:
        self.records.append(record)
        self._bytes += len(record.line)
        if len(self.records) >= self._limits.most or self._bytes >= self._limits.most_bytes:
            self.is_full.set()


class Batches:
    """
    Collects outbound records and sends them together, in the order of the feed.

    These subscribers cannot be asked afterwards what became of a batch. So the database stores that a batch is sent
    before it is sent, and a batch whose outcome is not known is not sent again automatically.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collecting: dict[str, _Batch] = {}
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sending: set[asyncio.Task[None]] = set()

    async def send(
        self,
        claimed: ClaimedDelivery,
        outbound: OutboundRecord,
        connector: Batching,
        limits: BatchLimits,
        recorder: AttemptRecorder,
    ) -> Outcome:
        """
        Send *outbound* together with other records of its subscription, and return its own outcome.

        Raises:
            Unavailable: The database was away, and nothing was sent.
        """
        subscription_id = claimed.subscription_id
        batch = self._collecting.get(subscription_id)
        # A batch is sent with one connector: changed credentials begin another batch.
        if batch is None or batch.is_full.is_set() or batch.connector is not connector:
            batch = self._collecting[subscription_id] = _Batch(connector, limits)
            task = asyncio.create_task(self._send_when_full(batch, claimed.subscriber_id, limits.seconds))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        line = write_json(outbound.payload)
        batch.add(_BatchedRecord(claimed=claimed, outbound=outbound, line=line, recorder=recorder, outcome=outcome))
        return await outcome

    async def _send_when_full(self, batch: _Batch, subscriber_id: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await batch.is_full.wait()
        except TimeoutError:
            batch.is_full.set()
        async with self._one_at_a_time[subscriber_id]:
            # Attempts that were cancelled meanwhile are left out.
            records = [record for record in batch.records if not record.outcome.done()]
            # They were collected as they were ready, and a person who reads the import expects the order of the feed.
            records.sort(key=lambda record: record.claimed.feed_position)
            if records:
                await self._send(batch.connector, records)

    async def _send(self, connector: Batching, records: list[_BatchedRecord]) -> None:
        try:
            await queue.mark_sent(self._database, [record.claimed for record in records])
        except Exception as error:  # noqa: BLE001 - each attempt gets it, and completes its delivery
            for record in records:
                if not record.outcome.done():
                    record.outcome.set_exception(error)
            return
        exchanges = _Exchanges()
        for record in records:
            record.recorder.about_to_write()
        try:
            outcomes = await connector.send_many([record.outbound for record in records], exchanges)
        except Exception:
            log.exception("batch_failed", extra={"subscription_id": records[0].claimed.subscription_id})
            failed = Unknown(
                code="internal_error",
                message=CAUSES["internal_error"].meaning,
                subscriber_is_away=False,
                is_final=True,
            )
            outcomes = [failed] * len(records)
        for record, outcome in zip(records, outcomes, strict=True):
            exchanges.copy_to(record)
            if not record.outcome.done():
                record.outcome.set_result(outcome)


class _Exchanges:
    """The exchanges of a batch; each attempt keeps them with the line of its own record alone."""

    def __init__(self) -> None:
        self._exchanges: list[tuple[Exchange, bool]] = []

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        self._exchanges.append((exchange, wrote))

    def copy_to(self, record: _BatchedRecord) -> None:
        line = record.line.decode()
        for exchange, wrote in self._exchanges:
            own = msgspec.structs.replace(exchange, body=line) if wrote else exchange
            record.recorder.record(own, wrote=wrote)
