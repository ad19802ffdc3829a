"""Recovery beside Kafka: what it says of state whose endpoints have the names of other route templates."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from stream.checkpoints import Snapshot
from stream.records import Record, TopicPartition
from stream.recovery import Recovery
from stream.resume import Log
from stream.state_reader import Wanted
from stream.telemetry import Telemetry
from tests.records import CALLS, detect_stage
from tests.test_roles import begin, snapshot_of

OTHER = TopicPartition(CALLS.topic, 1)
METRIC = "gatewatch_restored_under_other_templates_total"


class Kept:
    """What a StateReader reads: one snapshot, whichever partition it is asked of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def log_of(self, _name: TopicPartition, _wanted: Wanted) -> Log:
        return Log(low=0, high=1, committed=1, partitions=4)

    def snapshot(self, _name: TopicPartition, _wanted: Wanted) -> Snapshot:
        return self._snapshot

    def records(self, *_: Any) -> Iterator[Sequence[Record]]:
        return iter(())

    def close(self) -> None:
        """Nothing is open."""


class Complete:
    """A DegreeFeed of a topic without records."""

    async def complete(self) -> None:
        """Nothing is to be learned."""

    async def close(self) -> None:
        """Nothing is open."""


def kept(templates: str) -> Snapshot:
    """Return what a worker with these templates leaves behind at position 1."""
    stage = detect_stage(templates=templates)
    begin(stage, CALLS, start=1)
    return snapshot_of(stage.release([CALLS]).checkpoint)


def restored(before: str, now: str) -> tuple[list[Any], float | None]:
    """Restore two partitions; return the warnings, and the metric."""
    stage, telemetry = detect_stage(templates=now), Telemetry(CollectorRegistry())
    reader, feed = Kept(kept(before)), Complete()
    recovery = Recovery(
        lambda: reader,  # type: ignore[arg-type, return-value] # as much of one as is used
        feed,  # type: ignore[arg-type] # likewise
        stage,
        transactional=True,
        accept_loss=False,
        telemetry=telemetry,
    )

    async def restore() -> None:
        for name in (CALLS, OTHER):
            await recovery.restore(name, lambda: True)
        await recovery.close()

    with structlog.testing.capture_logs() as lines:
        asyncio.run(restore())
    return [line for line in lines if line["log_level"] == "warning"], telemetry.registry.get_sample_value(METRIC)


def test_state_of_other_templates_is_counted_and_told_once() -> None:
    (warning,), counted = restored("1-before", "1-now")
    assert (warning["before"], warning["now"], warning["partition"]) == ("1-before", "1-now", str(CALLS))
    assert "gatewatch state reset" in warning["hint"]
    assert counted == 2


@pytest.mark.parametrize("before", ["1-now", ""])
def test_nothing_is_said_of_the_same_templates_or_of_unknown_ones(before: str) -> None:
    assert restored(before, "1-now") == ([], 0)
