"""Woven attacks: the benign calls stay as they are, and all that is added comes from what was observed of them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import median

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from scorer.attacks import UNMATCHED, Kind, Woven, observe, weave
from scorer.attacks.roles import roles_of
from tests.library_calls import GAP, START, library_calls

ENDPOINTS = (
    "GET /a", "GET /a/{id}", "GET /a/{id}/b", "POST /a", "POST /in", "PUT /a/{id}", "DELETE /a/{id}", "GET /c",
    "GET {unmatched}", "OPTIONS /a",
)  # fmt: skip
STATUSES = (0, 200, 201, 302, 400, 401, 403, 404, 429, 500)

some_calls = st.lists(
    st.builds(
        ApiCall,
        time=st.integers(START, START + 10 * GAP),
        client=st.sampled_from(("a", "b", "c", "woven-1", "woven--")),
        endpoint=st.sampled_from(ENDPOINTS),
        status=st.sampled_from(STATUSES),
        duration_ms=st.none() | st.floats(0, 1e4),
    ),
    min_size=1,
    max_size=60,
)


def woven_into(calls: Sequence[ApiCall], attacks: int = 54, seed: int = 0) -> Woven:
    return weave(calls, observe(calls, GAP), attacks=attacks, seed=seed)


def added(woven: Woven, calls: Collection[ApiCall]) -> dict[str, list[ApiCall]]:
    """Return the calls of each client that is new."""
    known = {call.client for call in calls}
    result = defaultdict(list)
    for call in woven.calls:
        if call.client not in known:
            result[call.client].append(call)
    return result


@settings(deadline=None, max_examples=40)
@given(calls=some_calls, seed=st.integers(0, 2**32))
def test_whatever_the_calls_weaving_only_adds_to_them(calls: list[ApiCall], seed: int) -> None:
    assume(any(call.endpoint != UNMATCHED[0] for call in calls))
    woven = woven_into(calls, 30, seed)
    new = added(woven, calls)
    assert [call for call in woven.calls if call.client not in new] == calls
    assert woven_into(calls, 30, seed).calls == woven.calls
    known = {call.endpoint for call in calls}
    assert all(call.endpoint in known or call.endpoint.endswith("{unmatched}") for own in new.values() for call in own)
    assert len(woven.labels) == len(new) == 30
    last = max(call.time for call in calls)
    for label in woven.labels:
        own = new[label.client]
        assert own[0].time <= label.start <= label.end <= own[-1].time <= last
        assert all(after.time - call.time <= GAP for call, after in pairwise(own))
        assert Kind(label.attack) not in woven.left_out


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_calls_in_order_of_time_stay_in_order(seed: int) -> None:
    calls = woven_into(library_calls(seed=seed), 30, seed).calls
    assert all(call.time <= after.time for call, after in pairwise(calls))


def test_another_seed_weaves_other_attacks() -> None:
    calls = library_calls()
    assert woven_into(calls, seed=1).calls != woven_into(calls, seed=2).calls


def test_an_api_with_every_role_gets_every_kind_equally_often() -> None:
    woven = woven_into(library_calls(), 54)
    assert woven.kinds == {kind.value: 6 for kind in Kind}
    assert not woven.left_out


def test_where_nothing_is_found_is_no_route() -> None:
    calls = library_calls()
    woven = woven_into(calls, 540)
    new = added(woven, calls)
    lost = {
        label.attack
        for label in woven.labels
        if any(call.endpoint.endswith("{unmatched}") for call in new[label.client])
    }
    assert lost == {"scanning", "id_walk", "harvesting", "slow_recon", "privilege_probing"}
    assert all((call.status == 404) == call.endpoint.endswith("{unmatched}") for own in new.values() for call in own), (
        "as a gateway without pinned routes logs it"
    )


def test_ids_that_do_not_exist_keep_their_route_where_the_calls_show_that_they_do() -> None:
    calls = [*library_calls(), ApiCall(START * 2, "reader0", "GET /books/{id}", 404)]
    woven = woven_into(calls, 540)
    new = added(woven, calls)
    lost = {label.attack for label in woven.labels if {call.endpoint for call in new[label.client]} & set(UNMATCHED)}
    assert lost == {"scanning"}


@pytest.mark.parametrize(
    ("without", "left_out"),
    [
        ({"POST /session"}, {Kind.CREDENTIAL_STUFFING}),
        ({"GET /staff/log"}, {Kind.PRIVILEGE_PROBING}),
        (
            {"GET /books/{id}", "GET /books/{id}/pages", "GET /loans/{id}", "GET /archive/{date}"},
            {Kind.ID_WALK, Kind.HARVESTING},
        ),
        (
            {"POST /loans", "PATCH /loans/{id}", "DELETE /loans/{id}", "PUT /reader/address", "PUT /reader/password"},
            {Kind.LOGIC_PROBING, Kind.TAKEOVER},
        ),
    ],
)
def test_a_kind_that_the_api_has_no_endpoints_for_is_left_out_and_named(without: set[str], left_out: set[Kind]) -> None:
    woven = woven_into(library_calls(without=without))
    assert set(woven.left_out) == left_out
    assert all(woven.left_out.values())
    assert set(woven.kinds) == set(Kind) - left_out


def test_calls_without_a_single_route_are_refused_with_what_is_missing() -> None:
    with pytest.raises(ValueError, match="no attack can be woven: no GET route with a parameter"):
        woven_into([ApiCall(START, "a", "GET {unmatched}", 404)])


def test_no_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="no session"):
        observe([], GAP)


def test_a_takeover_begins_as_a_benign_session_does() -> None:
    calls = library_calls()
    woven = woven_into(calls)
    new = added(woven, calls)
    sessions = [[(call.time, call.endpoint) for call in session] for session in observe(calls, GAP).sessions]
    takeovers = [label for label in woven.labels if label.attack == "takeover"]
    for label in takeovers:
        before = [(call.time, call.endpoint) for call in new[label.client] if call.time < label.start]
        assert before
        assert any(session[: len(before)] == before for session in sessions)
    assert takeovers


def test_the_slow_kind_pauses_as_the_slowest_tenth_of_the_benign_pauses() -> None:
    calls = library_calls()
    pauses = observe(calls, GAP).pauses
    woven = woven_into(calls)
    new = added(woven, calls)
    slow = [
        after.time - call.time
        for label in woven.labels
        if label.attack == "slow_recon"
        for call, after in pairwise(new[label.client])
        if label.start <= call.time and after.time <= label.end
    ]
    assert min(slow) >= pauses[int(0.9 * (len(pauses) - 1))]
    assert max(slow) <= pauses[-1]


def test_woven_calls_tell_time_no_finer_than_the_log_does() -> None:
    calls = [msgspec.structs.replace(call, time=call.time // 1000 * 1000) for call in library_calls()]
    new = added(woven_into(calls), calls)
    times = [call.time for own in new.values() for call in own]
    assert not any(time % 1000 for time in times)
    assert any(call.time % 1000 for own in added(woven_into(library_calls()), library_calls()).values() for call in own)


def test_some_attacks_keep_an_even_pace_as_scripts_do_and_some_do_not() -> None:
    calls = library_calls()
    woven = woven_into(calls)
    new = added(woven, calls)
    unevenness = []
    for label in woven.labels:
        times = [call.time for call in new[label.client] if label.start <= call.time <= label.end]
        if label.attack != "slow_recon" and len(times) > 10:
            unevenness.append(float(np.log(np.maximum(np.diff(times), 1)).std()))
    assert min(unevenness) < 0.3
    assert max(unevenness) > 0.9


def test_roles_are_told_from_use_and_answers() -> None:
    observed = observe(library_calls(), GAP)
    roles = roles_of(observed)
    assert roles.sign_ins == ["POST /session"]
    assert roles.guarded == ["GET /staff/log"]
    assert roles.objects == [
        ["GET /archive/{date}"],
        ["GET /books/{id}", "GET /books/{id}/pages"],
        ["GET /loans/{id}"],
    ]
    assert roles.lists == ["GET /books", "GET /loans", "GET /books/{id}/pages", "GET /news", "GET /staff/log"]
    assert "GET /archive/{date}" in roles.exports
    commoner = set(roles.writes) - set(roles.sensitive)
    assert len(roles.sensitive) == 3
    assert max(observed.users[own] for own in roles.sensitive) <= min(observed.users[own] for own in commoner)
    assert not roles.misses_keep_route


def test_where_nothing_answers_401_sign_ins_are_failing_posts_that_begin_sessions() -> None:
    calls = [
        ApiCall(START, "a", "POST /enter", 400),
        ApiCall(START + 1, "a", "POST /forms", 422),
        ApiCall(START + 2, "a", "GET /x", 200),
    ]
    assert roles_of(observe(calls, GAP)).sign_ins == ["POST /enter"]


def hostile(woven: Woven, calls: list[ApiCall], kind: str) -> list[list[ApiCall]]:
    """Return the calls of each attack of a kind, from its first hostile one to its last."""
    new = added(woven, calls)
    return [
        [call for call in new[label.client] if label.start <= call.time <= label.end]
        for label in woven.labels
        if label.attack == kind
    ]


def different_objects(session: list[ApiCall]) -> int:
    return len({(call.endpoint, call.object_id) for call in session if call.object_id is not None})


def test_woven_calls_have_statuses_objects_and_addresses_where_benign_ones_have() -> None:
    calls = library_calls()
    made = [call for own in added(woven_into(calls, 200), calls).values() for call in own]
    assert all(100 <= call.status < 600 for call in made)
    assert all((call.object_id is not None) == ("{" in call.endpoint) for call in made)
    assert all(call.address is not None and call.identity == "user" for call in made)


def test_where_benign_calls_have_none_of_these_woven_ones_have_none_either() -> None:
    calls = [
        msgspec.structs.replace(call, status=0, object_id=None, address=None, identity="") for call in library_calls()
    ]
    # Without statuses no sign-in and nothing guarded is known.
    woven = woven_into(calls, 200)
    made = [call for own in added(woven, calls).values() for call in own]
    assert {(call.status, call.object_id, call.address, call.identity) for call in made} == {(0, None, None, "")}


def test_a_walk_asks_for_more_objects_than_a_takeover_and_stuffing_is_refused() -> None:
    calls = library_calls()
    woven = woven_into(calls, 540)
    walks, takeovers = (hostile(woven, calls, kind) for kind in ("id_walk", "takeover"))
    assert median(different_objects(own) / len(own) for own in walks) > 0.5
    assert median(different_objects(own) / len(own) for own in takeovers) < 0.4
    refused = [[call.status >= 400 for call in own] for own in hostile(woven, calls, "credential_stuffing")]
    assert median(sum(own) / len(own) for own in refused) > 0.5


def test_most_takeovers_come_from_elsewhere() -> None:
    calls = library_calls()
    woven = woven_into(calls, 540)
    new = added(woven, calls)
    moved = []
    for label in woven.labels:
        if label.attack == "takeover":
            own = new[label.client]
            before = [call.address for call in own if call.time < label.start]
            moved.append(before[-1] != next(call.address for call in own if call.time >= label.start))
    assert 0.5 < sum(moved) / len(moved) < 1


def test_a_new_client_is_its_own_address_where_benign_ones_are() -> None:
    calls = [msgspec.structs.replace(call, address=call.client, identity="address") for call in library_calls()]
    made = [call for own in added(woven_into(calls, 200), calls).values() for call in own]
    assert all(call.address == call.client for call in made)
