"""What alerts come to is counted from the first hostile call, by the log's clock, and the same for every detector."""

from dataclasses import replace

import numpy as np
import pytest

from scorer.comparison import BY_BUDGET, MODEL, compare, halves
from scorer.detection import Alerting, Scored, model_scores, ranking_of
from scorer.detector_report import complete, drifted, measure
from scorer.manifest import DataSource, Manifest
from scorer.recording import Recording
from tests.recordings import GAP_MS, Made, make_day, make_recording

MANIFEST = Manifest(
    name="made",
    uid="made-1",
    thresholds={"open": 0.5, "closed": 0.5},
    minimum_edges=200,
    data=DataSource(name="made up", sha256="0" * 64, licence="Apache-2.0", url="", description="Made up."),
    trained_on="made-up sessions",
    seed=0,
    parameters={},
    metrics={},
    library_versions={},
)


def detection(recording: Recording) -> Alerting:
    scored = model_scores(recording)
    return Alerting(scored, recording.alerting[scored.rows])


def test_calls_and_seconds_count_from_the_first_hostile_call() -> None:
    """Two benign calls, then the attack: the vector at four calls comes with its second call, a second later."""
    recording = make_recording(Made("aabbbb", early=0.9, attack="scan", hostile_after=2), Made("ab"))

    found = detection(recording).detected(0).overall

    assert (found.found.hits, found.early.hits) == (1, 1)
    assert found.calls == [2.0] * 5
    assert found.seconds == [1.0] * 5


def test_an_alert_at_the_end_of_a_session_is_late_by_the_gap() -> None:
    recording = make_recording(Made("aabbbb", closing=0.9, attack="scan", hostile_after=2), Made("ab"))

    found = detection(recording).detected(0).overall

    assert (found.found.hits, found.early.hits) == (1, 0)
    assert found.calls == [4.0] * 5
    assert found.seconds == [3.0 + GAP_MS / 1000] * 5


@pytest.mark.parametrize(("endpoints", "before_half"), [("aabbbb", 0), ("aabbbbb", 1)])
def test_an_alert_is_before_half_of_the_calls_from_the_first_hostile_one(endpoints: str, before_half: int) -> None:
    """At four calls two of the attack are made: half of four, and less than half of five."""
    recording = make_recording(Made(endpoints, early=0.9, attack="scan", hostile_after=2), Made("ab"))

    found = detection(recording).detected(0).overall

    assert (found.before_half.hits, found.before_half.of) == (before_half, 1)


def test_an_alert_before_the_attack_does_not_find_it() -> None:
    recording = make_recording(Made("aabbbb", early=0.9, attack="scan", hostile_after=5), Made("ab"))

    detected = detection(recording).detected(0)

    assert (detected.overall.found.hits, detected.premature.hits) == (0, 1)
    assert model_scores(recording).greatest().tolist() == [0.0, 0.0]


def test_a_detector_of_calls_can_alert_at_the_very_call() -> None:
    recording = make_recording(Made("aabz", attack="scan", hostile_after=2), Made("ab"))
    moments = recording.call_moments()
    scored = Scored(moments, np.arange(len(moments.session)), (recording.calls.endpoint == 2).astype(np.float64))

    detected = Alerting(scored, scored.scores > 0).detected(0)

    assert recording.calls.endpoints[2] == "z"
    assert (detected.overall.calls, detected.overall.seconds) == ([2.0] * 5, [1.0] * 5)


def test_attacks_that_were_not_found_take_for_ever() -> None:
    recording = make_recording(Made("aaaa", attack="scan"), Made("aaaa", early=0.9, attack="walk"), Made("ab"))

    calls, seconds = detection(recording).delays(np.ones(3, dtype=bool))

    assert (calls.tolist(), seconds.tolist()) == ([np.inf, 4.0], [np.inf, 3.0])


def test_kinds_add_up_to_all_attacks() -> None:
    detected = detection(make_day()).detected(0)

    assert [kind.attack for kind in detected.kinds] == ["scan", "walk"]
    assert sum(kind.found.of for kind in detected.kinds) == detected.overall.found.of == 20
    assert sum(kind.found.hits for kind in detected.kinds) == detected.overall.found.hits
    assert detected.found_by_client.value == detected.overall.found.value
    assert detected.false_alerts.value == detected.false_alert_sessions.value


def test_an_attack_that_was_not_judged_once_hostile_ranks_last() -> None:
    recording = make_recording(
        Made("aaaa", early=0.9, attack="scan", hostile_after=3), Made("ab", closing=0.3), Made("ab", closing=0.2)
    )
    before_the_end = replace(recording, ready=~recording.vectors.closed | (recording.vectors.session > 0))
    hidden = replace(before_the_end, vectors=replace(recording.vectors, anomalous=np.zeros(4, dtype=bool)))

    assert ranking_of(model_scores(before_the_end), 0).roc_auc.value == 1.0
    assert ranking_of(model_scores(hidden), 0).roc_auc.value == 0.0


