"""Thresholds are replayed until a replay with them keeps the budget, and are not handed out when none does."""

from dataclasses import replace
from pathlib import Path

import pytest

from scorer.alerts import AlertPolicy
from scorer.thresholds import Thresholds
from scorer.tuning import Budget, Tuning
from stream.commands.tune import finish
from stream.errors import CommandError
from stream.tune import MOST_REPLAYS, Tuned, settled
from tests.recordings import make_day

BUDGET = Budget(50.0)


def day(times: float) -> Tuning:
    """Return a day whose scores are multiplied: as if other thresholds had moved them."""
    recording = make_day()
    moved = replace(recording, scores=times * recording.scores)
    return Tuning(moved, AlertPolicy(), labelled=True, seed=0)


class Replays:
    """Replays one day after another, and keeps the thresholds that it was asked for."""

    def __init__(self, *days: Tuning) -> None:
        self._days = iter(days)
        self.asked: list[Thresholds] = []

    def __call__(self, thresholds: Thresholds) -> Tuning:
        self.asked.append(thresholds)
        return next(self._days)


def test_a_choice_that_a_replay_confirms_is_replayed_once() -> None:
    replays = Replays(day(0.5))

    thresholds, tuning = settled(day(0.5), BUDGET, replays)

    assert replays.asked == [thresholds]
    assert tuning.keeps(BUDGET, thresholds)


def test_scores_that_moved_are_chosen_by_anew() -> None:
    replays = Replays(day(0.6), day(0.6))

    thresholds, tuning = settled(day(0.5), BUDGET, replays)

    assert replays.asked[1:] == [thresholds] == [day(0.6).chosen(BUDGET)]
    assert tuning.keeps(BUDGET, thresholds)


def test_what_kept_the_budget_is_not_given_up_for_what_does_not() -> None:
    replays = Replays(day(0.49), day(0.6))

    thresholds, tuning = settled(day(0.5), BUDGET, replays)

    assert replays.asked[1].open < thresholds.open
    assert thresholds == replays.asked[0] == day(0.5).chosen(BUDGET)
    assert tuning.keeps(BUDGET, thresholds)


def test_thresholds_that_no_replay_keeps_are_not_written(tmp_path: Path) -> None:
    replays = Replays(day(0.6), day(0.7), day(0.8))
    path = tmp_path / "gatewatch.toml"
    path.write_text("")

    thresholds, tuning = settled(day(0.5), BUDGET, replays)

    assert len(replays.asked) == MOST_REPLAYS
    assert thresholds == replays.asked[-1]
    row = tuning.row(thresholds, BUDGET)
    tuned = Tuned(
        model="made-1",
        labelled=True,
        sessions=100,
        attacked=20,
        learning=0,
        days=1.0,
        now=row,
        trade=[],
        chosen=row,
        allowed=5.0,
        kept=tuning.keeps(BUDGET, thresholds),
    )
    with pytest.raises(CommandError, match="more alerts than the budget allows"):
        finish(tuned, path, write=True, quiet=False)
    assert path.read_text() == ""
