"""Throughput on a real Kafka: gatewatch's detect role against the least a Python consumer can do, in the same run.

    python -m tests.benchmarks.throughput --calls 1000000 --runs 3

Each contestant reads the same topic (4 partitions, calls in wire form) in a process of its own that is pinned to one
core, librdkafka's threads included; the broker has the others. The clock runs from the first record read until, for
the reference, the last one is counted, and for gatewatch, the last one is committed with its outputs.

The reference reads with confluent-kafka, decodes with msgspec and counts calls per client in a dict: no sessions, no
graph, no model, no output, no commit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from featurizer.calls import ApiCall, encode_call
from featurizer.routes import RouteTemplates
from stream.clock import now_ms
from stream.cycle import Cycle
from stream.errors import ExitCode
from stream.kafka_config import consumer_config, producer_config
from stream.settings import Settings, load_settings
from stream.simulator import Simulation, SimulationOptions
from stream.wire import client_key
from tests.kafka_broker import running_broker

BATCH = 10_000
GUARANTEES = {
    "reference": "at_least_once",
    "exactly_once": "exactly_once",
    "without_checkpoints": "exactly_once",
    "at_least_once": "at_least_once",
}
"""The contestants. The one without checkpoints makes its first and its last only: what the others cost."""
HISTORY_S = 900


def settings_for(bootstrap: str, name: str, guarantee: str, **more: object) -> Settings:
    """Return settings of one contestant: groups, identities and state of its own; ``more`` has ``__`` for the dots."""
    flags: dict[str, object] = {
        "kafka.bootstrap_servers": bootstrap,
        "kafka.group_prefix": name,
        "topics.state": f"state-{name}",
        "topics.degrees": f"degrees-{name}",
        "topics.labels": f"labels-{name}",
        "delivery.guarantee": guarantee,
        "model.bundle": "demo",
        "log.level": "warning",
    }
    return load_settings(None, flags | {key.replace("__", "."): value for key, value in more.items()})


def make_topics(settings: Settings) -> None:
    """Make the topics that are not there yet."""
    from stream.topic_specs import plan, wanted_topics  # noqa: PLC0415 -- only the parent needs it
    from stream.topics import Topics  # noqa: PLC0415 -- same

    topics = Topics(settings)
    topics.create(plan(settings, topics.describe(spec.name for spec in wanted_topics(settings))).missing)


def fill(bootstrap: str, calls: int) -> None:
    """Make the topics and write simulated calls of the last quarter of an hour, so that no retention deletes them."""
    settings = settings_for(bootstrap, "filler", "exactly_once")
    make_topics(settings)
    producer = Producer(producer_config(settings, None) | {"linger.ms": 50})
    for call in simulated_calls(calls):
        key, value = client_key(call.client), encode_call(call)
        while True:
            try:
                producer.produce(settings.topics.api_calls, value, key, timestamp=call.time)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def simulated_calls(calls: int) -> Iterator[ApiCall]:
    """Yield the calls of a shop's API: one in a hundred sessions is an attack."""
    routes = RouteTemplates()
    options = SimulationOptions(
        seed=7, start=now_ms() - HISTORY_S * 1000, duration_s=None, rate=calls / HISTORY_S, attack_share=0.01
    )
    for made in islice(Simulation(options), calls):
        endpoint = routes.endpoint(made.method, made.path, made.status)
        yield ApiCall(made.time, made.client, endpoint, made.status, made.duration_ms, made.request_id)


def settings_of(contestant: str, bootstrap: str, run: int) -> Settings:
    """Return the settings of a contestant's run."""
    never = {"state__checkpoint_interval_s": 1e6, "state__checkpoint_records": 10**9}
    more = never if contestant == "without_checkpoints" else {}
    return settings_for(bootstrap, f"{contestant}-{run}", GUARANTEES[contestant], **more)


