"""The outbox fills one cycle while the one before becomes durable, and loses nothing between them."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stream.batches import Batch
from stream.cycle import AbandonedError, Cycle, DeliveryError
from stream.outbox import Outbox
from stream.wire import Outgoing
from tests.records import CALLS

CONSUMER: Any = object()
"""Passed through to the delivery, and nothing else."""
LONG = 3600.0


class FakeDelivery:
    """Keeps delivered cycles; a test can hold one back in its thread, or let one fail."""

    def __init__(self) -> None:
        self.started = False
        self.delivered: list[Cycle] = []
        self.error: DeliveryError | AbandonedError | None = None
        self.present: Cycle | None = None
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.at_work = 0
        self.most_at_work = 0
        self.threads: set[str] = set()

    def start(self) -> None:
        self.started = True
        self.threads.add(threading.current_thread().name)

    def deliver(self, cycle: Cycle, consumer: object) -> None:
        assert consumer is CONSUMER
        self.threads.add(threading.current_thread().name)
        self.present = cycle
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.entered.set()
        assert self.go_on.wait(10)
        self.at_work -= 1
        if self.error is not None:
            raise self.error
        self.delivered.append(cycle)

    @property
    def values(self) -> list[list[bytes]]:
        """Return what each delivered cycle produced."""
        return [[record.value or b"" for record in cycle.outgoing] for cycle in self.delivered]


class Boxed:
    """An outbox whose batches are told apart by their position."""

    def __init__(self, interval_s: float) -> None:
        self.delivery = FakeDelivery()
        self.committed: list[tuple[Cycle, float]] = []
        self.outbox = Outbox(self.delivery, self.encode, lambda *durable: self.committed.append(durable), interval_s)
        self.offset = 0

    @staticmethod
    def encode(batch: Batch) -> list[Outgoing]:
        return [Outgoing("out", None, f"{at}".encode()) for at in batch.positions.values()]

    def put(self) -> None:
        self.offset += 1
        self.outbox.put(Batch(records=1, positions={CALLS: self.offset}))

    async def hold_back(self) -> None:
        """Let the delivery begin a cycle and not come to its end."""
        self.delivery.go_on.clear()
        self.delivery.entered.clear()
        self.put()
        await self.outbox.commit_when_due(CONSUMER)
        assert await asyncio.to_thread(self.delivery.entered.wait, 10)


@contextmanager
def boxed(interval_s: float = 0.0) -> Iterator[Boxed]:
    """An outbox whose thread has ended when the test has."""
    own = Boxed(interval_s)
    yield own
    own.delivery.go_on.set()
    own.outbox._thread.shutdown()


def run(scenario: Callable[[Boxed], Coroutine[Any, Any, None]], interval_s: float = 0.0) -> Boxed:
    """Play a scenario in an event loop of its own."""
    with boxed(interval_s) as own:
        asyncio.run(scenario(own))
    return own


def test_starting_connects_in_the_thread_that_delivers() -> None:
    async def scenario(own: Boxed) -> None:
        await own.outbox.start()
        own.put()
        await own.outbox.commit(CONSUMER)

    own = run(scenario)
    assert own.delivery.started
    assert len(own.delivery.threads) == 1
    assert threading.current_thread().name not in own.delivery.threads


def test_a_commit_makes_everything_durable_and_reports_it() -> None:
    async def scenario(own: Boxed) -> None:
        for _ in range(3):
            own.put()
        await own.outbox.commit(CONSUMER)

    own = run(scenario)
    assert own.delivery.values == [[b"1", b"2", b"3"]]
    ((cycle, seconds),) = own.committed
    assert (cycle.positions, len(cycle.batches)) == ({CALLS: 3}, 3)
    assert seconds >= 0


def test_nothing_is_delivered_when_there_is_nothing() -> None:
    async def scenario(own: Boxed) -> None:
        own.outbox.put(Batch())
        await own.outbox.commit_when_due(CONSUMER)
        await own.outbox.commit(CONSUMER)

    own = run(scenario)
    assert own.delivery.delivered == []
    assert own.committed == []


def test_a_commit_that_is_not_due_waits_for_the_interval() -> None:
    async def scenario(own: Boxed) -> None:
        own.put()
        await own.outbox.commit(CONSUMER)  # the first of an interval
        own.put()
        await own.outbox.commit_when_due(CONSUMER)
        assert own.delivery.values == [[b"1"]]
        assert LONG - 60 < own.outbox.due_in <= LONG

    run(scenario, interval_s=LONG)


def test_an_empty_cycle_is_due_an_interval_from_now() -> None:
    async def scenario(own: Boxed) -> None:
        assert own.outbox.due_in == LONG

    run(scenario, interval_s=LONG)


def test_a_cycle_whose_interval_has_passed_is_due_at_once() -> None:
    async def scenario(own: Boxed) -> None:
        own.outbox._last = time.monotonic() - LONG - 1
        own.put()
        assert own.outbox.due_in == 0
        await own.outbox.commit_when_due(CONSUMER)
        await own.outbox.commit(CONSUMER)
        assert own.delivery.values == [[b"1"]]

    run(scenario, interval_s=LONG)


def test_the_next_cycle_fills_while_one_is_being_committed() -> None:
    async def scenario(own: Boxed) -> None:
        await own.hold_back()
        own.put()
        own.put()
        assert own.delivery.values == []
        own.delivery.go_on.set()
        await own.outbox.commit(CONSUMER)

    own = run(scenario)
    assert own.delivery.values == [[b"1"], [b"2", b"3"]]
    assert [cycle.positions for cycle, _ in own.committed] == [{CALLS: 1}, {CALLS: 3}]


def test_only_one_commit_is_at_work_and_the_next_waits_for_it() -> None:
    async def scenario(own: Boxed) -> None:
        await own.hold_back()
        own.put()
        waiting = asyncio.ensure_future(own.outbox.commit_when_due(CONSUMER))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        own.delivery.go_on.set()
        await waiting
        await own.outbox.commit(CONSUMER)

    own = run(scenario)
    assert own.delivery.most_at_work == 1
    assert own.delivery.values == [[b"1"], [b"2"]]


def test_a_commit_in_flight_does_not_hold_up_a_cycle_that_is_not_due() -> None:
    async def scenario(own: Boxed) -> None:
        own.outbox._last = time.monotonic() - LONG - 1
        await own.hold_back()
        own.put()
        await asyncio.wait_for(own.outbox.commit_when_due(CONSUMER), 5)
        own.delivery.go_on.set()
        await own.outbox.commit(CONSUMER)

    assert run(scenario, interval_s=LONG).delivery.values == [[b"1"], [b"2"]]


@pytest.mark.parametrize("interval_s", [0.0, 0.002])
def test_everything_put_is_delivered_once_and_in_order(interval_s: float) -> None:
    async def scenario(own: Boxed) -> None:
        for at in range(200):
            own.put()
            await own.outbox.commit_when_due(CONSUMER)
            if at % 7 == 0:
                await asyncio.sleep(0.001)
        await own.outbox.commit(CONSUMER)

    own = run(scenario, interval_s)
    assert [value for values in own.delivery.values for value in values] == [f"{at + 1}".encode() for at in range(200)]
    assert [cycle for cycle, _ in own.committed] == own.delivery.delivered
    assert own.delivery.most_at_work == 1


def test_a_failed_commit_is_raised_when_the_next_is_tried() -> None:
    async def scenario(own: Boxed) -> None:
        own.delivery.error = DeliveryError("no broker")
        await own.hold_back()
        own.delivery.go_on.set()
        own.put()
        with pytest.raises(DeliveryError, match="no broker"):
            await own.outbox.commit_when_due(CONSUMER)

    own = run(scenario)
    assert (own.delivery.delivered, own.committed) == ([], [])


def test_a_failure_is_raised_even_if_nothing_new_came() -> None:
    async def scenario(own: Boxed) -> None:
        own.delivery.error = DeliveryError("no broker")
        await own.hold_back()
        own.delivery.go_on.set()
        with pytest.raises(DeliveryError, match="no broker"):
            await look_again_and_again(own)

    async def look_again_and_again(own: Boxed) -> None:
        for _ in range(1000):
            await own.outbox.commit_when_due(CONSUMER)
            await asyncio.sleep(0.005)

    run(scenario)


def test_a_failing_report_of_a_durable_cycle_is_not_swallowed() -> None:
    async def scenario(own: Boxed) -> None:
        def fail(_cycle: Cycle, _seconds: float) -> None:
            raise ValueError("a metric")

        own.outbox._committed = fail
        own.put()
        with pytest.raises(ValueError, match="a metric"):
            await own.outbox.commit(CONSUMER)

    assert len(run(scenario).delivery.delivered) == 1


def test_discarding_forgets_what_was_not_begun() -> None:
    async def scenario(own: Boxed) -> None:
        own.put()
        await own.outbox.discard()
        await own.outbox.commit(CONSUMER)
        own.put()
        await own.outbox.commit(CONSUMER)

    assert run(scenario).delivery.values == [[b"2"]]


def test_discarding_waits_for_the_commit_in_flight() -> None:
    async def scenario(own: Boxed) -> None:
        await own.hold_back()
        own.put()
        discarding = asyncio.ensure_future(own.outbox.discard())
        await asyncio.sleep(0.01)
        assert not discarding.done()
        own.delivery.go_on.set()
        await discarding

    own = run(scenario)
    assert own.delivery.values == [[b"1"]]
    assert len(own.committed) == 1


def test_discarding_abandons_the_commit_in_flight() -> None:
    """What it had under way is neither counted as durable nor an error: another worker does it again."""

    async def scenario(own: Boxed) -> None:
        await own.hold_back()
        own.delivery.error = AbandonedError()
        discarding = asyncio.ensure_future(own.outbox.discard())
        await asyncio.sleep(0.01)
        assert own.delivery.present is not None
        assert own.delivery.present.abandoned
        own.delivery.go_on.set()
        await discarding

    own = run(scenario)
    assert own.delivery.values == []
    assert own.committed == []


def test_a_batch_that_can_not_be_encoded_adds_nothing() -> None:
    async def scenario(own: Boxed) -> None:
        own.put()
        with pytest.raises(AttributeError):
            own.outbox.put(None)  # type: ignore[arg-type]  # what no agent would send
        await own.outbox.commit(CONSUMER)

    assert run(scenario).delivery.values == [[b"1"]]
