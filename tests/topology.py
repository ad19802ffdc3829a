"""The topology of docker-compose.yml as processes on this machine, for those without a Docker engine.

``python -m tests.topology --duration 60``: Kafka, the topics, two workers, the simulator and Prometheus with the
project's own rules; what Prometheus then knows is printed, and everything is stopped. Environment and commands of
gatewatch's processes are those of docker-compose.yml; addresses are replaced. Prometheus is Debian's package.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from rich.console import Console
from rich.table import Table

from tests.dashboards import dashboard_queries
from tests.kafka_broker import CHECKOUT, free_port, running_broker
from tests.programs import Program, ProgramError, find_program

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
GATEWATCH = Path(sys.executable).parent / "gatewatch"
TOKEN = "topology-token"  # noqa: S105 -- of a server on loopback that lives for a minute
SCRAPE_SECONDS = 2
RATE_INTERVAL = "1m"


@dataclass(frozen=True)
class Sample:
    """One value that Prometheus returned for a query."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Outcome:
    """What Prometheus knew at the end.

    Attributes:
        targets: health of each worker by its address, ``up`` or why not.
        queries: what each query of the dashboard returned; a list is empty where there is no such series.
        alerts: names of the alert rules that were pending or firing.
        exits: exit code of each program by name; 0 is an orderly end.
    """

    targets: dict[str, str]
    queries: dict[str, list[Sample]]
    alerts: list[str]
    exits: dict[str, int]


class Prometheus:
    """The HTTP API of a Prometheus server."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Sample]:
        """Return the series of an instant query."""
        result = self.get("query", query=expression)["result"]
        return [Sample(series["metric"], float(series["value"][1])) for series in result]


def environment(service: str, bootstrap: str, **more: str) -> dict[str, str]:
    """Return the environment of a compose service, with the addresses of this machine."""
    given = {key: str(value) for key, value in COMPOSE["services"][service]["environment"].items()}
    ours = {"GATEWATCH_KAFKA__BOOTSTRAP_SERVERS": bootstrap}
    if "GATEWATCH_MODEL__BUNDLE" in given:
        ours["GATEWATCH_MODEL__BUNDLE"] = os.environ.get("GATEWATCH_MODEL__BUNDLE", "demo")
    if "GATEWATCH_WEB__TOKEN" in given:
        ours |= {"GATEWATCH_WEB__TOKEN": TOKEN, "GATEWATCH_WEB__BIND": "127.0.0.1"}
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return inherited | given | ours | more


def prometheus_config(folder: Path, targets: Sequence[str]) -> Path:
    """Write the project's Prometheus configuration with static targets and paths of this machine."""
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"}
    config["rule_files"] = [str(CHECKOUT / "deploy/prometheus" / Path(file).name) for file in config["rule_files"]]
    (job,) = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": list(targets)}]
    (folder / "web-token").write_text(TOKEN)
    job["authorization"]["credentials_file"] = str(folder / "web-token")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


