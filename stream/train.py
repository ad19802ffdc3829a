"""Training: calls the pure recipes of ``scorer``, stage by stage, and gives the files of a bundle."""

import io
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import resources
from itertools import product

import joblib
from msgspec import structs

from featurizer.features import GATEWAY_V1
from scorer import call_card, table_card
from scorer.access_behaviour import Rows, Table, read_table
from scorer.bundle import ModelBundle
from scorer.call_evaluation import CallReport, evaluate_calls
from scorer.call_fits import CallFits, CallThresholds, call_thresholds, fit_calls
from scorer.call_recipe import CallOptions, bundle_of_calls, check_size, ready
from scorer.evaluation import Evaluate, Fold, Split
from scorer.feedback import Feedback
from scorer.holdout import hold_out
from scorer.labelling import LabelledVectors
from scorer.manifest import ESTIMATOR, DataSource
from scorer.table_recipe import (
    FEATURE_SETS,
    OURS,
    RECIPE,
    TableReport,
    bundle_of_table,
    fit_table,
    measure,
    measure_ours,
    measure_their_way,
    shipped_labels,
    source_of,
    table_thresholds,
)
from scorer.thresholds import Thresholds
from scorer.training import AnyRecipe, Fitted, Trained
from stream.errors import CommandError
from stream.sources import Source
from stream.stages import OPTIONAL_LIBRARIES, Stages, library_versions

MAX_PROCESSES = 8
"""Processes that measure at the same time; each takes about 150 MB."""

SCHEMA = GATEWAY_V1

Advance = Callable[[int, int], None]
"""Told how many test folds have been measured since the last time, and of how many."""


@dataclass(frozen=True, eq=False)
class Made:
    """A trained model with everything that was measured.

    Attributes:
        bundle: the model with its documents.
        report: how good it is.
        feedback: which sessions it was trained on, when people had labelled some of those that workers judged.
    """

    bundle: ModelBundle
    report: TableReport | CallReport
    feedback: Feedback | None = None


def table_data() -> bytes:
    """Return the access-behaviour table that ships with gatewatch."""
    return resources.files("scorer").joinpath("data", "access_behaviour.csv").read_bytes()


def make_table_bundle(
    seed: int, stages: Stages, recipe: AnyRecipe = RECIPE, candidates: int = 1, *, with_estimator: bool = False
) -> Made:
    """Train and measure the recipe ``access-behaviour``.

    Args:
        seed: seed of the model.
        stages: runs the stages.
        recipe: parameters of the trees.
        candidates: recipes to choose from, that one among them; 1 is no search.
        with_estimator: add the estimator that the trees are of, pickled by joblib; gatewatch itself never loads it.
    """
    data = table_data()
    raw = stages.run("vectors", read_table, data)
    fitted = stages.run("fit", fit_table, raw, seed, recipe, candidates)
    thresholds = stages.run("threshold", table_thresholds, raw, fitted)
    with workers() as pool:
        run = runner(pool, stages.listener.advance)
        honest = {
            (rows, name): stages.run(
                "evaluate",
                *((measure_ours, raw, rows, recipe, candidates) if name == OURS else (measure, raw, rows, name)),
                run,
                key=[raw, rows, name, *((recipe, candidates) if name == OURS else ())],
                part=f"{name}, {rows} rows",
            )
            for rows, name in product(Rows, FEATURE_SETS)
        }
        theirs = stages.run(
            "evaluate", measure_their_way, raw, run, key=[raw], part="the deriving project's own protocol"
        )
    measured = {own: evaluation.value for own, evaluation in honest.items()}
    report = TableReport(measured, theirs.value, shipped_labels(raw.value))
    bundle = stages.run(
        "bundle",
        _table_bundle,
        data,
        raw,
        fitted,
        thresholds,
        report,
        key=[raw, fitted, thresholds, *honest.values(), theirs],
        seed=seed,
        candidates=candidates,
        with_estimator=with_estimator,
    )
    return Made(bundle.value, report)


