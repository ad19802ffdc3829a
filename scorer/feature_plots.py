"""Plots of the features: how they are distributed by class, and what each does to the scores."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from featurizer.features import FeatureSchema, Matrix
from scorer.examples import Indices, Labels
from scorer.plots import ANOMALOUS, BENIGN, DPI, NEUTRAL, plain, png

MOST_SHOWN = 23
"""Features in a picture: with more of them it is neither read nor small. 23 and a legend fill six lines of panels."""

_COLUMNS = 4
_BINS = 25
_SWARM_ROWS = 200
"""Rows of each class in the SHAP plot: more points hide each other."""
_TITLE = 34
"""Characters of a feature's name that fit over its panel."""
_LANE = 0.38
"""Half the height of a feature's lane in the SHAP plot."""


def most_important(contributions: Matrix) -> Indices:
    """Return the numbers of the MOST_SHOWN features that move scores most, in the order of the schema.

    Args:
        contributions: SHAP values in log-odds, shape (n, f).
    """
    importance = np.abs(contributions).mean(axis=0)
    return np.sort(np.argsort(-importance, kind="stable")[:MOST_SHOWN])


def feature_distributions(features: Matrix, anomalous: Labels, schema: FeatureSchema, shown: Indices) -> bytes:
    """Return histograms of features by class; axes logarithmic where it helps.

    Args:
        features: shape (n, f).
        anomalous: class of each row, shape (n,).
        schema: names of the features.
        shown: numbers of those to show.
    """
    lines = math.ceil((len(shown) + 1) / _COLUMNS)
    figure = Figure(figsize=(10, 2.1 * lines + 0.4), dpi=DPI, layout="constrained")
    panels = figure.subplots(lines, _COLUMNS).reshape(-1)
    for panel, number in zip(panels, shown.tolist(), strict=False):
        feature, column = schema.features[number], features[:, number]
        panel.set_title(_title(feature.name), fontsize=9)
        panel.set_yticks([])
        plain(panel)
        panel.tick_params(labelsize=8)
        if np.isnan(column).all():
            panel.set_axis_off()
            panel.text(0.5, 0.5, "not in the data", ha="center", transform=panel.transAxes, fontsize=9, color=NEUTRAL)
        else:
            _histograms(panel, column, anomalous)
            panel.set_xlabel(feature.unit, fontsize=8)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    legend = panels[len(shown)]
    for place, colour, name in ((0.62, BENIGN, "benign"), (0.38, ANOMALOUS, "anomalous")):
        legend.text(0.05, place, f"■ {name}", color=colour, fontsize=11, weight="bold", transform=legend.transAxes)
    legend.text(
        0.05, 0.14, "share of the class;\nline: its median", fontsize=9, color=NEUTRAL, transform=legend.transAxes
    )
    return png(figure)


def representatives(anomalous: Labels) -> Indices:
    """Return positions of rows for the SHAP plot: as many of each class, evenly over the rows, none by chance."""
    classes = (np.flatnonzero(anomalous == flag) for flag in (False, True))
    return np.concatenate(
        [rows[np.unique(np.linspace(0, len(rows) - 1, _SWARM_ROWS).round().astype(np.intp))] for rows in classes]
    )


def shap_summary(features: Matrix, contributions: Matrix, schema: FeatureSchema) -> bytes:
    """Return what features do to the score: a dot a session, coloured by the feature's value, grey if missing.

    Shown are the MOST_SHOWN features that move scores most.

    Args:
        features: features of the ``representatives``, shape (n, f).
        contributions: their SHAP values in log-odds, shape (n, f).
        schema: names of the features.
    """
    importance = np.abs(contributions).mean(axis=0)
    order = [int(number) for number in np.argsort(importance, kind="stable")[-MOST_SHOWN:] if importance[number] > 0]
    figure = Figure(figsize=(7.6, 0.42 * len(order) + 1.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=NEUTRAL, linewidth=1)
    dots = None
    for lane, number in enumerate(order):
        effect = contributions[:, number]
        value = _ranks(features[:, number])
        lanes = lane + _spread(effect)
        missing = np.isnan(value)
        axes.scatter(effect[missing], lanes[missing], color="#BBBBBB", s=8, linewidths=0)
        dots = axes.scatter(
            effect[~missing], lanes[~missing], c=value[~missing], cmap="viridis", vmin=0, vmax=1, s=8, linewidths=0
        )
    names = [f"{schema.features[number].name}  ({importance[number]:.2f})" for number in order]
    axes.set_yticks(range(len(order)), names, fontsize=9)
    axes.set_title("What raises a score (right) or lowers it (left)", fontsize=11, loc="left")
    axes.set_xlabel("SHAP value, log-odds; in brackets: mean absolute value")
    plain(axes)
    if dots is not None:
        bar = figure.colorbar(dots, ax=axes, ticks=(0, 1), aspect=30, pad=0.01)
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("feature value", labelpad=-18, fontsize=9)
        bar.outline.set_visible(False)
    return png(figure)


def _title(name: str) -> str:
    """Return a feature's name, in two lines where one would run into the next panel's."""
    if len(name) <= _TITLE:
        return name
    parts = name.split("_")
    middle = min(range(1, len(parts)), key=lambda at: abs(len("_".join(parts[:at])) - len(name) / 2))
    return "_".join(parts[:middle]) + "_\n" + "_".join(parts[middle:])


def _histograms(panel: Axes, column: NDArray[np.float64], anomalous: Labels) -> None:
    known = column[np.isfinite(column)]
    low, high = float(known.min()), float(known.max())
    logarithmic = low >= 0 and high > 50 * max(float(np.median(known)), 1e-9) ** 0.5 and high > 20
    start = max(low, 0.5)
    if logarithmic:
        edges = np.geomspace(start, max(high, start * 2), _BINS + 1)
        panel.set_xscale("log")
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for flag, colour in ((False, BENIGN), (True, ANOMALOUS)):
        values = column[(anomalous == flag) & np.isfinite(column)]
        if not len(values):
            continue
        values = np.maximum(values, edges[0])
        shares = np.full(len(values), 1 / len(values))
        panel.hist(values, bins=edges.tolist(), weights=shares, color=colour, alpha=0.55)
        panel.axvline(float(np.median(values)), color=colour, linewidth=2)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's place between the lowest (0) and the highest (1); equal values share one, NaN stays NaN."""
    known = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    ordered = np.sort(values[known])
    middle = (np.searchsorted(ordered, values[known]) + np.searchsorted(ordered, values[known], "right")) / 2
    ranks[known] = middle / max(len(ordered), 1)
    return ranks


def _spread(effect: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move dots of about the same effect apart, alternately up and down from the middle of the lane."""
    width = max(float(np.ptp(effect)), 1e-9) / 90
    heap = np.floor((effect - effect.min()) / width).astype(np.intp)
    offsets = np.zeros(len(effect))
    fullest = int(np.bincount(heap).max())
    step = _LANE / max(fullest / 2, 6)
    for number in np.unique(heap):
        members = np.flatnonzero(heap == number)
        rank = np.arange(len(members))
        offsets[members] = np.where(rank % 2, 1, -1) * ((rank + 1) // 2) * step
    return offsets
