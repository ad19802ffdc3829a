"""The public access-behaviour table: read, cleaned of its defects, and mapped to our features.

The table and its known defects are described in ``scorer/data/README.md``.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from featurizer.features import ACCESS_BEHAVIOUR_V1, MISSING, Matrix
from scorer.examples import Examples, groups_of

ALL_EDGES = "edges of all rows"
"""Stands for the sum of ``n_connections`` over the whole table, whichever rows are used: degrees were counted so."""

_E, _N = "n_connections", "num_unique_apis"
# The table's source is the destination and the other way round: it was derived with from and to swapped.
_AVG_SOURCE, _MIN_SOURCE, _MAX_SOURCE = (f"{what}_global_dest_degrees" for what in ("avg", "min", "max"))
_AVG_DEST, _STD_DEST, _MIN_DEST, _MAX_DEST = (f"{what}_global_source_degrees" for what in ("avg", "std", "min", "max"))
_STD_LOCAL_DEST = "std_local_source_degrees"

OUR_COLUMNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "n_connections": ((_E,), ()),
    "n_apis": ((_N,), ()),
    "edges_per_api": ((_E,), (_N,)),
    "density": ((_E,), (_N, _N)),
    "std_local_dest_degrees": ((_STD_LOCAL_DEST,), ()),
    "std_local_dest_degrees_per_edges_per_api": ((_STD_LOCAL_DEST, _N), (_E,)),
    "avg_by_max_source_degrees": ((_AVG_SOURCE,), (_MAX_SOURCE,)),
    "min_by_avg_source_degrees": ((_MIN_SOURCE,), (_AVG_SOURCE,)),
    "min_by_max_source_degrees": ((_MIN_SOURCE,), (_MAX_SOURCE,)),
    "avg_by_max_dest_degrees": ((_AVG_DEST,), (_MAX_DEST,)),
    "min_by_avg_dest_degrees": ((_MIN_DEST,), (_AVG_DEST,)),
    "min_by_max_dest_degrees": ((_MIN_DEST,), (_MAX_DEST,)),
    "std_by_avg_dest_degrees": ((_STD_DEST,), (_AVG_DEST,)),
    "avg_source_by_avg_dest_degrees": ((_AVG_SOURCE,), (_AVG_DEST,)),
    "max_source_by_max_dest_degrees": ((_MAX_SOURCE,), (_MAX_DEST,)),
    "min_source_by_min_dest_degrees": ((_MIN_SOURCE,), (_MIN_DEST,)),
    "avg_source_share": ((_AVG_SOURCE,), (ALL_EDGES,)),
    "min_source_share": ((_MIN_SOURCE,), (ALL_EDGES,)),
    "max_source_share": ((_MAX_SOURCE,), (ALL_EDGES,)),
    "avg_dest_share": ((_AVG_DEST,), (ALL_EDGES,)),
    "std_dest_share": ((_STD_DEST,), (ALL_EDGES,)),
    "min_dest_share": ((_MIN_DEST,), (ALL_EDGES,)),
    "max_dest_share": ((_MAX_DEST,), (ALL_EDGES,)),
}
"""Our feature, by true edge direction -> the table's columns to multiply, and those to divide by."""

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

_NUMBERS = (*NINE_COLUMNS, _N)


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
        total_edges: edges that the global degrees were counted over: those of every row, whichever are selected.
    """

    ids: tuple[str, ...]
    datacenter: NDArray[np.bool_]
    anomalous: NDArray[np.bool_]
    columns: Mapping[str, NDArray[np.float64]]
    total_edges: float

    def select(self, rows: Rows) -> "Table":
        """Return the table with only these rows."""
        return self if rows is Rows.ALL else self._take(np.flatnonzero(~self.datacenter))

    def features(self) -> Matrix:
        """Return the features of ACCESS_BEHAVIOUR_V1, shape (n, 23); NaN where a column is empty or a divisor 0."""
        return np.column_stack([self._quotient(*OUR_COLUMNS[name]) for name in ACCESS_BEHAVIOUR_V1.names])

    def examples(self) -> Examples:
        """Return what a model of ours trains on."""
        return self._examples(self.features())

    def nine(self) -> Examples:
        """Return the deriving project's nine features as it named them."""
        return self._examples(np.column_stack([self.columns[name] for name in NINE_COLUMNS]))

    def eleven_as_named(self) -> Examples:
        """Return those nine with the two that the graphs also give: n_apis and edges_per_api."""
        nine = [self.columns[name] for name in NINE_COLUMNS]
        return self._examples(np.column_stack([*nine, self.columns[_N], self._quotient((_E,), (_N,))]))

    def without_copies(self) -> "Table":
        """Return the table with one row an ``_id``; edges that were counted once a copy are counted once."""
        copies = Counter(self.ids)
        first = dict(zip(reversed(self.ids), reversed(range(len(self.ids))), strict=True))
        table = self._take(np.sort(np.array(list(first.values()))))
        times = np.array([copies[name] for name in table.ids], dtype=np.float64)
        corrected = table.columns[_E] / times
        columns = {**table.columns, _E: corrected}
        return Table(table.ids, table.datacenter, table.anomalous, columns, float(corrected.sum()))

    def _examples(self, features: Matrix) -> Examples:
        return Examples(features, self.anomalous, groups_of(features), np.ones(len(features)))

    def _quotient(self, factors: Sequence[str], divisors: Sequence[str]) -> NDArray[np.float64]:
        numerator, divisor = self._product(factors), self._product(divisors)
        quotient = np.full(len(self.ids), MISSING)
        np.divide(numerator, divisor, out=quotient, where=divisor != 0)
        return quotient

    def _product(self, names: Sequence[str]) -> NDArray[np.float64]:
        product = np.ones(len(self.ids))
        for name in names:
            product *= self.total_edges if name == ALL_EDGES else self.columns[name]
        return product

    def _take(self, rows: NDArray[np.intp]) -> "Table":
        return Table(
            tuple(self.ids[row] for row in rows),
            self.datacenter[rows],
            self.anomalous[rows],
            {name: column[rows] for name, column in self.columns.items()},
            self.total_edges,
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
    columns = {name: np.array([float(row[name] or MISSING) for row in rows]) for name in _NUMBERS}
    return Table(
        tuple(row["_id"] for row in rows),
        np.array([row["ip_type"] == "datacenter" for row in rows]),
        _labels(row["is_anomaly"] for row in rows),
        columns,
        float(columns[_E].sum()),
    )


def _labels(texts: Iterable[str]) -> NDArray[np.bool_]:
    labels = list(texts)
    if unknown := set(labels) - {"0", "1"}:
        raise ValueError(f"is_anomaly is {min(unknown)!r}, expected 0 or 1")
    return np.array([label == "1" for label in labels])
