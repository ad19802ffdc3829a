"""Report of a comparison of two models, for people."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from scorer.bundle import ModelBundle
from scorer.severity import Severity
from stream.console import shown, stdout
from stream.outcomes import Outcome
from stream.replay_comparison import Change, Compared, Opinion

_TITLES = {
    Change.REMOVED: "Alerts of A only: B would not raise them",
    Change.ADDED: "Alerts of B only: B would raise them in addition",
    Change.BOTH: "Alerts of both",
}


def show_comparison(compared: Sequence[Compared], first: ModelBundle, second: ModelBundle, most: int) -> None:
    """Print how many alerts there are under either model and under both, and the strongest of each.

    Args:
        compared: the alerts.
        first: model A.
        second: model B.
        most: alerts shown of each kind of change.
    """
    for name, bundle in (("A", first), ("B", second)):
        text = f"{name}  [bold]{shown(bundle.uid)}[/]: {shown(bundle.manifest.trained_on)}"
        stdout.print(text, soft_wrap=True, highlight=False)
    stdout.print(_counts(compared))
    for change, title in _TITLES.items():
        alerts = [own for own in compared if own.change is change]
        if alerts and most:
            stdout.print(_listed(sorted(alerts, key=_strength, reverse=True)[:most], title))


def _counts(compared: Sequence[Compared]) -> Table:
    severities = [
        own for own in Severity if any(own in {each.first.severity, each.second.severity} for each in compared)
    ]
    table = Table("", "alerts", *severities, box=None, pad_edge=False)
    for name, opinions in (
        ("A", [own.first for own in compared if own.change is not Change.ADDED]),
        ("B", [own.second for own in compared if own.change is not Change.REMOVED]),
        ("both, as B has them", [own.second for own in compared if own.change is Change.BOTH]),
        ("removed, as A has them", [own.first for own in compared if own.change is Change.REMOVED]),
        ("added, as B has them", [own.second for own in compared if own.change is Change.ADDED]),
    ):
        found = Counter(own.severity for own in opinions)
        table.add_row(name, f"{len(opinions):,}", *(f"{found[severity]:,}" for severity in severities))
    return table


def _listed(alerts: Sequence[Compared], title: str) -> Table:
    columns = ("client", "start", "kind", "calls", "A", "B")
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for own in alerts:
        start = datetime.fromtimestamp(own.start / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        opinions = (_said(own.first), _said(own.second))
        table.add_row(shown(own.client), start, own.kind, f"{own.calls:,}", *opinions)
    return table


def _said(opinion: Opinion) -> str:
    text = f"{opinion.score:.2f}"
    if opinion.outcome is Outcome.NORMAL:
        return f"{text}, under {opinion.threshold:.2f}"
    return f"{text} {opinion.severity}" if opinion.outcome is Outcome.ALERT else f"{text}, {opinion.outcome}"


def _strength(own: Compared) -> float:
    return own.first.score if own.change is Change.REMOVED else own.second.score
