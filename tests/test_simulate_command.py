"""``gatewatch simulate``: files and topics, labels, and an end that is clean."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from stream.cli import main
from stream.errors import CommandError, ExitCode
from stream.simulator import SimulatedCall, Simulation, SimulationOptions
from stream.simulator.encoders import TrafficFormat, encoder
from stream.simulator.sinks import TopicSink
from tests.kafka_fixture import Kafka

SMALL = ("--rate", "200", "--duration", "20", "--time-scale", "30", "--attack-share", "0.2")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mock_broker() -> Iterator[str]:
    """Address of librdkafka's mock cluster."""
    owner = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1})
    broker = next(iter(owner.list_topics(timeout=10).brokers.values()))
    yield f"{broker.host}:{broker.port}"
    owner.flush(1)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of ``gatewatch simulate``."""
    code = main(("simulate", *arguments))
    out, err = capsys.readouterr()
    return code, out, err


def consume(bootstrap: str, topic: str, enough: Callable[[int], bool]) -> list[Any]:
    """Return a topic's messages, ordered by timestamp, once there are enough of them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"read-{topic}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    messages: list[Any] = []
    deadline = time.monotonic() + 20
    while not enough(len(messages)) and time.monotonic() < deadline:
        messages += [message for message in consumer.consume(1_000, 0.2) if message.error() is None]
    consumer.close()
    return sorted(messages, key=lambda message: message.timestamp()[1])


def test_a_file_gets_the_calls_and_another_the_labels(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *SMALL, "--out", "calls.jsonl", "--labels", "labels.jsonl", "--json")

    summary = json.loads(out)
    simulation = Simulation(SimulationOptions(rate=200, duration_s=20, time_scale=30, attack_share=0.2))
    expected = [msgspec.json.encode(call) for call in simulation]
    labels = [json.loads(line) for line in Path("labels.jsonl").read_text().splitlines()]
    assert code == ExitCode.OK
    assert Path("calls.jsonl").read_bytes().splitlines() == expected
    assert labels == [msgspec.to_builtins(label) for label in simulation.labels()]
    assert set(labels[0]) == {"client", "attack", "start", "end", "calls"}
    assert summary["calls"] == len(expected)
    assert summary["hostile_calls"] == sum(label["calls"] for label in labels)
    assert sum(summary["attacks"].values()) == len(labels)
    assert sum(summary["sessions"].values()) == simulation.sessions.total()


@pytest.mark.parametrize("format_", TrafficFormat)
def test_labels_name_the_clients_that_the_format_shows(
    capsys: pytest.CaptureFixture[str], format_: TrafficFormat
) -> None:
    code, _, _ = run(capsys, *SMALL, "--format", format_, "--out", "calls.log", "--labels", "labels.jsonl")

    calls = Path("calls.log").read_text()
    labels = [json.loads(line) for line in Path("labels.jsonl").read_text().splitlines()]
    assert code == ExitCode.OK
    assert labels
    assert all(label["client"] in calls for label in labels)


def test_a_person_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *SMALL, "--out", "calls.jsonl")

    assert code == ExitCode.OK
    assert "web_shopper" in out
    assert "calls.jsonl" in out


@pytest.mark.parametrize(
    ("text", "first"),
    [("1700000000000", 1_700_000_000), ("2024-02-29T12:00:00+02:00", 1_709_200_800), ("2024-02-29", 1_709_164_800)],
)
def test_the_start_may_be_written_in_several_ways(capsys: pytest.CaptureFixture[str], text: str, first: int) -> None:
    _, out, _ = run(capsys, *SMALL, "--start", text, "--out", "calls.jsonl", "--json")

    assert json.loads(out)["start"] == first * 1000


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--out FILE or --topic TOPIC"),
        (("--out", "a", "--topic", "b"), "--out FILE or --topic TOPIC"),
        (("--out", "a", "--rate", "0"), "rate must be a positive number"),
        (("--out", "a", "--attack-share", "2"), "attack_share must be between 0 and 1"),
        (("--out", "a", "--start", "yesterday"), "write 2026-01-01T00:00:00Z"),
        (("--out", "a", "--format", "iis"), "iis"),
        (("--topic", "a", "--set", "kafka.bootstrap=x"), "kafka.bootstrap"),
    ],
)
def test_wrong_flags_are_usage_errors(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], says: str) -> None:
    code, _, err = run(capsys, *flags)

    assert code == ExitCode.USAGE
    assert says in err


def test_a_file_that_cannot_be_written_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, *SMALL, "--out", "no/such/folder")

    assert code == ExitCode.FAILURE
    assert "cannot write no/such/folder" in err


def test_the_api_description_is_a_file_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(capsys, "--openapi", "api.json")

    assert code == ExitCode.OK
    assert json.loads(Path("api.json").read_text())["openapi"] == "3.1.0"


def test_a_missing_broker_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.simulator.sinks.METADATA_TIMEOUT_S", 0.5)

    code, _, err = run(capsys, *SMALL, "--topic", "logs", "--bootstrap-servers", "127.0.0.1:1")

    assert code == ExitCode.UNREACHABLE
    assert "no Kafka broker answers" in err


