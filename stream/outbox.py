"""Outbox: collects the outputs of batches and makes them durable once per commit interval."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from stream.batches import Batch
from stream.cycle import AbandonedError, Cycle, Delivery, Member
from stream.wire import Outgoing

log = structlog.get_logger(__name__)

Encode = Callable[[Batch], list[Outgoing]]
Committed = Callable[[Cycle, float], None]
"""Called with a durable cycle and the seconds its commit took."""


class Outbox:
    """Collects and commits; one cycle is filled while the one before is being committed.

    Args:
        delivery: how a cycle becomes durable.
        encode: turns a batch into records.
        committed: told of every durable cycle.
        interval_s: least time between the starts of two commits.
    """

    def __init__(self, delivery: Delivery, encode: Encode, committed: Committed, interval_s: float) -> None:
        self._delivery = delivery
        self._encode = encode
        self._committed = committed
        self._interval_s = interval_s
        self._cycle = Cycle()
        self._committing: Cycle | None = None
        self._running: asyncio.Task[None] | None = None
        self._last = 0.0
        # Commits block; their own thread keeps them off the event loop and in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def start(self) -> None:
        """Connect.

        Raises:
            DeliveryError: the broker refuses.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._delivery.start)

    def put(self, batch: Batch) -> None:
        """Add a batch to the present cycle."""
        self._cycle.add(batch, self._encode(batch))

    @property
    def due_in(self) -> float:
        """Seconds until the present cycle should be committed; the whole interval while there is nothing to commit."""
        if self._cycle.empty:
            return self._interval_s
        return max(0.0, self._last + self._interval_s - time.monotonic())

    async def commit_when_due(self, consumer: Member) -> None:
        """Start committing the present cycle if it is time; wait only if the one before is still at it.

        Raises:
            DeliveryError: an earlier commit failed.
        """
        if self._running is not None and self._running.done():
            await self._finish()
        if not self._cycle.empty and self.due_in <= 0:
            await self._finish()
            self._begin(consumer)

    async def commit(self, consumer: Member) -> None:
        """Commit everything there is and wait for it.

        Raises:
            DeliveryError: it could not be made durable.
        """
        await self._finish()
        if not self._cycle.empty:
            self._begin(consumer)
            await self._finish()

    async def discard(self) -> None:
        """Forget what is not yet committed: its partitions belong to another worker now."""
        self._cycle = Cycle()
        if self._committing is not None:
            self._committing.abandoned = True
        await self._finish()

    def _begin(self, consumer: Member) -> None:
        cycle, self._cycle = self._cycle, Cycle()
        self._committing = cycle
        self._last = time.monotonic()
        self._running = asyncio.get_running_loop().create_task(self._deliver(cycle, consumer))

    async def _deliver(self, cycle: Cycle, consumer: Member) -> None:
        started = time.perf_counter()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._delivery.deliver, cycle, consumer)
        except AbandonedError:
            log.warning("outputs discarded: another worker has their partitions", outputs=len(cycle.outgoing))
        else:
            self._committed(cycle, time.perf_counter() - started)

    async def _finish(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running
