"""gatewatch on a test's own Kafka names: topics, workers as processes, and what is on the topics afterwards."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from featurizer.calls import decode_call
from stream.bundles import write_bundle
from stream.clock import now_ms
from stream.kafka_config import PRODUCER_DEFAULTS
from stream.settings import Settings, load_settings
from stream.topic_specs import wanted_topics
from stream.topics import Topics
from tests.kafka_broker import free_port
from tests.kafka_fixture import Kafka
from tests.model_factory import make_bundle
from tests.programs import Process, Program, ProgramError, Start, worker_environment
from tests.workloads import Workload, wire_records

PARTITIONS = 4
GATEWATCH = [sys.executable, "-m", "stream.cli"]

PATIENCE_S = 90.0
"""How long tests wait for what must happen: no statement about speed, so that a busy machine fails none of them."""
LIVELY: Mapping[str, object] = {
    "sessions.gap_s": 1.0,
    "sessions.quiet_s": 0.4,
    "sessions.lateness_s": 0.2,
    "sessions.linger_s": 0.2,
    "sessions.idle_after_s": 0.5,
    "sessions.first_vector_calls": 4,
}
"""Limits for clients that pause for a second instead of half an hour."""

_QUICK: Mapping[str, object] = {
    "log.level": "info",
    # A killed worker's partitions move on after the least time that brokers allow.
    "kafka.properties.session.timeout.ms": 6000,
    "kafka.properties.heartbeat.interval.ms": 500,
}


class Gatewatch:
    """An installation of gatewatch whose topics, groups and transactional ids are this test's own.

    Args:
        kafka: where.
        folder: for the logs of processes.
        settings: by dotted name; they win over those that make tests quick.

    Attributes:
        start: starts the workers, sooner than an interpreter would be; None: from nothing, as a user does.
    """

    def __init__(self, kafka: Kafka, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.kafka = kafka
        self.prefix = kafka.prefix
        self.logs = self.prefix + "gateway-logs"
        self.api_calls = self.prefix + "api-calls"
        self.features = self.prefix + "features"
        self.anomalies = self.prefix + "anomalies"
        self.dead_letters = self.prefix + "dead-letters"
        self.state = self.prefix + "state"
        self.start: Start | None = kafka.start
        self._folder = folder
        self._started = 0
        self.settings: dict[str, object] = {
            "kafka.bootstrap_servers": kafka.bootstrap,
            "kafka.group_prefix": kafka.prefix + "gatewatch",
            "inputs": [{"topic": self.logs}],
            "topics.api_calls": self.api_calls,
            "topics.features": self.features,
            "topics.anomalies": self.anomalies,
            "topics.dead_letters": self.dead_letters,
            "topics.state": self.state,
            "topics.degrees": self.prefix + "degrees",
            "topics.labels": self.prefix + "labels",
            "topics.partitions": PARTITIONS,
            **_QUICK,
            **(settings or {}),
        }

    def flags(self, **more: object) -> list[str]:
        """Return the settings as flags of the command line; ``more`` has ``__`` for the dots."""
        settings = self.settings | {name.replace("__", "."): value for name, value in more.items()}
        return [
            f"--set={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()
        ]

    def create_topics(self) -> Settings:
        """Make the topics, as ``gatewatch topics create`` does, and return the settings."""
        settings = load_settings(None, self.settings)
        Topics(settings).create(wanted_topics(settings))
        return settings

    def command(self, *arguments: str, **more: object) -> tuple[int, str, str]:
        """Run a command with the settings; return its exit code, standard output and standard error."""
        assert self.start is not None
        self._started += 1
        out, errors = (self._folder / f"command-{self._started}.{name}" for name in ("out", "err"))
        code = self.start([*arguments, *self.flags(**more)], out, errors).wait(60)
        return code, out.read_text(), errors.read_text()

    def worker(self, role: str = "all", port: int | None = None, before: str = "", **more: object) -> "Worker":
        """Start a worker; use it as a context.

        Args:
            role: its role.
            port: of its web server; a worker's transactional id has it. Any free one when left out.
            before: Python that runs in the worker's process before gatewatch does.
            more: further settings, ``__`` for the dots.
        """
        port = port or free_port()
        self._started += 1
        program = GATEWATCH
        if before:
            program = [sys.executable, "-c", f"{before}\nfrom stream.cli import main\nraise SystemExit(main())"]
        arguments = ["run", "--role", role, "--web-port", str(port), *self.flags(**more)]
        log = self._folder / f"worker-{self._started}.log"
        process = None if before or self.start is None else self.start(arguments, log)
        return Worker([*program, *arguments], log, port, process)

    def producer(self) -> Producer:
        """Return a producer that chooses partitions as gatewatch and Java do."""
        return Producer({**PRODUCER_DEFAULTS, "bootstrap.servers": self.kafka.bootstrap})

    def committed(self, role: str, topic: str) -> dict[int, int]:
        """Return the committed offset of every partition; 0 where there is none yet.

        One that a transaction is about to commit does not count, nor is that transaction waited for.
        """
        # Not the admin client: librdkafka 2.16 crashes in it when the group's coordinator is not known yet.
        asker = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "group.id": self.group(role),
                "isolation.level": "read_uncommitted",
            }
        )
        try:
            places = [TopicPartition(topic, number) for number in self._numbers(asker, topic)]
            found = asker.committed(places, timeout=20)
        finally:
            asker.close()
        return {own.partition: max(own.offset, 0) for own in found}

    def wait_until_read(self, role: str, topic: str, seconds: float = PATIENCE_S) -> None:
        """Return when a role has committed all that is on a topic now."""
        ends = {(record.partition() or 0): (record.offset() or 0) + 1 for record in self.read(topic)}

        def read() -> bool:
            committed = self.committed(role, topic)
            return all(committed[number] >= end for number, end in ends.items())

        wait_for(read, f"{role} to have read {topic}", seconds)

    def members(self, role: str) -> int:
        """Return how many members a role's group has."""
        group = self.group(role)
        return len(self.kafka.admin().describe_consumer_groups([group])[group].result(timeout=20).members)

    def read(self, topic: str) -> list[Message]:
        """Return all records of a topic that are committed now, partition by partition in order."""
        return sorted(self._records(topic), key=lambda record: (record.partition() or 0, record.offset() or 0))

    def documents(self, topic: str) -> list[dict[str, Any]]:
        """Return all committed records of a topic as JSON."""
        return [json.loads(record.value() or b"null") for record in self.read(topic)]

    def closed_sessions(self) -> list[dict[str, Any]]:
        """Return the closed sessions on the topic of features."""
        return [own for own in self.documents(self.features) if own["occasion"] == "closed"]

    def calls_known(self) -> int:
        """Return how many calls are in a closed session, or late."""
        in_sessions: int = sum(own["calls"] for own in self.closed_sessions())
        return in_sessions + len(self.read(self.dead_letters))

    def _records(self, topic: str) -> Iterable[Message]:
        reader = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "group.id": self.prefix + "reads",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                # A broker would hold the last answer of each partition up for half a second, in case that more comes.
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            places = [TopicPartition(topic, number, 0) for number in self._numbers(reader, topic)]
            # The present ends: a topic that others write to may never report the end of a partition.
            unread = {own.partition: reader.get_watermark_offsets(own, timeout=20)[1] for own in places}
            reader.assign(places)
            deadline = time.monotonic() + PATIENCE_S
            while unread:
                assert time.monotonic() < deadline, f"{topic} could not be read to its end: {unread}"
                for message in reader.consume(10_000, 0.05):
                    error, number = message.error(), message.partition() or 0
                    if error is None:
                        yield message
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error.str()
                    if error is not None or (message.offset() or 0) + 1 >= unread.get(number, 0):
                        unread.pop(number, None)
        finally:
            reader.close()

    @staticmethod
    def _numbers(asker: Consumer, topic: str) -> set[int]:
        """Return the numbers of a topic's partitions."""
        return set(asker.list_topics(topic, timeout=20).topics[topic].partitions)

    def group(self, role: str) -> str:
        """Return the name of a role's consumer group."""
        return f"{self.settings['kafka.group_prefix']}-{role}"


