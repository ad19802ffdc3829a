"""Plots of a model's quality and of its data, as PNG bytes; the same numbers give the same bytes."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from scorer.evaluation import calibration
from scorer.examples import Labels, Scores
from scorer.thresholds import SweepRow, sweep

BENIGN = "#0072B2"
ANOMALOUS = "#D55E00"
NEUTRAL = "#555555"
GUIDE = "#BBBBBB"
# Colours of Okabe and Ito's palette: told apart by colour-blind readers too.
DPI = 100
_WIDTH, _HEIGHT = 6.4, 4.4
_PALETTE = 128

Run = tuple[Labels, Scores]
"""Labels and out-of-fold scores of one repetition."""


def roc(runs: Sequence[Run]) -> bytes:
    """Return the ROC curve of each repetition; the corner that matters is enlarged."""
    figure, axes = titled("ROC: anomalies found against false alerts, rows not seen in training")
    inset = axes.inset_axes((0.42, 0.18, 0.55, 0.55))
    for labels, scores in runs:
        false, true, _ = roc_curve(labels, scores)
        for panel in (axes, inset):
            panel.plot(false, true, color=BENIGN, alpha=0.8, linewidth=1.4)
    axes.plot((0, 1), (0, 1), color=GUIDE, linestyle="--", linewidth=1)
    inset.set(xlim=(0, 0.1), ylim=(0.6, 1.0))
    inset.tick_params(labelsize=8)
    inset.grid(color="#EEEEEE")
    axes.indicate_inset_zoom(inset, edgecolor=NEUTRAL)
    areas = [roc_auc_score(labels, scores) for labels, scores in runs]
    axes.text(0.97, 0.04, f"area under the curve {np.mean(areas):.3f}", ha="right", fontsize=11, weight="bold")
    axes.set(xlabel="share of benign sessions flagged", ylabel="share of anomalous sessions found")
    _square(axes)
    return png(figure)


def precision_recall(runs: Sequence[Run]) -> bytes:
    """Return the precision-recall curve of each repetition."""
    figure, axes = titled("Precision against recall, rows not seen in training")
    for labels, scores in runs:
        precision, recall, _ = precision_recall_curve(labels, scores)
        axes.plot(recall, precision, color=BENIGN, alpha=0.8, linewidth=1.4)
    chance = float(np.mean(runs[0][0]))
    axes.axhline(chance, color=GUIDE, linestyle="--", linewidth=1)
    axes.text(0.02, chance + 0.015, "flagging at random", fontsize=9, color=NEUTRAL)
    areas = [average_precision_score(labels, scores) for labels, scores in runs]
    axes.text(0.03, 0.52, f"average precision {np.mean(areas):.3f}", fontsize=11, weight="bold")
    axes.set(
        xlabel="recall: share of anomalous sessions found", ylabel="precision: share of flagged that are anomalous"
    )
    _square(axes)
    return png(figure)


def reliability(runs: Sequence[Run]) -> bytes:
    """Return observed against predicted probability, with the number of rows behind each point."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT + 0.6), dpi=DPI, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    figure.suptitle("Calibration: is a score of 0.8 anomalous in 8 of 10 cases?", fontsize=11, x=0.02, ha="left")
    labels = np.concatenate([part for part, _ in runs])
    scores = np.concatenate([part for _, part in runs])
    bins = calibration(labels, scores)
    axes.plot((0, 1), (0, 1), color=GUIDE, linestyle="--", linewidth=1)
    axes.text(0.72, 0.66, "perfect", fontsize=9, color=NEUTRAL, rotation=33)
    axes.plot([part.score for part in bins], [part.anomalous for part in bins], "o-", color=BENIGN)
    axes.set(ylabel="share that is anomalous", ylim=(-0.03, 1.03))
    edges = np.linspace(0, 1, 21).tolist()
    for flag, colour, name in ((False, BENIGN, "benign"), (True, ANOMALOUS, "anomalous")):
        below.hist(scores[labels == flag], bins=edges, color=colour, alpha=0.7, label=name)
    below.set_yscale("log")
    below.set(xlabel="score", ylabel="rows (log)", xlim=(-0.02, 1.02))
    below.legend(frameon=False, fontsize=9, loc="upper center", ncols=2)
    for panel in (axes, below):
        plain(panel)
    return png(figure)


def threshold_sweep(runs: Sequence[Run], thresholds: dict[str, float]) -> bytes:
    """Return precision, recall and F1 over all thresholds, with the chosen ones marked."""
    figure, axes = titled("What each threshold does, rows not seen in training")
    rows: list[list[SweepRow]] = [sweep(labels, scores, 100) for labels, scores in runs]
    at = [row.threshold for row in rows[0]]
    for name, colour in (("precision", BENIGN), ("recall", ANOMALOUS), ("f1", "black")):
        values = np.array([[getattr(row, name) for row in run] for run in rows])
        axes.plot(at, values.mean(axis=0), color=colour, linewidth=2, label="F1" if name == "f1" else name)
        axes.fill_between(at, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    # One label above the other: the two lines may be close.
    for (name, value), height in zip(sorted(thresholds.items(), key=lambda item: item[1]), (0.52, 0.58), strict=True):
        axes.axvline(value, color=NEUTRAL, linestyle=":", linewidth=1.5)
        side, shift = ("right", -0.01) if value > 0.5 else ("left", 0.01)
        axes.text(value + shift, height, f"{name} sessions\nfrom {value:.3f}", ha=side, fontsize=9, color=NEUTRAL)
    axes.set(xlabel="threshold", ylabel="share", xlim=(0, 1), ylim=(0.5, 1.01))
    axes.legend(frameon=False, fontsize=10, loc="lower center", bbox_to_anchor=(0.3, 0.2))
    plain(axes)
    return png(figure)


def titled(title: str, size: tuple[float, float] = (_WIDTH, _HEIGHT)) -> tuple[Figure, Axes]:
    """Return a figure of so many inches with one panel, and the panel."""
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, loc="left")
    return figure, axes


def _square(axes: Axes) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    plain(axes)


def plain(axes: Axes) -> None:
    """Leave out what carries no information."""
    axes.grid(color="#EEEEEE")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def png(figure: Figure) -> bytes:
    """Draw a figure; a palette of 128 colours keeps the file small, and no name or time in it makes it repeatable."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")  # a Figure without pyplot draws with Agg
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(_PALETTE, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()
