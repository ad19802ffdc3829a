"""The pure pipeline: records in; calls, vectors, verdicts, alerts, dead letters and positions out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall, encode_call
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees, sum_snapshots
from featurizer.features import GATEWAY_V1, Occasion, matrix_of
from featurizer.sessions import CloseReason, Outcome, SessionPolicy
from scorer.alerts import AlertKind, AlertPolicy, Decision
from scorer.judge import Judge
from stream.batches import Batch
from stream.dead_letters import Reason
from stream.pipeline import Detector, Normaliser
from stream.records import TopicPartition
from tests.model_factory import make_bundle
from tests.records import (
    CALLS,
    LOGS,
    NOW,
    OTHER,
    Made,
    call_record,
    decode_words,
    make_detector,
    plain_judge,
    run,
    walk,
)


def letters(batch: Batch) -> list[tuple[Reason, bytes, int, int | None]]:
    """Return the dead letters as (reason, original, offset, index)."""
    return [(own.reason, own.original, own.offset, own.index) for own in batch.dead_letters]


class TestNormaliser:
    def normalise(self, *records: Made) -> Batch:
        return Normaliser({"logs": decode_words}).normalise(records)

    def test_calls_keep_the_order_and_the_arrival_of_their_records(self) -> None:
        batch = self.normalise(Made(b"5 ann /a\n6 bob /b", 7, LOGS, 1000), Made(b"4 cy /c", 8, LOGS, 2000))
        assert batch.calls == [
            (ApiCall(5, "ann", "GET /a"), 1000),
            (ApiCall(6, "bob", "GET /b"), 1000),
            (ApiCall(4, "cy", "GET /c"), 2000),
        ]
        assert (batch.records, batch.formats) == (2, {"words": 3})

    def test_a_position_is_the_offset_after_the_last_record_of_each_partition(self) -> None:
        other = TopicPartition("logs", 5)
        batch = self.normalise(Made(b"5 ann /a", 7, LOGS), Made(b"5 ann /a", 40, other), Made(b"? bob", 8, LOGS))
        assert batch.positions == {LOGS: 9, other: 41}

    def test_an_element_that_is_no_call_is_a_dead_letter_with_its_own_bytes(self) -> None:
        batch = self.normalise(Made(b"5 ann /a\n? no\n6 bob /b", 7, LOGS, 1000, b"k"))
        assert [call.client for call, _ in batch.calls] == ["ann", "bob"]
        (letter,) = batch.dead_letters
        assert letters(batch) == [(Reason.MISSING_FIELD, b"? no", 7, 1)]
        assert (letter.topic, letter.partition, letter.timestamp, letter.key) == ("logs", 0, 1000, b"k")

    def test_a_defect_met_by_one_record_does_not_stop_the_others(self) -> None:
        batch = self.normalise(Made(b"5 ann /a", 7, LOGS), Made(b"boom", 8, LOGS), Made(b"6 bob /b", 9, LOGS))
        assert [call.client for call, _ in batch.calls] == ["ann", "bob"]
        assert letters(batch) == [(Reason.INTERNAL_ERROR, b"boom", 8, None)]
        assert "ZeroDivisionError" in batch.dead_letters[0].detail
        assert batch.positions == {LOGS: 10}

    def test_no_records_lead_to_nothing(self) -> None:
        assert self.normalise() == Batch()


class TestRecordsOfCalls:
    def test_calls_are_accepted_and_positions_move(self) -> None:
        batch = run(make_detector(CALLS, OTHER), [*walk("ab", first=10), *walk("c", "bob", first=3, source=OTHER)])
        assert (batch.records, batch.accepted, batch.dead_letters) == (3, 3, [])
        assert batch.positions == {CALLS: 12, OTHER: 4}
        assert batch.accepted == 3

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (None, Reason.UNDECODABLE),
            (b"", Reason.UNDECODABLE),
            (b"GET /a", Reason.UNDECODABLE),
            (b'[1700000000000,"\xff","GET /a"]', Reason.UNDECODABLE),
            (b"{}", Reason.INVALID_FIELD),
            (b'["noon","ann","GET /a"]', Reason.INVALID_FIELD),
            (b'[1700000000000,"ann"]', Reason.INVALID_FIELD),
        ],
    )
    def test_other_bytes_are_dead_letters_and_the_rest_goes_on(self, data: bytes | None, reason: Reason) -> None:
        detector = make_detector()
        batch = run(detector, [call_record(0, NOW), Made(data, 1), call_record(2, NOW)])
        assert letters(batch) == [(reason, data or b"", 1, None)]
        assert (batch.accepted, batch.positions) == (2, {CALLS: 3})
        assert batch.accepted == 2

    def test_a_late_call_is_counted_and_kept(self) -> None:
        late = call_record(1, NOW - 1001)
        batch = run(make_detector(), [call_record(0, NOW), late])
        assert batch.outcomes == {Outcome.LATE: 1}
        assert letters(batch) == [(Reason.LATE_CALL, late.data, 1, None)]

    def test_a_call_from_the_future_is_counted_and_kept(self) -> None:
        future = call_record(0, NOW + 300_001, arrival=NOW)
        batch = run(make_detector(), [future, call_record(1, NOW)])
        assert batch.outcomes == {Outcome.FUTURE: 1}
        assert letters(batch) == [(Reason.FUTURE_TIMESTAMP, future.data, 0, None)]
        assert batch.accepted == 1

    def test_a_duplicate_is_only_counted(self) -> None:
        batch = run(make_detector(), [call_record(at, NOW, request_id="r") for at in range(3)])
        assert (batch.accepted, batch.outcomes, batch.dead_letters) == (1, {Outcome.DUPLICATE: 2}, [])

    def test_what_the_client_s_name_is_goes_from_its_first_call_to_the_alert_whatever_lies_between(self) -> None:
        detector = make_detector(sessions=SessionPolicy(first_vector_calls=4))
        calls = [
            ApiCall(NOW + at, "ann", f"GET /{letter}", 200, identity="consumer") for at, letter in enumerate("abcd")
        ]
        records = [Made(encode_call(call), at) for at, call in enumerate(calls)]
        run(detector, records[:2])
        detector.partitions[CALLS].windows.park()
        batch = run(detector, records[2:])
        assert [(own.vector.identity, own.vector.calls) for own in batch.samples] == [("consumer", 4)]
        assert [own.identity for own in batch.alerts] == ["consumer"]

    @pytest.mark.parametrize("arrival", [-1, 0, 946_684_800_000])
    def test_a_record_without_a_time_arrives_with_its_call(self, arrival: int) -> None:
        detector = make_detector()
        batch = run(detector, [call_record(0, NOW, arrival=arrival)])
        assert batch.accepted == 1
        assert detector.partitions[CALLS].windows.record_clock == NOW

    def test_a_partition_that_was_not_assigned_is_an_error_not_a_dead_letter(self) -> None:
        with pytest.raises(KeyError):
            make_detector(CALLS).sessionize([call_record(0, NOW, source=OTHER)])


class TestLogsKeyedByClient:
    """The topic holds gateway logs and is read without the hop through ``normalise``."""

    def test_elements_are_calls_and_dead_letters(self) -> None:
        batch = run(make_detector(LOGS), [Made(b"%d ann /a\n? no\n%d ann /b" % (NOW, NOW), 7, LOGS)])
        assert (batch.accepted, batch.formats["words"], batch.positions) == (2, 2, {LOGS: 8})
        assert letters(batch) == [(Reason.MISSING_FIELD, b"? no", 7, 1)]

    def test_a_defect_met_by_one_record_does_not_stop_the_others(self) -> None:
        records = [Made(b"%d ann /a" % NOW, 7, LOGS), Made(b"boom", 8, LOGS), Made(b"%d ann /b" % NOW, 9, LOGS)]
        batch = run(make_detector(LOGS), records)
        assert (batch.accepted, batch.positions) == (2, {LOGS: 10})
        assert letters(batch) == [(Reason.INTERNAL_ERROR, b"boom", 8, None)]

    def test_no_count_goes_below_zero_when_a_call_in_the_middle_meets_a_defect(self) -> None:
        """Metrics only count upwards: a negative count would stop the worker."""
        record = Made(b"%d ann /a\n%d bad /b\n%d cy /c" % (NOW, NOW, NOW), 7, LOGS)
        batch = run(make_detector(LOGS, excluded_methods=["HEAD"]), [record])
        assert letters(batch) == [(Reason.INTERNAL_ERROR, record.data, 7, None)]
        assert (batch.accepted, batch.formats) == (1, {"words": 1})

    def test_refused_calls_of_one_record_share_one_dead_letter_a_reason(self) -> None:
        """Each holds the whole record: one a call would make gigabytes of a megabyte."""
        late, future = NOW - 2000, NOW + 400_000
        record = Made(b"\n".join(b"%d ann /a" % time for time in (NOW, late, late, future)), 7, LOGS)
        batch = run(make_detector(LOGS), [record])
        assert letters(batch) == [
            (Reason.LATE_CALL, record.data, 7, None),
            (Reason.FUTURE_TIMESTAMP, record.data, 7, None),
        ]
        assert batch.dead_letters[0].detail.endswith("(2 of the record's 4 calls)")
        assert batch.outcomes == {Outcome.LATE: 2, Outcome.FUTURE: 1}

    def test_two_sessions_that_one_record_opens_for_a_client_are_told_apart(self) -> None:
        """Ids of alerts are made of those of sessions: equal ones would hide an alert."""
        record = Made(b"\n".join([b"%d ann /a" % NOW] * 6), 7, LOGS)
        detector = make_detector(LOGS, sessions=SessionPolicy(max_calls=2))
        batch = detector.sessionize([record])
        vectors = [own.vector for own in [*batch.samples, *detector.close([LOGS], CloseReason.END_OF_INPUT).samples]]
        assert [vector.calls for vector in vectors] == [2, 2, 2]
        assert len({vector.session_id for vector in vectors}) == 3

    @settings(deadline=None)
    @given(
        st.lists(
            st.lists(st.tuples(st.integers(-3000, 3000), st.sampled_from("ab?")), min_size=1, max_size=6), max_size=8
        )
    )
    def test_every_element_is_in_a_session_or_refused_or_dead(self, elements: list[list[tuple[int, str]]]) -> None:
        records = [
            Made(
                b"\n".join(b"? x" if who == "?" else b"%d %s /x" % (NOW + time, who.encode()) for time, who in own), at
            )
            for at, own in enumerate(elements)
        ]
        detector = make_detector(LOGS, sessions=SessionPolicy(gap=1000, future_tolerance=2000))
        batch = detector.sessionize([record._replace(source=LOGS) for record in records])
        rejected = sum(letter.index is not None for letter in batch.dead_letters)
        assert batch.accepted + batch.outcomes.total() + rejected == sum(map(len, elements))
        assert batch.formats["words"] == batch.accepted + batch.outcomes.total()
        closed = detector.close([LOGS], CloseReason.END_OF_INPUT)
        ended = [own.vector for own in [*batch.samples, *closed.samples] if own.vector.occasion is Occasion.CLOSED]
        assert sum(vector.calls for vector in ended) == batch.accepted


class TestAlerting:
    def test_an_open_session_alerts_once_and_once_more_at_its_end(self) -> None:
        """Eight calls make seven edges: 0.7 by the plain judge."""
        detector = make_detector()
        batch = run(detector, walk("abcdefghabcdefgh"))
        assert [(alert.kind, alert.calls, alert.position.offset) for alert in batch.alerts] == [(AlertKind.EARLY, 8, 7)]
        assert batch.decisions == {Decision.ALERT: 1, Decision.REPEATED: 1}
        ended = run(detector, [call_record(16, NOW + 5000, "bob")])
        assert [(alert.kind, alert.calls) for alert in ended.alerts] == [(AlertKind.CLOSING, 16)]
        assert [alert.follows for alert in (*batch.alerts, *ended.alerts)] == [False, True]

    def test_there_is_a_verdict_for_each_sample(self) -> None:
        batch = run(make_detector(), walk("abcdefghabcdefgh"))
        assert [(own.vector.session_id, own.vector.occasion) for own in batch.samples] == [
            (verdict.session_id, verdict.occasion) for verdict in batch.verdicts
        ]

    def test_nothing_alerts_while_the_degree_tables_are_learning(self) -> None:
        batch = run(make_detector(judge=plain_judge(minimum_edges=8)), walk("abcdefgh"))
        assert (batch.alerts, batch.decisions) == ([], {Decision.NORMAL: 1})

    def test_an_alert_says_where_it_was_seen(self) -> None:
        (alert,) = run(make_detector(OTHER), walk("abcdefgh", first=100, source=OTHER)).alerts
        position = alert.position
        assert (position.topic, position.partition, position.offset) == ("calls", 1, 107)
        assert (position.call_time, position.record_time) == (NOW + 7, NOW + 7)

    def test_the_times_of_an_alert_are_those_of_the_session_s_own_call(self) -> None:
        """Though a pause shows only when another client calls."""
        policy = SessionPolicy(gap=10_000, lateness=0, linger=0, quiet=1000)
        detector = make_detector(sessions=policy)
        (alert,) = run(detector, [*walk("abcdefg"), call_record(7, NOW + 5000, "bob")]).alerts
        assert (alert.client, alert.occasion) == ("ann", Occasion.QUIET)
        assert (alert.position.call_time, alert.position.record_time) == (NOW + 6, NOW + 6)

    def test_its_evidence_is_what_its_vector_covers_though_the_session_grew_on_in_the_batch(self) -> None:
        (alert,) = run(make_detector(), walk("abcdefghxyz")).alerts
        named = {end for transition in alert.transitions for end in (transition.source, transition.destination)}
        assert len(alert.transitions) == 5
        assert named <= {f"GET /{letter}" for letter in "abcdefgh"}

    def test_an_alert_is_capped_only_if_its_own_vector_was(self) -> None:
        policy = SessionPolicy(gap=1000, lateness=0, linger=0, max_edges=9)
        detector = make_detector(sessions=policy)
        batch = run(detector, [*walk("abcdefghijklmn"), call_record(14, NOW + 5000, "bob")])
        assert [(alert.kind, alert.capped) for alert in batch.alerts] == [
            (AlertKind.EARLY, False),
            (AlertKind.CLOSING, True),
        ]

    def test_a_session_cut_short_by_a_maximum_is_capped(self) -> None:
        detector = make_detector(sessions=SessionPolicy(gap=1000, max_calls=7))
        (alert,) = run(detector, walk("abcdefgh")).alerts
        assert (alert.kind, alert.capped) == (AlertKind.CLOSING, True)

    def test_a_client_s_next_session_waits_for_the_cooldown(self) -> None:
        policy = SessionPolicy(gap=1000, lateness=0, linger=0, quiet=500)
        detector = make_detector(sessions=policy, alerts=AlertPolicy(cooldown=10_000))
        first = run(detector, walk("abcdefgh"))
        second = run(detector, walk("abcdefgh", start=NOW + 5000, first=8))
        third = run(detector, walk("abcdefgh", start=NOW + 20_000, first=16))
        assert [own.kind for own in first.alerts] == [AlertKind.EARLY]
        # The first session's closing alert comes with the second's first call and starts the cooldown anew.
        assert [(own.kind, own.session_id) for own in second.alerts] == [
            (AlertKind.CLOSING, first.alerts[0].session_id)
        ]
        assert second.decisions[Decision.COOLDOWN] == 1
        assert [own.kind for own in third.alerts] == [AlertKind.CLOSING]

    def test_a_cooldown_holds_whatever_comes_later_in_the_batch(self) -> None:
        detector = make_detector(alerts=AlertPolicy(cooldown=10_000))
        again = walk("abcdefgh", start=NOW + 5000, first=8)
        batch = run(detector, [*walk("abcdefgh"), *again, call_record(16, NOW + 90_000, "bob")])
        first, second = (own.vector.session_id for own in batch.samples if own.vector.occasion is Occasion.GROWING)
        assert [(own.session_id, own.kind) for own in batch.alerts] == [
            (first, AlertKind.EARLY),
            (first, AlertKind.CLOSING),
            (second, AlertKind.CLOSING),
        ]
        assert batch.decisions[Decision.COOLDOWN] == 1

    def test_the_model_is_the_judge(self) -> None:
        """With a real bundle: scores are the model's, and what it learned to be odd alerts."""
        judge = Judge(make_bundle(), minimum_edges=1)
        everybody = [
            record for at in range(300) for record in walk("abab" * 3, f"client {at}", first=12 * at, start=NOW + at)
        ]
        detector = make_detector(judge=judge)
        run(detector, everybody)
        odd = [call_record(5000 + at, NOW + 400 + at, "odd", f"GET /{at}") for at in range(40)]
        batch = run(detector, [*odd, call_record(6000, NOW + 90_000)])
        scores = {own.vector.client: verdict.score for own, verdict in zip(batch.samples, batch.verdicts, strict=True)}
        assert scores["odd"] > 0.5 > scores["client 7"]
        assert {alert.client for alert in batch.alerts} == {"odd"}
        expected = judge.bundle.score(matrix_of([own.vector for own in batch.samples], judge.schema))
        assert [verdict.score for verdict in batch.verdicts] == expected.tolist()


