"""Session windows, one rule and one boundary at a time. Times are milliseconds; the gap is 1,000."""

from collections.abc import Iterator

import pytest

from featurizer.degrees import OVERFLOW_ENDPOINT
from featurizer.features import Occasion
from featurizer.sessions import CloseReason, Outcome, SessionPolicy
from tests.session_streams import Watched

GROWING, QUIET, CLOSED = Occasion.GROWING, Occasion.QUIET, Occasion.CLOSED
INACTIVITY = CloseReason.INACTIVITY


def watch(**limits: int) -> Watched:
    """Return windows with a gap of 1,000, no lateness and no linger, but for the limits given."""
    return Watched(SessionPolicy(**{"gap": 1000, "lateness": 0, "linger": 0, "quiet": 500, **limits}))


class TestGap:
    def test_a_call_exactly_a_gap_after_the_last_one_joins(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(6000)
        assert watched.ends == []
        assert watched.windows.open["ann"].calls == 2

    def test_a_call_one_millisecond_later_opens_a_new_session(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(6001)
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]
        assert (watched.windows.open["ann"].start, watched.windows.open["ann"].calls) == (6001, 1)

    def test_the_gap_is_counted_from_the_latest_call(self) -> None:
        watched = watch()
        for time in (5000, 5900, 6800, 7700):
            watched.call(time)
        assert watched.windows.open["ann"].calls == 4

    def test_an_earlier_call_does_not_shorten_the_gap(self) -> None:
        watched = watch()
        for time in (5000, 4500, 6000):
            watched.call(time)
        assert (watched.windows.open["ann"].start, watched.windows.open["ann"].end) == (4500, 6000)

    def test_clients_have_sessions_of_their_own(self) -> None:
        watched = watch()
        watched.call(5000, "ann")
        watched.call(5000, "bob")
        assert watched.windows.open.keys() == {"ann", "bob"}


class TestWatermark:
    def test_a_session_is_open_while_the_watermark_is_exactly_a_gap_after_its_end(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(6000, "bob")
        assert watched.windows.open.keys() == {"ann", "bob"}

    def test_it_closes_when_the_watermark_is_one_millisecond_further(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(6001, "bob")
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]

    def test_the_watermark_stays_behind_the_greatest_time_by_the_lateness(self) -> None:
        watched = watch(lateness=200)
        watched.call(5000)
        watched.call(6200, "bob")
        assert watched.windows.watermark == 6000
        assert watched.ends == []
        watched.call(6201, "bob")
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]

    def test_the_watermark_never_goes_back(self) -> None:
        watched = watch()
        watched.call(9000)
        watched.call(8500, "bob")
        assert watched.windows.watermark == 9000

    def test_a_session_that_moved_on_closes_by_its_latest_call(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(5800)
        watched.call(6700, "bob")
        assert watched.ends == []
        watched.call(6801, "bob")
        assert watched.ends == [("ann", 5000, 5800, 2, INACTIVITY)]


class TestLinger:
    """Arrival times are record times; here the gateway of ann and bob ships its log late."""

    def test_a_session_outlasts_the_watermark_until_its_linger_has_passed(self) -> None:
        watched = watch(linger=300)
        watched.call(5000, arrival=9000)
        watched.call(6001, "bob", arrival=9300)
        assert watched.ends == []
        watched.call(6001, "bob", arrival=9301)
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]

    def test_the_linger_alone_does_not_close(self) -> None:
        watched = watch(linger=300)
        watched.call(5000, arrival=9000)
        watched.call(6000, "bob", arrival=99_000)
        assert watched.windows.open.keys() == {"ann", "bob"}

    def test_a_straggler_joins_while_its_session_lingers(self) -> None:
        watched = watch(linger=300)
        watched.call(5000, arrival=9000)
        watched.call(8000, "bob", arrival=9100)
        assert watched.call(5100, arrival=9200) is Outcome.IN_SESSION
        assert watched.windows.open["ann"].calls == 2

    def test_an_arrival_starts_the_linger_anew(self) -> None:
        watched = watch(linger=300)
        watched.call(5000, arrival=9000)
        watched.call(8000, "bob", arrival=9200)
        watched.call(5100, arrival=9250)
        watched.call(8000, "bob", arrival=9550)
        assert watched.ends == []
        watched.call(8000, "bob", arrival=9551)
        assert watched.ends == [("ann", 5000, 5100, 2, INACTIVITY)]

    def test_a_call_that_arrives_after_the_linger_finds_its_session_closed(self) -> None:
        watched = watch(linger=300)
        watched.call(5000, arrival=9000)
        watched.call(8000, "bob", arrival=9100)
        watched.call(5100, arrival=9301)
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]
        assert watched.windows.open["ann"].start == 5100

    def test_a_duplicate_does_not_keep_a_session_open(self) -> None:
        watched = watch(linger=300)
        watched.call(5000, arrival=9000, request_id="r")
        watched.call(8000, "bob", arrival=9100)
        assert watched.call(5000, arrival=9200, request_id="r") is Outcome.DUPLICATE
        watched.call(8000, "bob", arrival=9301)
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]


