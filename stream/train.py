"""Training from files: reads data, calls the pure recipes of ``scorer``, and gives the files of a bundle."""

import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import joblib

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector
from scorer import call_card, table_card
from scorer.access_behaviour import Rows
from scorer.bundle import ModelBundle
from scorer.call_evaluation import CallReport, evaluate_calls
from scorer.call_recipe import CallOptions, check_size, ready, train_on_calls
from scorer.evaluation import ORIGINAL_SPLITS, OUTER_FOLDS, SEEDS, Evaluate, Fold, Runner, Split
from scorer.labelling import AttackLabel, LabelledVectors, label_vectors
from scorer.manifest import DataSource
from scorer.table_recipe import FEATURE_SETS, TableReport, evaluate_table, train_on_table
from scorer.training import Trained
from stream.errors import CommandError, ExitCode

ESTIMATOR = "estimator.joblib"
LIBRARIES = ("gatewatch", "numpy", "scikit-learn")
"""What a model's bits depend on."""

MAX_PROCESSES = 8
"""Processes that measure at the same time; each takes about 150 MB."""

TABLE_STEPS = len(Rows) * len(FEATURE_SETS) * len(SEEDS) * OUTER_FOLDS + ORIGINAL_SPLITS
"""Test folds that ``make_table_bundle`` measures: the length of its progress bar."""

Advance = Callable[[str], None]
"""Told, after each test fold, what is being measured."""


@dataclass(frozen=True, eq=False)
class Made:
    """A trained model with everything that was measured.

    Attributes:
        bundle: the model with its documents.
        report: how good it is.
    """

    bundle: ModelBundle
    report: TableReport | CallReport


def table_data() -> bytes:
    """Return the access-behaviour table that ships with gatewatch."""
    return resources.files("scorer").joinpath("data", "access_behaviour.csv").read_bytes()


def library_versions() -> dict[str, str]:
    """Return the versions that a manifest records."""
    return {name: version(name) for name in LIBRARIES}


def make_table_bundle(seed: int, *, with_estimator: bool = False, advance: Advance = lambda _: None) -> Made:
    """Train and measure the recipe ``access-behaviour``.

    Args:
        seed: seed of the model.
        with_estimator: add the scikit-learn estimator, pickled by joblib; gatewatch itself never loads it.
        advance: called TABLE_STEPS times.
    """
    data = table_data()
    with workers() as pool:
        report = evaluate_table(data, runner(pool, advance))
    trained = train_on_table(data, seed, library_versions(), report.metrics())
    documents = table_card.documents(data, trained, report)
    return Made(_complete(trained, documents, with_estimator=with_estimator), report)


def make_call_bundle(
    vectors: LabelledVectors, options: CallOptions, source: DataSource, *, with_estimator: bool = False
) -> Made:
    """Train and measure a model of labelled sessions.

    Args:
        vectors: labelled vectors, in log order.
        options: what the user decides.
        source: where the calls came from.
        with_estimator: as for ``make_table_bundle``.

    Raises:
        CommandError: there are too few sessions to learn from.
    """
    schema = ACCESS_BEHAVIOUR_V1
    try:
        check_size(vectors, ready(vectors))
        report = evaluate_calls(vectors, options, schema)
        trained, scores = train_on_calls(
            vectors, options, source, schema, metrics=report.metrics(), versions=library_versions()
        )
    except ValueError as error:
        hint = "give more calls" if options.weaving else "give more calls, or labels of more attacks"
        raise CommandError(str(error), hint) from error
    documents = call_card.documents(vectors, trained, scores, report, schema, weaving=options.weaving)
    return Made(_complete(trained, documents, with_estimator=with_estimator), report)


def labelled(vectors: Iterable[FeatureVector], labels: Sequence[AttackLabel]) -> LabelledVectors:
    """Join vectors with labels.

    Raises:
        CommandError: there is no session.
    """
    try:
        return label_vectors(vectors, labels, ACCESS_BEHAVIOUR_V1)
    except ValueError as error:
        raise CommandError(f"--calls: {error}", "gatewatch replay shows what is wrong with the lines") from error


def source_of(files: Sequence[Path], description: str, licence: str) -> DataSource:
    """Describe call logs and their labels; file names only, no folders, go into a bundle.

    Raises:
        CommandError: a file can't be read.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}", exit_code=ExitCode.USAGE) from error
    return DataSource(
        name=", ".join(path.name for path in files),
        sha256=digest.hexdigest(),
        licence=licence,
        url="",
        description=description,
    )


def _complete(trained: Trained, documents: dict[str, bytes], *, with_estimator: bool) -> ModelBundle:
    if with_estimator:
        buffer = io.BytesIO()
        joblib.dump(trained.estimator, buffer, compress=3)
        documents = {**documents, ESTIMATOR: buffer.getvalue()}
    return trained.bundle.with_documents(documents)


def workers() -> ProcessPoolExecutor:
    """Return processes for independent fits; not forked, since OpenMP does not survive a fork."""
    return ProcessPoolExecutor(min(os.cpu_count() or 1, MAX_PROCESSES), mp_context=multiprocessing.get_context("spawn"))


def runner(pool: ProcessPoolExecutor, advance: Advance) -> Callable[[str], Runner]:
    """Return, for what is being measured, a ``map`` over the pool that tells of every fold."""

    def of(name: str) -> Runner:
        def run(evaluate: Evaluate, parts: Sequence[Split]) -> Iterator[Fold]:
            for fold in pool.map(evaluate, parts):
                advance(name)
                yield fold

        return run

    return of