def contest(contestant: str, bootstrap: str, calls: int, core: int, run: int) -> dict[str, Any]:
    """Run one contestant in a pinned process and return what it measured."""
    make_topics(settings_of(contestant, bootstrap, run))
    command = [sys.executable, "-m", "tests.benchmarks.throughput", "--contestant", contestant]
    command += ["--bootstrap", bootstrap, "--calls", str(calls), "--core", str(core), "--run", str(run)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def count_only(settings: Settings, calls: int) -> dict[str, Any]:
    """The reference: consume, decode, count per client."""
    from confluent_kafka import Consumer  # noqa: PLC0415 -- only this contestant needs it

    from featurizer.calls import decode_call  # noqa: PLC0415 -- same

    consumer = Consumer(consumer_config(settings, "reference") | {"enable.partition.eof": False})
    consumer.subscribe([settings.topics.api_calls])
    counts: dict[str, int] = {}
    read = 0
    started = cpu_started = 0.0
    while read < calls:
        messages = consumer.consume(BATCH, 0.05)
        if messages and not read:
            started, cpu_started = time.perf_counter(), time.process_time()
        for message in messages:
            client = decode_call(message.value() or b"").client
            counts[client] = counts.get(client, 0) + 1
        read += len(messages)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    consumer.close()
    return {"seconds": seconds, "cpu_s": cpu_s, "clients": len(counts)}


def detect(settings: Settings, calls: int) -> dict[str, Any]:
    """Gatewatch's detect role, whole: the worker that ``gatewatch run --role detect`` runs."""
    from stream import assembly  # noqa: PLC0415 -- only this contestant needs it
    from stream.app import Role  # noqa: PLC0415 -- same
    from stream.logs import configure_logs  # noqa: PLC0415 -- same
    from stream.worker import assemble, run_until_stopped  # noqa: PLC0415 -- same

    configure_logs(settings.log)
    worker = assemble(settings, assembly.named_models(settings), Role.DETECT)
    watch = Watch(calls)
    intake = worker.legs[0].intake
    watch.wrap(intake)
    if run_until_stopped(worker) is not ExitCode.OK:
        raise SystemExit("the worker failed")
    return {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "alerts": watch.alerts, "vectors": watch.vectors}


class Watch:
    """Times a worker from its first batch to the commit of its last, and then stops it."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.started = self.cpu_started = self.seconds = self.cpu_s = 0.0
        self.read = self.alerts = self.vectors = 0

    def wrap(self, intake: Any) -> None:
        """Listen to what the intake sends and to what its outbox has committed."""
        send, committed = intake._send, intake._outbox._committed

        async def timed_send(work: Any) -> None:
            if not self.started and work.records:
                self.started, self.cpu_started = time.perf_counter(), time.process_time()
            await send(work)

        def timed_commit(cycle: Cycle, seconds: float) -> None:
            committed(cycle, seconds)
            self.read += sum(batch.records for batch in cycle.batches)
            self.alerts += sum(len(batch.alerts) for batch in cycle.batches)
            self.vectors += sum(len(batch.samples) for batch in cycle.batches)
            if self.read >= self.calls and not self.seconds:
                self.seconds = time.perf_counter() - self.started
                self.cpu_s = time.process_time() - self.cpu_started
                os.kill(os.getpid(), 15)

        intake._send, intake._outbox._committed = timed_send, timed_commit


def compare(calls: int, runs: int, core: int) -> None:
    """Fill a broker, let the contestants run in turn, print medians and ratios."""
    guarantees = GUARANTEES
    rates: dict[str, list[float]] = {name: [] for name in guarantees}
    cpu: dict[str, list[float]] = {name: [] for name in guarantees}
    last: dict[str, dict[str, Any]] = {}
    with running_broker(lasting=True) as broker:
        fill(broker.bootstrap, calls)
        # A young broker is slow for whoever comes first, who would be the same contestant in every comparison.
        contest("exactly_once", broker.bootstrap, calls, core, runs)
        for run in range(runs):
            for name in guarantees:
                last[name] = contest(name, broker.bootstrap, calls, core, run)
                rates[name].append(calls / last[name]["seconds"])
                cpu[name].append(last[name]["cpu_s"])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    table = Table(
        "contestant",
        "calls/s (median)",
        "min",
        "max",
        "of the reference",
        "CPU µs a call",
        title=f"{calls:,} calls, one core",
    )
    for name, values in rates.items():
        row = (f"{medians[name]:,.0f}", f"{min(values):,.0f}", f"{max(values):,.0f}")
        cpu_us = 1e6 * min(cpu[name]) / calls
        table.add_row(name, *row, f"{medians[name] / medians['reference']:.2f}", f"{cpu_us:.2f}")
    console = Console()
    console.print(table)
    vectors, alerts = last["exactly_once"]["vectors"], last["exactly_once"]["alerts"]
    console.print(f"exactly_once took {vectors:,} vectors and raised {alerts:,} alerts")
    cost = 1 - medians["exactly_once"] / medians["without_checkpoints"]
    console.print(f"checkpoints cost {cost:.1%} of the throughput")


def main() -> None:
    """Compare, or be one of the contestants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    parser.add_argument("--run", type=int, default=0, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.contestant is None:
        compare(flags.calls, flags.runs, flags.core)
        return
    os.sched_setaffinity(0, {flags.core})
    settings = settings_of(flags.contestant, flags.bootstrap, flags.run)
    measure = count_only if flags.contestant == "reference" else detect
    print(json.dumps(measure(settings, flags.calls)))  # noqa: T201 -- read by the parent


if __name__ == "__main__":
    main()
