"""Fixtures of all tests: a real Kafka, and a look at what each test leaves behind."""

import os
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.kafka_broker import Broker, BrokerUnavailableError, broker_starter
from tests.kafka_fixture import Kafka


def in_ci() -> bool:
    """Tell whether nobody watches this run, so that what was not tested must fail it."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Bring Kafka's jars before the first test starts: a download must not count against its time limit."""
    if session.config.option.collectonly:
        return
    if any(item.get_closest_marker("kafka") for item in session.items):
        try:
            broker_starter()
        except BrokerUnavailableError:
            return  # the fixture says so, once there is a test to say it of


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test of the real Kafka is a failure: green must mean that it ran."""
    report = yield
    if report.skipped and in_ci() and item.get_closest_marker("kafka"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where a test of the real Kafka has to run: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Broker]:
    """The one broker of this run."""
    try:
        broker = broker_starter()()
    except BrokerUnavailableError as error:
        pytest.skip(str(error))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_broker: Broker) -> str:
    """Address of a real Kafka, ``host:port``."""
    return kafka_broker.bootstrap


@pytest.fixture
def kafka(kafka_broker: Broker) -> Iterator[Kafka]:
    """A real Kafka under a prefix of this test's own; the test may kill and restart it."""
    scope = Kafka(kafka_broker)
    yield scope
    scope.close()


def _children() -> set[int]:
    """Return the ids of this process's children, ended ones that nobody waited for included."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return set()
    return {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()}


@pytest.fixture(autouse=True)
def leaves_nothing_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a process: the next one would share the machine with it."""
    uses_kafka = not {"kafka", "kafka_bootstrap", "kafka_broker"}.isdisjoint(request.fixturenames)
    broker: Broker | None = request.getfixturevalue("kafka_broker") if uses_kafka else None
    threads, children = set(threading.enumerate()), _children()
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    for thread in left:
        thread.join(timeout=2)
    alive = [thread.name for thread in left if thread.is_alive()]
    processes = _children() - children - (broker.processes() if broker else set())
    assert not alive, f"the test left threads: {alive}"
    assert not processes, f"the test left processes: {processes}"