class TestPartitions:
    def test_a_released_partition_takes_its_degrees_along(self) -> None:
        detector = make_detector(CALLS, OTHER)
        run(detector, [*walk("abc"), *walk("xyz", "bob", source=OTHER)])
        detector.release([OTHER])
        assert set(detector.degrees.snapshot().endpoints) == {"GET /a", "GET /b", "GET /c"}
        assert detector.degrees.total_edges == 2
        assert detector.partitions.keys() == {CALLS}

    def test_partitions_that_are_not_held_are_passed_over(self) -> None:
        detector = make_detector(CALLS)
        detector.release([CALLS, OTHER])
        detector.release([CALLS])
        assert detector.degrees.snapshot() == DegreeSnapshot(0, {})

    def test_a_partition_that_comes_back_starts_empty(self) -> None:
        detector = make_detector(CALLS)
        run(detector, walk("abc"))
        detector.release([CALLS])
        detector.assign(CALLS)
        assert detector.open_sessions == 0
        run(detector, walk("ab", first=3))
        assert detector.degrees.snapshot() == detector.partitions[CALLS].table.snapshot()
        assert detector.degrees.total_edges == 1

    def test_a_partition_assigned_twice_is_counted_once(self) -> None:
        detector = make_detector(CALLS)
        run(detector, walk("abc"))
        detector.assign(CALLS)
        assert detector.degrees.snapshot() == DegreeSnapshot(0, {})

    def test_a_partition_of_another_worker_counts_with_what_was_published_of_it(self) -> None:
        detector = make_detector(CALLS)
        run(detector, walk("abc"))
        first = DegreeSnapshot(1, {"GET /c": EndpointDegrees(1, 0), "GET /x": EndpointDegrees(0, 1)})
        for published in (first, first):
            detector.learn(OTHER, published)
        assert detector.degrees.total_edges == 3
        assert detector.degrees.degrees("GET /c") == EndpointDegrees(1, 1)
        detector.learn(OTHER, DegreeSnapshot(5, {"GET /y": EndpointDegrees(5, 5)}))
        assert detector.degrees.total_edges == 7
        assert detector.degrees.degrees("GET /x") == EndpointDegrees(0, 0)

    def test_what_was_published_of_a_partition_that_is_kept_here_does_not_count_twice(self) -> None:
        detector = make_detector(CALLS)
        detector.learn(OTHER, DegreeSnapshot(5, {"GET /y": EndpointDegrees(5, 5)}))
        detector.assign(OTHER)
        detector.learn(OTHER, DegreeSnapshot(7, {"GET /y": EndpointDegrees(7, 7)}))
        assert detector.degrees.snapshot() == DegreeSnapshot(0, {})
        detector.release([OTHER])
        assert detector.degrees.snapshot() == DegreeSnapshot(7, {"GET /y": EndpointDegrees(7, 7)})

    def test_topics_that_are_no_input_any_more_do_not_count(self) -> None:
        detector = make_detector(CALLS)
        detector.learn(TopicPartition("gone", 0), DegreeSnapshot(5, {"GET /y": EndpointDegrees(5, 5)}))
        assert detector.degrees.total_edges == 0

    def test_finishing_closes_and_scores_and_keeps_the_degrees(self) -> None:
        detector = make_detector(CALLS, OTHER)
        run(detector, [*walk("abc"), *walk("x", "bob", source=OTHER)])
        batch = detector.finish([CALLS], CloseReason.END_OF_INPUT)
        assert [(own.vector.client, own.vector.close_reason) for own in batch.samples] == [("ann", "end_of_input")]
        assert len(batch.verdicts) == 1
        assert (detector.open_sessions, detector.degrees.total_edges) == (1, 2)

    def test_an_idle_partition_follows_the_wall_clock(self) -> None:
        detector = make_detector(CALLS, OTHER)
        batch = detector.sessionize([*walk("abc"), *walk("x", "bob", source=OTHER)])
        detector.advance([CALLS], NOW + 10_000, batch)
        detector.score(batch)
        assert [(own.vector.client, own.vector.close_reason) for own in batch.samples] == [("ann", "inactivity")]
        assert detector.open_sessions == 1

    def test_outputs_of_an_idle_partition_go_with_its_position(self) -> None:
        """Without one they would be committed even if another worker had the partition by then."""
        detector = make_detector(CALLS, OTHER)
        run(detector, [*walk("abc", first=7), *walk("x", "bob", source=OTHER)])
        batch = Batch()
        detector.advance([CALLS], NOW + 10_000, batch)
        assert batch.positions == {CALLS: 10}

    def test_an_idle_partition_without_outputs_has_nothing_to_commit(self) -> None:
        detector = make_detector(CALLS, OTHER)
        run(detector, walk("abc"))
        batch = Batch()
        detector.advance([CALLS, OTHER], NOW + 3, batch)
        assert batch == Batch()

    def test_frozen_degrees_are_read_whatever_the_traffic(self) -> None:
        frozen = DegreeSnapshot(500, {"GET /a": EndpointDegrees(40, 60), "GET /b": EndpointDegrees(7, 9)})
        detector = make_detector(frozen=frozen)
        run(detector, walk("ababab", "bob"))
        batch = detector.finish([CALLS], CloseReason.END_OF_INPUT)
        named = dict(zip(GATEWAY_V1.names, batch.samples[0].vector.values, strict=True))
        assert (named["max_source_share"], named["min_dest_share"]) == (40 / 500, 9 / 500)
        assert batch.samples[0].vector.total_edges == 500
        assert detector.degrees.snapshot().edges == 2  # the live ones are still counted


