"""Intervals: a feature's values, cut at every threshold of an ensemble; within one, no tree can tell values apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.trees import Trees

Numbers = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Intervals:
    """The intervals of all features, numbered feature by feature and upwards; one a feature for NaN comes at the end.

    Attributes:
        bounds: greatest value of each interval as the complex number feature + value·i; shape (count,).
        columns: the features' positions as floats; shape (features,).
        first: number of each feature's lowest interval; shape (features,).
        last: number of each feature's highest interval, which ends at +inf; shape (features,).
        split: number of the last interval that goes left at each node, 0 at leaves; shape (nodes,).
    """

    bounds: NDArray[np.complex128]
    columns: Floats
    first: Numbers
    last: Numbers
    split: Numbers

    @classmethod
    def of(cls, trees: Trees, n_features: int) -> "Intervals":
        """Cut each feature at the thresholds of the nodes that compare it."""
        inner = trees.inner
        cuts: list[Floats] = []
        for feature in range(n_features):
            thresholds = trees.threshold[inner[trees.feature[inner] == feature]]
            cuts.append(np.unique(np.append(thresholds, np.inf)))
        columns = np.arange(n_features, dtype=np.float64)
        sizes = np.array([len(cut) for cut in cuts])
        last = np.cumsum(sizes) - 1
        real = np.concatenate([np.repeat(columns, sizes), columns])
        bounds = _complex(real, np.concatenate([*cuts, np.full(n_features, np.nan)]))
        split = np.zeros(len(trees.feature), dtype=np.intp)
        split[inner] = bounds.searchsorted(_complex(trees.feature[inner].astype(np.float64), trees.threshold[inner]))
        return cls(bounds, columns, last - sizes + 1, last, split)

    @property
    def count(self) -> int:
        """How many intervals there are, those for missing values included."""
        return len(self.bounds)

    def missing(self, feature: int) -> int:
        """Return the number of a feature's interval for the missing value."""
        return self.count - len(self.columns) + feature

    def upper_bounds(self, feature: int) -> Floats:
        """Return the greatest value of each of a feature's intervals, ascending; the last is +inf."""
        bounds: Floats = self.bounds.imag[self.first[feature] : self.last[feature] + 1]
        return bounds

    def numbers(self, rows: Floats) -> Numbers:
        """Return the number of the interval that each value lies in; same shape as ``rows`` (…, features)."""
        # Complex numbers sort by real part, then imaginary part, and those with NaN after all others: one search finds
        # the interval of every feature at once, ten times faster than a search a feature.
        return self.bounds.searchsorted(_complex(self.columns, rows))


def _complex(real: Floats, imaginary: Floats) -> NDArray[np.complex128]:
    """Return complex numbers of two parts; ``real + 1j * imaginary`` would turn infinities into NaN."""
    numbers = np.empty(imaginary.shape, dtype=np.complex128)
    numbers.real = real
    numbers.imag = imaginary
    return numbers
