"""OutboundRecords of one subscription sent together, to subscribers that take many at once."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

import msgspec

from learning_hub.connectors.base import (
    Batching,
    Exchange,
    OutboundRecord,
    Outcome,
    Unknown,
)
from learning_hub.connectors.registry import BatchLimits
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.model.claimed_delivery import ClaimedDelivery
from learning_hub.model.failure import CAUSES
from learning_hub.model.json_values import write_json
from learning_hub.store import queue
from learning_hub.store.database import Database

log = logging.getLogger(__name__)


class _Waiting(msgspec.Struct, kw_only=True):
    """An outbound record record that waits for its batch to be sent."""

    claimed: ClaimedDelivery
    outbound: OutboundRecord
    line: bytes
    recorder: AttemptRecorder
    outcome: asyncio.Future[Outcome]


class _Collecting:
    """The batch of one subscription that is being put together."""

    def __init__(self, connector: Batching, limits: BatchLimits) -> None:
        self.connector = connector
        self.waiting: list[_Waiting] = []
        self.is_full = asyncio.Event()
        self._limits = limits
        self._bytes = 0

    def add(self, one: _Waiting) -> None:
        self.waiting.append(one)
        self._bytes += len(one.line)
        if len(self.waiting) >= self._limits.most or self._bytes >= self._limits.most_bytes:
            self.is_full.set()


class Batches:
    """
    Puts outbounds together.

    Nobody can be asked afterwards what became of a batch. So it is written down before one is sent, and a batch whose
    outcome is not known is not sent again by itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collecting: dict[str, _Collecting] = {}
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sending: set[asyncio.Task[None]] = set()

    async def send(
        self,
        claimed: ClaimedDelivery,
        outbound: OutboundRecord,
        connector: Batching,
        batch: BatchLimits,
        recorder: AttemptRecorder,
    ) -> Outcome:
        """
        Send the outbound together with others of its subscription; the outcome is its own.

        Raises:
            Unavailable: The database was away, and nothing was sent.
        """
        subscription_id = claimed.subscription_id
        collecting = self._collecting.get(subscription_id)
        # A batch goes over one connection: that of the credentials at its beginning.
        if collecting is None or collecting.is_full.is_set() or collecting.connector is not connector:
            collecting = self._collecting[subscription_id] = _Collecting(connector, batch)
            task = asyncio.create_task(self._send_when_full(collecting, claimed.subscriber_id, batch.seconds))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        line = write_json(outbound.payload)
        collecting.add(_Waiting(claimed=claimed, outbound=outbound, line=line, recorder=recorder, outcome=outcome))
        return await outcome

    async def _send_when_full(self, collecting: _Collecting, subscriber_id: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await collecting.is_full.wait()
        except TimeoutError:
            collecting.is_full.set()
        async with self._one_at_a_time[subscriber_id]:
            # Whoever was cancelled meanwhile does not go along.
            batch = [one for one in collecting.waiting if not one.outcome.done()]
            if batch:
                await self._send(collecting.connector, batch)

    async def _send(self, connector: Batching, batch: list[_Waiting]) -> None:
        try:
            await queue.mark_sent(self._database, [one.claimed for one in batch])
        except Exception as error:  # noqa: BLE001 - each of them is told, and settles itself
            for one in batch:
                if not one.outcome.done():
                    one.outcome.set_exception(error)
            return
        exchanges = _Exchanges()
        for one in batch:
            one.recorder.about_to_write()
        try:
            outcomes = await connector.send_many([one.outbound for one in batch], exchanges)
        except Exception:
            log.exception("batch_failed", extra={"subscription_id": batch[0].claimed.subscription_id})
            failed = Unknown(
                code="internal_error",
                message=CAUSES["internal_error"].meaning,
                subscriber_is_away=False,
                is_final=True,
            )
            outcomes = [failed] * len(batch)
        for one, outcome in zip(batch, outcomes, strict=True):
            exchanges.copy_to(one)
            if not one.outcome.done():
                one.outcome.set_result(outcome)


class _Exchanges:
    """The exchanges of a batch; each delivery keeps them with its own line alone."""

    def __init__(self) -> None:
        self._exchanges: list[tuple[Exchange, bool]] = []

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        self._exchanges.append((exchange, wrote))

    def copy_to(self, one: _Waiting) -> None:
        line = one.line.decode()
        for exchange, wrote in self._exchanges:
            own = msgspec.structs.replace(exchange, body=line) if wrote else exchange
            one.recorder.record(own, wrote=wrote)