# Properties over streams of several partitions

FROZEN = DegreeSnapshot(60, {f"GET /{name}": EndpointDegrees(at + 1, 9 - at) for at, name in enumerate("abcd")})


@st.composite
def streams(draw: st.DrawFn, max_size: int = 70) -> list[Made]:
    """Records of calls over two partitions of one topic, some of them no calls."""
    move = st.one_of(st.integers(0, 3), st.sampled_from([-12, -11, 9, 10, 11, 30, 700]))
    shape = st.tuples(st.sampled_from(["ann", "bob", "cy"]), move, st.sampled_from("abcd?"), st.integers(0, 12))
    time, offsets, records = NOW, Counter[TopicPartition](), []
    for client, moved, letter, delay in draw(st.lists(shape, max_size=max_size)):
        time += moved
        source = OTHER if client == "cy" else CALLS
        offset = offsets[source]
        offsets[source] += 1
        if letter == "?":
            records.append(Made(b"no call", offset, source, time))
        else:
            records.append(call_record(offset, time, client, f"GET /{letter}", source=source, arrival=time + delay - 4))
    return records


def small_detector(*, frozen: DegreeSnapshot | None, cooldown: int) -> Detector:
    policy = SessionPolicy(
        gap=10, lateness=3, linger=5, quiet=4, first_vector_calls=3, max_calls=9, max_edges=6, future_tolerance=2
    )
    return make_detector(
        CALLS, OTHER, sessions=policy, alerts=AlertPolicy(cooldown=cooldown), judge=plain_judge(0.2, 0.4), frozen=frozen
    )


