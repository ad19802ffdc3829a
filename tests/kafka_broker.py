"""A real Apache Kafka for tests and for development.

In this order: the cluster named by ``KAFKA_BOOTSTRAP``; a container, where a Docker engine answers; one node run
from the jars that Maven Central publishes, where there are a JDK and Maven (or the jars of an earlier run).

``python -m tests.kafka_broker`` runs one in the foreground and prints its address.
"""

import argparse
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

KAFKA_VERSION = "4.1.1"
CHECKOUT = Path(__file__).parent.parent
POM = CHECKOUT / "tests/kafka/pom.xml"
_HASTY = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Most of what a broker of tests takes of a machine is its own compilation: 21 s of processor time instead of 40 for a
start and 150 transactions (measured)."""
LAUNCHER = CHECKOUT / "tests/kafka/Broker.java"
_PORTS = random.SystemRandom()
"""Not Python's own: processes that run tests side by side all give that the same seed."""
_CLAIMS: deque[int] = deque()
"""Locked files that stand for the ports this process was given last; the system lets go of them at its end."""
_MOST_CLAIMS = 100
"""A process may have 1,024 files open, and a run of the tests asks for hundreds of ports."""
CLUSTER_ID = "Z2F0ZXdhdGNoLXRlc3QtMQ"  # base64 of 16 bytes, as Kafka wants it
START_SECONDS = 120.0
INSTALL_HINT = (
    "no Kafka for the tests: install a JDK and Maven (apt-get install openjdk-17-jdk-headless maven), "
    "or start a Docker engine, or set KAFKA_BOOTSTRAP to a broker of yours"
)


class BrokerUnavailableError(Exception):
    """No Kafka can be had on this machine; the message says what to install."""


class BrokerStartError(Exception):
    """A Kafka was there to be started and did not become ready; the message ends with its log."""


class Broker(Protocol):
    """A Kafka cluster that tests may use, and, where it is theirs, may break.

    Attributes:
        bootstrap: address of the cluster, ``host:port``.
    """

    bootstrap: str

    def kill(self) -> None:
        """End the broker at once, as a power cut would; its data stays."""

    def restart(self) -> None:
        """Start the broker again on its data and at its address; returns when it answers."""

    def alive(self) -> bool:
        """Tell whether the broker runs."""

    def processes(self) -> set[int]:
        """Return the ids of the processes that this one started for the broker."""

    def stop(self) -> None:
        """End the broker and remove its data."""


class GivenBroker:
    """The cluster of ``KAFKA_BOOTSTRAP``: used, never broken."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def kill(self) -> None:
        raise BrokerUnavailableError("this test ends its broker: run it without KAFKA_BOOTSTRAP")

    def restart(self) -> None:
        raise BrokerUnavailableError("this test ends its broker: run it without KAFKA_BOOTSTRAP")

    def alive(self) -> bool:
        return True

    def processes(self) -> set[int]:
        return set()

    def stop(self) -> None:
        pass


class JarBroker:
    """One node from Maven's jars, on 127.0.0.1, its data in a temporary folder.

    With ``lasting`` it is compiled for a long life, as a benchmark wants it.

    The Java process reads its standard input, a pipe from this process: it ends when this process does, even by
    SIGKILL. It is ended by its own handle.
    """

    def __init__(self, jars: Path, port: int | None = None, *, lasting: bool = False) -> None:
        self._jars = jars
        self._options = () if lasting else _HASTY
        self._folder = Path(tempfile.mkdtemp(prefix="gatewatch-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        port = port or free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        properties = node_properties(port, free_port(), self._folder / "data")
        (self._folder / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        self.restart()

    def restart(self) -> None:
        self.kill()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "java",
                    "-Xmx512m",
                    *self._options,
                    "-cp",
                    f"{self._jars}:{self._jars}/*",
                    LAUNCHER.stem,
                    str(self._folder / "server.properties"),
                    CLUSTER_ID,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the tests first, which may still need their broker to end well.
                start_new_session=True,
            )
        try:
            wait_until_ready(self.bootstrap, self.alive)
        except BrokerStartError as error:
            log_end = (self._folder / "log").read_text(errors="replace")[-4000:]
            self.stop()
            raise BrokerStartError(f"{error}; its log ends:\n{log_end}") from None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def processes(self) -> set[int]:
        return set() if self._process is None else {self._process.pid}

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class ContainerBroker:
    """One node of the official image, published at a fixed port of 127.0.0.1 so that a restart keeps its address."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 -- slow, and asks for an engine

        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        properties = node_properties(9092, 9093, Path("/tmp/kraft-data"))  # noqa: S108 -- inside the container
        properties["listeners"] = "BROKER://:9092,CONTROLLER://:9093"
        properties["advertised.listeners"] = f"BROKER://{self.bootstrap}"
        environment = {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in properties.items()}
        self._container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_envs(**environment)
        published: dict[str, Any] = self._container.ports
        published["9092/tcp"] = ("127.0.0.1", port)  # with_bind_ports would publish to every interface
        self._container.start()
        self._wait()

    def _wait(self) -> None:
        try:
            wait_until_ready(self.bootstrap, self.alive)
        except BrokerStartError as error:
            log_end = b"\n".join(self._container.get_logs()).decode(errors="replace")[-4000:]
            self.stop()
            raise BrokerStartError(f"{error}; its log ends:\n{log_end}") from None

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        container = self._container.get_wrapped_container()
        if self.alive():
            container.kill()
        container.start()
        self._wait()

    def alive(self) -> bool:
        container = self._container.get_wrapped_container()
        container.reload()
        return bool(container.status == "running")

    def processes(self) -> set[int]:
        return set()

    def stop(self) -> None:
        self._container.stop()


