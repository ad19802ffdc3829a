"""``gatewatch tune``: what thresholds cost in alerts on one's own call logs, and those that keep a budget of alerts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scorer.bootstrap import Estimate
from scorer.detection import Proportion
from scorer.tuning import Budget, TradeRow
from stream import assembly
from stream.commands.log_flags import CallsFlag, FormatFlag, labels_option, require_format
from stream.config_file import fragment, write_values
from stream.console import print_json, stderr, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BundleFlag, ConfigFlag, JsonFlag, overrides_of, settings_of
from stream.labels import labels_of
from stream.settings import DEFAULT_FILE, ENV_DELIMITER, ENV_PREFIX, Settings, load_settings, resolve
from stream.tune import CallLog, Tuned
from stream.tune import tune as work

SECTION = "model"
NAMES = {"open": "threshold_open", "closed": "threshold_closed"}
"""Field of Thresholds -> setting of SECTION."""

LabelsFlag = Annotated[Path | None, labels_option("Without it all alerts count, those on real attacks too.")]
BudgetFlag = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="N",
        min=0.0,
        max=1000.0,
        help="Choose the lowest thresholds that alert on at most N of 1,000 sessions.",
        show_default=False,
    ),
]
DayFlag = Annotated[
    float | None,
    typer.Option(
        "--per-day",
        metavar="N",
        min=0.0,
        help="Choose the lowest thresholds that raise at most N alerts a day, cooldown and all.",
        show_default=False,
    ),
]
WriteFlag = Annotated[
    bool, typer.Option("--write", help="Write the thresholds chosen into the settings file; the rest of it stays.")
]
SeedFlag = Annotated[int, typer.Option("--seed", min=0, help="Of intervals.")]


def tune(  # noqa: PLR0913 -- one parameter per flag
    *,
    calls: CallsFlag,
    labels: LabelsFlag = None,
    log_format: FormatFlag = "auto",
    bundle: BundleFlag = None,
    budget: BudgetFlag = None,
    per_day: DayFlag = None,
    write: WriteFlag = False,
    seed: SeedFlag = 0,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    json: JsonFlag = False,
) -> None:
    """Show what thresholds cost in alerts on call logs, and choose those that keep a budget of alerts.

    The logs are replayed as a worker would read them, and again with the thresholds chosen. Give logs that the model
    was not trained on, of several days. With --labels alerts are counted on benign sessions, and attacks found are
    shown.
    """
    require_format(log_format)
    if budget is not None and per_day is not None:
        raise CommandError("--budget and --per-day are two budgets", "give one of them", ExitCode.USAGE)
    settings = settings_of(config, assign, {"model.bundle": bundle})
    if write:
        check_writing(config, overrides_of(assign, {"model.bundle": bundle}), chosen=(budget, per_day) != (None, None))
    model = assembly.model_bundle(settings)
    log = CallLog(calls, log_format, None if labels is None else labels_of(labels), settings)
    limit = Budget(budget) if budget is not None else None if per_day is None else Budget(per_day, a_day=True)
    with progress(calls) as (read, advance):
        tuned = work(log, model, limit, seed=seed, progress=read, advance=advance)
    if json:
        print_json(tuned.document())
    else:
        show(tuned)
    if tuned.chosen is not None:
        finish(tuned, config or DEFAULT_FILE, write=write, quiet=json)


def check_writing(config: Path | None, overrides: dict[str, Any], *, chosen: bool) -> None:
    """Refuse to write what a worker would not judge by, before minutes of work.

    Raises:
        CommandError: there is nothing to write, no file to write to, or the flags change what the file says.
    """
    if not chosen:
        raise CommandError("--write has nothing to write", "give a budget: --budget N or --per-day N", ExitCode.USAGE)
    path = config or DEFAULT_FILE
    if not path.is_file():
        hint = "name the file with --config, or leave --write out: the lines to put into it are printed"
        raise CommandError(f"there is no {path} to write to", hint, ExitCode.USAGE)
    own = {f"{SECTION}.{name}" for name in NAMES.values()}
    with_flags, without = load_settings(config, overrides), load_settings(config)
    if other := sorted(name for name in overrides if name not in own and differs(with_flags, without, name)):
        raise CommandError(
            f"{path} says otherwise than the flags about {', '.join(other)}, and the thresholds hold for these flags",
            f"set {'it' if len(other) == 1 else 'them'} in {path} first, or leave --write out",
            ExitCode.USAGE,
        )


def differs(one: Settings, other: Settings, name: str) -> bool:
    """Return whether a setting has two values."""
    section = name.partition(".")[0]
    return bool(getattr(one, section) != getattr(other, section))


@contextmanager
def progress(files: list[Path]) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Show how much of the files has been read, in each replay anew."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("reading", total=sum(path.stat().st_size for path in files))
        yield lambda read: bar.advance(task, read), lambda what: bar.reset(task, description=f"reading {what}")


def show(tuned: Tuned) -> None:
    """Print what was counted, and the trade."""
    kind = "benign sessions" if tuned.labelled else "sessions"
    attacked = f" and {tuned.attacked:,} attacked ones" if tuned.labelled else ""
    early = f"; {tuned.learning:,} were too early to judge" if tuned.learning else ""
    stdout.print(f"[bold]{tuned.model}[/] on {tuned.sessions:,} {kind}{attacked} in {duration(tuned.days)}{early}")
    if not tuned.labelled:
        stdout.print("Without --labels all alerts are counted, those on real attacks too.")
    attacks = ("attacks found", "early") if tuned.labelled else ()
    table = Table("budget", "open", "closed", "alerts in 1,000", "a day", *attacks, box=None, pad_edge=False)
    for row in (tuned.now, *tuned.trade):
        table.add_row(*cells(row, tuned))
    if tuned.chosen is not None:
        table.add_row(*cells(tuned.chosen, tuned), style="bold")
    stdout.print("", table, "")


def cells(row: TradeRow, tuned: Tuned) -> list[str]:
    """Return a row of the table."""
    name = "now" if row.budget is None else f"{row.budget.alerts:g} {'a day' if row.budget.a_day else 'in 1,000'}"
    limits = (f"{row.thresholds.open:.6f}", f"{row.thresholds.closed:.6f}")
    attacks = [share(own) for own in (row.found, row.early) if own is not None]
    chosen = row is tuned.chosen
    return [f"{name}, chosen" if chosen else name, *limits, rate(row.alerting, 1000), rate(row.alerts_a_day), *attacks]


def finish(tuned: Tuned, path: Path, *, write: bool, quiet: bool) -> None:
    """Write the thresholds chosen, or print what to write; say what is left to do.

    Raises:
        CommandError: no thresholds were found that keep the budget, or the file cannot be written.
    """
    assert tuned.chosen is not None  # noqa: S101 -- there was a budget
    if not tuned.kept:
        raise CommandError(
            "replayed with the thresholds chosen, the log raises more alerts than the budget allows",
            "give a smaller budget, or thresholds to start from: --set model.threshold_open=…",
        )
    values = {setting: getattr(tuned.chosen.thresholds, name) for name, setting in NAMES.items()}
    if write:
        write_values(path, SECTION, values)
    if quiet:
        return
    if tuned.allowed is not None and tuned.allowed < 1:
        stdout.print("The budget allows no alert in so short a log, so the thresholds are strict: give more calls.")
    if write:
        done = " and ".join(f"{SECTION}.{name} = {value!r}" for name, value in values.items())
        stdout.print(f"written     {done} to {escape(str(path))}", soft_wrap=True, highlight=False)
        warn_of_environment()
    else:
        stdout.print(f"put this into {escape(str(path))}, or give --write:", soft_wrap=True, highlight=False)
        stdout.print("", escape(fragment(SECTION, values)), sep="\n", highlight=False)
    # SIGHUP reads bundles again, not settings.
    stdout.print("next        restart every worker with SIGTERM: thresholds are read when it starts", soft_wrap=True)


def warn_of_environment() -> None:
    """Say which variables win over what was written."""
    _, layers = resolve()
    for name in NAMES.values():
        if name in layers["environment"].get(SECTION, {}):
            variable = f"{ENV_PREFIX}{SECTION}{ENV_DELIMITER}{name}".upper()
            stdout.print(f"but         {variable} is set here, and wins over the file", soft_wrap=True, highlight=False)


def rate(value: Estimate, times: float = 1) -> str:
    """Return a rate with its interval."""
    low, middle, high = (times * part for part in (value.low, value.value, value.high))
    digits = 1 if high < 100 else 0
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def share(value: Proportion) -> str:
    """Return a share with its interval."""
    return f"{100 * value.value:.0f} % ({100 * value.low:.0f} to {100 * value.high:.0f})"


def duration(days: float) -> str:
    """Return a time in words."""
    return f"{days:.1f} days" if days >= 2 else f"{24 * days:.1f} hours" if days > 1 / 12 else f"{1440 * days:.0f} min"