class TestMaxima:
    def test_a_session_holds_max_calls_and_the_next_call_closes_it(self) -> None:
        watched = watch(max_calls=3)
        for time in (5000, 5001, 5002):
            watched.call(time)
        assert watched.ends == []
        watched.call(5003)
        assert watched.ends == [("ann", 5000, 5002, 3, CloseReason.MAX_CALLS)]
        assert (watched.windows.open["ann"].start, watched.windows.open["ann"].calls) == (5003, 1)

    def test_a_session_lasts_exactly_max_duration(self) -> None:
        watched = watch(max_duration=2500)
        for time in (5000, 5900, 6800, 7500):
            watched.call(time)
        assert watched.ends == []
        assert watched.windows.open["ann"].end == 7500

    def test_a_call_one_millisecond_beyond_max_duration_opens_a_new_session(self) -> None:
        watched = watch(max_duration=2500)
        for time in (5000, 5900, 6800, 7501):
            watched.call(time)
        assert watched.ends == [("ann", 5000, 6800, 3, CloseReason.MAX_DURATION)]
        assert watched.windows.open["ann"].start == 7501

    def test_a_pause_is_the_reason_even_if_the_session_was_full(self) -> None:
        watched = watch(max_calls=1)
        watched.call(5000)
        watched.call(6001)
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]

    def test_a_full_session_that_gets_no_further_call_closes_by_inactivity(self) -> None:
        watched = watch(max_calls=1)
        watched.call(5000)
        watched.call(6001, "bob")
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]

    def test_edges_do_not_reach_over_the_end_of_a_session(self) -> None:
        watched = watch(max_calls=2)
        for at, endpoint in enumerate(["GET /a", "GET /b", "GET /c", "GET /d"]):
            watched.call(5000 + at, endpoint=endpoint)
        edges = [watched.names(tuple(session.edges)) for session in watched.sessions]
        assert edges == [[("GET /a", "GET /b")], [("GET /c", "GET /d")]]