def node_properties(port: int, controller_port: int, data: Path) -> dict[str, str]:
    """Return the ``server.properties`` of a node that is broker and controller, for one user and small data."""
    replicated_once = {f"{topic}.replication.factor": "1" for topic in ("offsets.topic", "transaction.state.log")}
    return replicated_once | {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"BROKER://127.0.0.1:{port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "log.dirs": str(data),
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # Workers that are missed, and transactions that nobody ends, must not take long to notice.
        "group.min.session.timeout.ms": "1000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        "log.segment.delete.delay.ms": "1000",
        # A topic that a test forgot to make is a failure there, as it is in production.
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
        # After a crash the controller refuses a broker for as long as it believes in the one before.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": str(8 << 20),
    }


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at, below the range that outgoing connections take theirs from.

    From inside that range a client that retries a dead broker's port can be given the same port as its own and
    connect to itself; the broker could not come back.

    No other caller is given it soon, though a server there may be down for a while: two trials side by side once waited
    for each other's.
    """
    folder = Path(tempfile.gettempdir()) / "gatewatch-test-ports"
    folder.mkdir(exist_ok=True)
    while True:
        port = _PORTS.randint(15_000, 32_000)
        claim = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        with socket.socket() as probe:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                probe.bind(("127.0.0.1", port))
            except OSError:
                os.close(claim)
                continue
        _CLAIMS.append(claim)
        if len(_CLAIMS) > _MOST_CLAIMS:
            os.close(_CLAIMS.popleft())
        return port


def wait_until_ready(bootstrap: str, alive: Callable[[], bool]) -> None:
    """Return when the cluster names its brokers to an admin client.

    Raises:
        BrokerStartError: it ended, or has not answered within ``START_SECONDS``.
    """
    host, port = bootstrap.rsplit(":", 1)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not alive():
            raise BrokerStartError("the broker ended while starting")
        try:
            # A plain connection first: librdkafka writes each refused one to standard error.
            socket.create_connection((host, int(port)), timeout=1).close()
            if AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=2).brokers:
                return
        except (OSError, KafkaException):
            pass
        time.sleep(0.1)
    raise BrokerStartError(f"the broker did not answer within {START_SECONDS:.0f} s")


def docker_answers() -> bool:
    """Tell whether a Docker engine accepts connections here."""
    host = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    family, address = (socket.AF_UNIX, host.path) if host.scheme == "unix" else (socket.AF_INET, _address(host))
    with socket.socket(family) as engine:
        engine.settimeout(5)
        try:
            engine.connect(address)
        except OSError:
            return False
    return True


def _address(host: SplitResult) -> tuple[str, int]:
    return host.hostname or "127.0.0.1", host.port or 2375


def kafka_jars() -> Path:
    """Return the folder of the broker's jars, brought from Maven Central the first time.

    Raises:
        BrokerUnavailableError: there is no JDK, or the jars are not here and Maven is not either, or it failed.
    """
    origin = zlib.crc32(POM.read_bytes() + LAUNCHER.read_bytes())
    folder = CHECKOUT / f".cache/kafka-libs/{KAFKA_VERSION}-{origin:08x}"
    if shutil.which("java") is None or shutil.which("javac") is None:
        raise BrokerUnavailableError(INSTALL_HINT)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several runs may start at once, and Maven's own store is for one at a time
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
                libs = Path(unfinished) / "libs"
                _fill(libs)
                libs.rename(folder)  # at once, or not at all
    return folder


def _fill(libs: Path) -> None:
    """Bring the jars to a folder, and compile the launcher beside them: to do so at each start takes as long as Kafka.

    Raises:
        BrokerUnavailableError: Maven is not here, or one of the two failed.
    """
    if shutil.which("mvn") is None:
        raise BrokerUnavailableError(INSTALL_HINT)
    copying = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    for command, failure in (
        ([*copying, f"-DoutputDirectory={libs}"], "Maven could not bring Kafka's jars"),
        (["javac", "-cp", f"{libs}/*", "-d", str(libs), str(LAUNCHER)], "the broker's launcher does not compile"),
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise BrokerUnavailableError(f"{failure}:\n{done.stdout.decode(errors='replace')[-2000:]}")


def broker_starter(*, lasting: bool = False) -> Callable[[], Broker]:
    """Return what starts the broker of this machine, everything it needs downloaded; ``lasting`` as for JarBroker.

    Raises:
        BrokerUnavailableError: none can be had.
    """
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        return lambda: GivenBroker(given)
    if docker_answers():
        return ContainerBroker
    jars = kafka_jars()
    return lambda: JarBroker(jars, lasting=lasting)


@contextmanager
def running_broker(*, lasting: bool = False) -> Iterator[Broker]:
    """Run the broker of this machine for the time of a ``with`` block; ``lasting`` as for JarBroker."""
    broker = broker_starter(lasting=lasting)()
    try:
        yield broker
    finally:
        broker.stop()


def main() -> None:
    """Run one broker in the foreground until SIGINT or SIGTERM; its address is the first line of the output."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka_broker", description=main.__doc__)
    parser.add_argument("--port", type=int, help="port of 127.0.0.1; any free one when left out")
    port: int | None = parser.parse_args().port
    ends = {signal.SIGINT, signal.SIGTERM}
    try:
        broker = JarBroker(kafka_jars(), port, lasting=True)
    except (BrokerUnavailableError, BrokerStartError) as error:
        sys.exit(f"kafka_broker: {error}")
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        sys.stdout.write(f"{broker.bootstrap}\n")
        sys.stdout.flush()
        signal.sigwait(ends)
    finally:
        broker.stop()


if __name__ == "__main__":
    main()
