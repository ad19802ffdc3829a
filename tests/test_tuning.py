"""Thresholds chosen by a budget keep it, use it, and raise the alerts that a worker would raise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.alerts import AlertPolicy
from scorer.detection import Alerting, model_scores
from scorer.examples import Scores
from scorer.recording import Recording
from scorer.thresholds import Thresholds
from scorer.tuning import GRID, Budget, Descent, Tuning
from tests.recordings import Made, make_day, make_recording

SCORES = st.one_of(st.just(np.nan), st.integers(0, 12).map(lambda step: step / 13), st.floats(0, 0.999))
SESSIONS = st.lists(st.tuples(SCORES, SCORES).filter(lambda pair: not np.isnan(pair).all()), min_size=1, max_size=30)


def tuning(recording: Recording, *, cooldown: int = 0, labelled: bool = True) -> Tuning:
    return Tuning(recording, AlertPolicy(cooldown=cooldown), labelled=labelled, seed=0)


def alerts(opened: Scores, closed: Scores, open_from: float, closed_from: float) -> int:
    """Return how many sessions alert; a missing score does not."""
    return int(((opened >= open_from) | (closed >= closed_from)).sum())


def columns(sessions: list[tuple[float, float]]) -> tuple[Scores, Scores]:
    return np.array([one for one, _ in sessions]), np.array([other for _, other in sessions])


@given(SESSIONS, st.integers(0, 35))
def test_a_budget_is_kept_and_a_step_lower_is_not(sessions: list[tuple[float, float]], allowed: int) -> None:
    opened, closed = columns(sessions)

    chosen = Descent(opened, closed).allowing(allowed)

    assert alerts(opened, closed, chosen.open, chosen.closed) <= allowed
    if allowed < len(sessions):
        step = 1 / GRID
        assert alerts(opened, closed, chosen.open - step, chosen.closed - step) > allowed


@given(SESSIONS)
def test_more_alerts_allowed_never_raise_a_threshold(sessions: list[tuple[float, float]]) -> None:
    descent = Descent(*columns(sessions))

    pairs = [descent.allowing(allowed) for allowed in range(len(sessions) + 2)]

    for name in ("open", "closed"):
        values = [getattr(pair, name) for pair in pairs]
        assert values == sorted(values, reverse=True)
    assert pairs[-1] == Thresholds(0.0, 0.0)


@given(SESSIONS, st.integers(0, 35))
def test_thresholds_are_what_six_decimals_say(sessions: list[tuple[float, float]], allowed: int) -> None:
    chosen = Descent(*columns(sessions)).allowing(allowed)

    assert [float(f"{value:.6f}") for value in (chosen.open, chosen.closed)] == [chosen.open, chosen.closed]


def test_early_and_closing_alerts_have_equal_parts() -> None:
    """Six sessions score high while open, six others at their end, on another scale."""
    opened = np.array([0.9 - 0.01 * n for n in range(6)] + [0.0] * 6)
    closed = np.array([0.0] * 6 + [0.4 - 0.01 * n for n in range(6)])

    chosen = Descent(opened, closed).allowing(6)

    assert (int((opened >= chosen.open).sum()), int((closed >= chosen.closed).sum())) == (3, 3)


def test_a_certain_score_alerts_whatever_the_budget() -> None:
    chosen = Descent(np.array([1.0, 0.2]), np.array([0.1, 0.2])).allowing(0)

    assert (chosen.open, chosen.closed) == (1.0, 0.200001)


def test_a_row_says_what_the_detector_s_alerts_come_to() -> None:
    recording = make_day()
    scored = model_scores(recording)
    detected = Alerting(scored, recording.alerting[scored.rows]).detected(0)

    row = tuning(recording).row(Thresholds(0.5, 0.5))

    assert row.alerting == detected.false_alerts
    assert (row.found, row.early) == (detected.overall.found, detected.overall.early)
    false = (~recording.vectors.attacked[recording.raised]).sum()
    assert row.alerts_a_day.value == pytest.approx(false / recording.days)


def test_alerts_are_raised_as_a_worker_raises_them() -> None:
    """Sessions of one client: the second lies in the cooldown of the first, the third begins after it."""
    recording = make_recording(
        Made("abab", 0.9, 0.9, "same"),
        Made("abab", 0.9, 0.1, "same", start=2.0),
        Made("abab", 0.9, 0.1, "same", start=300.0),
        Made("abab", 0.9, 0.1, "other"),
    )

    raised = list(tuning(recording, cooldown=120_000).raised(Thresholds(0.5, 0.5)))

    assert sorted(raised) == [0, 0, 2, 3]


def test_a_session_that_was_cut_off_is_judged_as_an_open_one() -> None:
    recording = make_recording(Made("ab", closing=0.7))
    cut_off = replace(recording, complete=np.zeros(1, dtype=bool))

    for judged, alerting in ((recording, 1.0), (cut_off, 0.0)):
        assert tuning(judged, labelled=False).row(Thresholds(open=0.8, closed=0.6)).alerting.value == alerting


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("budget", [Budget(20.0), Budget(100.0), Budget(5.0, a_day=True), Budget(60.0, a_day=True)])
def test_the_thresholds_chosen_keep_the_budget_of_a_log(budget: Budget, *, labelled: bool) -> None:
    own = tuning(make_day() if labelled else unlabelled(make_day()), cooldown=60_000, labelled=labelled)

    chosen = own.chosen(budget)
    row = own.row(chosen, budget)

    assert own.keeps(budget, chosen)
    assert not own.keeps(budget, Thresholds(0.0, 0.0))
    rate = row.alerts_a_day.value if budget.a_day else 1000 * row.alerting.value
    assert rate <= budget.alerts
    assert (row.found is None) is not labelled


def test_a_budget_a_day_is_used_up() -> None:
    own = tuning(make_day())
    budget = Budget(100.0, a_day=True)

    sessions = round(own.row(own.chosen(budget)).alerting.value * own.counted.sum())

    assert 0 < sessions < own.counted.sum()
    descent = own._descent
    assert own.keeps(budget, descent.allowing(sessions))
    assert not own.keeps(budget, descent.allowing(sessions + 1))


def test_the_trade_goes_one_way() -> None:
    rows = tuning(make_day(600)).trade()

    assert len(rows) >= 6
    for measure in ("found", "early", "alerting", "alerts_a_day"):
        values = [getattr(row, measure).value for row in rows]
        assert values == sorted(values)
    assert rows[-1].found.hits > rows[0].found.hits  # type: ignore[union-attr] # attacks are labelled


def test_budgets_that_allow_as_many_sessions_are_one_row() -> None:
    rows = tuning(make_day(120)).trade()

    assert [row.budget for row in rows] == [Budget(alerts) for alerts in (0.0, 10.0, 20.0, 50.0)]


def test_without_labels_every_session_counts() -> None:
    recording = unlabelled(make_day())

    row = tuning(recording, labelled=False).row(Thresholds(0.5, 0.5))

    alerting = np.unique(recording.vectors.session[recording.scores >= 0.5])
    assert row.alerting.value == pytest.approx(len(alerting) / len(recording.clients))
    assert (row.found, row.early) == (None, None)


def unlabelled(recording: Recording) -> Recording:
    """Return the recording as it is when nobody has looked for attacks; no score is certain."""
    vectors = recording.vectors
    return replace(
        recording,
        scores=0.99 * recording.scores,
        vectors=replace(
            vectors,
            attacks=("",) * len(vectors.attacks),
            anomalous=np.zeros_like(vectors.anomalous),
            hostile_from=np.zeros_like(vectors.hostile_from),
        ),
    )
