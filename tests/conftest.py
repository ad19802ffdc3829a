"""Fixtures of all tests: a real Kafka, and a look at what each test leaves behind."""

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.kafka_broker import Broker, BrokerStartError, BrokerUnavailableError, running_broker
from tests.kafka_fixture import Kafka
from tests.side_by_side import turn
from tests.start_server import StartServer

BROKER = pytest.StashKey[Broker | BrokerUnavailableError | BrokerStartError]()


def in_ci() -> bool:
    """Tell whether nobody watches this run, so that what was not tested must fail it."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Start Kafka before the first test: a download or a slow start must not count against a test's time limit."""
    wanted = any(item.get_closest_marker("kafka") for item in getattr(session, "items", []))
    with ExitStack() as stack:
        if wanted and not session.config.option.collectonly:
            try:
                session.config.stash[BROKER] = stack.enter_context(running_broker())
            except (BrokerUnavailableError, BrokerStartError) as error:
                session.config.stash[BROKER] = error
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for a turn where tests run side by side, before anything counts the test's time."""
    if not hasattr(item.config, "workerinput"):  # there is one process
        return (yield)
    factory: pytest.TempPathFactory = item.config._tmp_path_factory  # type: ignore[attr-defined] # pytest's own
    with turn(factory.getbasetemp().parent, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test of the real Kafka is a failure: green must mean that it ran."""
    report = yield
    if report.skipped and in_ci() and item.get_closest_marker("kafka"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where a test of the real Kafka has to run: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def kafka_broker(pytestconfig: pytest.Config) -> Broker:
    """The one broker of this run; for tests marked ``kafka``."""
    broker = pytestconfig.stash[BROKER]
    if isinstance(broker, BrokerUnavailableError):
        pytest.skip(str(broker))
    if isinstance(broker, BrokerStartError):
        raise broker
    return broker


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_broker: Broker) -> str:
    """Address of a real Kafka, ``host:port``."""
    return kafka_broker.bootstrap


@pytest.fixture(scope="session")
def start_server() -> Iterator[StartServer]:
    """What starts the workers of tests."""
    server = StartServer()
    yield server
    server.stop()


@pytest.fixture
def kafka(kafka_broker: Broker, start_server: StartServer) -> Iterator[Kafka]:
    """A real Kafka under a prefix of this test's own; the test may kill and restart it."""
    scope = Kafka(kafka_broker, start_server.start)
    yield scope
    scope.close()


def _children() -> set[int]:
    """Return the ids of this process's children, ended ones that nobody waited for included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has just ended
            found.update(map(int, task.read_text().split()))
    return found


@pytest.fixture(autouse=True)
def leaves_nothing_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a process: the next one would share the machine with it."""
    uses_kafka = not {"kafka", "kafka_bootstrap", "kafka_broker"}.isdisjoint(request.fixturenames)
    broker: Broker | None = request.getfixturevalue("kafka_broker") if uses_kafka else None
    if "kafka" in request.fixturenames:
        request.getfixturevalue("start_server")  # it outlives the test, so it must be there before
    threads, children = set(threading.enumerate()), _children()
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    for thread in left:
        thread.join(timeout=2)
    alive = [thread.name for thread in left if thread.is_alive()]
    processes = _children() - children - (broker.processes() if broker else set())
    assert not alive, f"the test left threads: {alive}"
    assert not processes, f"the test left processes: {processes}"
