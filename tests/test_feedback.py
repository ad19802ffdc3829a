"""Feedback: a session that a model alerted is in no training unless somebody labelled it, and then as labelled."""

import math
from collections.abc import Sequence
from itertools import chain

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import GATEWAY_V1, FeatureVector, Occasion
from scorer.call_recipe import CallOptions, examples_of, ready
from scorer.feedback import UNNAMED, Feedback, Said, SessionLabel, vectors_of_feedback
from scorer.labelling import LabelledVectors
from scorer.training import Recipe
from scorer.verdicts import JudgedVector, Readiness, Verdict
from stream.wire import decode_label
from tests.labelled_sessions import EDGES, make_session, make_traffic
from tests.trained_models import call_model

SCHEMA = GATEWAY_V1
WEIGHT = 5.0


def judged(
    vectors: Sequence[FeatureVector], score: float = 0.1, readiness: Readiness = Readiness.READY
) -> list[JudgedVector]:
    """Return vectors with verdicts of a model whose threshold is 0.5; ``score`` is that of the last one."""
    scores = [0.1] * (len(vectors) - 1) + [score]
    return [
        JudgedVector(vector, Verdict(vector.session_id, vector.occasion, "model", own, 0.5, readiness, EDGES, 100))
        for vector, own in zip(vectors, scores, strict=True)
    ]


def session(number: int) -> list[FeatureVector]:
    """Three vectors of a session, the last at its end; every fourth session is of the same client."""
    return make_session(number, hostile=False, client=f"c{number % 4}", start=number * 60_000)


def label(number: int, verdict: Said, **more: object) -> SessionLabel:
    return msgspec.convert({"session_id": f"s{number}", "verdict": verdict, "time": 0, **more}, SessionLabel)


def train_on(judged: Sequence[JudgedVector], *labels: SessionLabel) -> tuple[LabelledVectors, Feedback]:
    return vectors_of_feedback(judged, {own.session_id: own for own in labels}, SCHEMA, WEIGHT)


