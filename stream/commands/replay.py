"""``gatewatch replay``: the detector over log files, without Kafka."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from stream import assembly
from stream.adapters import FORMATS
from stream.commands.log_flags import require_format
from stream.comparison_report import show_comparison
from stream.console import print_json, stderr
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BundleFlag, ConfigFlag, JsonFlag, settings_of
from stream.replay import Progress as Report
from stream.replay import Replay, ReplaySummary
from stream.replay_comparison import ReplayComparison
from stream.reports import JsonReport, TextReport
from stream.settings import Settings

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", exists=True, dir_okay=False, help="Log files, the oldest first.", show_default=False
    ),
]
FormatFlag = Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS), help="Log format of the files.")]
MostFlag = Annotated[
    int,
    typer.Option(
        "--most", min=0, help="Sessions shown: those with the highest scores. With --compare: alerts of each kind."
    ),
]
DegreesFlag = Annotated[
    Path | None,
    typer.Option(
        "--degrees-out", metavar="FILE", help="Write the final degree table, for degrees.frozen.", show_default=False
    ),
]
CompareFlag = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--compare",
        metavar="A B",
        help="Show the alerts that two models (names or paths, A the one in use) raise both, and those that one does.",
        show_default=False,
    ),
]


def replay(  # noqa: PLR0913 -- one parameter per flag
    files: FilesArgument,
    *,
    log_format: FormatFlag = "auto",
    bundle: BundleFlag = None,
    compare: CompareFlag = None,
    most: MostFlag = 20,
    degrees_out: DegreesFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    json: JsonFlag = False,
) -> None:
    """Run log files through the detector and print sessions, alerts and a summary.

    With --json every session, alert and dead letter is one JSON object a line, and the summary is the last; with
    --compare as well it is one object.
    """
    require_format(log_format)
    if compare is not None:
        if bundle is not None or degrees_out is not None:
            raise CommandError("--compare names both models", "leave --bundle and --degrees-out out", ExitCode.USAGE)
        run_both(settings_of(config, assign), compare, files, log_format, most=most, json=json)
        return
    settings = settings_of(config, assign, {"model.bundle": bundle})
    model = assembly.model_bundle(settings)
    run = Replay(settings, model, log_format)
    show = JsonReport(run) if json else TextReport(run, model, most)
    with progress(files) as report:
        for batch in run.run(files, report):
            show.add(batch)
    show.end()
    if degrees_out is not None:
        degrees_out.write_bytes(msgspec.json.format(msgspec.json.encode(run.degrees)))
    require_calls(run.summary)


def run_both(  # noqa: PLR0913 -- what the flags say
    settings: Settings, names: Sequence[str], files: list[Path], log_format: str, *, most: int, json: bool
) -> None:
    """Run files under two models and print the comparison.

    Raises:
        CommandError: a model cannot be used, or no line was understood.
    """
    first, second = (
        assembly.model_bundle(settings.model_copy(update={"model": settings.model.model_copy(update={"bundle": name})}))
        for name in names
    )
    comparison = ReplayComparison(settings, first, second, log_format)
    with progress(files) as report:
        compared = comparison.run(files, report)
    if json:
        print_json(comparison.document(compared))
    else:
        show_comparison(compared, first, second, most)
    require_calls(comparison.runs[0].summary)


def require_calls(summary: ReplaySummary) -> None:
    """Make sure that there was something to judge.

    Raises:
        CommandError: no line was understood.
    """
    if not summary.calls:
        raise CommandError(
            "no line was understood as a call",
            "name the format with --format; --json shows each dead letter with its reason",
        )


@contextmanager
def progress(files: list[Path]) -> Iterator[Report]:
    """Show how much of the files has been read."""
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("", total=sum(path.stat().st_size for path in files))
        yield lambda read: bar.advance(task, read)
