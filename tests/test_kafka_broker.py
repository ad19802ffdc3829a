"""The Kafka of the tests is a real one, keeps its data over a crash, and ends with its owner."""

import os
import select
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer, Producer

from tests import kafka_broker
from tests.kafka_broker import CHECKOUT, BrokerUnavailableError, GivenBroker, broker_starter, kafka_jars
from tests.kafka_fixture import Kafka

pytest_plugins = ["pytester"]


def test_a_port_is_given_once_though_nobody_listens_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = kafka_broker.free_port(), kafka_broker.free_port()
    drawn = chain([first, other, first], range(15_000, 32_000))
    monkeypatch.setattr(kafka_broker, "_PORTS", SimpleNamespace(randint=lambda *_: next(drawn)))
    assert kafka_broker.free_port() not in {first, other}


@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_committed_records_survive_a_kill(kafka: Kafka) -> None:
    topic = kafka.create_topic("kept", partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": kafka.prefix + "writer"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, b"before")
    producer.commit_transaction()
    del producer  # or it complains about the dead broker
    kafka.kill()
    kafka.restart()
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": kafka.prefix + "reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.value() == b"before"


@pytest.mark.kafka
def test_two_tests_do_not_meet(kafka: Kafka) -> None:
    other = Kafka(GivenBroker(kafka.bootstrap))
    mine, theirs = kafka.create_topic("same"), other.create_topic("same", partitions=2)
    assert mine != theirs
    other.close()
    assert mine in kafka.admin().list_topics(timeout=10).topics


@pytest.mark.kafka
@pytest.mark.timeout(240)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_broker_ends_with_its_owner(end: signal.Signals, tmp_path: Path) -> None:
    """SIGKILL gives the owner no chance to clean up; the broker still goes."""
    try:
        kafka_jars()
    except BrokerUnavailableError as error:
        pytest.skip(str(error))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.kafka_broker"],
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        text=True,
    ) as owner:
        assert owner.stdout is not None
        address = owner.stdout.readline()
        children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()
        broker = os.pidfd_open(int(children[0]))
        owner.send_signal(end)
    try:
        assert address.startswith("127.0.0.1:")
        ended = _wait_readable(broker, seconds=20)
    finally:
        os.close(broker)
    assert ended, "the broker outlived its owner"


def _wait_readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_without_java_docker_or_an_address_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerUnavailableError, match=r"JDK and Maven .* Docker .* KAFKA_BOOTSTRAP"):
        broker_starter()


@pytest.mark.parametrize(("ci", "outcome"), [("true", {"failed": 1}), ("", {"skipped": 1})])
def test_a_skipped_kafka_test_fails_the_run_in_ci_only(
    ci: str, outcome: dict[str, int], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(
        """
        from tests.conftest import pytest_runtest_makereport

        def pytest_configure(config):
            config.addinivalue_line("markers", "kafka: as in the project")
        """
    )
    pytester.makepyfile("import pytest\n\n@pytest.mark.kafka\ndef test_it(): pytest.skip('no broker')\n")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(**outcome)