def names(vectors: LabelledVectors) -> set[int]:
    """Return the numbers of the sessions: they began as many minutes after 1970."""
    return set((vectors.start // 60_000).tolist())


def test_what_a_model_alerted_is_left_out_until_somebody_labels_it() -> None:
    quiet, alerted = judged(session(1)), judged(session(2), score=0.5)
    vectors, feedback = train_on([*quiet, *alerted])
    assert names(vectors) == {1}
    assert (feedback.unlabelled, feedback.alerted, feedback.attacks, feedback.benign) == (1, 1, 0, 0)

    vectors, feedback = train_on([*quiet, *alerted], label(2, Said.FALSE_POSITIVE))
    assert names(vectors) == {1, 2}
    assert not vectors.attacked.any()
    assert (feedback.unlabelled, feedback.alerted, feedback.attacks, feedback.benign) == (1, 0, 0, 1)

    vectors, feedback = train_on([*quiet, *alerted], label(2, Said.TRUE_POSITIVE, attack="scan"))
    assert vectors.attacks == ("", "scan")
    assert (feedback.unlabelled, feedback.alerted, feedback.attacks, feedback.benign) == (1, 0, 1, 0)


def test_an_early_alert_leaves_a_session_out_whatever_came_later() -> None:
    early = [*judged(session(1)[:1], score=0.9), *judged(session(1)[1:])]
    vectors, feedback = train_on([*early, *judged(session(2))])
    assert names(vectors) == {2}
    assert feedback.alerted == 1


def test_a_verdict_while_the_tables_were_learning_is_no_alert() -> None:
    vectors, _ = train_on(judged(session(1), score=0.9, readiness=Readiness.LEARNING))
    assert names(vectors) == {1}


def test_a_vector_without_a_verdict_was_not_alerted() -> None:
    vectors, _ = train_on([JudgedVector(vector, None) for vector in session(1)])
    assert names(vectors) == {1}


def test_a_session_that_goes_on_waits_unless_it_is_labelled() -> None:
    going_on = judged(session(1)[:2])
    vectors, feedback = train_on([*going_on, *judged(session(2))])
    assert (names(vectors), feedback.going_on) == ({2}, 1)
    vectors, feedback = train_on([*going_on, *judged(session(2))], label(1, Said.BENIGN))
    assert (names(vectors), feedback.going_on) == ({1, 2}, 0)


def test_a_test_is_in_no_training() -> None:
    vectors, feedback = train_on([*judged(session(1)), *judged(session(2))], label(1, Said.TEST))
    assert (names(vectors), feedback.tests) == ({2}, 1)


def test_an_attack_is_hostile_from_its_beginning_unless_the_label_says_since_when() -> None:
    vectors, _ = train_on(judged(session(1)), label(1, Said.TRUE_POSITIVE))
    assert vectors.anomalous.tolist() == [True, True, True]
    assert vectors.attacks == (UNNAMED,)
    since = session(1)[1].end
    vectors, _ = train_on(judged(session(1)), label(1, Said.TRUE_POSITIVE, hostile_from=since))
    assert vectors.anomalous.tolist() == [False, True, True]


def test_labels_of_sessions_that_are_gone_are_counted() -> None:
    _, feedback = train_on(judged(session(1)), label(7, Said.TRUE_POSITIVE), label(8, Said.TEST))
    assert (feedback.without_session, feedback.tests) == (2, 0)


def test_when_nothing_is_left_it_is_said() -> None:
    with pytest.raises(ValueError, match="none of 1 sessions can be trained on"):
        train_on(judged(session(1), score=0.9))


SAID = st.none() | st.sampled_from(Said)
SESSIONS = st.lists(st.tuples(st.integers(1, 3), st.booleans(), SAID), min_size=1, max_size=12)
"""For each session: how many of its three vectors there are, whether the last was alerted, and what was said."""


@settings(deadline=None)
@given(sessions=SESSIONS)
def test_every_session_is_in_as_labelled_or_left_out_for_a_reason(
    sessions: list[tuple[int, bool, Said | None]],
) -> None:
    taken = [
        judged(session(number)[:count], score=0.9 if alerted else 0.1)
        for number, (count, alerted, _) in enumerate(sessions)
    ]
    labels = [label(number, said) for number, (_, _, said) in enumerate(sessions) if said is not None]
    expected = {
        number
        for number, (count, alerted, said) in enumerate(sessions)
        if (said is not Said.TEST if said is not None else count == 3 and not alerted)
    }
    if not expected:
        with pytest.raises(ValueError, match="can be trained on"):
            train_on(list(chain.from_iterable(taken)), *labels)
        return
    vectors, feedback = train_on(list(chain.from_iterable(taken)), *labels)
    assert names(vectors) == expected
    numbers = (feedback.attacks, feedback.benign, feedback.unlabelled)
    assert sum(numbers) == len(expected)
    assert sum((*numbers, feedback.alerted, feedback.tests, feedback.going_on)) == len(sessions)
    attacked = {number for number, own in enumerate(sessions) if own[2] is Said.TRUE_POSITIVE}
    assert set((vectors.start[vectors.attacked] // 60_000).tolist()) == attacked

    examples = examples_of(vectors, np.ones(len(vectors.values), dtype=bool))
    totals = np.bincount(vectors.session, weights=examples.weights)
    for number, total in zip(vectors.start // 60_000, totals, strict=True):
        assert math.isclose(total, WEIGHT if sessions[number][2] is not None else 1.0)


@settings(deadline=None)
@given(data=st.data())
def test_repeated_records_and_the_order_of_sessions_change_nothing(data: st.DataObject) -> None:
    taken = [judged(session(number)) for number in range(4)]
    labels = [label(1, Said.TRUE_POSITIVE), label(2, Said.BENIGN)]
    vectors, feedback = train_on(list(chain.from_iterable(taken)), *labels)
    # Any interleaving that keeps the order within a session, records twice here and there.
    turns = data.draw(st.permutations([number for number in range(4) for _ in range(3)]))
    waiting = [list(own) for own in taken]
    mixed = [waiting[number].pop(0) for number in turns]
    again = data.draw(st.lists(st.sampled_from(mixed), max_size=4))
    others, same = train_on([*mixed, *again], *labels)
    assert same == feedback

    def by_session(own: LabelledVectors) -> dict[int, object]:
        rows = {number: own.session == at for at, number in enumerate((own.start // 60_000).tolist())}
        return {
            number: (own.values[mine].tolist(), own.anomalous[mine].tolist(), own.weight[own.session[mine]].tolist())
            for number, mine in rows.items()
        }

    assert by_session(others) == by_session(vectors)


def test_a_labelled_session_moves_the_model_more_the_more_it_weighs() -> None:
    """One false alert, an attack by its features: what the label says of it counts."""
    traffic, attacks = make_traffic()
    hostile = {own.client for own in attacks}
    one = next(vector for vector in traffic if vector.client in hostile and vector.total_edges > 5000)
    sessions: dict[str, list[FeatureVector]] = {}
    for vector in traffic:
        sessions.setdefault(vector.session_id, []).append(vector)
    records = list(chain.from_iterable(judged(own) for own in sessions.values()))
    labels = {
        name: SessionLabel(
            session_id=name, verdict=Said.FALSE_POSITIVE if name == one.session_id else Said.TRUE_POSITIVE, time=0
        )
        for name, own in sessions.items()
        if own[0].client in hostile
    }
    options = CallOptions(name="test", seed=1, recipe=Recipe(max_iter=8))
    last = sessions[one.session_id][-1]
    assert last.occasion is Occasion.CLOSED
    scores = []
    for weight in (0.1, 200.0):
        vectors, _ = vectors_of_feedback(records, labels, SCHEMA, weight)
        assert ready(vectors).any()
        scores.append(float(call_model(vectors, options)[0].bundle.score([last.values])[0]))
    assert scores[0] > scores[1] + 0.2


def test_a_label_is_read_from_its_record() -> None:
    data = b'{"session_id":"s1","verdict":"true-positive","attack":"scan","time":5,"by":"ann","ticket":"SEC-1"}'
    assert decode_label(b"s1", data) == label(1, Said.TRUE_POSITIVE, attack="scan", time=5, by="ann")
    assert decode_label(b"s1", b'{"session_id":"s1","verdict":"test","time":5}').attack == ""


@pytest.mark.parametrize(
    ("key", "data", "says"),
    [
        (b"s1", b"scan", "malformed"),
        (b"s1", b'{"session_id":"s1","time":5}', "verdict"),
        (b"s1", b'{"session_id":"s1","verdict":"maybe","time":5}', "maybe"),
        (b"", b'{"session_id":"","verdict":"test","time":5}', "session_id"),
        (b"s2", b'{"session_id":"s1","verdict":"test","time":5}', "key of the label of session s1"),
        (None, b'{"session_id":"s1","verdict":"test","time":5}', "key of the label of session s1"),
    ],
)
def test_what_is_no_label_is_refused(key: bytes | None, data: bytes, says: str) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError), match=says):
        decode_label(key, data)