def make_call_bundle(source: Source, options: CallOptions, stages: Stages, *, with_estimator: bool = False) -> Made:
    """Train and measure a model of sessions of one's own API.

    Args:
        source: where they come from.
        options: what the user decides.
        stages: runs the stages.
        with_estimator: as for ``make_table_bundle``.

    Raises:
        CommandError: the source can't be read, or there are too few sessions to learn from.
    """
    found = source.vectors(options, stages)
    options = structs.replace(options, weaving=found.value.weaving, feedback=found.value.feedback)
    vectors, woven = found.part("vectors"), options.weaving is not None
    try:
        check_size(vectors.value, ready(vectors.value))
        options = options.budgeted(vectors.value)
        split = stages.run("split", hold_out, vectors, options.seed)
        fits = stages.run("fit", fit_calls, vectors, split, options.recipe, options.seed, SCHEMA, options.candidates)
        contamination = 0.0 if options.weaving is None else options.weaving.contamination
        budget = (options.false_alert_budget, contamination, options.seed)
        thresholds = stages.run("threshold", call_thresholds, vectors, fits, *budget)
        measured = (fits.part("measured"), thresholds.part("measured"))
        report = stages.run("evaluate", evaluate_calls, vectors, split, *measured, woven=woven)
    except ValueError as error:
        raise CommandError(str(error), source.advice) from error
    bundle = stages.run(
        "bundle",
        _call_bundle,
        vectors,
        fits,
        thresholds,
        report,
        options,
        source.described(found.value),
        with_estimator=with_estimator,
    )
    return Made(bundle.value, report.value, options.feedback)


def _table_bundle(  # noqa: PLR0913 -- everything that there is of a run
    data: bytes,
    raw: Table,
    fitted: Fitted,
    thresholds: Thresholds,
    report: TableReport,
    *,
    seed: int,
    candidates: int,
    with_estimator: bool,
) -> ModelBundle:
    trained = bundle_of_table(
        raw,
        fitted,
        thresholds,
        source_of(data),
        seed=seed,
        versions=versions_for(fitted.recipe),
        metrics=report.metrics(),
        candidates=candidates,
    )
    return _complete(trained, table_card.documents(data, trained, report), with_estimator=with_estimator)


def _call_bundle(  # noqa: PLR0913, PLR0917 -- everything that there is of a run
    vectors: LabelledVectors,
    fits: CallFits,
    thresholds: CallThresholds,
    report: CallReport,
    options: CallOptions,
    source: DataSource,
    *,
    with_estimator: bool,
) -> ModelBundle:
    final = fits.final
    trained = bundle_of_calls(
        vectors,
        final.estimator,
        thresholds.final,
        structs.replace(options, recipe=final.recipe),
        source,
        schema=SCHEMA,
        metrics=report.metrics(),
        versions=versions_for(final.recipe),
        intervals=thresholds.intervals,
    )
    documents = call_card.documents(
        vectors, trained, final.scores, report, SCHEMA, weaving=options.weaving, feedback=options.feedback
    )
    return _complete(trained, documents, with_estimator=with_estimator)


def versions_for(recipe: AnyRecipe) -> dict[str, str]:
    """Return the versions that a manifest records of a model by this recipe."""
    return library_versions(*(name for name in OPTIONAL_LIBRARIES if name == recipe.NAME))


def _complete(trained: Trained, documents: Mapping[str, bytes], *, with_estimator: bool) -> ModelBundle:
    if with_estimator:
        buffer = io.BytesIO()
        joblib.dump(trained.estimator, buffer, compress=3)
        documents = {**documents, ESTIMATOR: buffer.getvalue()}
    return trained.bundle.with_documents(documents)


def workers() -> ProcessPoolExecutor:
    """Return processes for independent fits; not forked, since OpenMP does not survive a fork."""
    return ProcessPoolExecutor(min(os.cpu_count() or 1, MAX_PROCESSES), mp_context=multiprocessing.get_context("spawn"))


def runner(pool: ProcessPoolExecutor, advance: Advance) -> Callable[[Evaluate, Sequence[Split]], Iterator[Fold]]:
    """Return a ``map`` over the pool that tells of every fold."""

    def run(evaluate: Evaluate, parts: Sequence[Split]) -> Iterator[Fold]:
        for fold in pool.map(evaluate, parts):
            advance(1, len(parts))
            yield fold

    return run
