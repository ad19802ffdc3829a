"""Demo: embedded broker, simulator and worker in one process, and what a subscriber to the alerts would see.

The broker is librdkafka's mock cluster. Its transactions are nominal and it forgets everything at the end, so the demo
runs with at_least_once; for the rest it is the same worker as in production.
"""

import os
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, Producer

from stream.clock import now_ms
from stream.simulator import AttackLabel, Simulation, SimulationOptions
from stream.simulator.encoders import TrafficFormat, encoder
from stream.simulator.pacing import paced
from stream.simulator.sinks import TopicSink
from stream.worker import Worker

TIME_SCALE = 30.0
"""Pauses are 30 times shorter than life, and so are the limits below."""

LIMITS: dict[str, object] = {
    "sessions.gap_s": 12.0,
    "sessions.quiet_s": 2.0,
    "sessions.lateness_s": 1.0,
    "sessions.linger_s": 2.0,
    "sessions.idle_after_s": 3.0,
    "alerts.cooldown_s": 30.0,
    "alerts.encoding": "ocsf",  # what the subscriber reads
    "rules.calls_per_minute": 600.0 * TIME_SCALE,
    # Counted over fewer edges, endpoints that are merely uncommon look rare, and benign sessions are alerted.
    "model.minimum_edges": 20_000,
    # The mock cluster answers a fetch only when this time is over, even when there is news.
    "kafka.properties.fetch.wait.max.ms": 20,
}

BACKLOG_S = 240.0
"""Event time of benign traffic that waits for the worker when it starts: the degree tables learn from it."""


class EmbeddedBroker:
    """A Kafka broker inside this process: librdkafka's mock cluster, for demonstrations and tests only.

    It makes topics when they are first asked for, with four partitions, and lives as long as this object.
    """

    def __init__(self) -> None:
        # log_level 3: it would warn that it is a mock, which the demo says itself.
        self._host = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        brokers = self._host.list_topics(timeout=10).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def make_topics(self, names: Iterable[str]) -> None:
        """Make topics."""
        for name in names:
            self._host.list_topics(name, timeout=10)

    def partitions(self, name: str) -> int:
        """Return how many partitions a topic has."""
        return len(self._host.list_topics(name, timeout=10).topics[name].partitions)


class Traffic(threading.Thread):
    """Writes simulated traffic to a topic: first the backlog at once, then in real time until it is stopped.

    Args:
        producer: of the broker.
        topic: where to.
        rate: calls per second.
        attack_share: share of the sessions that are attacks.
        seed: varies the traffic.
    """

    def __init__(self, producer: Producer, topic: str, *, rate: float, attack_share: float, seed: int) -> None:
        super().__init__(name="simulator", daemon=True)
        self.calls = 0
        self.live_from = now_ms()
        """Calls before this time are backlog, epoch milliseconds: their latency says nothing."""
        self.ended: list[AttackLabel] = []
        self.under_way: list[AttackLabel] = []
        self.error: Exception | None = None
        self._sink = TopicSink(producer, topic, encoder(TrafficFormat.GATEWATCH))
        self._stop_asked = threading.Event()
        self._simulation = Simulation(
            SimulationOptions(
                seed=seed,
                start=self.live_from - round(BACKLOG_S * 1000),
                duration_s=None,
                rate=rate,
                attack_share=attack_share,
                time_scale=TIME_SCALE,
                attacks_from_s=BACKLOG_S,
            )
        )

    def run(self) -> None:
        """Write until stopped."""
        try:
            for call in paced(self._simulation, now_ms, self._stop_asked.wait):
                self._sink.write(call)
                self.calls += 1
                if self._stop_asked.is_set():
                    break
            self._sink.close()
        except Exception as error:  # noqa: BLE001 -- raised again where somebody waits for this thread
            self.error = error
        self.ended = self._simulation.labels()
        self._simulation.finish()
        self.under_way = self._simulation.labels()

    def stop(self) -> None:
        """Stop writing; the labels are complete afterwards.

        Raises:
            CommandError: the traffic could not be written.
        """
        self._stop_asked.set()
        self.join()
        if self.error is not None:
            raise self.error


