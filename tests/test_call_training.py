"""A model of labelled call logs: labels join by client and time, prefixes count, nothing of a test client is seen."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from featurizer.features import GATEWAY_V1
from scorer.call_evaluation import CallReport
from scorer.call_fits import FittedRows, deciding
from scorer.call_recipe import (
    COPIES,
    VARIATION,
    CallOptions,
    DailyBudget,
    check_size,
    examples_of,
    ready,
    vary_traffic,
)
from scorer.examples import Scores
from scorer.holdout import hold_out
from scorer.judged import Share
from scorer.labelling import AttackLabel, LabelledVectors, label_vectors, read_labels
from scorer.thresholds import allowed_alerts
from scorer.training import Recipe, Trained, fit, out_of_fold, predict
from tests.labelled_sessions import EDGES, make_session, make_traffic
from tests.trained_models import call_model, call_report

SCHEMA = GATEWAY_V1
OPTIONS = CallOptions(name="test", seed=1, false_alert_budget=20.0, recipe=Recipe(max_iter=8))


@pytest.fixture(scope="module")
def vectors() -> LabelledVectors:
    return label_vectors(*make_traffic(), SCHEMA)


@pytest.fixture(scope="module")
def report(vectors: LabelledVectors) -> CallReport:
    return call_report(vectors, OPTIONS)


def train(vectors: LabelledVectors) -> tuple[Trained, Scores]:
    return call_model(vectors, OPTIONS)


@pytest.fixture(scope="module")
def trained(vectors: LabelledVectors) -> tuple[Trained, Scores]:
    return train(vectors)


def test_a_session_is_attacked_when_its_client_and_time_are_those_of_a_label() -> None:
    start = 1_000_000
    session = make_session(1, hostile=False, client="a", start=start)
    end = session[-1].end

    def attacks(*labels: AttackLabel) -> tuple[str, ...]:
        return label_vectors(session, labels, SCHEMA).attacks

    assert attacks(AttackLabel("a", "scan", end, end + 5)) == ("scan",)
    assert attacks(AttackLabel("a", "scan", start - 5, start)) == ("scan",)
    assert attacks(AttackLabel("a", "scan", end + 1, end + 5)) == ("",)
    assert attacks(AttackLabel("a", "scan", start - 5, start - 1)) == ("",)
    assert attacks(AttackLabel("b", "scan", start, end)) == ("",)
    assert attacks(AttackLabel("a", "second", start + 9, end), AttackLabel("a", "first", start, end)) == ("first",)


def test_a_prefix_before_the_first_hostile_call_is_benign() -> None:
    session = make_session(1, hostile=True, client="a", start=0, hostile_after=8)
    labelled = label_vectors(session, [AttackLabel("a", "takeover", 8_000, 19_000)], SCHEMA)
    assert labelled.anomalous.tolist() == [False, True, True]


def test_attacks_that_no_session_holds_are_reported() -> None:
    session = make_session(1, hostile=False, client="a", start=0)
    elsewhere = AttackLabel("b", "scan", 0, 5)
    assert label_vectors(session, [elsewhere], SCHEMA).unmatched == (elsewhere,)


def test_every_label_of_a_session_is_matched_even_if_only_the_first_names_it() -> None:
    session = make_session(1, hostile=False, client="a", start=0)
    labels = [AttackLabel("a", "scan", 0, 5), AttackLabel("a", "walk", 10, 15)]
    assert label_vectors(session, labels, SCHEMA).unmatched == ()


def test_labels_are_read_line_by_line() -> None:
    line = b'{"client":"a","attack":"scan","start":1,"end":2,"calls":9}\n'
    assert read_labels(line + b"\n" + line) == [AttackLabel("a", "scan", 1, 2)] * 2


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (b'{"client":"a"}', "attack"),
        (b"oops", "line 2"),
        (b'{"client":"a","attack":"x","start":5,"end":4}', "ends before"),
    ],
)
def test_a_line_that_is_no_label_is_named(line: bytes, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        read_labels(b'{"client":"a","attack":"scan","start":1,"end":2}\n' + line)


def test_no_vector_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no session"):
        label_vectors([], [], SCHEMA)


def test_a_session_counts_once_however_many_vectors_it_has(vectors: LabelledVectors) -> None:
    rows = ready(vectors)
    examples = examples_of(vectors, rows)
    totals = np.bincount(vectors.session[rows], weights=examples.weights)
    assert totals[totals > 0] == pytest.approx(1.0)


def test_vectors_that_service_would_not_judge_are_left_out(
    vectors: LabelledVectors, trained: tuple[Trained, Scores]
) -> None:
    minimum = trained[0].bundle.manifest.minimum_edges
    assert 0 < (~ready(vectors)).sum() < len(vectors.values)
    np.testing.assert_array_equal(ready(vectors), vectors.total_edges >= minimum)


def test_copies_vary_features_of_the_traffic_and_nothing_else(vectors: LabelledVectors) -> None:
    examples = examples_of(vectors, ready(vectors))
    count = len(examples)

    varied = vary_traffic(examples, SCHEMA, seed=0)

    assert len(varied) == (COPIES + 1) * count
    np.testing.assert_array_equal(varied.features[:count], examples.features)
    assert varied.weights.sum() == pytest.approx(examples.weights.sum())
    ratio = (varied.features / np.tile(examples.features, (COPIES + 1, 1)))[count:]
    assert (np.delete(ratio, SCHEMA.traffic_columns, axis=1) == 1).all()
    moved = np.log(ratio[:, SCHEMA.traffic_columns])
    assert abs(moved.mean()) < 0.02
    assert moved.std() == pytest.approx(VARIATION, rel=0.1)
    assert (varied.groups.reshape(COPIES + 1, count) == examples.groups).all()


def test_no_client_is_on_both_sides_and_test_sessions_are_later(vectors: LabelledVectors) -> None:
    split = hold_out(vectors, seed=0)
    assert not set(vectors.client[split.train]) & set(vectors.client[split.test])
    assert split.in_time
    assert vectors.start[split.train].max() < vectors.start[split.test].min()
    for side in (split.train, split.test):
        assert vectors.attacked[side].any()
        assert (~vectors.attacked[side]).any()


def test_every_kind_of_attack_is_on_both_sides(vectors: LabelledVectors) -> None:
    split = hold_out(vectors, seed=0)
    kinds = np.array(vectors.attacks)
    assert set(kinds[split.train]) == set(kinds[split.test]) == {"", "scan", "takeover"}


def test_sessions_all_at_once_are_split_by_client_alone() -> None:
    sessions = [make_session(n, hostile=n % 4 == 0, client=f"c{n}", start=0) for n in range(80)]
    labels = [AttackLabel(f"c{n}", "scan", 0, 5) for n in range(0, 80, 4)]
    vectors = label_vectors([vector for session in sessions for vector in session], labels, SCHEMA)
    split = hold_out(vectors, seed=0)
    assert not split.in_time
    assert not set(vectors.client[split.train]) & set(vectors.client[split.test])
    assert (split.train | split.test).all()


def test_no_more_benign_sessions_alert_than_the_budget_allows_whichever_of_their_vectors_does(
    vectors: LabelledVectors, trained: tuple[Trained, Scores]
) -> None:
    rows = ready(vectors)
    model, scores = trained
    thresholds = model.bundle.manifest.thresholds
    alerting = scores >= np.where(vectors.closed[rows], thresholds["closed"], thresholds["open"])
    benign = np.unique(vectors.session[rows][~vectors.attacked[vectors.session[rows]]])
    alerted = np.intersect1d(vectors.session[rows][alerting], benign)
    assert len(alerted) <= allowed_alerts(len(benign), OPTIONS.false_alert_budget)


def test_a_smaller_budget_means_stricter_thresholds(vectors: LabelledVectors, trained: tuple[Trained, Scores]) -> None:
    fitted = FittedRows(None, trained[1], OPTIONS.recipe, ready(vectors))
    strict, lax = (deciding(vectors, fitted).chosen(budget) for budget in (0.0, 200.0))
    assert strict.open >= lax.open
    assert strict.closed >= lax.closed
    assert strict != lax


def test_a_budget_by_day_is_one_in_1000_by_the_benign_sessions_a_day(vectors: LabelledVectors) -> None:
    judged = np.unique(vectors.session[ready(vectors)])
    benign = judged[~vectors.attacked[judged]]
    days = (vectors.end.max() - vectors.start[benign].min()) / 86_400_000

    options = structs.replace(OPTIONS, daily=DailyBudget(4.0)).budgeted(vectors)

    assert options.daily == DailyBudget(4.0, len(benign) / days)
    assert options.false_alert_budget * len(benign) / 1000 == pytest.approx(4.0 * days)
    assert OPTIONS.budgeted(vectors) is OPTIONS


def test_a_budget_of_more_than_there_are_is_all_of_them(vectors: LabelledVectors) -> None:
    options = structs.replace(OPTIONS, daily=DailyBudget(1e6)).budgeted(vectors)
    assert options.false_alert_budget == 1000.0


def test_a_budget_by_day_needs_a_benign_session(vectors: LabelledVectors) -> None:
    hostile = replace(vectors, attacks=("scan",) * len(vectors.attacks))
    with pytest.raises(ValueError, match="no benign session"):
        DailyBudget(1.0).of(hostile)


def test_a_session_that_weighs_nothing_is_scored_and_teaches_nothing(vectors: LabelledVectors) -> None:
    rows, recipe = ready(vectors), Recipe(max_iter=3)
    weight = vectors.weight.copy()
    weight[np.flatnonzero(~vectors.attacked)[:100]] = 0.0
    examples = examples_of(replace(vectors, weight=weight), rows)
    kept = examples.take(examples.weights > 0)

    scores = [predict(fit(own, recipe, 0), examples.features) for own in (examples, kept, examples_of(vectors, rows))]

    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
    assert not np.isnan(out_of_fold(examples, recipe, 0)).any()


@pytest.mark.parametrize(("score", "counts"), [(0.98, True), (0.995, False)])
def test_a_suspect_is_a_false_alert_unless_it_is_likelier_a_hidden_attack(
    vectors: LabelledVectors, score: float, *, counts: bool
) -> None:
    """Of a hundred sessions one may be an attack: at 0.99 a session is as likely one as not."""
    rows = ready(vectors)
    suspect = int(vectors.session[rows & ~vectors.attacked[vectors.session]][-1])
    weight = vectors.weight.copy()
    weight[suspect] = 0.0
    scores = np.where(vectors.anomalous[rows], 0.9, 0.1)
    scores[vectors.session[rows] == suspect] = score
    fitted = FittedRows(None, scores, OPTIONS.recipe, rows)

    thresholds = deciding(replace(vectors, weight=weight), fitted, contamination=0.01).chosen(0.0)

    assert (min(thresholds.open, thresholds.closed) > score) == counts
    assert (max(thresholds.open, thresholds.closed) <= 0.9) != counts


def test_the_same_calls_and_seed_give_the_same_model(vectors: LabelledVectors, trained: tuple[Trained, Scores]) -> None:
    first, again = trained[0].bundle, train(vectors)[0].bundle
    assert first.uid == again.uid
    assert first.to_files() == again.to_files()


def test_the_model_says_what_it_was_trained_on(trained: tuple[Trained, Scores]) -> None:
    manifest = trained[0].bundle.manifest
    assert (
        manifest.trained_on
        == "Made-up sessions: 240 sessions of 90 clients, 30 of them with one of 2 kinds of labelled attack"
    )
    assert manifest.minimum_edges == EDGES / 20
    assert manifest.name == "test"


def test_attacks_of_unseen_clients_are_found_and_counted_by_kind(vectors: LabelledVectors, report: CallReport) -> None:
    test = hold_out(vectors, OPTIONS.seed).test
    expected = Counter(kind for kind, there in zip(vectors.attacks, test, strict=True) if kind and there)
    assert {kind.attack: kind.found.of for kind in report.kinds} == expected
    assert report.overall.found.of == sum(expected.values())
    assert report.overall.found.hits == sum(kind.found.hits for kind in report.kinds)
    assert report.overall.found.value > 0.8
    assert report.complete.roc_auc > 0.9
    assert report.false_alerts.of == int((test & ~vectors.attacked).sum())


def test_detection_is_counted_from_the_first_hostile_call(report: CallReport) -> None:
    """A scan is hostile from its first call, a takeover after eight benign ones, which do not count."""
    found = {kind.attack: kind for kind in report.kinds}
    assert found["scan"].calls in (8.0, 16.0, 20.0)
    assert found["takeover"].calls in (8.0, 12.0)
    assert found["takeover"].seconds in (7.0, 11.0)


def test_recorded_metrics_are_finite_numbers(report: CallReport) -> None:
    metrics = report.metrics()
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["attacks_found"] == round(report.overall.found.value, 4)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)]
)
def test_the_interval_of_a_share_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=1e-4)


def test_a_share_of_nothing_is_unknown() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)


def test_too_few_attacks_are_refused_with_what_is_needed() -> None:
    vectors, labels = make_traffic()
    few = label_vectors(vectors, labels[:3], SCHEMA)
    with pytest.raises(ValueError, match=r"attacked sessions of \d clients to train on, at least 10 of 5 clients"):
        check_size(few, ready(few))
