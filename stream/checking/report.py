"""An examination as people and programs read it."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from featurizer.calls import ApiCall
from stream.checking.examination import Examination, examples
from stream.checking.fragment import formats_in_words
from stream.checking.lines import shown
from stream.checking.proposals import Findings, Weight
from stream.checking.time_order import SECOND
from stream.checking.words import count, cut, moment, percent, span
from stream.console import printable

EXAMPLES = 5
_MOST_REJECTS = 10
_LABEL = 12  # columns of what stands left of a line
_COLOURS = {Weight.ACT: "bold red", Weight.LOOK: "yellow"}


def print_examination(found: Examination, out: Console) -> None:
    """Print an examination for a person."""
    _print_headline(found, out)
    if found.calls:
        _print_examples(found, out)
        assert found.findings is not None  # noqa: S101 -- there are calls
        _print_rows("What was read", fields(found.findings), out)
    if found.why_not:
        _print_rows("Why no format reads the first one", found.why_not.items(), out)
    if found.rejects:
        _print_rejects(found, out)
    if found.notes:
        _print_notes(found, out)


def fields(found: Findings) -> Iterator[tuple[str, str]]:
    """Yield what was read of the calls: a field, and what there is of it."""
    times, who, where, ids = found.times, found.callers, found.endpoints, found.copies
    order = f"out of order by up to {span(times.most_behind)}" if times.behind else "in order"
    fineness = {1: "milliseconds", SECOND: "whole seconds"}.get(times.resolution, "whole minutes")
    first, last = (moment(time, resolution=times.resolution) for time in (times.first, times.last))
    yield "when", f"{first} to {last} ({span(times.last - times.first)}), {fineness}, {order}"
    named, busiest = who.calls - who.by_address, percent(who.busiest_calls, who.calls)
    shares = f"{percent(named, who.calls)} of the calls by name, {percent(who.by_address, who.calls)} by address"
    yield "who", f"{count(who.clients, 'client')}; {shares}; the busiest makes {busiest}"
    own = f", {percent(where.own, where.calls)} by the gateway's own route" if where.own else ""
    lost = f"{percent(where.unmatched, where.calls)} unmatched (404)"
    yield "endpoint", f"{count(where.endpoints, 'endpoint')}{own}; {lost}"
    known = where.calls - where.statuses[0]
    classes = ", ".join(f"{percent(n, known)} {digit}xx" for digit, n in sorted(where.statuses.items()) if digit)
    yield "status", f"{percent(known, where.calls)} of the calls" + (f": {classes}" if known else "")
    yield "duration", f"{percent(found.timed, who.calls)} of the calls"
    copied = f"; {count(ids.copies, 'copy').replace('copys', 'copies')}" if ids.identified else ""
    yield "request id", f"{percent(ids.identified, who.calls)} of the calls{copied}"
    many = found.pauses
    short = f"{percent(many.short, many.sessions)} are too short to be judged before their end"
    yield "sessions", f"about {many.sessions:,}; median length {many.median_calls:g}, {short}"


def document(found: Examination, settings_toml: str) -> dict[str, Any]:
    """Return an examination as plain JSON types."""
    findings = found.findings
    return {
        "sample": {"name": found.sample.name, "records": len(found.sample.records), "whole": found.sample.whole},
        "understood": found.understood,
        "format": found.detection.format,
        "mixed": found.detection.mixed,
        "formats": dict(found.detection.shares.most_common()),
        "calls": len(found.calls),
        "rejected": found.rejected,
        "rejects": [group._asdict() for group in found.rejects],
        "examples": [
            {
                "place": reading.record.place,
                "format": reading.decoded.format,
                "raw": shown(reading.record.value, reading.decoded.calls[0]),
                "calls": [_call_document(call) for call in reading.decoded.calls[:EXAMPLES]],
            }
            for reading in examples(found.detection.readings, EXAMPLES)
        ],
        "times": None if findings is None else findings.times._asdict(),
        "callers": None if findings is None else findings.callers._asdict(),
        "copies": None if findings is None else findings.copies._asdict(),
        "endpoints": None if findings is None else findings.endpoints._asdict(),
        "pins": [] if findings is None else list(findings.routes.pins),
        "notes": [note._asdict() for note in found.notes],
        "settings": settings_toml,
    }


def _call_document(call: ApiCall) -> dict[str, Any]:
    return {
        "time": call.time,
        "client": call.client,
        "endpoint": str(call.endpoint),
        "status": call.status,
        "duration_ms": call.duration_ms,
        "request_id": call.request_id,
    }


def _print_headline(found: Examination, out: Console) -> None:
    sample, total = found.sample, len(found.calls) + found.rejected
    which = "" if sample.whole else "the first " if sample.topic is None else "the last "
    out.print(f"[bold]{escape(sample.name)}[/]: {which}{count(len(sample.records), sample.unit)}", highlight=False)
    colour = "green" if found.understood and not found.detection.mixed else "yellow" if found.understood else "bold red"
    out.print(
        f"[{colour}]{len(found.calls):,} of {total:,} understood[/] ({percent(len(found.calls), total)}), "
        f"[bold]{escape(formats_in_words(found))}[/]",
        highlight=False,
    )


def _print_examples(found: Examination, out: Console) -> None:
    out.print("\n[bold]Examples[/]")
    for reading in examples(found.detection.readings, EXAMPLES):
        call = reading.decoded.calls[0]
        _print_line(reading.record.place, shown(reading.record.value, call), "dim", out)
        # Whole, whatever the width: the endpoint at its end is what to look at.
        out.print(" " * _LABEL + escape(printable(_in_words(call))), highlight=False, soft_wrap=True)


def _in_words(call: ApiCall) -> str:
    status = str(call.status) if call.status else "no status"
    took = "" if call.duration_ms is None else f"  {span(call.duration_ms)}"
    resolution = SECOND if call.time % SECOND == 0 else 1
    return f"{moment(call.time, resolution=resolution)}  {call.client}  {status}{took}  {call.endpoint}"


def _print_line(label: str, text: str, style: str, out: Console) -> None:
    line = f"{cut(label, _LABEL - 1):{_LABEL}}" + cut(printable(text), out.width - _LABEL)
    out.print(escape(line), style=style, highlight=False, soft_wrap=True)


def _print_rows(title: str, rows: Any, out: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in rows:
        table.add_row(escape(name), escape(text))
    out.print(f"\n[bold]{title}[/]")
    out.print(table, highlight=False)


def _print_rejects(found: Examination, out: Console) -> None:
    out.print("\n[bold]What was not understood[/]")
    for group in found.rejects[:_MOST_REJECTS]:
        out.print(f"{group.rejects:,} {group.reason}: {escape(group.detail)}", highlight=False, soft_wrap=True)
        _print_line(group.place, group.example, "dim", out)
        _print_line("  do", group.advice, "", out)
    if len(found.rejects) > _MOST_REJECTS:
        out.print(f"… and {count(len(found.rejects) - _MOST_REJECTS, 'more kind')} of rejects", highlight=False)


def _print_notes(found: Examination, out: Console) -> None:
    out.print("\n[bold]Look at[/]")
    for note in found.notes:
        out.print(f"[{_COLOURS[note.weight]}]{note.weight:5}[/] {escape(note.text)}", highlight=False, soft_wrap=True)
        out.print(f"      {escape(note.next)}", highlight=False, soft_wrap=True, style="dim")
