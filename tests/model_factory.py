"""Small models for tests: trained in a moment, the same every time."""

from functools import lru_cache
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.bundle import DataSource, Manifest, ModelBundle, Reference
from scorer.ensemble import Ensemble

Matrix = NDArray[np.float64]

TABLE_EDGES = 10_000.0


def make_rows(count: int = 600, seed: int = 0) -> tuple[Matrix, NDArray[np.bool_]]:
    """Return synthetic vectors of ACCESS_BEHAVIOUR_V1 and whether each is anomalous (about a third).

    Benign sessions walk a few well-known endpoints back and forth; anomalous ones touch many endpoints that hardly
    anybody else uses. Degrees are as of a table of TABLE_EDGES edges.
    """
    rng = np.random.default_rng(seed)
    anomalous = rng.random(count) < 1 / 3
    n_apis = np.where(anomalous, rng.integers(8, 60, count), rng.integers(2, 15, count)).astype(float)
    per_api = np.where(anomalous, rng.uniform(0.9, 1.3, count), rng.uniform(0.8, 2.5, count))
    edges = np.maximum(1.0, np.round(n_apis * per_api))
    popular = np.where(anomalous, rng.lognormal(4, 1, count), rng.lognormal(6, 0.7, count))
    spread = rng.uniform(0.2, 0.9, count)
    dest = popular * rng.uniform(0.7, 1.3, count)
    least, most = 1 - spread, 1 + 2 * spread
    several = edges > 1
    local_spread = np.where(several, rng.uniform(0, 3, count) * per_api, np.nan)
    columns = {
        "n_connections": edges,
        "n_apis": n_apis,
        "edges_per_api": edges / n_apis,
        "density": edges / n_apis**2,
        "std_local_dest_degrees": local_spread,
        "std_local_dest_degrees_per_edges_per_api": local_spread * n_apis / edges,
        **{f"avg_by_max_{side}_degrees": 1 / most for side in ("source", "dest")},
        **{f"min_by_avg_{side}_degrees": least for side in ("source", "dest")},
        **{f"min_by_max_{side}_degrees": least / most for side in ("source", "dest")},
        "std_by_avg_dest_degrees": np.where(several, spread, np.nan),
        **{f"{what}_source_by_{what}_dest_degrees": popular / dest for what in ("avg", "min", "max")},
        "avg_source_share": popular / TABLE_EDGES,
        "min_source_share": popular * least / TABLE_EDGES,
        "max_source_share": popular * most / TABLE_EDGES,
        "avg_dest_share": dest / TABLE_EDGES,
        "std_dest_share": np.where(several, dest * spread, np.nan) / TABLE_EDGES,
        "min_dest_share": dest * least / TABLE_EDGES,
        "max_dest_share": dest * most / TABLE_EDGES,
    }
    rows = np.column_stack([columns[name] for name in ACCESS_BEHAVIOUR_V1.names])
    rows[rng.random(count) < 0.03, ACCESS_BEHAVIOUR_V1.names.index("std_dest_share")] = np.nan
    return rows, anomalous


def fit(rows: Matrix, labels: NDArray[Any], **parameters: Any) -> HistGradientBoostingClassifier:
    """Return a fitted estimator; one thread, so that sums have one order."""
    settings = {"max_iter": 20, "max_leaf_nodes": 16, "early_stopping": False, "random_state": 0, **parameters}
    with threadpool_limits(limits=1):
        return HistGradientBoostingClassifier(**settings).fit(rows, labels)


@lru_cache(maxsize=16)
def make_bundle(
    name: str = "test",
    *,
    seed: int = 0,
    rows: int = 600,
    trees: int = 20,
    max_leaf_nodes: int = 16,
    threshold_open: float = 0.6,
    threshold_closed: float = 0.5,
    minimum_edges: int = 100,
) -> ModelBundle:
    """Train a model of synthetic sessions and return its bundle; equal arguments give the same bundle."""
    values, anomalous = make_rows(rows, seed)
    parameters = {"max_iter": trees, "max_leaf_nodes": max_leaf_nodes, "class_weight": "balanced"}
    ensemble = Ensemble.from_estimator(fit(values, anomalous, **parameters))
    manifest = Manifest(
        name=name,
        thresholds={"open": threshold_open, "closed": threshold_closed},
        minimum_edges=minimum_edges,
        metrics={},
        data=DataSource(
            name="synthetic sessions",
            sha256="0" * 64,
            licence="Apache-2.0",
            url="",
            description="Made for tests by tests/model_factory.py; no file.",
        ),
        trained_on="synthetic sessions made for tests",
        seed=seed,
        parameters=parameters,
        library_versions={"gatewatch": "0.1.0", "scikit-learn": sklearn.__version__},
    )
    return ModelBundle.assemble(manifest, ACCESS_BEHAVIOUR_V1, ensemble, Reference.of(values[~anomalous], ensemble))
