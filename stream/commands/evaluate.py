"""``gatewatch evaluate``: how good a model is on labelled call logs, as a report for people and for programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from stream import assembly
from stream.commands.log_flags import CallsFlag, FormatFlag, labels_option, require_format
from stream.console import print_json, stderr, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BundleFlag, ConfigFlag, JsonFlag, settings_of

if TYPE_CHECKING:
    from scorer.detector_report import DetectorReport

LabelsFlag = Annotated[Path, labels_option()]
OutFlag = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write report.html and report.json to.")
]
BudgetFlag = Annotated[
    float | None,
    typer.Option(
        "--false-alerts",
        metavar="N",
        min=0.0,
        max=1000.0,
        help="Alerts in 1,000 benign sessions that baselines, and the model without a group of features, may raise. "
        "[default: as many as the model]",
        show_default=False,
    ),
]
SeedFlag = Annotated[int, typer.Option("--seed", min=0, help="Of intervals, and of all that draws.")]
DriftFlag = Annotated[
    bool, typer.Option("--drift/--no-drift", help="Replay changed logs as well: takes six times as long.")
]


def evaluate(  # noqa: PLR0913 -- one parameter per flag
    *,
    calls: CallsFlag,
    labels: LabelsFlag,
    bundle: BundleFlag = None,
    log_format: FormatFlag = "auto",
    out: OutFlag = Path("evaluation"),
    false_alerts: BudgetFlag = None,
    seed: SeedFlag = 0,
    drift: DriftFlag = True,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    json: JsonFlag = False,
) -> None:
    """Measure a model on call logs with labelled attacks that it was not trained on, beside simpler detectors.

    The logs are replayed as a worker would read them. The folder gets report.html, which needs nothing else, and
    report.json.
    """
    require_format(log_format)
    settings = settings_of(config, assign, {"model.bundle": bundle})
    model = assembly.model_bundle(settings)
    # Matplotlib and scikit-learn take a second to load: --help need not wait.
    from stream import evaluate as work  # noqa: PLC0415 -- same
    from stream.labels import labels_of  # noqa: PLC0415 -- same

    check_place(out, {work.REPORT, work.PAGE})
    log = work.LabelledLog(calls, log_format, labels_of(labels), settings)
    with progress(calls) as (read, advance):
        report, files = work.evaluate(
            log, model, budget=false_alerts, seed=seed, with_drift=drift, progress=read, advance=advance
        )
    write(out, files)
    if json:
        print_json(report.document())
    else:
        show(report, out / work.PAGE)


def check_place(folder: Path, own: set[str]) -> None:
    """Refuse a folder that holds other things, before minutes of work.

    Raises:
        CommandError: it does, or it is a file.
    """
    other = folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= own)
    if other:
        raise CommandError(f"{folder} holds something else", "name another folder with --out", ExitCode.USAGE)


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the report.

    Raises:
        CommandError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise CommandError(f"cannot write {folder}: {error.strerror}") from error


@contextmanager
def progress(files: list[Path]) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Show how much of the files has been read, then what is being measured."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("reading", total=sum(path.stat().st_size for path in files))
        yield lambda read: bar.advance(task, read), lambda what: bar.update(task, description=f"measuring: {what}")


def show(report: "DetectorReport", page: Path) -> None:
    """Print the main figures."""
    found, benign = report.detected.found_by_client, report.detected.false_alerts
    kinds = Table("attack", "sessions", "found", "early", "before half", "calls to detect", box=None, pad_edge=False)
    for kind in (*report.detected.kinds, report.detected.overall):
        shares = (f"{100 * share.value:.0f} %" for share in (kind.found, kind.early, kind.before_half))
        kinds.add_row(kind.attack, f"{kind.found.of:,}", *shares, f"{kind.calls[2]:.0f}" if kind.calls else "")
    stdout.print(kinds, "")
    if report.comparison is not None:
        others = Table("detector", "threshold", "found", "false alerts in 1,000", "AP", box=None, pad_edge=False)
        for own in report.comparison.detectors:
            rates = (
                f"{100 * own.detected.found_by_client.value:.0f} %",
                f"{1000 * own.detected.false_alerts.value:.1f}",
            )
            others.add_row(own.name, own.chosen, *rates, f"{own.ranked.average_precision.value:.3f}")
        stdout.print(others, "")
    if report.ablation is not None:
        groups = Table("without", "found", "AP", box=None, pad_edge=False)
        for loss in report.ablation.losses:
            groups.add_row(loss.group, f"{-100 * loss.found.value:+.0f} %", f"{-loss.average_precision.value:+.3f}")
        stdout.print(groups, "")
    share = f"{100 * found.value:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f})"
    rate = f"{1000 * benign.value:.1f} ({1000 * benign.low:.1f} to {1000 * benign.high:.1f})"
    stdout.print(f"{share} of attacks found, {rate} of 1,000 benign sessions alert", highlight=False)
    day = report.raised.false_per_day
    daily = f"{day.value:,.0f} ({day.low:,.0f} to {day.high:,.0f})"
    stdout.print(f"{daily} false alerts a day of this traffic", highlight=False)
    stdout.print(f"report      {escape(str(page))}", highlight=False, soft_wrap=True)
