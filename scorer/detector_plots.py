"""Plots of a detector's report, as PNG bytes: curves with bands, shares with intervals, time to detect."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scorer.bootstrap import Curve, Estimate
from scorer.detection import Proportion
from scorer.examples import Scores
from scorer.plots import ANOMALOUS, BENIGN, DPI, GUIDE, NEUTRAL, plain, png, titled

# Okabe and Ito's palette, with line styles beside it: told apart by colour-blind readers, and in print.
_COLOURS = (BENIGN, ANOMALOUS, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")
_SIZE = (6.4, 4.2)
_LANE = 0.34
"""Height of a row of a plot of shares, inches."""

Delays = tuple[Scores, Scores]
"""Calls and seconds from the first hostile call to the alert, an entry an attack; infinite when it was not found."""


def precision_recall(curves: Mapping[str, Curve], chance: float, band: str) -> bytes:
    """Return precision against recall of several detectors.

    Args:
        curves: detectors by name.
        chance: share of the sessions that are attacks: the precision of flagging at random.
        band: name of the detector whose interval is drawn.
    """
    figure, axes = titled("Precision against recall, over sessions", _SIZE)
    _curves(axes, curves, band)
    axes.axhline(chance, color=GUIDE, linestyle="--", linewidth=1)
    axes.text(0.99, chance + 0.015, "alerting at random", fontsize=9, color=NEUTRAL, ha="right")
    axes.set(
        xlabel="recall: share of attacked sessions found",
        ylabel="precision: share of alerted sessions\nthat are attacked",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.02),
    )
    return png(figure)


def roc(curves: Mapping[str, Curve], band: str) -> bytes:
    """Return attacks found against false alerts of several detectors; few false alerts have the most room."""
    figure, axes = titled("ROC: attacks found against false alerts, over sessions", _SIZE)
    _curves(axes, curves, band)
    axes.set_xscale("log")
    axes.set(
        xlabel="share of benign sessions with a false alert (log)",
        ylabel="share of attacked sessions found",
        xlim=(1e-4, 1),
        ylim=(-0.01, 1.02),
    )
    return png(figure)


def shares(rows: Sequence[tuple[str, Proportion]], title: str, label: str, *, per: int = 100) -> bytes:
    """Return shares with their intervals, a row each, the first at the top.

    Args:
        rows: names and shares.
        title: of the plot.
        label: of the axis.
        per: the axis counts in so many: 100 for per cent.
    """
    figure, axes = titled(title, (_SIZE[0], _LANE * len(rows) + 1.1))
    places = np.arange(len(rows))[::-1]
    for place, (_, share) in zip(places, rows, strict=True):
        axes.plot([per * share.low, per * share.high], [place, place], color=BENIGN, linewidth=2, alpha=0.6)
        axes.plot(per * share.value, place, "o", color=BENIGN, markersize=6)
    axes.set_yticks(places, [f"{name}  ({share.hits:,} of {share.of:,})" for name, share in rows], fontsize=9)
    axes.set(xlabel=label, ylim=(-0.6, len(rows) - 0.4))
    axes.set_xlim(*((-2, 102) if per == 100 else (0, None)))
    plain(axes)
    return png(figure)


def losses(rows: Sequence[tuple[str, Estimate, Estimate]]) -> bytes:
    """Return what is lost without each group of features, a row each, the first at the top.

    Args:
        rows: name of the group; share of the attacks no longer found, and average precision lost.
    """
    figure = Figure(figsize=(10.4, _LANE * len(rows) + 1.3), dpi=DPI, layout="constrained")
    figure.suptitle("What detection loses without each group of features", fontsize=11, x=0.01, ha="left")
    panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))[::-1]
    labels = ("attacks no longer found, percentage points", "average precision lost")
    sides = ([row[1] for row in rows], [row[2] for row in rows])
    for axes, label, side, per in zip(panels, labels, sides, (100, 1), strict=True):
        axes.axvline(0, color=NEUTRAL, linewidth=1)
        for place, loss in zip(places, side, strict=True):
            axes.plot([per * loss.low, per * loss.high], [place, place], color=BENIGN, linewidth=2, alpha=0.6)
            axes.plot(per * loss.value, place, "o", color=BENIGN, markersize=6)
        axes.set(xlabel=label, ylim=(-0.6, len(rows) - 0.4))
        plain(axes)
    panels[0].set_yticks(places, [name for name, *_ in rows], fontsize=9)
    return png(figure)


def time_to_detect(kinds: Mapping[str, Delays]) -> bytes:
    """Return the share of the attacks of each kind that were found within so many calls, and so many seconds."""
    figure = Figure(figsize=(10.4, _SIZE[1]), dpi=DPI, layout="constrained")
    figure.suptitle("Attacks found so long after their first hostile call", fontsize=11, x=0.01, ha="left")
    labels = ("calls since the first hostile one (log)", "seconds since the first hostile call (log)")
    least = (1.0, 0.01)
    panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    for side, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        longest = max(np.max(own[side], initial=1, where=np.isfinite(own[side])) for own in kinds.values())
        for number, (kind, delays) in enumerate(kinds.items()):
            known = np.sort(np.maximum(delays[side][np.isfinite(delays[side])], least[side]))
            steps = np.arange(1, len(known) + 1) / max(len(delays[side]), 1)
            x, y = np.append(known, longest), np.append(steps, steps[-1:] if len(steps) else 0.0)
            axes.step(x, y, where="post", label=kind, linewidth=1.8, **_look(number))
        axes.set_xscale("log")
        axes.set(xlabel=label, ylim=(-0.01, 1.02))
        plain(axes)
    panels[0].set_ylabel("share of the attacks found")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, fontsize=9, loc="outside right center")
    return png(figure)


def _curves(axes: Axes, curves: Mapping[str, Curve], band: str) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        if name == band:
            axes.fill_between(curve.x, curve.low, curve.high, color=_COLOURS[number], alpha=0.15, linewidth=0)
        axes.plot(curve.x, curve.y, label=name, linewidth=2.2 if name == band else 1.5, **_look(number))
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.45, -0.17), ncols=3)
    plain(axes)


def _look(number: int) -> dict[str, Any]:
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": _STYLES[number % len(_STYLES)]}