class Director(threading.Thread):
    """Starts the traffic once the worker is ready, and ends the demo when its time is up.

    Args:
        worker: runs in the main thread.
        new_traffic: makes the traffic when it is time to.
        duration_s: seconds of live traffic; None until the worker is stopped otherwise.
    """

    def __init__(self, worker: Worker, new_traffic: Callable[[], Traffic], duration_s: float | None) -> None:
        super().__init__(name="director", daemon=True)
        self._worker = worker
        self._new_traffic = new_traffic
        self._duration_s = duration_s
        self._traffic: Traffic | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Direct."""
        while not self._worker.ready:
            if self._ended.wait(0.05):
                return
        try:
            self._traffic = self._new_traffic()
            self._traffic.start()
            self._settle()
            self._traffic.live_from = now_ms()
            if self._duration_s is None or self._ended.wait(self._duration_s):
                return
            self._traffic.stop()
            self._settle()
        finally:
            # However it ended: the worker in the main thread would run for ever.
            if not self._ended.is_set() and (self._duration_s is not None or self._traffic is None):
                os.kill(os.getpid(), signal.SIGTERM)

    def finish(self) -> Traffic | None:
        """Stop the traffic, if it has begun, and return it; to be called when the worker has ended.

        Raises:
            CommandError: the traffic could not be written.
        """
        self._ended.set()
        self.join()
        if self._traffic is not None:
            self._traffic.stop()
        return self._traffic

    def _settle(self) -> None:
        """Wait until the worker has read everything, twice in a row: one role's output is the other's input."""
        quiet = 0
        for _ in range(200):
            quiet = quiet + 1 if self._worker.lag == 0 else 0
            if quiet == 5 or self._ended.wait(0.1):
                return


@dataclass(frozen=True)
class SeenAlert:
    """An alert as a subscriber read it. Times are epoch milliseconds.

    Attributes:
        client: who it is about.
        occasion: growing, quiet or closed.
        start: first call of the session.
        end: latest call of the session.
        call_time: event time of the call that raised it.
        seen: wall clock when it was read.
    """

    client: str
    occasion: str
    start: int
    end: int
    call_time: int
    seen: int


class Subscriber(threading.Thread):
    """Reads the alerts as a consumer of the topic does.

    Args:
        bootstrap_servers: the broker.
        topic: the topic of alerts.
        show: told of every alert (a decoded OCSF finding).
    """

    def __init__(self, bootstrap_servers: str, topic: str, show: Callable[[Any], None]) -> None:
        super().__init__(name="subscriber", daemon=True)
        self.alerts: list[SeenAlert] = []
        self._show = show
        self._stop_asked = threading.Event()
        self._at_end: set[int] = set()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "demo-subscriber",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "log_level": 3,
            }
        )
        self._topic = topic

    def run(self) -> None:
        """Read until stopped, and then on to the end."""
        self._consumer.subscribe([self._topic])
        while not (self._stop_asked.is_set() and len(self._at_end) == len(self._consumer.assignment())):
            message = self._consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            if error is None:
                self._at_end.discard(message.partition() or 0)
                self._read(message.value())
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
                self._at_end.add(message.partition() or 0)
        self._consumer.close()

    def stop(self) -> None:
        """Read what there is to the end, and stop."""
        self._stop_asked.set()
        self.join(timeout=15)

    def _read(self, value: bytes | None) -> None:
        finding = msgspec.json.decode(value or b"{}")
        own = finding["unmapped"]
        client = finding["evidences"][0]["actor"]["user"]["uid"]
        times = finding["start_time"], finding["end_time"], own["call_time"]
        self.alerts.append(SeenAlert(client, own["occasion"], *times, now_ms()))
        self._show(finding)


@dataclass
class DemoSummary:
    """How the detector did, against the simulator's own labels.

    Attributes:
        calls: calls written, backlog included.
        sessions: sessions closed by the worker.
        alerts: alerts read from the topic.
        simulated: attacks, by kind.
        alerted: attacks with at least one alert, by kind.
        missed: attacks that ended without, by kind.
        under_way: attacks without an alert yet that were under way when the traffic stopped, by kind.
        false_alerts: sessions alerted without an attack of that client at that time.
        latency_p50_ms: median time from a call to the subscriber's sight of the alert it raised as its session grew,
            None without any.
        latency_p99_ms: likewise, 99th percentile.
    """

    calls: int
    sessions: int
    alerts: int
    simulated: dict[str, int] = field(default_factory=dict)
    alerted: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    under_way: dict[str, int] = field(default_factory=dict)
    false_alerts: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None


def summarise(traffic: Traffic, alerts: list[SeenAlert], sessions: int) -> DemoSummary:
    """Hold the alerts against the labels: an attack is found when an alert on its client overlaps it in time."""
    by_client: dict[str, list[SeenAlert]] = defaultdict(list)
    for alert in alerts:
        by_client[alert.client].append(alert)
    simulated, alerted, missed, under_way = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    true: set[tuple[str, int]] = set()
    for labels, unfound in ((traffic.ended, missed), (traffic.under_way, under_way)):
        for label in labels:
            hits = [own for own in by_client[label.client] if own.start <= label.end and own.end >= label.start]
            true.update((own.client, own.start) for own in hits)
            simulated[label.attack] += 1
            (alerted if hits else unfound)[label.attack] += 1
    latencies = sorted(
        own.seen - own.call_time for own in alerts if own.occasion == "growing" and own.call_time >= traffic.live_from
    )
    return DemoSummary(
        calls=traffic.calls,
        sessions=sessions,
        alerts=len(alerts),
        simulated=dict(sorted(simulated.items())),
        alerted={kind: alerted[kind] for kind in sorted(simulated)},
        missed={kind: missed[kind] for kind in sorted(simulated)},
        under_way={kind: under_way[kind] for kind in sorted(simulated)},
        false_alerts=len({(own.client, own.start) for own in alerts} - true),
        latency_p50_ms=percentile(latencies, 0.50),
        latency_p99_ms=percentile(latencies, 0.99),
    )


def percentile(ordered: list[int], share: float) -> float | None:
    """Return the least value that at least a share of the ordered values does not exceed; None of none."""
    return float(ordered[max(0, ceil(share * len(ordered)) - 1)]) if ordered else None
