"""Scoring against scikit-learn: ``python -m tests.benchmarks.scoring [--json]``.

Both score the same rows with the same model in one thread; the raw scores are compared before anything is timed.
Times are medians of many calls, in microseconds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.bundle import ModelBundle, Reference
from scorer.ensemble import Ensemble
from scorer.explanation import contributions
from tests.model_factory import fit, make_bundle, make_rows

SHAPES = ((60, 16, 9), (250, 64, None))
"""Models measured, trees x leaves and greatest depth: the recipe's, and one as large as is sensible."""


class Measurement(msgspec.Struct):
    """One line of the report; times in microseconds a call."""

    model: str
    task: str
    gatewatch_us: float
    gatewatch_p99_us: float
    sklearn_us: float | None = None
    sklearn_p99_us: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times faster than scikit-learn."""
        return None if self.sklearn_us is None else self.sklearn_us / self.gatewatch_us


def timed(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return median and 99th percentile of a call's time, microseconds, over about so many seconds."""
    call()
    times: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e3, float(np.percentile(times, 99)) / 1e3


def model_of(trees: int, leaves: int, depth: int | None) -> tuple[HistGradientBoostingClassifier, ModelBundle]:
    """Train one model, in both forms."""
    rows, anomalous = make_rows(2000)
    anomalous ^= np.random.default_rng(7).random(len(rows)) < 0.1  # noise keeps trees growing to their full size
    shape = {"max_iter": trees, "max_leaf_nodes": leaves, "max_depth": depth}
    estimator = fit(rows, anomalous, **shape, min_samples_leaf=5, l2_regularization=0.55, class_weight="balanced")
    ensemble = Ensemble.from_estimator(estimator)
    manifest = make_bundle().manifest
    reference = Reference.of(rows[~anomalous], ensemble)
    return estimator, ModelBundle.assemble(manifest, ACCESS_BEHAVIOUR_V1, ensemble, reference)


def measure(trees: int, leaves: int, depth: int | None, *, seconds: float) -> list[Measurement]:
    """Measure one model; fails when the scores are not scikit-learn's bits."""
    estimator, bundle = model_of(trees, leaves, depth)
    ensemble, name = bundle.ensemble, f"{trees} x {leaves}"
    rows, _ = make_rows(1000, seed=1)
    one = rows[:1]
    if not np.array_equal(ensemble.raw(rows), estimator._raw_predict(rows)[:, 0]):
        raise SystemExit("raw scores differ from scikit-learn")
    files = bundle.to_files()
    pairs: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("score 1 row", lambda: ensemble.probabilities(one), lambda: estimator.predict_proba(one)),
        ("score 1,000 rows", lambda: ensemble.probabilities(rows), lambda: estimator.predict_proba(rows)),
        ("explain 1 row", lambda: contributions(ensemble, one), None),
        ("load the bundle", lambda: ModelBundle.from_files(files, ACCESS_BEHAVIOUR_V1), None),
    ]
    lines = []
    for task, ours, theirs in pairs:
        found = timed(ours, seconds)
        other = timed(theirs, seconds) if theirs else (None, None)
        lines.append(Measurement(name, task, *found, *other))
    return lines


def main() -> None:
    """Print the measurements as a table, or as JSON."""
    parser = argparse.ArgumentParser(description="Scoring against scikit-learn, one thread.")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each measurement")
    options = parser.parse_args()
    with threadpool_limits(limits=1):
        lines = [line for shape in SHAPES for line in measure(*shape, seconds=options.seconds)]
    console = Console()
    if options.json:
        report: list[dict[str, Any]] = [{**msgspec.to_builtins(line), "ratio": line.ratio} for line in lines]
        console.print_json(data=report)
        return
    table = Table(title="Scoring, microseconds a call: median (p99)")
    for column in ("model", "task", "gatewatch", "scikit-learn", "times faster"):
        table.add_column(column, justify="left" if column in {"model", "task"} else "right", no_wrap=True)
    for line in lines:
        theirs = "" if line.sklearn_us is None else f"{line.sklearn_us:,.1f} ({line.sklearn_p99_us:,.1f})"
        ratio = "" if line.ratio is None else f"{line.ratio:.1f}"
        ours = f"{line.gatewatch_us:,.1f} ({line.gatewatch_p99_us:,.1f})"
        table.add_row(line.model, line.task, ours, theirs, ratio)
    console.print(table)


if __name__ == "__main__":
    main()
