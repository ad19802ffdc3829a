"""Soak: a worker at half of its capacity for half an hour, sessions opening and closing all the time.

    python -m tests.benchmarks.soak --minutes 30
    python -m tests.benchmarks.soak --minutes 2          # latency only

One real Kafka, one worker (role detect, exactly once), one process that writes calls in real time. First a backlog is
read as fast as the worker can, which is its capacity on this machine; then the load is half of that. Reported: resident
memory and its slope, lag, open sessions, and the time from a call's record to its alert in a read_committed consumer's
hands, for alerts raised as a session grew.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Consumer
from rich.console import Console
from rich.table import Table

from stream.clock import now_ms
from stream.settings import Settings, load_settings
from tests.benchmarks.steady_load import Pool, tuned_thresholds
from tests.kafka_broker import running_broker
from tests.kafka_fixture import Kafka
from tests.kafka_workers import Gatewatch, Worker, wait_for

SAMPLE_S = 5.0
LIMITS: dict[str, object] = {
    "sessions.gap_s": 60.0,
    "sessions.quiet_s": 10.0,
    "sessions.lateness_s": 2.0,
    "sessions.linger_s": 2.0,
    "model.bundle": "demo",
    "model.minimum_edges": 0,
    # One session in a hundred is alerted: more would measure how alerts are explained.
    "alerts.cooldown_s": 0,
    "log.level": "warning",
}


class Sample(NamedTuple):
    """The worker at one moment."""

    at_s: float
    rss_mb: float
    lag: float
    sessions: float


class Alerts(Thread):
    """Receives alerts as a subscriber does, and notes how old the call was that raised each."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.ages_ms: list[tuple[float, float]] = []
        self.stopped = Event()
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "soak-alerts",
                "isolation.level": "read_committed",
                "auto.offset.reset": "latest",
                "fetch.queue.backoff.ms": 10,
            }
        )

    def run(self) -> None:
        self._consumer.subscribe([self._topic])
        while not self.stopped.is_set():
            for message in self._consumer.consume(100, 0.02):
                if message.error() is None:
                    found = json.loads(message.value() or b"")["unmapped"]
                    if found["occasion"] == "growing":
                        self.ages_ms.append((time.monotonic(), now_ms() - found["record_time"]))
        self._consumer.close()


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, MB (10^6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def watch(worker: Worker, seconds: float) -> Iterator[Sample]:
    """Yield what the worker is like every few seconds."""
    begin = time.monotonic()
    while (at := time.monotonic() - begin) < seconds:
        lag = worker.metric("gatewatch_consumer_lag_records")
        sessions = worker.metric("gatewatch_open_sessions")
        yield Sample(at, resident_mb(worker.process.pid), lag, sessions)
        time.sleep(SAMPLE_S)


def capacity(gatewatch: Gatewatch, worker: Worker, pool: Pool, calls: int) -> float:
    """Return how many calls a second a worker reads of a backlog."""
    pool.write(gatewatch.producer(), gatewatch.api_calls, calls, now_ms() - 600_000, now_ms())
    worker.wait_ready()
    wait_for(lambda: worker.metric("gatewatch_session_calls_total") > 0, "the first calls", 60)
    first, began = worker.metric("gatewatch_session_calls_total"), time.monotonic()
    wait_for(lambda: worker.metric("gatewatch_session_calls_total") >= calls * 0.99, "the backlog to be read", 300)
    done = worker.metric("gatewatch_session_calls_total")
    return (done - first) / (time.monotonic() - began)


def soak(minutes: float, share: float, pool: Pool, folder: Path) -> dict[str, Any]:
    """Run everything and return what was measured."""
    with running_broker(lasting=True) as broker:
        open_at, closed_at = tuned_thresholds(pool, settings_of(LIMITS))
        settings = LIMITS | {"model.threshold_open": open_at, "model.threshold_closed": closed_at}
        gatewatch = Gatewatch(Kafka(broker), folder, settings)
        gatewatch.create_topics()
        with gatewatch.worker("detect") as worker:
            rate = capacity(gatewatch, worker, pool, 400_000) * share
            alerts = Alerts(broker.bootstrap, gatewatch.anomalies)
            alerts.start()
            command = [sys.executable, "-m", "tests.benchmarks.steady_load", broker.bootstrap, gatewatch.api_calls]
            with subprocess.Popen([*command, str(rate), str(minutes * 60 + 5)]) as load:
                samples = list(watch(worker, minutes * 60))
                load.terminate()
            alerts.stopped.set()
            alerts.join()
            committed = worker.metric("gatewatch_checkpoints_total")
            assert worker.stop() == 0
        return report(rate, share, samples, alerts.ages_ms) | {"checkpoints": committed}


def settings_of(flags: dict[str, object]) -> Settings:
    """Return settings of the flags."""
    return load_settings(None, flags)


def report(rate: float, share: float, samples: list[Sample], ages: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the figures; the slope is that of the second half, when every session that is open has been replaced."""
    half = samples[len(samples) // 2 :]
    times, memory = np.array([own.at_s for own in half]), np.array([own.rss_mb for own in half])
    slope = float(np.polyfit(times, memory, 1)[0]) * 3600 if len(half) > 2 else 0.0
    settled = ages[len(ages) // 20 :]
    thirds = np.array_split(np.array([age for _, age in settled]), 3)
    return {
        "calls_per_s": round(rate),
        "share_of_capacity": share,
        "minutes": round(samples[-1].at_s / 60, 1),
        "rss_mb": {"first": samples[0].rss_mb, "median": float(np.median(memory)), "max": float(memory.max())},
        "rss_slope_mb_per_h": round(slope, 2),
        "open_sessions_median": float(np.median([own.sessions for own in half])),
        "lag_median": float(np.median([own.lag for own in samples])),
        "lag_max_second_half": max(own.lag for own in half),
        "lag_last": samples[-1].lag,
        "alerts": len(settled),
        "latency_ms": {
            name: [round(float(np.percentile(part, q))) for part in thirds]
            for name, q in (("p50", 50), ("p99", 99))
            if len(settled) > 30
        },
        "latency_p99_ms": round(float(np.percentile([age for _, age in settled], 99))) if settled else None,
    }


def main() -> None:
    """Soak, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.5, help="of the capacity")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(flags.minutes, flags.share, Pool(), Path(folder))
    if flags.json:
        print(json.dumps(figures))  # noqa: T201 -- for another program
        return
    table = Table("figure", "value", title="Soak")
    for name, value in figures.items():
        table.add_row(name, str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
