"""Writer: writes the input of a trial at an even pace, for as long as there are faults to come."""

import time
from collections.abc import Callable
from threading import Thread

from confluent_kafka import Producer

from tests.chaos.schedule import LOAD_SECONDS
from tests.chaos.traffic import LogRecord

_SLICE = 500
_FLUSH_S = 60.0
_LOOK_S = 0.02


class Writer(Thread):
    """Writes records over ``LOAD_SECONDS``, in a thread.

    Args:
        producer: where to.
        topic: likewise.
        records: in order; each names its partition.
        allowed: returns the share of them that may be written by now.
    """

    def __init__(
        self, producer: Producer, topic: str, records: list[LogRecord], allowed: Callable[[], float] = lambda: 1.0
    ) -> None:
        super().__init__(name="write the input", daemon=True)
        self._producer = producer
        self._topic = topic
        self._records = records
        self._allowed = allowed

    def run(self) -> None:
        """Write all of them."""
        began, count = time.monotonic(), len(self._records)
        for at in range(0, count, _SLICE):
            ahead = began + LOAD_SECONDS * at / count - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            while self._allowed() * count <= at:
                time.sleep(_LOOK_S)
            self._put(self._records[at : at + _SLICE])
        self.flush()

    def write(self, records: list[LogRecord]) -> None:
        """Write a few more at once."""
        self._put(records)
        self.flush()

    def flush(self) -> None:
        """Return when the broker has everything."""
        assert self._producer.flush(_FLUSH_S) == 0, "the input has arrived"

    def _put(self, records: list[LogRecord]) -> None:
        produce = self._producer.produce
        for partition, key, value, timestamp in records:
            produce(self._topic, value, key, partition, timestamp=timestamp)
        self._producer.poll(0)
