"""docker-compose.yml is valid, pinned, closed to the network, without passwords, and says only what gatewatch knows."""

import importlib.metadata
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stream.cli import COMMANDS, load_command
from stream.settings import Settings, load_settings

CHECKOUT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((CHECKOUT / "deploy/prometheus/prometheus.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def environment(service: str, **given: str) -> dict[str, str]:
    """Return a service's environment, ``${…}`` replaced as Compose does."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        return given.get(name, default if kind == "-" else f"given-{name}")

    return {key: VARIABLE.sub(value, str(text)) for key, text in SERVICES[service].get("environment", {}).items()}


def texts(tree: object) -> Iterator[str]:
    """Yield every string in a tree of lists and mappings."""
    match tree:
        case dict():
            for item in tree.values():
                yield from texts(item)
        case list():
            for item in tree:
                yield from texts(item)
        case str():
            yield tree


def test_valid_by_the_compose_specification() -> None:
    """The specification's own JSON schema, as check-jsonschema ships it."""
    files = importlib.metadata.files("check-jsonschema") or []
    schema = next(file for file in files if file.name == "compose-spec.json")
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(COMPOSE)


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="docker compose is not installed; the schema was checked all the same",
)
def test_docker_compose_reads_it() -> None:
    done = subprocess.run(
        ["docker", "compose", "--profile", "demo", "config", "--quiet"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/usr/local/bin", "GRAFANA_ADMIN_PASSWORD": "x", "GATEWATCH_WEB__TOKEN": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """load_settings refuses a GATEWATCH_ variable that it does not know."""
    for name, value in environment(service).items():
        assert name.startswith("GATEWATCH_")
        monkeypatch.setenv(name, value)
    assert load_settings().kafka.bootstrap_servers == "kafka:19092"


@pytest.mark.parametrize("service", OURS)
def test_commands_and_their_flags_exist(service: str) -> None:
    name, *arguments = SERVICES[service].get("command", ["run"])
    assert name in COMMANDS
    command = load_command(name)
    if arguments and not arguments[0].startswith("-"):
        command = command.commands[arguments.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= known


def test_two_workers_share_the_load() -> None:
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


def test_the_simulator_runs_in_the_profile_demo_only() -> None:
    assert {name: service.get("profiles") for name, service in SERVICES.items() if "profiles" in service} == {
        "simulator": ["demo"]
    }


def test_a_stopped_worker_has_time_to_commit() -> None:
    seconds = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings().delivery.shutdown_timeout_s


@pytest.mark.parametrize("service", sorted(set(SERVICES) - set(OURS)))
def test_images_are_pinned_to_a_release(service: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[service]["image"])


def test_published_ports_are_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", [name for name, service in SERVICES.items() if "ports" in service])
def test_who_publishes_a_port_is_on_a_network_that_allows_it(service: str) -> None:
    assert any(not (COMPOSE["networks"][name] or {}).get("internal") for name in SERVICES[service]["networks"])


@pytest.mark.parametrize("service", [name for name, service in SERVICES.items() if "secrets" in service])
def test_who_gets_a_secret_can_be_given_it(service: str) -> None:
    """Docker copies a secret that comes from a variable into the container, which must not be read-only."""
    assert not SERVICES[service].get("read_only")


def test_secrets_have_no_default() -> None:
    """Compose stops with the message when one is not given."""
    interpolations = [match.groups() for text in texts(COMPOSE) for match in VARIABLE.finditer(text)]
    secret = [(name, kind) for name, kind, _ in interpolations if re.search("PASSWORD|TOKEN|SECRET|KEY", name)]
    assert {name for name, _ in secret} == {"GRAFANA_ADMIN_PASSWORD", "GATEWATCH_WEB__TOKEN"}
    assert {kind for _, kind in secret} == {"?"}
    literal = {
        key: value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|TOKEN|SECRET", key) and not str(value).startswith("${")
    }
    assert literal == {}


@pytest.mark.parametrize("service", SERVICES)
def test_whoever_is_waited_for_can_be_healthy(service: str) -> None:
    for other, wait in SERVICES[service].get("depends_on", {}).items():
        match wait["condition"]:
            case "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]
            case "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no"
            case unknown:
                pytest.fail(f"{service} waits for {other} to be {unknown}")


@pytest.mark.parametrize("service", SERVICES)
def test_volumes_are_named_or_files_of_the_project(service: str) -> None:
    for volume in SERVICES[service].get("volumes", []):
        source, *_, last = volume.split(":")
        if source.startswith("."):
            assert (CHECKOUT / source).exists(), volume
            assert last == "ro"
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("service", OURS)
def test_gatewatch_runs_without_privileges_and_reaches_kafka_only(service: str) -> None:
    ours = SERVICES[service]
    assert (ours["read_only"], ours["cap_drop"], ours["networks"]) == (True, ["ALL"], ["internal"])
    assert "ports" not in ours
    assert COMPOSE["networks"]["internal"] == {"internal": True}


def test_prometheus_scrapes_every_worker_with_the_token() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert discovery["names"] == ["worker"]
    assert discovery["port"] == Settings().web.port
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"] == {"type": "Bearer", "credentials_file": f"/run/secrets/{secret}"}
    assert COMPOSE["secrets"][secret] == {"environment": "GATEWATCH_WEB__TOKEN"}
    mounted = {volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]}
    assert set(PROMETHEUS["rule_files"]) <= mounted
