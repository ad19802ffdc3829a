"""Prometheus rules and Grafana dashboards: right by Prometheus' own tool, and about metrics that there are."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from stream.telemetry import METRICS, Telemetry
from tests.conftest import in_ci
from tests.dashboards import dashboard_queries, dashboards, panels
from tests.programs import find_program
from tests.topology import RATE_INTERVAL, prometheus_config

CHECKOUT = Path(__file__).parent.parent
PROMETHEUS = CHECKOUT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
RULE_TESTS: dict[str, Any] = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ALERTS = [rule for rule in RULES if "alert" in rule]
QUERIES = list(dashboard_queries(RATE_INTERVAL))
EXPRESSIONS = [rule["expr"] for rule in RULES] + QUERIES


def series() -> dict[str, dict[str, set[str]]]:
    """Return every series that a worker can expose, with its labels and, where the list is closed, their values."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    return {
        metric.name + suffix: {label.name: set(label.values) for label in metric.labels}
        | {label: set() for label in ("job", "instance", "le")}
        for metric in METRICS
        for suffix in suffixes[metric.type_name]
    }


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the series of an expression with the labels it matches."""
    for name, matchers in re.findall(r"\b(gatewatch_\w+)\b(?:\{([^}]*)\})?", re.sub(r"\w+:\w+(:\w+)?", "", expression)):
        yield name, re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', matchers)


@pytest.fixture
def promtool() -> str:
    """Prometheus' own checker."""
    found = find_program("promtool")
    if found is None:
        message = "promtool is not installed: apt-get install prometheus"
        if in_ci():
            pytest.fail(message)
        pytest.skip(message)
    return found


def run(*command: str | Path, cwd: Path = PROMETHEUS) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_valid(promtool: str, tmp_path: Path) -> None:
    run(promtool, "check", "config", "--syntax-only", "prometheus.yml")
    run(promtool, "check", "config", prometheus_config(tmp_path, ["127.0.0.1:6066"]))


def test_rules_fire_when_they_should_and_not_otherwise(promtool: str) -> None:
    run(promtool, "check", "rules", "rules.yml")
    run(promtool, "test", "rules", "rules_test.yml")


def test_dashboard_queries_are_promql(promtool: str, tmp_path: Path) -> None:
    """Promtool reads an expression as part of a rule."""
    rules = [{"record": f"dashboard:query:{number}", "expr": query} for number, query in enumerate(QUERIES)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run(promtool, "check", "rules", file)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_only_metrics_that_there_are(expression: str) -> None:
    """A metric renamed in the catalogue must be renamed here too, or a panel is empty and a rule never fires."""
    known = series()
    for name, matchers in selectors(expression):
        assert name in known
        for label, value in matchers:
            assert label in known[name]
            assert value in (known[name][label] or {value})


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_only_labels_that_there_are(expression: str) -> None:
    labels = {label for found in series().values() for label in found} | {"alertname"}
    grouped = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    assert {label.strip() for group in grouped for label in group.split(",")} <= labels


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_only_recorded_names_that_there_are(expression: str) -> None:
    assert set(re.findall(r"\w+:gatewatch\w*(?::\w+)?", expression)) <= RECORDED


def test_the_catalogue_is_what_a_worker_exposes() -> None:
    """The names above are those of the registry itself."""
    registry = CollectorRegistry()
    Telemetry(registry)
    exposed = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert {name for name in exposed if not name.endswith("_created")} <= set(series())


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_rule_says_what_to_do_and_is_tested(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith((".", ")."))
    examples = [
        example
        for test in RULE_TESTS["tests"]
        for example in test.get("alert_rule_test", [])
        if example["alertname"] == rule["alert"]
    ]
    assert any(example["exp_alerts"] for example in examples), "no example in which it fires"


@pytest.mark.parametrize("name", dashboards())
def test_panels_have_an_id_a_meaning_and_a_place_of_their_own(name: str) -> None:
    board = dashboards()[name]
    every = list(panels(board))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in every:
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        cells |= taken


@pytest.mark.parametrize("name", dashboards())
def test_panels_ask_the_provisioned_data_source(name: str) -> None:
    folder = CHECKOUT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    board = dashboards()[name]
    asked = [panel["datasource"] for panel in panels(board)]
    asked += [target["datasource"] for panel in panels(board) for target in panel["targets"]]
    asked += [variable["datasource"] for variable in board["templating"]["list"]]
    assert all(entry == {"type": source["type"], "uid": source["uid"]} for entry in asked)


def test_dashboards_lie_where_grafana_looks() -> None:
    (provider,) = yaml.safe_load((CHECKOUT / "deploy/grafana/provisioning/dashboards/gatewatch.yml").read_text())[
        "providers"
    ]
    grafana = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (str(home.parent), home.name in dashboards()) == (provider["options"]["path"], True)
