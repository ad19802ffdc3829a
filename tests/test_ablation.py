"""What a group of features is worth: all of it when the score is read from it, nothing when the model ignores it."""

from dataclasses import replace

import numpy as np
import pytest

from featurizer.features import Group
from scorer.ablation import ablate, donated_rows
from scorer.recording import Recording, position_in_group
from tests.recordings import MADE_SCORER, Made, make_day, make_recording


def recording() -> Recording:
    return make_day(300)


def test_the_group_that_the_score_is_read_from_is_worth_all_of_it() -> None:
    found = ablate(recording(), MADE_SCORER, 50.0, 0)

    everything, nothing = found.losses
    assert (everything.group, nothing.group) == (Group.MIX, Group.SHAPE)
    assert (everything.features, nothing.features) == (["score"], ["calls"])
    # As good as chance: the share of the attacks that the budget finds, and average precision of their share.
    assert found.found.value - everything.found.value == pytest.approx(0.05, abs=0.05)
    assert found.average_precision.value - everything.average_precision.value == pytest.approx(1 / 6, abs=0.08)
    assert everything.found.low > 0.3


def test_a_group_that_the_model_ignores_is_worth_nothing() -> None:
    *_, ignored = ablate(recording(), MADE_SCORER, 50.0, 0).losses

    for loss in (ignored.found, ignored.average_precision):
        assert (loss.value, loss.low, loss.high) == (0.0, 0.0, 0.0)


def test_without_a_budget_it_is_what_the_model_raised() -> None:
    own = recording()
    benign = ~own.vectors.attacked
    alerting = np.zeros(len(benign), dtype=bool)
    alerting[own.vectors.session[own.alerting]] = True

    assert ablate(own, MADE_SCORER, None, 0).budget == pytest.approx(1000 * alerting[benign].mean())


def test_the_same_seed_gives_the_same_losses() -> None:
    assert ablate(recording(), MADE_SCORER, 50.0, 3) == ablate(recording(), MADE_SCORER, 50.0, 3)
    assert ablate(recording(), MADE_SCORER, 50.0, 3) != ablate(recording(), MADE_SCORER, 50.0, 4)


def test_donors_are_benign_and_benign_sessions_swap() -> None:
    own = recording()
    session, attacked = own.vectors.session, own.vectors.attacked

    donors = session[donated_rows(own, np.random.default_rng(0))]

    assert not attacked[donors].any()
    for number in np.unique(session):
        assert len(set(donors[session == number].tolist())) == 1
    closed = own.vectors.closed
    assert sorted(donors[closed & ~attacked[session]]) == np.flatnonzero(~attacked).tolist()


def test_vectors_get_those_of_the_same_place_in_the_donor_s_session() -> None:
    own = recording()
    session, position = own.vectors.session, position_in_group(own.vectors.session)

    donated = donated_rows(own, np.random.default_rng(1))

    counts = np.bincount(session)
    last = position == counts[session] - 1
    assert (own.vectors.closed[donated[last]]).all()
    np.testing.assert_array_equal(position[donated[~last]], np.minimum(position, counts[session[donated]] - 1)[~last])


def test_vectors_without_a_verdict_are_left_out() -> None:
    own = make_recording(*(Made("aaaa", 0.2, 0.3) for _ in range(4)), Made("aaaa", 0.9, 0.9, attack="scan"))
    early = replace(own, ready=own.vectors.session != 0)

    donated = donated_rows(early, np.random.default_rng(0))

    assert len(donated) == early.ready.sum() == 8
    assert 0 not in early.vectors.session[donated]
