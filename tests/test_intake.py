"""What the intake makes of what the consumer hands out."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream.batch_size import BatchSize
from stream.cycle import Flushes
from stream.intake import Intake
from stream.outbox import Outbox
from stream.records import TopicPartition
from tests.records import detect_stage

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


@pytest.fixture
def intake() -> Iterator[Intake]:
    def nothing(*_: Any) -> Any:
        return []

    outbox = Outbox(Flushes(NOWHERE, 1), nothing, nothing, 1)
    own = Intake(
        "detect",
        {**NOWHERE, "group.id": "group"},
        ["calls"],
        send=nothing,
        stage=detect_stage(),
        outbox=outbox,
        recovery=None,
        batch_size=BatchSize(10, 1),
        idle_after_s=1,
        shutdown_timeout_s=1,
    )
    yield own
    own._reader._consumer.close()


def message(code: int | None, offset: int = 7) -> Any:
    error = None if code is None else KafkaError(code)
    return SimpleNamespace(error=lambda: error, topic=lambda: "calls", partition=lambda: 0, offset=lambda: offset)


def test_records_are_taken_and_the_end_of_a_partition_is_noted(intake: Intake) -> None:
    record, end = message(None), message(KafkaError._PARTITION_EOF, 8)
    assert intake._sort_out([record, end]) == [record]
    assert intake._ends == {TopicPartition("calls", 0): 8}


def test_errors_that_pass_are_waited_out(intake: Intake) -> None:
    assert intake._sort_out([message(KafkaError._TRANSPORT), message(KafkaError.NOT_COORDINATOR)]) == []


@pytest.mark.parametrize("code", [KafkaError._FATAL, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_errors_that_last_end_the_worker(intake: Intake, code: int) -> None:
    """Among them a consumer whose place in the group another one has taken: it would wait for ever."""
    with pytest.raises(KafkaException):
        intake._sort_out([message(code)])


def test_what_a_rebalance_handler_raises_passes_by_the_client_library(intake: Intake) -> None:
    """It would be left amid a rebalance: a worker that failed so once did not end."""

    async def broken(_: object) -> None:
        raise RuntimeError("a defect")

    async def called_back() -> None:
        intake.loop = asyncio.get_running_loop()
        await asyncio.to_thread(intake._in_loop, broken, [])

    asyncio.run(called_back())
    with pytest.raises(RuntimeError, match="a defect"):
        intake._raise_unhandled()
    intake._raise_unhandled()  # it is raised once
