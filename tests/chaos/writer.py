"""Writer: writes the input of a trial at an even pace, for as long as there are faults to come."""

import time
from collections.abc import Callable
from threading import Thread

from confluent_kafka import Producer

from tests.chaos.schedule import LOAD_SECONDS
from tests.chaos.traffic import LogRecord

_SLICE = 500
_FLUSH_S = 180.0
_FAULT_S = 2.0
"""How long a fault takes, roughly; on a busy machine the input is written more slowly."""
_LEAST_S = 0.2


class Writer(Thread):
    """Writes records over ``LOAD_SECONDS``, in a thread.

    Args:
        producer: where to.
        topic: likewise.
        records: in order; each names its partition.
        faults_left: returns how many faults are still to come; the input lasts until the last of them.
    """

    def __init__(
        self, producer: Producer, topic: str, records: list[LogRecord], faults_left: Callable[[], int]
    ) -> None:
        super().__init__(name="write the input", daemon=True)
        self._producer = producer
        self._topic = topic
        self._records = records
        self._faults_left = faults_left

    def run(self) -> None:
        """Write all of them."""
        began, count = time.monotonic(), len(self._records)
        for at in range(0, count, _SLICE):
            remaining_s = max(_LEAST_S, began + LOAD_SECONDS - time.monotonic(), self._faults_left() * _FAULT_S)
            self._put(self._records[at : at + _SLICE])
            time.sleep(remaining_s * _SLICE / (count - at))
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
