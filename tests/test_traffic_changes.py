"""Changes to a log change what they say, from the moment they say, and nothing else."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from scorer.comparison import half_way
from stream.recorder import Change
from stream.traffic_changes import ADDED, CROWD, added, crowded, load_tested, renamed, scaled, scenarios
from tests.recordings import Made, make_day, make_recording

CALLS = [ApiCall(time, f"c{time % 40}", ("GET /a", "GET /b")[time % 2], 200) for time in range(0, 4000, 7)]


def changed(change: Change) -> list[ApiCall]:
    return [other for call in CALLS for other in change(call)]


def test_a_new_endpoint_takes_a_share_of_the_clients_from_a_moment_on() -> None:
    after = changed(renamed("GET /a", 2000))

    new = {call.client for call in after if call.endpoint == "GET /a/v2"}
    old = {call.client for call in after if call.endpoint == "GET /a" and call.time >= 2000}
    assert len(after) == len(CALLS)
    assert [call for call in after if call.time < 2000] == [call for call in CALLS if call.time < 2000]
    assert new
    assert old
    assert not new & old


def test_a_crowd_does_what_its_members_do_within_the_window() -> None:
    after = changed(crowded({"c7", "c14"}, 1000, 2000))

    counts = Counter(call.client for call in after)
    within = sum(call.client == "c7" and 1000 <= call.time < 2000 for call in CALLS)
    copies = [client for client in counts if client.startswith(f"c7{ADDED}")]
    assert within > 0
    assert {client: counts[client] for client in copies} == dict.fromkeys(copies, within)
    assert len(copies) == CROWD
    assert [call for call in after if ADDED not in call.client] == CALLS


def test_a_load_test_repeats_its_script_at_its_rate_in_order_of_time() -> None:
    after = changed(load_tested(["GET /x", "GET /y"], 1000, 2000, 100))

    own = [call for call in after if ADDED in call.client]
    assert [call.time for call in own] == list(range(1000, 2000, 100))
    assert [call.endpoint for call in own] == ["GET /x", "GET /y"] * 5
    assert [call.time for call in after] == sorted(call.time for call in after)
    assert [call for call in after if ADDED not in call.client] == CALLS


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=5))
def test_a_table_of_ten_times_the_volume_keeps_every_proportion(degrees: dict[str, tuple[int, int]]) -> None:
    table = DegreeSnapshot(10**6, {name: EndpointDegrees(*own) for name, own in degrees.items()})

    grown = scaled(table, 10)

    assert scaled(table, 1) == table
    assert grown.edges == 10 * table.edges
    for name, own in table.endpoints.items():
        assert grown.endpoints[name] == EndpointDegrees(10 * own.source, 10 * own.destination)
    assert scaled(grown, 0.1) == table


def test_scenarios_begin_half_way_and_choose_what_the_log_offers() -> None:
    recording = make_day()

    found = {scenario.name: scenario for scenario in scenarios(recording)}

    assert list(found) == ["volume x 0.1", "volume x 1", "volume x 10", "new endpoint", "flash crowd", "load test"]
    assert [found[name].volume for name in found][:4] == [0.1, 1.0, 10.0, None]
    assert "call a by a name" in found["new endpoint"].what
    make = found["load test"].change
    assert make is not None
    late = ApiCall(half_way(recording) + 300_000, "c", "a", 200)
    # The longest benign session is the first of eleven calls.
    assert [call.endpoint for call in make()(late)][:12] == [*"abcdabcdabc", "a"]


def test_the_sessions_of_added_clients_are_told_by_their_names() -> None:
    recording = make_recording(Made("ab"), Made("ab", client=f"x{ADDED}1"))

    assert added(recording).tolist() == [False, True]


@pytest.mark.parametrize("name", ["new endpoint", "flash crowd", "load test"])
def test_a_change_made_again_begins_anew(name: str) -> None:
    (scenario,) = (own for own in scenarios(make_day()) if own.name == name)
    assert scenario.change is not None
    calls = [ApiCall(60_000 * n, f"user{n % 20}", "a", 200) for n in range(180)]

    first, again = ([list(change(call)) for call in calls] for change in (scenario.change(), scenario.change()))

    assert first == again
    assert first != [[call] for call in calls]
