"""Recovery: brings an input partition back to where it was: state from checkpoints, then a replay without outputs."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog

from stream.batches import PartitionState
from stream.checkpoints import Snapshot, restore_sessions
from stream.degree_feed import DegreeFeed
from stream.errors import StateError
from stream.records import Record, TopicPartition
from stream.resume import Log, Resume, require_partitions, resume
from stream.state_reader import StateReader, Wanted, require_wanted
from stream.telemetry import Telemetry

log = structlog.get_logger(__name__)

_REPORT_S = 2.0


class Restorable(Protocol):
    """What recovery asks of the role whose partitions it restores.

    Attributes:
        templates: version of the route templates in force.
    """

    templates: str

    def restore(self, name: TopicPartition, snapshot: Snapshot, partitions: int) -> PartitionState:
        """Begin a partition with a snapshot's tables; its sessions are put in next, beside the event loop."""

    def replay(self, records: Sequence[Record]) -> None:
        """Process records again without outputs."""

    def go_live(self, name: TopicPartition, start: int) -> None:
        """Process a partition's records for the first time from an offset on."""

    def partitions_of(self, topic: str) -> set[int]:
        """Return how many partitions an input topic had at the latest checkpoint known of each of them."""


class Recovery:
    """Restores partitions one at a time, each as a whole before the next.

    Args:
        reader: makes what reads state and records.
        feed: the other workers' degree tables, complete before the first partition goes live.
        stage: whose partitions they are.
        transactional: outputs, checkpoint and offset are one transaction.
        accept_loss: go on where something is lost.
        telemetry: the metrics.
    """

    def __init__(  # noqa: PLR0913 -- the parts of a recovery, each named at the call
        self,
        reader: Callable[[], StateReader],
        feed: DegreeFeed,
        stage: Restorable,
        *,
        transactional: bool,
        accept_loss: bool,
        telemetry: Telemetry,
    ) -> None:
        self._make_reader = reader
        self._reader: StateReader | None = None
        self._feed = feed
        self._stage = stage
        self._transactional = transactional
        self._accept_loss = accept_loss
        self._telemetry = telemetry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="restore")
        self._next_report = 0.0
        self._told_templates: set[str] = set()

    async def restore(self, name: TopicPartition, wanted: Wanted) -> int | None:
        """Restore a partition and return the offset from which it is to be read; None for the committed one.

        Raises:
            NotWantedError: it has gone to another worker meanwhile.
            StateError: it cannot be gone on from.
            KafkaException: the broker refuses for good.
        """
        began = time.monotonic()
        await self._feed.complete()
        reader = await self._open()
        found, snapshot, plan = await self._look(reader, name, wanted)
        if plan.why:
            log.error("going on with a loss, as state.accept_loss says", partition=str(name), why=plan.why)
            self._telemetry.lost_records.inc(plan.lost)
        require_wanted(wanted)
        state = self._stage.restore(name, snapshot, found.partitions)
        self._compare_templates(name, state.templates)
        await self._in_thread(restore_sessions, state, snapshot)
        replayed = await self._replay(reader, name, plan.replay_from, plan.start, wanted)
        require_wanted(wanted)
        self._stage.go_live(name, plan.start)
        self._account(name, len(snapshot.sessions), replayed, time.monotonic() - began)
        return None if plan.start == (found.low if found.committed is None else found.committed) else plan.start

    async def _look(self, reader: StateReader, name: TopicPartition, wanted: Wanted) -> tuple[Log, Snapshot, Resume]:
        """Return what there is of a partition, and how it goes on.

        Offset and state are read at two moments. A worker that the group has put out without its knowing may see the
        next owner's checkpoint with an older offset, which fits nothing: so it looks again before it gives up.
        """
        while True:
            found = await self._in_thread(reader.log_of, name, wanted)
            try:
                # First of all: there is no state of a partition that was added.
                self._require_partitions(name, found, self._stage.partitions_of(name.topic))
                snapshot = await self._in_thread(reader.snapshot, name, wanted)
                if snapshot.meta is not None:
                    self._require_partitions(name, found, {snapshot.meta.partitions})
                plan = resume(
                    name, snapshot.meta, found, transactional=self._transactional, accept_loss=self._accept_loss
                )
            except StateError:
                if (await self._in_thread(reader.log_of, name, wanted)).committed == found.committed:
                    raise
            else:
                return found, snapshot, plan

    def _require_partitions(self, name: TopicPartition, found: Log, known: Iterable[int]) -> None:
        for before in known:
            require_partitions(name, found.partitions, before, accept_loss=self._accept_loss)

    async def close(self) -> None:
        """Let go of the brokers."""
        await self._feed.close()
        reader, self._reader = self._reader, None
        if reader is not None:
            await self._in_thread(reader.close)
        self._thread.shutdown(wait=False)

    async def _open(self) -> StateReader:
        if self._reader is None:
            self._reader = await self._in_thread(self._make_reader)
            self._reader.progress = self._report
        return self._reader

    async def _replay(self, reader: StateReader, name: TopicPartition, begin: int, end: int, wanted: Wanted) -> int:
        batches = reader.records(name, begin, end, wanted)
        replayed = 0
        while (records := await self._in_thread(next, batches, None)) is not None:
            require_wanted(wanted)
            self._stage.replay(records)
            replayed += len(records)
        return replayed

    def _compare_templates(self, name: TopicPartition, before: str) -> None:
        """Tell of state whose endpoints have names of other templates than those of the calls to come."""
        if before in {"", self._stage.templates}:
            return
        self._telemetry.restored_under_other_templates.inc()
        if before in self._told_templates:
            return
        self._told_templates.add(before)
        log.warning(
            "state was made under other route templates: endpoints with another name now count as new ones, in open "
            "sessions and in the degree tables, which keep the old names too",
            partition=str(name),
            before=before,
            now=self._stage.templates,
            hint="if that is not meant, give all workers the same routes.pinned, routes.openapi and version again; if "
            "most endpoints have new names, stop the role detect and learn anew: gatewatch state reset",
        )

    def _account(self, name: TopicPartition, sessions: int, replayed: int, seconds: float) -> None:
        self._telemetry.restored_sessions.inc(sessions)
        self._telemetry.replayed_records.inc(replayed)
        self._telemetry.restore_duration.observe(seconds)
        log.info(
            "partition restored",
            partition=str(name),
            sessions=sessions,
            replayed=replayed,
            seconds=round(seconds, 3),
        )

    def _report(self, read: int, end: int) -> None:
        self._telemetry.restore_progress.set(read / end)
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + _REPORT_S
            log.info("restoring", records=read, of=end)

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
