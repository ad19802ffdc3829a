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


def dashboard_queries(rate_interval: str) -> dict[str, str]:
    """Return every PromQL expression of the dashboards, Grafana's variables replaced, and the panel it is from.

    Args:
        rate_interval: what ``$__rate_interval`` stands for, for example ``1m``.
    """
    found = {}
    for board in dashboards().values():
        for panel in panels(board):
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", rate_interval)
                # Variables of the dashboard itself select labels: all of them.
                expression = re.sub(r"\$\w+", ".*", expression)
                legend = target["legendFormat"] if len(panel["targets"]) > 1 else ""
                found[expression] = f"{panel['title']}: {legend}" if legend else panel["title"]
    return found
