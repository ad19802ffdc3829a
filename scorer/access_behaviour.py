"""The public access-behaviour table: read, cleaned of its defects, and mapped to our features.

The table and its known defects are described in ``scorer/data/README.md``.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from featurizer.features import ACCESS_BEHAVIOUR_V1, MISSING, Matrix
from scorer.examples import Examples, groups_of

OUR_COLUMNS: Mapping[str, str | None] = {
    "n_connections": "n_connections",
    # The table's source is the destination and the other way round: it was derived with from and to swapped.
    "avg_global_source_degrees": "avg_global_dest_degrees",
    "min_global_source_degrees": "min_global_dest_degrees",
    "max_global_source_degrees": "max_global_dest_degrees",
    "avg_global_dest_degrees": "avg_global_source_degrees",
    "min_global_dest_degrees": "min_global_source_degrees",
    "max_global_dest_degrees": "max_global_source_degrees",
    # The table has these two for destinations only (under its swapped names): the numbers are not in it.
    "std_global_source_degrees": None,
    "std_local_source_degrees": None,
    "n_apis": "num_unique_apis",
    "edges_per_api": None,  # derived: n_connections / n_apis
}
"""Our feature -> the table's column that holds its value, by true edge direction; None where none does."""

NINE_COLUMNS = (
    "std_local_source_degrees",
    "avg_global_source_degrees",
    "max_global_dest_degrees",
    "max_global_source_degrees",
    "std_global_source_degrees",
    "min_global_source_degrees",
    "avg_global_dest_degrees",
    "n_connections",
    "min_global_dest_degrees",
)
"""The features of the project that derived the table, under its own names: for comparison with its results only."""

_NUMBERS = (*NINE_COLUMNS, "num_unique_apis")


class Rows(StrEnum):
    """Which rows of the table."""

    DEFAULT = "default"
    """Without ``datacenter`` rows, which are outliers by rule and not by what they did."""
    ALL = "all"


@dataclass(frozen=True, eq=False)
class Table:
    """The table, column by column; all arrays have one entry a row.

    Attributes:
        ids: ``_id`` of each row.
        datacenter: the row's ``ip_type`` is ``datacenter``.
        anomalous: the label.
        columns: numbers by the table's own column names; NaN where empty.
    """

    ids: tuple[str, ...]
    datacenter: NDArray[np.bool_]
    anomalous: NDArray[np.bool_]
    columns: Mapping[str, NDArray[np.float64]]

    @property
    def reference_edges(self) -> float:
        """Edges the table's global degrees were counted over: those of every session, whichever rows are used."""
        return float(self.columns["n_connections"].sum())

    def select(self, rows: Rows) -> "Table":
        """Return the table with only these rows."""
        return self if rows is Rows.ALL else self._take(np.flatnonzero(~self.datacenter))

    def features(self) -> Matrix:
        """Return the features of ACCESS_BEHAVIOUR_V1 by true edge direction, shape (n, 11); NaN where missing."""
        matrix = np.full((len(self.ids), len(ACCESS_BEHAVIOUR_V1.features)), MISSING)
        for position, name in enumerate(ACCESS_BEHAVIOUR_V1.names):
            column = OUR_COLUMNS[name]
            if column is not None:
                matrix[:, position] = self.columns[column]
        matrix[:, ACCESS_BEHAVIOUR_V1.names.index("edges_per_api")] = self._edges_per_api()
        return matrix

    def examples(self) -> Examples:
        """Return what a model of ours trains on."""
        return self._examples(self.features())

    def nine(self) -> Examples:
        """Return the deriving project's nine features as it named them."""
        return self._examples(np.column_stack([self.columns[name] for name in NINE_COLUMNS]))

    def eleven_as_named(self) -> Examples:
        """Return those nine with the two that the graphs also give: n_apis and edges_per_api."""
        nine = [self.columns[name] for name in NINE_COLUMNS]
        return self._examples(np.column_stack([*nine, self.columns["num_unique_apis"], self._edges_per_api()]))

    def without_copies(self) -> "Table":
        """Return the table with one row an ``_id``; edges that were counted once a copy are counted once."""
        copies = Counter(self.ids)
        first = dict(zip(reversed(self.ids), reversed(range(len(self.ids))), strict=True))
        table = self._take(np.sort(np.array(list(first.values()))))
        times = np.array([copies[name] for name in table.ids], dtype=np.float64)
        corrected = {**table.columns, "n_connections": table.columns["n_connections"] / times}
        return Table(table.ids, table.datacenter, table.anomalous, corrected)

    def _examples(self, features: Matrix) -> Examples:
        return Examples(features, self.anomalous, groups_of(features), np.ones(len(features)))

    def _edges_per_api(self) -> NDArray[np.float64]:
        per_api: NDArray[np.float64] = self.columns["n_connections"] / self.columns["num_unique_apis"]
        return per_api

    def _take(self, rows: NDArray[np.intp]) -> "Table":
        return Table(
            tuple(self.ids[row] for row in rows),
            self.datacenter[rows],
            self.anomalous[rows],
            {name: column[rows] for name, column in self.columns.items()},
        )


def read_table(data: bytes) -> Table:
    """Return the table as it is, repeated rows included.

    Args:
        data: content of ``scorer/data/access_behaviour.csv``.

    Raises:
        ValueError: a column is missing, or a row holds no number or label where one belongs.
    """
    reader = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    missing = {"_id", "ip_type", "is_anomaly", *_NUMBERS} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(f"the table lacks the columns {', '.join(sorted(missing))}")
    rows = list(reader)
    return Table(
        tuple(row["_id"] for row in rows),
        np.array([row["ip_type"] == "datacenter" for row in rows]),
        _labels(row["is_anomaly"] for row in rows),
        {name: np.array([float(row[name] or MISSING) for row in rows]) for name in _NUMBERS},
    )


def _labels(texts: Iterable[str]) -> NDArray[np.bool_]:
    labels = list(texts)
    if unknown := set(labels) - {"0", "1"}:
        raise ValueError(f"is_anomaly is {min(unknown)!r}, expected 0 or 1")
    return np.array([label == "1" for label in labels])