def alarmed(folder: Path) -> dict[str, object]:
    """Return settings under which every vector is anomalous and nothing holds an alert back."""
    bundle = folder / "alarmed"
    if not bundle.is_dir():
        write_bundle(bundle, make_bundle(threshold_open=0.0, threshold_closed=0.0, minimum_edges=0).to_files())
    return {"model.bundle": str(bundle), "alerts.cooldown_s": 0}


class Load(threading.Thread):
    """Calls in wire form, written to a topic in real time for as long as the ``with`` block lasts.

    Two hundred clients at a time call twenty times or so within a second, and come back some seconds later.

    Args:
        producer: where to.
        topic: likewise.
        rate: calls per second.
        keyed: give records the client as their key.

    Attributes:
        requests: request ids of the calls written so far.
    """

    def __init__(self, producer: Producer, topic: str, rate: float, *, keyed: bool) -> None:
        super().__init__(name="load", daemon=True)
        self.requests: list[str] = []
        self._producer = producer
        self._topic = topic
        self._rate = rate
        self._keyed = keyed
        self._ended = threading.Event()

    def run(self) -> None:
        workload = Workload(
            10**9, clients=800, median_calls=self._rate / 200, sigma=0.5, rate=self._rate, start=now_ms()
        )
        for record in wire_records(workload):
            while (ahead := record.timestamp / 1000 - time.time()) > 0.005:
                self._producer.poll(0)
                if self._ended.wait(ahead):
                    return
            key = record.key if self._keyed else None
            self._producer.produce(self._topic, record.value, key, timestamp=record.timestamp)
            self.requests.append(decode_call(record.value).request_id or "")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        assert self._producer.flush(30) == 0, "the load has arrived"


class Worker(Program):
    """A ``gatewatch run`` process."""

    def __init__(self, command: list[str], log: Path, port: int, process: Process | None = None) -> None:
        super().__init__(command, log, worker_environment(), process)
        self.url = f"http://127.0.0.1:{port}"

    def wait_ready(self, seconds: float = PATIENCE_S) -> None:
        """Return when it has joined its groups."""
        self.wait_until(f"{self.url}/readyz", seconds)

    def wait_ended(self, seconds: float = PATIENCE_S) -> int:
        """Return the exit code when it has ended by itself.

        Raises:
            ProgramError: it has not; the message ends with its output.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"{self.name} has not ended after {seconds:g} s:\n{self.output()}") from None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a metric that have these labels; 0 while the worker does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:  # noqa: S310 -- always http
                text = answer.read().decode()
        except (OSError, urllib.error.URLError):
            if self.process.poll() is not None:
                raise ProgramError(f"{self.name} ended with code {self.process.returncode}:\n{self.output()}") from None
            return 0.0
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def partitions(self, role: str) -> float:
        """Return how many partitions it has in a role."""
        return self.metric("gatewatch_partitions_assigned", role=role)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Return when a condition holds.

    Raises:
        AssertionError: it does not within the time.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        # Looking may mean to read whole topics: it leaves the workers more of the machine than it takes.
        time.sleep(max(0.05, 2 * (time.monotonic() - asked)))
