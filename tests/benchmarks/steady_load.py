"""Steady load: calls written at a fixed rate in real time, cheap to make.

    python -m tests.benchmarks.steady_load BOOTSTRAP TOPIC RATE SECONDS

The calls of a pool come round again and again; each time they are those of other clients, who are back after fifty
rounds: sessions open, close and open anew. Where the pool ends, all sessions that are under way break off. Eight
streams read it, each from another place, so that no more than an eighth of all do so at once: else the pauses of
thousands of sessions would come together, and the slowest alerts would be those that wait behind them.
"""

import sys
import time

import numpy as np
from confluent_kafka import Producer

from scorer.judge import Judge
from stream import assembly
from stream.records import TopicPartition
from stream.settings import Settings
from tests.records import Made
from tests.workloads import Workload, wire_records

ROUNDS = 50
STREAMS = 8
CALLS = 100_000
_TUNING_ROUNDS = 4


class Pool:
    """Calls to write: everything but their time is ready.

    Args:
        calls: how many.
    """

    def __init__(self, calls: int = CALLS) -> None:
        # With all streams a few thousand clients at work at a time, each for about twenty calls.
        workload = Workload(calls, clients=calls // (5 * STREAMS), median_calls=15)
        self._tails: list[bytes] = []
        self._clients: list[bytes] = []
        for record in wire_records(workload):
            fields = record.value.split(b",", 2)
            self._clients.append(record.key)
            # Without the request id: the same call comes round again.
            self._tails.append(fields[2].rsplit(b",", 1)[0] + b"]")

    def __len__(self) -> int:
        return len(self._tails)

    def record(self, number: int, time_ms: int) -> tuple[bytes, bytes]:
        """Return key and value of a call."""
        stream, size = number % STREAMS, len(self._tails)
        turn, at = divmod(number // STREAMS + stream * size // STREAMS, size)
        client = b"%d-%d-%s" % (stream, turn % ROUNDS, self._clients[at])
        return client, b'[%d,"%s",%s' % (time_ms, client, self._tails[at])

    def write(self, producer: Producer, topic: str, calls: int, begin_ms: int, end_ms: int) -> None:
        """Write a backlog whose times are spread evenly."""
        for number in range(calls):
            now = begin_ms + (end_ms - begin_ms) * number // calls
            key, value = self.record(number, now)
            while True:
                try:
                    producer.produce(topic, value, key, timestamp=now)
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.flush()


def tuned_thresholds(pool: Pool, settings: Settings) -> tuple[float, float]:
    """Return thresholds for open and closed sessions that one vector in a hundred reaches.

    Of the pool's last round of some: while the degree tables are young, everything is new and scores are higher.
    """
    judge = assembly.make_judge(settings, assembly.model_bundle(settings), Judge)
    detector = assembly.detector(settings, judge, {"calls": None})
    place = TopicPartition("calls", 0)
    detector.assign(place)
    begin, scores = 1_767_225_600_000, {True: [0.5], False: [0.5]}
    for number in range(_TUNING_ROUNDS * len(pool)):
        time_ms = begin + number // 5
        key, value = pool.record(number, time_ms)
        batch = detector.sessionize([Made(value, number, place, time_ms, key)])
        detector.score(batch)
        if number >= (_TUNING_ROUNDS - 1) * len(pool):
            for verdict in batch.verdicts:
                scores[verdict.occasion == "closed"].append(verdict.score)
    return float(np.quantile(scores[False], 0.99)), float(np.quantile(scores[True], 0.99))


def main() -> None:
    """Write until the time is over or somebody ends this process."""
    bootstrap, topic, rate, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5, "compression.type": "lz4"}
    )
    pool, begin, written = Pool(), time.time(), 0
    while (past := time.time() - begin) < seconds:
        due, now = int(past * rate), int(time.time() * 1000)
        for number in range(written, due):
            key, value = pool.record(number, now)
            producer.produce(topic, value, key, timestamp=now)
        written = due
        producer.poll(0)
        time.sleep(0.002)
    producer.flush()


if __name__ == "__main__":
    main()
