"""What the Grafana dashboards ask Prometheus, for the tests that check or run their queries."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent.parent / "deploy/grafana/dashboards"


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel that shows data; rows may hold panels of their own."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels({"panels": panel.get("panels", [])})
        else:
            yield panel


def dashboard_queries(rate_interval: str) -> list[str]:
    """Return every PromQL expression of the dashboards, Grafana's variables replaced.

    Args:
        rate_interval: what ``$__rate_interval`` stands for, for example ``1m``.
    """
    expressions = [
        target["expr"] for board in dashboards().values() for panel in panels(board) for target in panel["targets"]
    ]
    variables = {"$__rate_interval": rate_interval, "$__interval": rate_interval, "$__range": rate_interval}
    for name, value in variables.items():
        expressions = [expression.replace(name, value) for expression in expressions]
    # Variables of the dashboard itself select labels: all of them.
    return [re.sub(r"\$\w+", ".*", expression) for expression in expressions]