def in_batches(records: Sequence[Made], ends: Iterable[int], detector: Detector) -> list[Batch]:
    """Run records in batches that end at these places, then close all sessions."""
    places = [0, *sorted({min(end, len(records)) for end in ends}), len(records)]
    batches = [run(detector, records[start:end]) for start, end in pairwise(places)]
    return [*batches, detector.finish([CALLS, OTHER], CloseReason.END_OF_INPUT)]


def outcome_of(batches: list[Batch]) -> dict[str, Any]:
    """Return all that batches led to, put together; NaN by its name, as it equals nothing."""
    total = Batch()
    for batch in batches:
        total.positions.update(batch.positions)
        total.accepted += batch.accepted
        total.outcomes += batch.outcomes
        total.decisions += batch.decisions
    return {
        "vectors": [repr(own.vector) for batch in batches for own in batch.samples],
        "places": [(own.offset, own.clock, own.record_time) for batch in batches for own in batch.samples],
        "verdicts": [verdict for batch in batches for verdict in batch.verdicts],
        "alerts": [alert for batch in batches for alert in batch.alerts],
        "dead letters": [letter for batch in batches for letter in batch.dead_letters],
        "counts": (total.accepted, total.outcomes, total.decisions, total.positions),
    }


@settings(max_examples=150, deadline=None)
@given(records=streams(), ends=st.lists(st.integers(0, 70), max_size=8), cooldown=st.sampled_from([0, 5, 20, 1000]))
def test_batch_boundaries_change_nothing_when_degrees_are_frozen(
    records: list[Made], ends: list[int], cooldown: int
) -> None:
    at_once = in_batches(records, [], small_detector(frozen=FROZEN, cooldown=cooldown))
    in_parts = in_batches(records, ends, small_detector(frozen=FROZEN, cooldown=cooldown))
    one_by_one = in_batches(records, range(len(records)), small_detector(frozen=FROZEN, cooldown=cooldown))
    assert outcome_of(at_once) == outcome_of(in_parts) == outcome_of(one_by_one)