class TestOutOfOrder:
    def test_an_earlier_call_within_the_gap_moves_the_start_back(self) -> None:
        watched = watch()
        watched.call(5000)
        assert watched.call(4000) is Outcome.IN_SESSION
        assert (watched.windows.open["ann"].start, watched.windows.open["ann"].end) == (4000, 5000)

    def test_a_call_one_millisecond_earlier_is_late(self) -> None:
        watched = watch()
        watched.call(5000)
        assert watched.call(3999) is Outcome.LATE
        session = watched.windows.open["ann"]
        assert (session.start, session.end, session.calls, len(session.edges)) == (5000, 5000, 1, 0)

    def test_the_start_may_move_back_again_from_where_it_is(self) -> None:
        watched = watch()
        for time in (5000, 4000, 3000):
            assert watched.call(time) is Outcome.IN_SESSION
        assert watched.windows.open["ann"].start == 3000

    def test_an_old_call_of_a_client_without_open_session_opens_one(self) -> None:
        watched = watch()
        watched.call(90_000, "bob")
        assert watched.call(5000, "ann") is Outcome.IN_SESSION
        assert watched.windows.open["ann"].start == 5000

    def test_a_call_between_start_and_end_moves_neither(self) -> None:
        watched = watch()
        for time in (5000, 5800, 5400):
            watched.call(time)
        assert (watched.windows.open["ann"].start, watched.windows.open["ann"].end) == (5000, 5800)

    def test_transitions_follow_arrival_not_event_time(self) -> None:
        watched = watch()
        watched.call(5000, endpoint="GET /a")
        watched.call(5800, endpoint="GET /c")
        watched.call(5400, endpoint="GET /b")
        edges = watched.names(tuple(watched.windows.open["ann"].edges))
        assert edges == [("GET /a", "GET /c"), ("GET /c", "GET /b")]


class TestDuplicates:
    def test_a_request_id_counts_once(self) -> None:
        watched = watch()
        assert watched.call(5000, request_id="r1") is Outcome.IN_SESSION
        assert watched.call(5100, request_id="r1") is Outcome.DUPLICATE
        session = watched.windows.open["ann"]
        assert (session.calls, session.end, len(session.edges)) == (1, 5000, 0)

    def test_calls_without_request_id_are_never_duplicates(self) -> None:
        watched = watch()
        assert [watched.call(5000) for _ in range(3)] == [Outcome.IN_SESSION] * 3

    def test_another_client_may_have_the_same_request_id(self) -> None:
        watched = watch()
        watched.call(5000, "ann", request_id="r1")
        assert watched.call(5000, "bob", request_id="r1") is Outcome.IN_SESSION

    def test_the_last_16_request_ids_are_remembered(self) -> None:
        watched = watch()
        for number in range(17):
            watched.call(5000, request_id=f"r{number}")
        assert [watched.call(5000, request_id=f"r{number}") for number in range(1, 17)] == [Outcome.DUPLICATE] * 16
        assert watched.call(5000, request_id="r0") is Outcome.IN_SESSION

    def test_an_id_is_not_taken_for_a_part_of_another(self) -> None:
        watched = watch()
        for request_id in ("abc", "ab", "bc", "b", "", "a\nb", "c"):
            assert watched.call(5000, request_id=request_id) is Outcome.IN_SESSION

    def test_remembered_ids_are_compared_one_by_one(self) -> None:
        """They stand side by side, 8 bytes each: the end of one and the start of the next are no id."""
        watched = watch()
        watched.call(5000, request_id="r1")
        session = watched.windows.open["ann"]
        fingerprint = session.requests
        assert len(fingerprint) == 8
        session.requests = b"\0\0\0" + fingerprint + b"\0" * 5
        assert watched.call(5000, request_id="r1") is Outcome.IN_SESSION
        assert watched.call(5000, request_id="r1") is Outcome.DUPLICATE

    def test_a_copy_does_not_close_a_full_session(self) -> None:
        watched = watch(max_calls=2)
        watched.call(5000, request_id="r1")
        watched.call(5001, request_id="r2")
        assert watched.call(5002, request_id="r2") is Outcome.DUPLICATE
        assert watched.ends == []

    def test_a_new_session_remembers_only_its_own(self) -> None:
        watched = watch()
        watched.call(5000, request_id="r1")
        assert watched.call(6001, request_id="r1") is Outcome.IN_SESSION
        assert watched.call(6002, request_id="r1") is Outcome.DUPLICATE


