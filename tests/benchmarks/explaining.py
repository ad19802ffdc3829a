"""What one explanation costs: ``python -m tests.benchmarks.explaining [--json]``.

The shipped bundles, and a larger model, explain vectors that alert. Beside each figure stands how many scorings of one
row take as long, by the same model in the same round: a machine that is slow or busy slows both. Times are processor
time of this process, microseconds: the median of many rounds, and the least, which others disturbed least.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from featurizer.features import GATEWAY_V1, FeatureVector
from scorer.alerts import message_of
from scorer.explanation import Explainer, contributions
from scorer.judge import Judge
from stream.bundles import read_bundle, shipped_bundles
from tests.alerting import VECTOR
from tests.benchmarks.scoring import model_of

_CALLS = 50
"""Calls timed together: the clock's own cost does not count then."""


class Measurement(msgspec.Struct):
    """One line of the report; times in microseconds a call.

    Attributes:
        model: name, and trees x greatest number of leaves.
        task: what was timed.
        median_us: median.
        least_us: least.
        scorings: scorings of one row that take as long; median of the rounds.
    """

    model: str
    task: str
    median_us: float
    least_us: float
    scorings: float


def timed(calls: Sequence[Callable[[], object]], seconds: float) -> NDArray[np.float64]:
    """Return the calls' processor times, microseconds, shape (rounds, calls); they take turns for about so long."""
    for call in calls:
        call()
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        costs: list[float] = []
        for call in calls:
            start = time.process_time_ns()
            for _ in range(_CALLS):
                call()
            costs.append((time.process_time_ns() - start) / _CALLS / 1e3)
        rounds.append(costs)
    return np.array(rounds)


def alerting_vector(judge: Judge) -> FeatureVector:
    """Return a vector that alerts: the benign values at their medians but for those that raise the score most.

    One value after another goes to whichever of its feature's quantiles scores highest, until the threshold is reached.
    """
    quantiles = judge.bundle.reference.quantiles
    values = quantiles[:, quantiles.shape[1] // 2].copy()
    while True:
        vector = msgspec.structs.replace(
            VECTOR, schema=judge.schema.fingerprint, values=tuple(values.tolist()), total_edges=10**9
        )
        if judge.verdicts([vector])[0].anomalous:
            return vector
        changed = [(feature, value) for feature in range(len(values)) for value in quantiles[feature]]
        rows = np.tile(values, (len(changed), 1))
        for row, (feature, value) in zip(rows, changed, strict=True):
            row[feature] = value
        best = rows[judge.bundle.score(rows).argmax()]
        if np.array_equal(best, values):
            raise SystemExit(f"no vector of usual values alerts with {judge.bundle.uid}")
        values = best


def measure(name: str, judge: Judge, *, seconds: float) -> list[Measurement]:
    """Measure one model."""
    vector, ensemble = alerting_vector(judge), judge.bundle.ensemble
    (verdict,) = judge.verdicts([vector])
    row = np.array([vector.values])
    numbers, plain = ensemble.intervals.numbers(row[0]), Explainer(ensemble, table_bytes=0)
    tasks: list[tuple[str, Callable[[], object]]] = [
        ("score 1 row", lambda: ensemble.probabilities(row)),
        ("TreeSHAP", lambda: contributions(ensemble, row)),
        ("TreeSHAP without tables", lambda: plain.add(np.zeros(row.shape[1]), numbers)),
        ("all of an alert's reasons", lambda: message_of(vector, verdict, judge.explain(vector, verdict))),
    ]
    costs = timed([call for _, call in tasks], seconds)
    sizes = np.bincount(ensemble.trees.tree_of[ensemble.trees.leaves])
    model = f"{name}, {ensemble.trees.count} x {sizes.max()}"
    columns = zip(np.median(costs, axis=0), costs.min(axis=0), np.median(costs / costs[:, :1], axis=0), strict=True)
    return [
        Measurement(model, task, float(median), float(least), float(scorings))
        for (task, _), (median, least, scorings) in zip(tasks, columns, strict=True)
    ]


def main() -> None:
    """Print the measurements as a table, or as JSON."""
    parser = argparse.ArgumentParser(description="One explanation beside scoring one row.")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--seconds", type=float, default=5.0, help="time spent on each model")
    options = parser.parse_args()
    bundles = {name: read_bundle(name, GATEWAY_V1) for name in shipped_bundles()}
    bundles["synthetic"] = model_of(200, 16, 9)[1]
    judges = {name: Judge(bundle) for name, bundle in bundles.items()}
    lines = [line for name, judge in judges.items() for line in measure(name, judge, seconds=options.seconds)]
    console = Console()
    if options.json:
        report: list[dict[str, Any]] = msgspec.to_builtins(lines)
        console.print_json(data=report)
        return
    table = Table(title="Explanations, microseconds of processor time a call")
    for column in ("model", "task", "median", "least", "scorings"):
        table.add_column(column, justify="left" if column in {"model", "task"} else "right", no_wrap=True)
    for line in lines:
        table.add_row(line.model, line.task, f"{line.median_us:,.1f}", f"{line.least_us:,.1f}", f"{line.scorings:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
