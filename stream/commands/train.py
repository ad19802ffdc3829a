"""``gatewatch train``: make a model bundle from the public table, one's own call logs, or what workers judged."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from msgspec import structs
from rich.markup import escape

from stream.adapters import FORMATS
from stream.commands.log_flags import FormatFlag
from stream.commands.stage_bars import stage_bars
from stream.commands.train_flags import (
    CONTAMINATION,
    DESCRIPTIONS,
    NAME_PATTERN,
    TOPICS_DESCRIPTION,
    BudgetFlag,
    CacheFlag,
    CallsFlag,
    ContaminationFlag,
    DayFlag,
    DescriptionFlag,
    EstimatorFlag,
    LabelsFlag,
    LabelWeightFlag,
    LicenceFlag,
    MlflowFlag,
    ModelFlag,
    ModelKind,
    NameFlag,
    NoCacheFlag,
    OutFlag,
    RecipeFlag,
    SearchFlag,
    SeedFlag,
    TopicsFlag,
)
from stream.console import print_json, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.settings import Settings

if TYPE_CHECKING:
    from scorer.call_recipe import CallOptions
    from stream.sources import Source
    from stream.stage_cache import StageCache
    from stream.stages import Stages
    from stream.tracking import Tracking
    from stream.train import Made


def train(  # noqa: PLR0913 -- one parameter per flag
    *,
    recipe: RecipeFlag = None,
    calls: CallsFlag = None,
    labels: LabelsFlag = None,
    topics: TopicsFlag = False,
    label_weight: LabelWeightFlag = None,
    log_format: FormatFlag = "auto",
    out: OutFlag = None,
    name: NameFlag = "own-calls",
    seed: SeedFlag = 0,
    model: ModelFlag = ModelKind.HGBT,
    search: SearchFlag = 1,
    with_estimator: EstimatorFlag = False,
    false_alerts: BudgetFlag = None,
    false_alerts_per_day: DayFlag = None,
    contamination: ContaminationFlag = None,
    description: DescriptionFlag = None,
    licence: LicenceFlag = "LicenseRef-not-published",
    cache: CacheFlag = None,
    no_cache: NoCacheFlag = False,
    mlflow: MlflowFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Train a model bundle: from the public table (--recipe), call logs (--calls), or what workers judged (--topics).

    With --labels it learns from the attacks that they name. Without, from attacks that are woven into the calls,
    of your API's own endpoints; figures of detection are then on woven attacks, and say so. With --topics it learns
    from labelled sessions, and takes others to be benign; those that a model alerted are left out until labelled.

    The bundle holds the model, its card and its plots. To use it, name it in the settings: model.bundle.

    What each stage makes (vectors, split, fit, threshold, evaluate, bundle) is kept in a cache: the same run again
    takes all from there, one with another budget of false alerts all but the last three.
    """
    unlabelled = bool(calls) and labels is None
    wrong = {
        "give one of --recipe access-behaviour, --calls FILE and --topics": [
            recipe is not None,
            bool(calls),
            topics,
        ].count(True)
        != 1,
        f"no format {log_format!r}: choose one of {', '.join(FORMATS)}": log_format not in FORMATS,
        f"--name {name}: use small letters, digits, dots, dashes and underscores, at most 64": not re.fullmatch(
            NAME_PATTERN, name
        ),
        "--labels is for --calls; with --topics labels are on the topic labels": labels is not None and not calls,
        "--label-weight is for --topics": label_weight is not None and not topics,
        "--contamination is for --calls without --labels": contamination is not None and not unlabelled,
        "give either --false-alerts or --false-alerts-per-day: they are two budgets": None
        not in {false_alerts, false_alerts_per_day},
        "--false-alerts-per-day is for --calls and --topics: the public table has no times": recipe is not None
        and false_alerts_per_day is not None,
        "give either --cache DIR or --no-cache": no_cache and cache is not None,
        "--search is not for isolation-forest, which learns without labels": search > 1
        and model is ModelKind.ISOLATION_FOREST,
    }
    for problem, there in wrong.items():
        if there:
            raise typer.BadParameter(problem)
    target = out or Path(name if recipe is None else recipe.value)
    check_place(target)
    # scikit-learn takes a second to load: --help need not wait.
    from scorer import call_recipe, table_recipe  # noqa: PLC0415 -- same
    from stream.stages import Stages  # noqa: PLC0415 -- same
    from stream.train import make_call_bundle, make_table_bundle  # noqa: PLC0415 -- same

    tracking = None if mlflow is None else tracking_at(mlflow)
    with stage_bars() as bars:
        stages = Stages(cache_of(cache, no_cache=no_cache), bars)
        if recipe is not None:
            made = make_table_bundle(seed, stages, table_recipe.RECIPES[model], search, with_estimator=with_estimator)
        else:
            settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
            if calls:
                source = logs_of(calls, log_format, labels, contamination, description, licence, settings)
            else:
                source = topics_of(label_weight, description, licence, settings)
            options = structs.replace(
                call_options(name, seed, false_alerts, false_alerts_per_day, settings),
                recipe=call_recipe.RECIPES[model],
                candidates=search,
            )
            made = make_call_bundle(source, options, stages, with_estimator=with_estimator)
    write(made, target)
    tracked = None if tracking is None else tracking.record(made)
    if json:
        from stream.train_report import summary  # noqa: PLC0415 -- same

        more = {} if tracked is None else {"mlflow": tracked._asdict()}
        print_json({**summary(made, target), "stages": stages.cached, **more})
    else:
        show(made, target, stages)
        if tracked is not None:
            stdout.print(f"mlflow      run {tracked.run}; {tracked.model} version {tracked.version}", highlight=False)