@pytest.mark.parametrize("keyed", [False, True])
def test_a_topic_gets_a_record_per_call(capsys: pytest.CaptureFixture[str], mock_broker: str, keyed: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    flags = ("--topic", "logs", "--as-fast-as-possible", "-b", mock_broker, "--json", *(["--keyed"] if keyed else []))

    code, out, _ = run(capsys, *SMALL, *flags)

    calls = json.loads(out)["calls"]
    messages = consume(mock_broker, "logs", lambda count: count >= calls)
    assert code == ExitCode.OK
    assert len(messages) == calls
    for message in messages:
        call = msgspec.json.decode(message.value(), type=SimulatedCall)
        assert message.timestamp()[1] == call.time
        assert message.key() == (call.client.encode() if keyed else None)


def test_history_on_a_topic_ends_now(capsys: pytest.CaptureFixture[str], mock_broker: str) -> None:
    """Event times in the future would be dead letters."""
    _, out, _ = run(capsys, *SMALL, "--topic", "logs", "--as-fast-as-possible", "-b", mock_broker, "--json")

    summary = json.loads(out)
    assert abs(summary["start"] / 1000 + 20 - time.time()) < 15


def test_a_topic_is_written_in_real_time_until_the_program_is_asked_to_stop(mock_broker: str, tmp_path: Path) -> None:
    """SIGTERM ends it cleanly: all records arrive, and the labels are of the calls that were sent."""
    command = [sys.executable, "-m", "stream.cli", "simulate", "--topic", "logs", "-b", mock_broker]
    flags = ["--rate", "300", "--time-scale", "30", "--attack-share", "0.5", "--labels", "labels.jsonl", "--json"]
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        early = consume(mock_broker, "logs", lambda count: count >= 300)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    summary = json.loads(out)
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert process.returncode == ExitCode.OK, err
    assert len(early) >= 300
    assert summary["calls"] >= len(early)
    assert summary["end"] <= time.time() * 1000
    assert labels
    assert sum(label["calls"] for label in labels) == summary["hostile_calls"]


class FakeProducer:
    """A producer whose queue is full at first and whose broker refuses some records."""

    def __init__(self, refused: set[int]) -> None:
        self.accepted = 0
        self.polls = 0
        self._refused = refused
        self._reports: list[Callable[[], None]] = []

    def list_topics(self, topic: str, _timeout: float) -> Any:
        """Return a topic that is there."""
        return type("Metadata", (), {"topics": {topic: type("Topic", (), {"error": None})}})

    def produce(self, _topic: str, _value: bytes, _key: bytes | None, *, timestamp: int, on_delivery: Any) -> None:
        """Accept a record once the queue has room."""
        assert timestamp > 0
        if self.polls < 3:
            raise BufferError
        if self.accepted in self._refused:
            error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
            self._reports.append(lambda: on_delivery(error, None))
        self.accepted += 1

    def poll(self, _timeout: float) -> int:
        """Report what was refused."""
        self.polls += 1
        reports, self._reports = self._reports, []
        for report in reports:
            report()
        return len(reports)

    def flush(self, _timeout: float) -> int:
        """Report what was refused; nothing waits."""
        self.poll(0)
        return 0


def sink_of(producer: FakeProducer) -> TopicSink:
    """Return a sink that writes to a fake."""
    return TopicSink(producer, "logs", encoder(TrafficFormat.GATEWATCH))  # type: ignore[arg-type] # a fake


def test_a_full_queue_is_waited_for() -> None:
    producer = FakeProducer(refused=set())
    sink = sink_of(producer)
    call = next(Simulation(SimulationOptions()))

    sink.write(call)
    sink.close()

    assert producer.accepted == 1
    assert producer.polls >= 3


def test_a_record_that_does_not_arrive_ends_the_writing() -> None:
    sink = sink_of(FakeProducer(refused={1}))
    calls = iter(Simulation(SimulationOptions()))

    sink.write(next(calls))
    with pytest.raises(CommandError, match=r"1 of 2 records did not reach logs: .*[Mm]essage"):
        sink.write(next(calls))


@pytest.mark.kafka
def test_a_real_topic_gets_a_record_per_call(capsys: pytest.CaptureFixture[str], kafka: Kafka) -> None:
    topic = kafka.create_topic("logs")

    code, out, _ = run(
        capsys, *SMALL, "--topic", topic, "--as-fast-as-possible", "-b", kafka.bootstrap, "--labels", "l", "--json"
    )

    calls = json.loads(out)["calls"]
    messages = consume(kafka.bootstrap, topic, lambda count: count >= calls)
    assert code == ExitCode.OK
    assert len(messages) == calls
    assert {message.partition() for message in messages} <= set(range(4))


@pytest.mark.kafka
def test_a_missing_topic_is_named(capsys: pytest.CaptureFixture[str], kafka: Kafka) -> None:
    code, _, err = run(capsys, *SMALL, "--topic", kafka.prefix + "missing", "-b", kafka.bootstrap)

    assert code == ExitCode.UNREACHABLE
    assert f"topic {kafka.prefix}missing" in err
    assert "gatewatch topics create" in err