class Topology:
    """The running topology; use it as a context.

    Args:
        bootstrap: address of the Kafka to use, its topics and groups included.
        folder: for logs and data.
        rate: calls per second that the simulator writes.
        workers: how many workers share the load.
    """

    def __init__(self, bootstrap: str, folder: Path, rate: float, workers: int) -> None:
        self._bootstrap = bootstrap
        self._folder = folder
        self._rate = rate
        self._ports = [free_port() for _ in range(workers)]
        self._stack = ExitStack()
        self._programs: list[Program] = []
        self.prometheus = Prometheus(f"127.0.0.1:{free_port()}")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._topics()
            workers = [self._worker(stack, port) for port in self._ports]
            for worker, port in zip(workers, self._ports, strict=True):
                worker.wait_until(f"http://127.0.0.1:{port}/readyz")
            self._start_prometheus(stack)
            command = [str(part) for part in COMPOSE["services"]["simulator"]["command"]]
            self._start(
                stack,
                "simulator",
                [GATEWATCH, *command, "--rate", str(self._rate), "--attack-share", "0.1"],
                environment("simulator", self._bootstrap),
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack, name: str, command: Sequence[str | Path], variables: dict[str, str]) -> Program:
        program = Program(command, self._folder / f"{name}.log", variables)
        self._programs.append(program)
        return stack.enter_context(program)

    def _topics(self) -> None:
        command = [GATEWATCH, *COMPOSE["services"]["topics"]["command"]]
        with Program(command, self._folder / "topics.log", environment("topics", self._bootstrap)) as program:
            if program.process.wait(60) != 0:
                raise ProgramError(f"topics: {program.output()}")

    def _worker(self, stack: ExitStack, port: int) -> Program:
        command = [GATEWATCH, *COMPOSE["services"]["worker"].get("command", ["run"])]
        variables = environment("worker", self._bootstrap, GATEWATCH_WEB__PORT=str(port))
        return self._start(stack, f"worker-{port}", command, variables)

    def _start_prometheus(self, stack: ExitStack) -> None:
        binary = find_program("prometheus")
        if binary is None:
            raise ProgramError("prometheus is not installed: apt-get install prometheus")
        config = prometheus_config(self._folder, [f"127.0.0.1:{port}" for port in self._ports])
        address = self.prometheus._address
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder}/prometheus",
            f"--web.listen-address={address}",
        ]
        self._start(stack, "prometheus", command, {}).wait_until(f"http://{address}/-/ready")

    def calls_seen(self) -> bool:
        """Tell whether Prometheus has seen the workers' call counters rise, on each of them."""
        rates = self.prometheus.query("sum by (instance) (rate(gatewatch_calls_total[1m])) > 0")
        return len(rates) == len(self._ports)

    def outcome(self) -> Outcome:
        """Ask Prometheus, then stop the programs in the order in which a person would."""
        active = self.prometheus.get("targets")["activeTargets"]
        targets = {
            target["labels"]["instance"]: "up" if target["health"] == "up" else target["lastError"] or target["health"]
            for target in active
        }
        queries = {query: self.prometheus.query(query) for query in dashboard_queries(RATE_INTERVAL)}
        alerts = sorted({alert["labels"]["alertname"] for alert in self.prometheus.get("alerts")["alerts"]})
        exits = {program.name: program.stop() for program in reversed(self._programs)}
        return Outcome(targets, queries, alerts, exits)


def show(outcome: Outcome) -> None:
    """Print what Prometheus knew."""
    console = Console()
    table = Table("panel of the dashboard", "series", "sum", title="what Prometheus knows")
    panel = dashboard_queries(RATE_INTERVAL)
    for query, samples in outcome.queries.items():
        total = sum(sample.value for sample in samples)
        table.add_row(panel[query], str(len(samples)), "no observation" if math.isnan(total) else f"{total:.6g}")
    console.print(table)
    for title, rows in (("target", outcome.targets), ("program", outcome.exits)):
        state = Table(title, "state")
        for name, value in rows.items():
            state.add_row(name, str(value))
        console.print(state)
    console.print("alerts pending or firing:", ", ".join(outcome.alerts) or "none")


def main() -> None:
    """Run the topology for a while and print what Prometheus saw; exit code 1 when a target is down."""
    parser = argparse.ArgumentParser(prog="python -m tests.topology", description=main.__doc__)
    parser.add_argument("--duration", type=float, default=60.0, help="seconds, from the first call")
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatewatch-topology-") as folder:
        try:
            with (
                running_broker() as broker,
                Topology(broker.bootstrap, Path(folder), options.rate, options.workers) as topology,
            ):
                time.sleep(options.duration)
                outcome = topology.outcome()
        except ProgramError as error:
            sys.exit(str(error))
    show(outcome)
    sys.exit(0 if all(state == "up" for state in outcome.targets.values()) else 1)


if __name__ == "__main__":
    main()