def logs_of(  # noqa: PLR0913, PLR0917 -- values of flags
    calls: list[Path],
    log_format: str,
    labels: Path | None,
    contamination: float | None,
    description: str | None,
    licence: str,
    settings: Settings,
) -> "Source":
    """Return call logs as a source."""
    from stream.sources import CallLogs  # noqa: PLC0415 -- scikit-learn takes a second to load

    share = CONTAMINATION if contamination is None else contamination
    about = description or DESCRIPTIONS[labels is not None]
    return CallLogs(calls, log_format, labels, share, about, licence, settings)


def topics_of(label_weight: float | None, description: str | None, licence: str, settings: Settings) -> "Source":
    """Return the topics of features and labels as a source."""
    from scorer.feedback import LABEL_WEIGHT  # noqa: PLC0415 -- scikit-learn takes a second to load
    from stream.feedback_topics import FeedbackTopics  # noqa: PLC0415 -- same

    weight = LABEL_WEIGHT if label_weight is None else label_weight
    return FeedbackTopics(settings, weight, description or TOPICS_DESCRIPTION, licence)


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


def cache_of(folder: Path | None, *, no_cache: bool) -> "StageCache | None":
    """Return where stages are kept; None for nowhere.

    Raises:
        CommandError: the folder can't be used.
    """
    from stream.stage_cache import StageCache, default_cache  # noqa: PLC0415 -- scikit-learn takes a second to load

    if no_cache:
        return None
    return default_cache() if folder is None else StageCache(folder)


def tracking_at(uri: str) -> "Tracking":
    """Return the server that runs are recorded at.

    Raises:
        CommandError: it can't be reached.
    """
    from stream.tracking import Tracking  # noqa: PLC0415 -- scikit-learn takes a second to load

    return Tracking(uri)


def call_options(
    name: str, seed: int, false_alerts: float | None, per_day: float | None, settings: Settings
) -> "CallOptions":
    """Return what the user decides of a model of calls."""
    from scorer import call_recipe  # noqa: PLC0415 -- scikit-learn takes a second to load

    own = settings.sessions
    limits = {"gap_s": own.gap_s, "quiet_s": own.quiet_s, "first_vector_calls": own.first_vector_calls}
    return call_recipe.CallOptions(
        name=name,
        seed=seed,
        false_alert_budget=call_recipe.FALSE_ALERT_BUDGET if false_alerts is None else false_alerts,
        daily=None if per_day is None else call_recipe.DailyBudget(per_day),
        session_limits={f"sessions.{limit}": value for limit, value in limits.items()},
    )


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


def show(made: "Made", target: Path, stages: "Stages") -> None:
    """Print what was made, how good it is, and which stages had been made before."""
    from stream.train_report import chosen, daily, kept, tables  # noqa: PLC0415 -- scikit-learn takes a second to load

    manifest = made.bundle.manifest
    if made.feedback is not None:
        stdout.print(f"sessions    {kept(made.feedback)}", highlight=False, soft_wrap=True)
    for table in tables(made.report):
        stdout.print(table, "")
    if told_daily := daily(manifest):
        stdout.print(f"budget      {told_daily}", highlight=False, soft_wrap=True)
    stdout.print(f"thresholds  {chosen(manifest)}", soft_wrap=True)
    stdout.print(f"trained on  {escape(manifest.trained_on)}", highlight=False)
    stdout.print(f"stages      {escape(told(stages))}", highlight=False, soft_wrap=True)
    where = escape(str(target))
    stdout.print(f"bundle      [bold]{manifest.uid}[/] in {where}; MODEL_CARD.md has the details", highlight=False)
    stdout.print(f"use it      gatewatch run --set model.bundle={where}", highlight=False, soft_wrap=True)


def told(stages: "Stages") -> str:
    """Say which stages were made and which were taken from the cache."""
    made = [stage for stage, cached in stages.cached.items() if not cached]
    taken = [stage for stage, cached in stages.cached.items() if cached]
    parts = [f"made: {', '.join(made)}"] if made else []
    if taken:
        parts.append(f"from the cache: {', '.join(taken)}")
    if stages.kept is None:
        parts.append("nothing was kept")
    elif stages.kept.complaint:
        parts.append(f"not all was kept: {stages.kept.complaint}")
    return "; ".join(parts)
