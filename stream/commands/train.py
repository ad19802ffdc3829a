"""``gatewatch train``: make a model bundle from the public table, or from one's own call logs, labelled or not."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from msgspec import structs
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from stream.adapters import FORMATS
from stream.console import print_json, stderr, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, ConfigFlag, JsonFlag, settings_of
from stream.settings import Settings

if TYPE_CHECKING:
    from scorer.call_recipe import CallOptions
    from scorer.labelling import LabelledVectors
    from stream.train import Made


NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
"""Names that a manifest may hold."""
CONTAMINATION, MOST_CONTAMINATION = 0.01, 0.1
"""Share of unlabelled sessions that is taken to be hidden attacks unless told otherwise, and at most."""
DESCRIPTIONS = {True: "Call logs with labelled attacks.", False: "Call logs without labels."}
"""What calls with and without labels are called unless told otherwise."""


class RecipeName(StrEnum):
    """Recipes that need no files."""

    ACCESS_BEHAVIOUR = "access-behaviour"


RecipeFlag = Annotated[
    RecipeName | None,
    typer.Option("--recipe", help="Train from the public table that ships with gatewatch.", show_default=False),
]
CallsFlag = Annotated[
    list[Path] | None,
    typer.Option(
        "--calls",
        metavar="FILE",
        help="Train from this gateway log; may be repeated, the oldest first.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
LabelsFlag = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help='Known attacks in the calls, a line each: {"client": …, "attack": …, "start": ms, "end": ms}. '
        "Without it attacks are woven into the calls.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
FormatFlag = Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS), help="Log format of --calls.")]
OutFlag = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Folder or .zip to write. [default: the model's name]", show_default=False
    ),
]
NameFlag = Annotated[str, typer.Option("--name", help="Name of a model of --calls.")]
SeedFlag = Annotated[int, typer.Option("--seed", min=0, help="The same data and seed give the same model.")]
EstimatorFlag = Annotated[
    bool, typer.Option("--with-estimator", help="Add the scikit-learn estimator, for data scientists.")
]
BudgetFlag = Annotated[
    float,
    typer.Option(
        "--false-alerts",
        metavar="N",
        min=0.0,
        max=1000.0,
        help="Early alerts that may be raised in 1,000 benign sessions of --calls; without --labels, of any kind.",
    ),
]
ContaminationFlag = Annotated[
    float | None,
    typer.Option(
        "--contamination",
        metavar="SHARE",
        min=0.0,
        max=MOST_CONTAMINATION,
        help="Without --labels: leave out at most this share of the sessions, those that look like hidden attacks. "
        f"[default: {CONTAMINATION}]",
        show_default=False,
    ),
]
DescriptionFlag = Annotated[
    str | None,
    typer.Option(
        "--description",
        help=f"What the calls are, for the model's card. [default: {DESCRIPTIONS[True]}; or: {DESCRIPTIONS[False]}]",
        show_default=False,
    ),
]
LicenceFlag = Annotated[str, typer.Option("--licence", help="Licence of the calls, an SPDX expression.")]


def train(  # noqa: PLR0913 -- one parameter per flag
    *,
    recipe: RecipeFlag = None,
    calls: CallsFlag = None,
    labels: LabelsFlag = None,
    log_format: FormatFlag = "auto",
    out: OutFlag = None,
    name: NameFlag = "own-calls",
    seed: SeedFlag = 0,
    with_estimator: EstimatorFlag = False,
    false_alerts: BudgetFlag = 1.0,
    contamination: ContaminationFlag = None,
    description: DescriptionFlag = None,
    licence: LicenceFlag = "LicenseRef-not-published",
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    json: JsonFlag = False,
) -> None:
    """Train a model bundle: from the public table (--recipe), or from call logs (--calls).

    With --labels it learns from the attacks that they name. Without, from attacks that are woven into the calls,
    of your API's own endpoints; figures of detection are then on woven attacks, and say so.

    The bundle holds the model, its card and its plots. To use it, name it in the settings: model.bundle.
    """
    if (recipe is None) == (not calls):
        raise typer.BadParameter("give either --recipe access-behaviour, or --calls FILE")
    if log_format not in FORMATS:
        raise typer.BadParameter(f"no format {log_format!r}: choose one of {', '.join(FORMATS)}")
    if not re.fullmatch(NAME_PATTERN, name):
        raise typer.BadParameter(f"--name {name}: use small letters, digits, dots, dashes and underscores, at most 64")
    if contamination is not None and (recipe is not None or labels is not None):
        raise typer.BadParameter("--contamination is for --calls without --labels")
    target = out or Path(name if recipe is None else recipe.value)
    check_place(target)
    if recipe is not None:
        made = from_table(seed, with_estimator=with_estimator)
    else:
        settings = settings_of(config, assign)
        share = CONTAMINATION if contamination is None else contamination
        about = description or DESCRIPTIONS[labels is not None]
        inputs = Inputs(calls or [], log_format, labels, share, about, licence, settings)
        made = from_calls(inputs, name, seed, false_alerts, with_estimator=with_estimator)
    write(made, target)
    if json:
        from stream.train_report import summary  # noqa: PLC0415 -- scikit-learn takes a second to load

        print_json(summary(made, target))
    else:
        show(made, target)


def check_place(target: Path) -> None:
    """Refuse a place that the bundle could not be written to, before minutes of work.

    Raises:
        CommandError: it holds something else.
    """
    from scorer.manifest import MANIFEST  # noqa: PLC0415 -- loads numpy: --help need not wait

    taken = target.is_file() if target.suffix != ".zip" else target.is_dir()
    other = target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file()
    if taken or other:
        raise CommandError(f"{target} is not a model bundle", "name another place with --out", ExitCode.USAGE)


class Inputs(NamedTuple):
    """Call logs and what is known of them."""

    calls: list[Path]
    format: str
    labels: Path | None
    contamination: float
    description: str
    licence: str
    settings: Settings


def from_table(seed: int, *, with_estimator: bool) -> "Made":
    """Train from the public table, with a bar."""
    from stream.train import TABLE_STEPS, make_table_bundle  # noqa: PLC0415 -- scikit-learn takes a second to load

    columns = (
        TextColumn("measuring"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("", total=TABLE_STEPS)

        def advance(what: str) -> None:
            progress.update(task, advance=1, description=what)

        return make_table_bundle(seed, with_estimator=with_estimator, advance=advance)


def from_calls(inputs: Inputs, name: str, seed: int, false_alerts: float, *, with_estimator: bool) -> "Made":
    """Train from call logs.

    Raises:
        CommandError: a file can't be read, or there are too few sessions to learn from.
    """
    from scorer.call_recipe import CallOptions  # noqa: PLC0415 -- scikit-learn takes a second to load
    from stream.train import make_call_bundle, source_of  # noqa: PLC0415 -- same

    files = inputs.calls if inputs.labels is None else [*inputs.calls, inputs.labels]
    source = source_of(files, inputs.description, inputs.licence)
    own = inputs.settings.sessions
    limits = {"gap_s": own.gap_s, "quiet_s": own.quiet_s, "first_vector_calls": own.first_vector_calls}
    options = CallOptions(
        name=name,
        seed=seed,
        false_alert_budget=false_alerts,
        session_limits={f"sessions.{limit}": value for limit, value in limits.items()},
    )
    vectors, options = labelled_vectors(inputs, options)
    with stderr.status(f"training on {len(vectors.values):,} vectors of {len(vectors.attacks):,} sessions"):
        return make_call_bundle(vectors, options, source, with_estimator=with_estimator)


def labelled_vectors(inputs: Inputs, options: "CallOptions") -> "tuple[LabelledVectors, CallOptions]":
    """Read call logs and return the vectors of their sessions: labelled as given, or with attacks woven in.

    The options come back with how the attacks were woven, where they were.

    Raises:
        CommandError: a file can't be read, or holds no session.
    """
    from stream.labels import labels_of  # noqa: PLC0415 -- loads numpy: --help need not wait
    from stream.replay import replay_vectors  # noqa: PLC0415 -- scikit-learn takes a second to load
    from stream.train import labelled  # noqa: PLC0415 -- same
    from stream.unlabelled import weave_into  # noqa: PLC0415 -- same
    from stream.weaving import read_calls  # noqa: PLC0415 -- same

    known = [] if inputs.labels is None else labels_of(inputs.labels)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("", total=sum(path.stat().st_size for path in inputs.calls))

        def advance(read: int) -> None:
            progress.advance(task, read)

        if inputs.labels is not None:
            return labelled(replay_vectors(inputs.calls, inputs.settings, inputs.format, advance), known), options
        calls = read_calls(inputs.calls, inputs.settings, inputs.format, advance)
    with stderr.status(f"weaving attacks into {len(calls):,} calls"):
        made = weave_into(calls, inputs.settings, options, inputs.contamination)
    return made.vectors, structs.replace(options, weaving=made.weaving)


def write(made: "Made", target: Path) -> None:
    """Write the bundle.

    Raises:
        CommandError: the place is taken by something else, or can't be written.
    """
    from scorer.bundle import BundleError  # noqa: PLC0415 -- loads numpy: --help need not wait
    from stream.bundles import write_bundle  # noqa: PLC0415 -- same

    try:
        write_bundle(target, made.bundle.to_files())
    except BundleError as error:
        raise CommandError(str(error), "name another place with --out") from error


def show(made: "Made", target: Path) -> None:
    """Print what was made and how good it is."""
    from stream.train_report import tables  # noqa: PLC0415 -- scikit-learn takes a second to load

    manifest = made.bundle.manifest
    for table in tables(made.report):
        stdout.print(table, "")
    early, closing = manifest.thresholds["open"], manifest.thresholds["closed"]
    stdout.print(f"thresholds  {early:.3f} while a session is open, {closing:.3f} at its end")
    stdout.print(f"trained on  {escape(manifest.trained_on)}", highlight=False)
    where = escape(str(target))
    stdout.print(f"bundle      [bold]{manifest.uid}[/] in {where}; MODEL_CARD.md has the details", highlight=False)
    stdout.print(f"use it      gatewatch run --set model.bundle={where}", highlight=False, soft_wrap=True)