@settings(deadline=None)
@given(records=streams(), ends=st.lists(st.integers(0, 70), max_size=8))
def test_batch_boundaries_do_not_change_sessions_when_degrees_are_live(records: list[Made], ends: list[int]) -> None:
    def sessions(batches: list[Batch]) -> list[tuple[str, str, int, int, int, float, str | None]]:
        vectors = [own.vector for batch in batches for own in batch.samples]
        return [
            (own.client, own.occasion, own.start, own.end, own.calls, own.values[0], own.close_reason)
            for own in vectors
        ]

    at_once = in_batches(records, [], small_detector(frozen=None, cooldown=0))
    in_parts = in_batches(records, ends, small_detector(frozen=None, cooldown=0))
    assert sessions(at_once) == sessions(in_parts)


@settings(deadline=None)
@given(records=streams(), ends=st.lists(st.integers(0, 70), max_size=8), cooldown=st.sampled_from([0, 20]))
def test_anomalous_sessions_are_taken_back_from_the_degrees_exactly_once(
    records: list[Made], ends: list[int], cooldown: int
) -> None:
    """Those that the cooldown held back too: an attacker must not teach the tables between two alerts."""
    detector = small_detector(frozen=None, cooldown=cooldown)
    batches = in_batches(records, ends, detector)
    alerted = {alert.session_id for batch in batches for alert in batch.alerts}
    alerted |= {
        verdict.session_id
        for batch in batches
        for verdict in batch.verdicts
        if verdict.anomalous and verdict.occasion == Occasion.CLOSED
    }
    kept: Counter[str] = Counter()
    for own in (sample for batch in batches for sample in batch.samples):
        if own.vector.occasion is Occasion.CLOSED and own.vector.session_id not in alerted:
            names = own.state.table.names
            for edge in own.session.edges:
                kept[f"out {names[edge >> 16]}"] += 1
                kept[f"in {names[edge & 0xFFFF]}"] += 1
    found: Counter[str] = Counter()
    for name, degrees in detector.degrees.snapshot().endpoints.items():
        found[f"out {name}"] = degrees.source
        found[f"in {name}"] = degrees.destination
    assert +found == kept
    assert detector.degrees.snapshot() == sum_snapshots(own.table.snapshot() for own in detector.partitions.values())


@settings(deadline=None)
@given(records=streams(), ends=st.lists(st.integers(0, 70), max_size=8), cooldown=st.sampled_from([0, 20]))
def test_no_alert_comes_twice_whatever_the_stream(records: list[Made], ends: list[int], cooldown: int) -> None:
    alerts = [
        alert
        for batch in in_batches(records, ends, small_detector(frozen=None, cooldown=cooldown))
        for alert in batch.alerts
    ]
    assert len({alert.uid for alert in alerts}) == len(alerts)
    assert len({(alert.session_id, alert.kind) for alert in alerts}) == len(alerts)


@settings(deadline=None)
@given(records=streams(), release=st.integers(0, 70))
def test_releasing_everything_leaves_nothing(records: list[Made], release: int) -> None:
    detector = small_detector(frozen=None, cooldown=0)
    run(detector, records[:release])
    detector.release([CALLS, OTHER])
    assert (detector.open_sessions, detector.partitions) == (0, {})
    assert detector.degrees.snapshot() == DegreeSnapshot(0, {})