class TestFutureTimestamps:
    def test_an_event_time_exactly_the_tolerance_after_its_arrival_is_believed(self) -> None:
        watched = watch(future_tolerance=300)
        assert watched.call(5300, arrival=5000) is Outcome.IN_SESSION

    def test_one_millisecond_more_is_refused_and_moves_no_clock(self) -> None:
        watched = watch(future_tolerance=300)
        watched.call(4900, "bob")
        assert watched.call(5301, arrival=5000) is Outcome.FUTURE
        assert (watched.windows.max_time, watched.windows.record_clock) == (4900, 4900)
        assert watched.windows.open.keys() == {"bob"}

    def test_one_bad_clock_closes_nobody(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(10**15, "mallory", arrival=5001)
        watched.call(5002)
        assert watched.windows.open["ann"].calls == 2


class TestGrowingVectors:
    def test_vectors_come_at_8_16_and_32_calls(self) -> None:
        watched = watch()
        for number in range(40):
            watched.call(5000 + number)
        assert [taken.calls for taken in watched.taken] == [8, 16, 32]
        assert {taken.occasion for taken in watched.taken} == {GROWING}

    def test_the_first_one_is_configurable(self) -> None:
        watched = watch(first_vector_calls=5)
        for number in range(40):
            watched.call(5000 + number)
        assert [taken.calls for taken in watched.taken] == [5, 10, 20, 40]

    def test_a_vector_holds_the_session_with_the_call_that_was_due(self) -> None:
        watched = watch(first_vector_calls=2)
        watched.call(5000, endpoint="GET /a")
        watched.call(5100, endpoint="GET /b")
        assert [(own.start, own.end, watched.names(own.edges)) for own in watched.taken] == [
            (5000, 5100, [("GET /a", "GET /b")])
        ]

    def test_the_next_session_grows_from_the_beginning(self) -> None:
        watched = watch(max_calls=10)
        for number in range(18):
            watched.call(5000 + number)
        assert [(own.occasion, own.calls) for own in watched.taken] == [(GROWING, 8), (CLOSED, 10), (GROWING, 8)]


class TestQuietVectors:
    def test_a_session_is_scored_when_it_has_paused_for_longer_than_quiet(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(5500, "bob")
        assert watched.taken == []
        watched.call(5501, "bob")
        assert [(own.client, own.occasion, own.calls) for own in watched.taken] == [("ann", QUIET, 1)]

    def test_a_pause_is_scored_once(self) -> None:
        watched = watch()
        watched.call(5000)
        for time in range(5501, 6000):
            watched.call(time, "bob")
        assert [own.client for own in watched.vectors(QUIET)] == ["ann"]

    def test_calls_scored_as_growing_need_no_quiet_vector(self) -> None:
        watched = watch(first_vector_calls=2)
        watched.call(5000)
        watched.call(5000)
        watched.call(5900, "bob")
        assert [own.occasion for own in watched.taken] == [GROWING]

    def test_one_more_call_than_scored_is_worth_a_vector_of_a_small_session(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(5501, "bob")
        watched.call(5600)
        watched.call(6101, "bob")
        assert [own.calls for own in watched.vectors(QUIET) if own.client == "ann"] == [1, 2]

    @pytest.mark.parametrize(("more", "vectors"), [(1, 0), (2, 1)])
    def test_a_session_scored_at_16_calls_needs_an_eighth_more(self, more: int, vectors: int) -> None:
        watched = watch()
        for _ in range(16 + more):
            watched.call(5000)
        watched.call(5501, "bob")
        assert len(watched.vectors(QUIET)) == vectors

    def test_a_session_that_goes_on_is_not_quiet(self) -> None:
        watched = watch()
        for time in range(5000, 7000, 400):
            watched.call(time)
        assert watched.vectors(QUIET) == []

    def test_no_quiet_vector_comes_at_the_very_end(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.call(9000, "bob")
        assert [own.occasion for own in watched.taken] == [CLOSED]


class TestTimers:
    def test_a_session_has_one_timer_however_many_calls_it_gets(self) -> None:
        watched = watch()
        for number in range(500):
            watched.call(5000 + number)
        assert len(watched.windows._timers) <= 2

    def test_closed_sessions_leave_no_more_timers_than_may_be_stale(self) -> None:
        watched = watch(max_open=10)
        for number in range(10_000):
            watched.call(5000, f"client {number}")
        assert len(watched.windows.open) == 10
        assert len(watched.windows._timers) <= 2 * 10 + 1000

    def test_a_gateway_behind_the_watermark_does_not_pile_up_entries(self) -> None:
        watched = watch(linger=100_000)
        for number in range(5000):
            watched.call(90_000 + number, "fresh")
            watched.call(5000, f"behind {number % 7}", arrival=90_000 + number)
        assert len(watched.windows.open) == 8
        assert len(watched.windows._lingering) <= 8

    def test_sessions_due_at_the_same_time_close_in_the_order_of_their_clients(self) -> None:
        watched = watch()
        for client in ("cy", "ann", "bob"):
            watched.call(5000, client)
        watched.call(9000, "dan")
        assert [client for client, *_ in watched.ends] == ["ann", "bob", "cy"]


class TestEviction:
    def test_a_session_too_many_closes_the_longest_idle_one(self) -> None:
        watched = watch(max_open=2)
        watched.call(5000, "ann")
        watched.call(5001, "bob")
        watched.call(5002, "ann")
        watched.call(5003, "cy")
        assert watched.ends == [("bob", 5001, 5001, 1, CloseReason.EVICTED)]
        assert watched.windows.open.keys() == {"ann", "cy"}

    def test_one_percent_goes_at_a_time(self) -> None:
        watched = watch(max_open=300)
        for number in range(301):
            watched.call(5000 + number, f"client {number}")
        assert [client for client, *_ in watched.ends] == ["client 0", "client 1", "client 2"]

    def test_a_client_that_goes_on_evicts_nobody(self) -> None:
        watched = watch(max_open=1)
        watched.call(5000)
        watched.call(5001)
        watched.call(7000)
        assert watched.ends == [("ann", 5000, 5001, 2, INACTIVITY)]


class TestEdges:
    def test_a_transition_is_kept_once(self) -> None:
        watched = watch()
        for endpoint in ("GET /a", "GET /b", "GET /a", "GET /b"):
            watched.call(5000, endpoint=endpoint)
        edges = watched.windows.open["ann"].edges
        assert watched.names(tuple(edges)) == [("GET /a", "GET /b"), ("GET /b", "GET /a")]
        assert list(edges.values()) == [2, 1]

    def test_a_repeated_endpoint_is_an_edge_to_itself(self) -> None:
        watched = watch()
        watched.call(5000, endpoint="GET /a")
        watched.call(5000, endpoint="GET /a")
        assert watched.names(tuple(watched.windows.open["ann"].edges)) == [("GET /a", "GET /a")]

    def test_edges_beyond_the_cap_are_counted_and_not_kept(self) -> None:
        watched = watch(max_edges=2)
        for endpoint in ("GET /a", "GET /b", "GET /c", "GET /d", "GET /e", "GET /a", "GET /b"):
            watched.call(5000, endpoint=endpoint)
        edges = watched.names(tuple(watched.windows.open["ann"].edges))
        assert edges == [("GET /a", "GET /b"), ("GET /b", "GET /c")]
        assert watched.windows.capped_edges == 3
        assert watched.overall.edges == 2

    def test_calls_with_excluded_methods_are_no_nodes(self) -> None:
        watched = watch()
        for endpoint in ("OPTIONS /a", "GET /a", "HEAD /b", "OPTIONS /b", "GET /b"):
            assert watched.call(5000, endpoint=endpoint) is Outcome.IN_SESSION
        session = watched.windows.open["ann"]
        assert watched.names(tuple(session.edges)) == [("GET /a", "GET /b")]
        assert watched.table.names == ["GET /a", "GET /b"]
        assert session.calls == 5

    def test_endpoints_beyond_the_cap_are_one_node(self) -> None:
        watched = Watched(SessionPolicy(), max_endpoints=2)
        for endpoint in ("GET /a", "GET /b", "GET /c", "GET /d", "GET /a"):
            watched.call(5000, endpoint=endpoint)
        assert watched.names(tuple(watched.windows.open["ann"].edges)) == [
            ("GET /a", "GET /b"),
            ("GET /b", OVERFLOW_ENDPOINT),
            (OVERFLOW_ENDPOINT, OVERFLOW_ENDPOINT),
            (OVERFLOW_ENDPOINT, "GET /a"),
        ]
        assert watched.table.overflowed == 2


class TestIdlePartition:
    def test_the_wall_clock_closes_what_both_clocks_have_passed(self) -> None:
        watched = watch(lateness=200, linger=300)
        watched.call(5000)
        watched.windows.advance(6200)
        assert watched.ends == []
        watched.windows.advance(6201)
        assert watched.ends == [("ann", 5000, 5000, 1, INACTIVITY)]

    def test_it_takes_the_quiet_vectors_that_are_due(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.windows.advance(5501)
        assert [own.occasion for own in watched.taken] == [QUIET]

    def test_a_wall_clock_behind_the_log_moves_nothing_back(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.windows.advance(10)
        assert (watched.windows.max_time, watched.windows.record_clock) == (5000, 5000)

    def test_a_client_comes_back_after_it(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.windows.advance(90_000)
        assert watched.call(5100, arrival=90_000) is Outcome.IN_SESSION
        assert watched.windows.open["ann"].calls == 1


class TestCloseAll:
    def test_every_session_closes_the_longest_idle_first(self) -> None:
        watched = watch()
        for time, client in ((5002, "ann"), (5000, "cy"), (5001, "bob")):
            watched.call(time, client)
        watched.windows.close_all(CloseReason.END_OF_INPUT)
        assert [(client, reason) for client, *_, reason in watched.ends] == [
            ("cy", CloseReason.END_OF_INPUT),
            ("bob", CloseReason.END_OF_INPUT),
            ("ann", CloseReason.END_OF_INPUT),
        ]
        assert not watched.windows.open

    def test_timers_of_sessions_that_are_gone_do_nothing(self) -> None:
        watched = watch()
        watched.call(5000)
        watched.windows.close_all(CloseReason.END_OF_INPUT)
        watched.windows.advance(90_000)
        assert len(watched.taken) == 1


class TestSessionId:
    def ids(self, source: str = "calls-0", client: str = "ann", time: int = 5000, skip: int = 0) -> Iterator[str]:
        watched = Watched(SessionPolicy(), source=source)
        watched.offset += skip
        for later in (0, 1, -1):
            watched.call(time + later, client)
            yield watched.windows.session_id(watched.windows.open[client])

    def test_the_same_call_opens_the_same_session(self) -> None:
        assert set(self.ids()) == set(self.ids())

    def test_an_id_stays_when_the_session_grows_to_both_sides(self) -> None:
        assert len(set(self.ids())) == 1

    def test_partition_client_time_and_offset_tell_sessions_apart(self) -> None:
        ids = [*self.ids(), *self.ids(source="calls-1"), *self.ids(client="bob"), *self.ids(time=5001)]
        assert len({*ids, *self.ids(skip=1)}) == 5

    def test_parts_of_an_id_can_not_run_into_each_other(self) -> None:
        assert set(self.ids(source="calls-1", skip=10)).isdisjoint(self.ids(source="calls-11"))

    def test_any_client_name_has_one(self) -> None:
        assert all(len(own) == 24 for own in self.ids(client="\ud800 Zoë\0"))
