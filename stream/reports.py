"""Reports of a replay: for people, and for programs."""

import heapq
import sys
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from rich.markup import escape
from rich.table import Table

from featurizer.features import Occasion
from scorer.alerts import Alert
from scorer.bundle import ModelBundle
from scorer.severity import Severity
from scorer.verdicts import Verdict
from stream.batches import Batch, Sample
from stream.console import stdout
from stream.dead_letters import DeadLetter
from stream.encodings.ocsf import detection_finding
from stream.replay import Replay

COLOURS = {Severity.LOW: "cyan", Severity.MEDIUM: "yellow", Severity.HIGH: "red", Severity.CRITICAL: "bold red"}


class Report(Protocol):
    """Shows what a replay finds."""

    def add(self, batch: Batch) -> None:
        """Show a scored batch."""

    def end(self) -> None:
        """Show the summary."""


class JsonReport:
    """One JSON object a line: sessions, alerts and dead letters as they come, the summary last."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def add(self, batch: Batch) -> None:
        """Write a scored batch."""
        for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
            if sample.vector.occasion is Occasion.CLOSED:
                _line("session", session_document(sample, verdict))
        for alert in batch.alerts:
            # The finding's time is the call's: a replay has no other present.
            _line("alert", detection_finding(alert, alert.position.call_time))
        for letter in batch.dead_letters:
            _line("dead_letter", self._dead_letter(letter))

    def end(self) -> None:
        """Write the summary."""
        _line("summary", msgspec.to_builtins(self._replay.summary))

    def _dead_letter(self, letter: DeadLetter) -> dict[str, Any]:
        path, line = self._replay.lines.locate(letter.offset)
        return {
            "reason": letter.reason,
            "detail": letter.detail,
            "file": str(path),
            "line": line,
            "original": letter.original.decode("utf-8", "replace"),
        }


class TextReport:
    """Alerts as they come, then the sessions with the highest scores and a summary.

    Args:
        replay: the run.
        bundle: the model, to say what it was trained on.
        most: sessions to show.
    """

    def __init__(self, replay: Replay, bundle: ModelBundle, most: int) -> None:
        self._replay = replay
        self._most = most
        self._best: list[tuple[float, int, Sample]] = []
        self._serial = 0
        stdout.print(f"model [bold]{bundle.uid}[/]: {escape(bundle.manifest.trained_on)}", soft_wrap=True)

    def add(self, batch: Batch) -> None:
        """Show a batch's alerts and keep its best sessions."""
        for alert in batch.alerts:
            print_alert(alert)
        for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
            if sample.vector.occasion is Occasion.CLOSED:
                self._serial += 1
                heapq.heappush(self._best, (verdict.score, -self._serial, sample))
                if len(self._best) > self._most:
                    heapq.heappop(self._best)

    def end(self) -> None:
        """Show the sessions and the summary."""
        summary = self._replay.summary
        if self._best:
            stdout.print(self._sessions())
        table = Table(box=None, show_header=False, pad_edge=False)
        rows = {
            "lines": f"{summary.lines:,}",
            "calls in sessions": f"{summary.calls:,}",
            "duplicates": f"{summary.duplicates:,}",
            "dead letters": _counts(summary.dead_letters),
            "sessions": _counts(summary.sessions),
            "vectors": _counts(summary.vectors),
            "alerts": _counts(summary.alerts),
            "suppressed by rules": _counts(summary.suppressed),
            "held back by cooldown": f"{summary.held_back:,}",
            "held back by budget": f"{summary.over_budget:,}",
            "given while learning": f"{summary.learning:,} verdicts",
            "edges learned": f"{summary.edges:,}",
        }
        for name, value in rows.items():
            table.add_row(name, value)
        stdout.print(table)

    def _sessions(self) -> Table:
        table = Table("score", "client", "start", "calls", "edges", "endpoints", "ended by", box=None, pad_edge=False)
        for score, _, sample in sorted(self._best, key=lambda entry: entry[:2], reverse=True):
            vector = sample.vector
            values = vector.named()
            edges, endpoints = values["n_connections"], values["n_apis"]
            start = datetime.fromtimestamp(vector.start / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
            cells = (f"{vector.calls:,}", f"{edges:,.0f}", f"{endpoints:,.0f}", str(vector.close_reason))
            table.add_row(f"{score:.3f}", escape(vector.client), start, *cells)
        return table


def print_alert(alert: Alert) -> None:
    """Print an alert as one line with its reasons."""
    colour = COLOURS[alert.severity]
    time = datetime.fromtimestamp(alert.position.call_time / 1000, UTC).strftime("%H:%M:%S")
    why = f" Suppressed by {alert.suppression.rule}: {alert.suppression.reason}" if alert.suppression else ""
    stdout.print(
        f"{time} [{colour}]{alert.severity:8}[/] {alert.kind:7} {alert.score:.2f}  {escape(alert.message + why)}",
        soft_wrap=True,
        highlight=False,
    )


def session_document(sample: Sample, verdict: Verdict) -> dict[str, Any]:
    """Return a closed session and its verdict as plain JSON types."""
    vector = sample.vector
    return {
        "session_id": vector.session_id,
        "client": vector.client,
        "start": vector.start,
        "end": vector.end,
        "calls": vector.calls,
        "close_reason": vector.close_reason,
        "features": vector.named(),
        "score": verdict.score,
        "readiness": verdict.readiness,
    }


def _counts(counter: dict[str, int]) -> str:
    total = sum(counter.values())
    parts = ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items()))
    return f"{total:,} ({parts})" if parts else "0"


def _line(kind: str, document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({"type": kind, **document}) + b"\n")
