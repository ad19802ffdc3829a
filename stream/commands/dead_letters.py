"""``gatewatch dead-letters``: look at them, and feed them back when the cause is mended."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from heapq import nlargest
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream.clock import now_ms
from stream.console import stderr, stdout
from stream.dead_letter_progress import Selection, kind_of
from stream.dead_letter_replay import GROUP, DeadLetterReplay, Summary, delivery_of
from stream.dead_letter_reports import print_line, row
from stream.dead_letter_topic import DeadLetterTopic, Kept
from stream.dead_letters import Reason
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.topics import Topics
from stream.whole_topic import Report

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at dead letters, or feed them back.")

SHOWN = 20
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

ReasonFlag = Annotated[
    list[Reason] | None,
    typer.Option(
        "--reason",
        metavar="REASON",
        help="Only those of it, for example unknown_format; may be repeated.",
        show_default=False,
    ),
]
SourceFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--source", metavar="TOPIC", help="Only those that came from it; may be repeated.", show_default=False
    ),
]
SinceFlag = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only those written since, as 30m, 12h or 7d ago, or 2026-01-31T12:00 (UTC unless it says otherwise).",
        show_default=False,
    ),
]
LimitFlag = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=0,
        help=f"Latest ones shown. [default: {SHOWN}; all with --json]",
        show_default=False,
    ),
]
ToFlag = Annotated[
    str | None,
    typer.Option("--to", metavar="TOPIC", help="Feed all to it. [default: where each came from]", show_default=False),
]
AgainFlag = Annotated[bool, typer.Option("--again", help="Start from the oldest, whatever has been fed back before.")]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Feed nothing back; say what would be.")]


@app.callback()
def _group() -> None:
    """Look at dead letters, or feed them back."""


@app.command("list")
def show(  # noqa: PLR0913 -- one parameter per flag
    *,
    reason: ReasonFlag = None,
    source: SourceFlag = None,
    since: SinceFlag = None,
    limit: LimitFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Count the dead letters by reason and show the latest. With --json each is one object a line.

    Nothing is remembered of it, and no consumer group is made. The originals may hold personal data and secrets.
    """
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    start = None if since is None else since_ms(since, now_ms())
    counts: Counter[str] = Counter()
    with DeadLetterTopic(settings, f"{GROUP}-list") as topic:
        found = chosen(topic.read(topic.since(start)), selection_of(reason, source), counts)
        if json and limit is None:
            for kept in found:
                print_line(kept)
            return
        latest = nlargest(SHOWN if limit is None else limit, found, key=lambda kept: (kept.time, kept.position))
        for _ in found:  # nlargest reads nothing when it is to return nothing
            pass
    if json:
        for kept in latest:
            print_line(kept)
    else:
        show_table(latest, counts)


@app.command()
def replay(  # noqa: PLR0913 -- one parameter per flag
    *,
    reason: ReasonFlag = None,
    source: SourceFlag = None,
    to: ToFlag = None,
    again: AgainFlag = False,
    dry_run: DryRunFlag = False,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
) -> None:
    """Feed originals back to the topics they came from, with their keys and Kafka timestamps; each at most once.

    Mend the cause first: what fails again is a new dead letter, and counts towards the limit that stops a worker. Late
    calls will mostly be late again. What the filters leave out stays for a later replay; cut originals are never fed
    back.
    """
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    there = Topics(settings).names()
    require_target(to, there, settings.topics.dead_letters)
    with DeadLetterTopic(settings, GROUP) as topic:
        run = DeadLetterReplay(
            topic,
            None if dry_run else delivery_of(settings),
            selection=selection_of(reason, source),
            there=there,
            target=to,
            again=again,
        )
        with progress(run.remaining) as report:
            summary = run.run(report)
    show_summary(summary, dry_run=dry_run)


def selection_of(reasons: Sequence[Reason] | None, sources: Sequence[str] | None) -> Selection:
    """Return what the filters choose."""
    return Selection(frozenset(reasons or ()), frozenset(sources or ()))


def since_ms(text: str, now: int) -> int:
    """Return the time that ``--since`` names, epoch milliseconds.

    Raises:
        CommandError: it names none.
    """
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return max(0, now - int(ago[1]) * _UNITS_S[ago[2]] * 1000)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"--since {text}: no time", "write 30m, 12h, 7d or 2026-01-31T12:00", ExitCode.USAGE
        ) from None
    return max(0, round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000))


def require_target(target: str | None, there: set[str], dead_letters: str) -> None:
    """Make sure that records can be fed to the topic of ``--to``.

    Raises:
        CommandError: it is not there, or is that of the dead letters: they would go round in a circle.
    """
    if target == dead_letters:
        raise CommandError(f"--to {target} is the topic of the dead letters", "name another", ExitCode.USAGE)
    if target is not None and target not in there:
        raise CommandError(f"missing topic: {target}", "make it, or name another with --to", ExitCode.UNREACHABLE)


def chosen(read: Iterator[Kept], selection: Selection, counts: Counter[str]) -> Iterator[Kept]:
    """Yield the dead letters that a selection chooses, and count them by reason; foreign records are only counted."""
    for kept in read:
        if kept.stored is None:
            counts["(no dead letter)"] += 1
        elif selection.chooses(kind_of(kept.stored.letter)):
            counts[kept.stored.letter.reason] += 1
            yield kept


def show_table(latest: Sequence[Kept], counts: Counter[str]) -> None:
    """Print dead letters for a person."""
    if not counts:
        stdout.print("[green]No dead letters.[/]")
        return
    table = Table("reason", "dead letters", box=None)
    for reason, count in counts.most_common():
        table.add_row(escape(reason), f"{count:,}")
    stdout.print(table)
    if latest:
        columns = ("position", "written", "reason", "source", "detail", "original begins")
        table = Table(*columns, title="The latest", title_justify="left", box=None)
        for kept in latest:
            table.add_row(*map(escape, row(kept)))
        stdout.print(table)


def show_summary(summary: Summary, *, dry_run: bool) -> None:
    """Print what became of the dead letters."""
    for (target, kind), count in sorted(summary.fed.items()):
        verb = "would be fed back" if dry_run else "fed back"
        stdout.print(f"{count:,} {kind.reason} {verb} to {escape(target)}", highlight=False, soft_wrap=True)
    if not summary.fed:
        stdout.print("Nothing to feed back.")
    for count, what in (
        (summary.earlier, "fed back before"),
        (summary.filtered, "left out by the filters: a later replay finds them"),
        (summary.truncated, "not fed back: the original was cut when it was written"),
        (summary.foreign, "no dead letters of gatewatch's"),
    ):
        if count:
            stdout.print(f"{count:,} {what}", highlight=False, soft_wrap=True)


@contextmanager
def progress(total: int) -> Iterator[Report]:
    """Show how far the topic has been read."""
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda passed: bar.advance(task, passed)
