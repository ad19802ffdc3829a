"""Report of one judged session, for people."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from scorer.alerts import Transition
from scorer.reasons import Contribution
from stream.console import shown, stdout
from stream.explained import Explained, SessionLine
from stream.known_calls import KnownCall, decisions, walked

_ARROWS = {"below": "below", "within": "usual", "above": "above", "missing": ""}


def show_explained(own: Explained, excluded_methods: Sequence[str], most: int) -> None:
    """Print an explanation.

    Args:
        own: the session.
        excluded_methods: methods that are no part of call graphs.
        most: calls, decisions and transitions shown at most, of each.
    """
    _say(f"[bold]{shown(own.client)}[/], session {own.session_id}: {own.calls:,} calls, {_span(own.start, own.end)}")
    _say(f"{_outcome(own)} at {own.occasion}, by {shown(own.model)}")
    for reason in own.reasons:
        _say(f"- {shown(reason.sentence)}")
    if own.severity_detail:
        _say(shown(own.severity_detail))
    hint = own.counterfactual
    if hint is not None:
        text = (
            f"With {hint.feature} {hint.enough:g} instead of {hint.value:g} the score would have been {hint.score:.2f}."
        )
        _say(text)
    _show(_contributions(own.contributions), f"Features ({len(own.contributions)} known), what raised the score first")
    _show_calls(own, excluded_methods, most)
    _show(_rare(own.transitions), "Rarest transitions")


def show_sessions(lines: Sequence[SessionLine], explained: str) -> None:
    """Print the sessions that a client had, when there are several."""
    if len(lines) < 2:
        return
    table = Table("session", "start", "calls", "score", "outcome", box=None, pad_edge=False)
    for own in lines:
        style = "bold" if own.session_id == explained else ""
        table.add_row(own.session_id, _time(own.start), f"{own.calls:,}", f"{own.score:.2f}", own.outcome, style=style)
    _show(table, "All sessions of the client, each at its most anomalous")


def graph_lines(transitions: Counter[tuple[str, str]], most: int) -> list[str]:
    """Return a graph as text: each source with where it led to, the most walked transitions first.

    Args:
        transitions: how often each was made.
        most: transitions told.
    """
    told = Counter(dict(transitions.most_common(most)))
    sources = Counter[str]()
    for (source, _), count in told.items():
        sources[source] += count
    lines = []
    for source, _ in sources.most_common():
        lines.append(source)
        lines += [
            f"  → {'(itself)' if to == source else to}{f', {count:,} times' if count > 1 else ''}"
            for (own, to), count in told.most_common()
            if own == source
        ]
    if left := len(transitions) - len(told):
        lines.append(f"and {left:,} more")
    return lines


def _show_calls(own: Explained, excluded_methods: Sequence[str], most: int) -> None:
    if not own.known:
        _say("[dim]Its calls are not known: name the log with --calls FILE.[/]")
        return
    _show(_calls(own.known[:most]), f"Calls ({_some(len(own.known), most)} of {own.calls:,})")
    decided = list(decisions(own.known))
    if decided:
        table = Table("path", "endpoint", "by", "calls", box=None, pad_edge=False)
        for decision, count in decided[:most]:
            table.add_row(shown(decision.path), shown(decision.endpoint), decision.source, f"{count:,}")
        _show(table, f"Paths and their endpoints ({_some(len(decided), most)})")
    _say("\n[italic]Graph[/]")
    for line in graph_lines(walked(own.known, excluded_methods), most):
        _say(shown(line))


def _calls(known: Sequence[KnownCall]) -> Table:
    table = Table("time", "endpoint", "status", "path", box=None, pad_edge=False)
    for own in known:
        path = "" if own.decision is None else own.decision.path
        table.add_row(_time(own.call.time), shown(own.call.endpoint), str(own.call.status or ""), shown(path))
    return table


def _contributions(items: Sequence[Contribution]) -> Table:
    table = Table("feature", "value", "usual, 5 to 95 %", "", "log-odds", "meaning", box=None, pad_edge=False)
    for own in sorted(items, key=lambda item: -item.contribution):
        value = "missing" if own.value is None else f"{own.value:.4g}"
        usual = f"{own.usual_low:.4g} to {own.usual_high:.4g}"
        effect = f"{own.contribution:+.2f}"
        table.add_row(own.feature, value, usual, _ARROWS[own.direction], effect, shown(own.meaning))
    return table


def _rare(transitions: Sequence[Transition]) -> Table:
    table = Table("from", "to", "expected over all sessions", box=None, pad_edge=False)
    for own in transitions:
        table.add_row(shown(own.source), shown(own.destination), f"{own.expected:.3g}")
    return table


def _outcome(own: Explained) -> str:
    side = "reached" if own.score >= own.threshold else "stayed under"
    text = f"score {own.score:.3f} {side} the threshold {own.threshold:.3f}: [bold]{own.outcome}[/]"
    text += f" ({own.severity})" if own.severity else ""
    return f"{text}, {shown(own.status_detail)}," if own.status_detail else f"{text},"


def _span(start: int, end: int) -> str:
    return f"{_time(start)} to {_time(end)} UTC"


def _time(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")


def _some(there: int, most: int) -> str:
    return f"{there:,}" if there <= most else f"the first {most:,} of {there:,}"


def _show(table: Table, title: str) -> None:
    if table.row_count:
        _say(f"\n[italic]{shown(title)}[/]")
        stdout.print(table)


def _say(text: str) -> None:
    stdout.print(text, soft_wrap=True, highlight=False)