@pytest.mark.parametrize("budget", [0.0, 20.0, 100.0])
def test_every_threshold_keeps_within_the_budget_on_the_first_half(budget: float) -> None:
    recording = make_day()
    training, test = halves(recording)
    benign = training & ~recording.vectors.attacked

    comparison = compare(recording, budget, 0)

    chosen = {own.name: own.threshold for own in comparison.detectors if own.chosen == BY_BUDGET}
    assert list(chosen) == [MODEL, "transition rule", "MIDAS", "half-space trees", "isolation forest"]
    scores, threshold = model_scores(recording).of(benign).greatest(), chosen[MODEL]
    assert threshold is not None
    assert (scores[benign] >= threshold).sum() <= budget * benign.sum() / 1000
    assert (comparison.training_sessions, comparison.test_sessions) == (training.sum(), test.sum())


def test_without_a_budget_all_may_raise_what_the_model_does() -> None:
    recording = make_day()
    training, _ = halves(recording)

    comparison = compare(recording, None, 0)

    share = detection(replace(recording, ready=training[recording.vectors.session])).false_alerts
    assert comparison.budget == pytest.approx(1000 * share.value)
    assert (comparison.detectors[0].name, comparison.detectors[0].threshold) == (MODEL, None)
    assert {own.chosen for own in comparison.detectors if own.name == "transition rule"} == {BY_BUDGET, "rule of thumb"}


def test_a_log_whose_second_half_has_no_attack_is_measured_but_not_compared() -> None:
    recording = make_recording(Made("aaaa", early=0.9, attack="scan"), *(Made("ab", start=n) for n in range(1, 6)))

    report = measure(recording, MANIFEST, MANIFEST.thresholds, files="x", budget=None, seed=0, drift=[])

    assert report.comparison is None
    assert "attacked and benign" in report.not_compared
    assert report.detected.overall.found.hits == 1


def test_a_log_without_an_attack_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="no attacked session got a verdict"):
        measure(make_recording(Made("ab")), MANIFEST, {}, files="x", budget=None, seed=0, drift=[])


def test_alerts_a_day_are_those_that_service_raises() -> None:
    recording = make_recording(
        Made("aaaa", early=0.9, attack="scan"),
        Made("ab", closing=0.9, start=86_399),
        Made("ab", closing=0.9),
        Made("ab"),
    )

    report = measure(recording, MANIFEST, MANIFEST.thresholds, files="x", budget=None, seed=0, drift=[])

    assert (report.raised.false, report.raised.true) == (2, 1)
    assert report.traffic.days == pytest.approx(1.0)
    assert report.raised.false_per_day.value == pytest.approx(2.0)
    assert report.raised.false_per_day.low < 2.0 <= report.raised.false_per_day.high


def test_calibration_is_of_sessions_at_their_end() -> None:
    labels, scores = complete(make_recording(Made("aaaa", 0.1, 0.9, attack="scan"), Made("aaaa", 0.8, 0.2)))

    assert sorted(zip(scores.tolist(), labels.tolist(), strict=True)) == [(0.2, False), (0.9, True)]


def test_clients_that_a_change_adds_are_counted_apart() -> None:
    recording = make_recording(
        Made("aaaa", 0.9, attack="scan", start=9), Made("ab", closing=0.9, start=9), Made("ab", start=9), Made("ab")
    )

    more = np.array([False, True, False, False])
    calm = replace(recording, alerting=np.zeros(len(recording.scores), dtype=bool))

    changed = drifted(recording, calm, name="more", what="one more client", added=more, since=5000)

    assert changed.added is not None
    assert (changed.found.hits, changed.found.of) == (1, 1)
    assert (changed.false_alerts.hits, changed.false_alerts.of) == (0, 1)
    assert (changed.added.hits, changed.added.of) == (1, 1)


def test_sessions_that_turn_are_told_by_client_and_first_call() -> None:
    before = make_recording(Made("ab", closing=0.9), Made("ab", closing=0.9), Made("ab"), Made("ab"), Made("ab"))
    after = make_recording(
        Made("ab"), Made("ab", closing=0.9), Made("ab", closing=0.9), Made("ab"), Made("ab", start=1)
    )
    nobody = np.zeros(5, dtype=bool)

    turned = drifted(after, before, name="", what="", added=nobody, since=0).turned

    assert (turned.hits, turned.of) == (2, 4)
