"""The steps of a recipe one after the other, as the stages of ``gatewatch train`` take them."""

from featurizer.features import GATEWAY_V1
from scorer.access_behaviour import read_table
from scorer.call_evaluation import CallReport, evaluate_calls
from scorer.call_fits import deciding, fit_rows
from scorer.call_recipe import CallOptions, bundle_of_calls, ready
from scorer.examples import Scores
from scorer.holdout import hold_out
from scorer.labelling import LabelledVectors
from scorer.manifest import DataSource
from scorer.table_recipe import bundle_of_table, fit_table, source_of, table_thresholds
from scorer.training import Trained
from stream.stages import library_versions
from stream.train import table_data

SOURCE = DataSource(name="made up", sha256="0" * 64, licence="Apache-2.0", url="", description="Made-up sessions.")
_SCHEMA = GATEWAY_V1


def table_model(seed: int = 0) -> Trained:
    """Return the model of the public table, nothing measured."""
    data = table_data()
    raw = read_table(data)
    fitted = fit_table(raw, seed)
    thresholds = table_thresholds(raw, fitted)
    versions = library_versions()
    return bundle_of_table(raw, fitted, thresholds, source_of(data), seed=seed, versions=versions, metrics={})


def call_model(vectors: LabelledVectors, options: CallOptions) -> tuple[Trained, Scores]:
    """Return the model of all sessions, nothing measured, and its scores out of fold."""
    fitted = fit_rows(vectors, ready(vectors), options.recipe, options.seed, _SCHEMA)
    contamination = 0.0 if options.weaving is None else options.weaving.contamination
    sessions = deciding(vectors, fitted, contamination)
    trained = bundle_of_calls(
        vectors,
        fitted.estimator,
        sessions.chosen(options.false_alert_budget),
        options,
        SOURCE,
        schema=_SCHEMA,
        metrics={},
        versions={},
        intervals=sessions.intervals(options.false_alert_budget, options.seed),
    )
    return trained, fitted.scores


def call_report(vectors: LabelledVectors, options: CallOptions) -> CallReport:
    """Return how good a model of a part of the sessions is on the others."""
    split, woven = hold_out(vectors, options.seed), options.weaving is not None
    rows = ready(vectors) & split.train[vectors.session]
    fitted = fit_rows(vectors, rows, options.recipe, options.seed, _SCHEMA)
    thresholds = deciding(vectors, fitted).chosen(options.false_alert_budget)
    return evaluate_calls(vectors, split, fitted, thresholds, woven=woven)
