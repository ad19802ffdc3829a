"""The simulated API, the tables that behaviours are drawn from, and the speed that calls are replayed at."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream.simulator
from featurizer.routes import RouteTemplates
from stream.openapi import pinned_routes
from stream.simulator import SimulatedCall, Simulation, SimulationOptions, simulate
from stream.simulator.attacks import AttackKind
from stream.simulator.behaviours import TABLE_SIZE, Spread, spread_evenly
from stream.simulator.catalogue import CATALOGUE, OPERATIONS, openapi_document, usual_statuses
from stream.simulator.objects import RESOURCES
from stream.simulator.pacing import paced

QUICK = SimulationOptions(duration_s=60, rate=500, time_scale=30, attack_share=0.1, seed=7)
PINNED = RouteTemplates(pinned_routes(openapi_document()))


@pytest.fixture(scope="module")
def calls() -> list[SimulatedCall]:
    return list(simulate(QUICK))


# The API


def test_the_catalogue_is_of_the_size_of_a_real_api() -> None:
    assert 40 <= len(CATALOGUE) <= 70
    assert len({operation.endpoint for operation in CATALOGUE}) == len(CATALOGUE)
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    assert all(sum(usual_statuses(operation).values()) == 1_000 for operation in OPERATIONS)


def test_every_call_is_of_the_catalogue_or_of_an_unknown_path(calls: list[SimulatedCall]) -> None:
    known = {operation.endpoint for operation in CATALOGUE}

    for call in calls:
        endpoint = PINNED.endpoint(call.method, call.path, call.status)
        assert endpoint in known or endpoint.endswith("{unmatched}") or call.status == 403


def test_the_ids_are_of_kinds_that_route_templates_recognise(calls: list[SimulatedCall]) -> None:
    """Without any pinned route every operation is one endpoint, whatever its ids look like."""
    routes = RouteTemplates()
    templates: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        if call.status not in {403, 404}:
            operation = PINNED.endpoint(call.method, call.path, call.status)
            templates[operation].add(routes.endpoint(call.method, call.path, call.status))

    assert all(len(found) == 1 for found in templates.values()), templates
    shapes = [re.sub(r"\{\w+\}", "{}", next(iter(found))) for found in templates.values()]
    assert len(set(shapes)) == len(shapes)


@given(st.data())
def test_an_object_always_has_the_same_id_and_no_other_object_has_it(data: st.DataObject) -> None:
    resource = data.draw(st.sampled_from(RESOURCES))
    numbers = data.draw(st.lists(st.integers(0, resource.population - 1), unique=True, min_size=2, max_size=20))

    ids = [resource.spell(number) for number in numbers]

    assert len(set(ids)) == len(ids)
    assert ids == [resource.spell(number) for number in numbers]
    assert not any("{" in id_ or "?" in id_ for id_ in ids)


def test_the_api_description_beside_the_code_is_the_generated_one() -> None:
    """Regenerate it with ``gatewatch simulate --openapi stream/simulator/openapi.json``."""
    path = Path(stream.simulator.__file__).with_name("openapi.json")

    assert json.loads(path.read_text()) == openapi_document()


def test_the_api_description_pins_every_route() -> None:
    assert set(pinned_routes(openapi_document())) == {operation.endpoint for operation in CATALOGUE}


# Tables


@given(st.dictionaries(st.integers(0, 60), st.floats(0.001, 1e6), min_size=1, max_size=30))
def test_a_table_gives_each_entry_its_share(weights: dict[int, float]) -> None:
    table = Counter(spread_evenly(weights))

    total = sum(weights.values())
    assert table.total() == TABLE_SIZE
    assert all(abs(table[key] - TABLE_SIZE * weight / total) <= 1 for key, weight in weights.items())


@given(st.floats(0.01, 1_000), st.floats(0.0, 2.0))
def test_a_spread_has_its_median_and_stays_within_its_bounds(middle: float, sigma: float) -> None:
    table = Spread(middle, sigma, middle / 4, middle * 50).table()

    assert len(table) == TABLE_SIZE
    assert list(table) == sorted(table)
    assert table[0] >= middle / 4
    assert table[-1] <= middle * 50
    assert median(table) == pytest.approx(middle, rel=0.01)


# Pacing


class Wall:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, now: int, stops_after: int = 10**9) -> None:
        self.now = float(now)
        self.sleeps = 0
        self._stops_after = stops_after

    def clock(self) -> int:
        """Return the present."""
        return int(self.now)

    def sleep(self, seconds: float) -> bool:
        """Move the present; true once it is time to stop."""
        self.now += min(seconds, 0.25) * 1000
        self.sleeps += 1
        return self.sleeps >= self._stops_after


@given(st.integers(0, 100), st.floats(1, 2_000))
def test_paced_calls_come_when_their_time_has_come(seed: int, rate: float) -> None:
    options = SimulationOptions(seed=seed, duration_s=20 / rate, rate=rate, time_scale=30)
    wall = Wall(options.start)
    calls = []
    for call in paced(simulate(options), wall.clock, wall.sleep):
        assert call.time <= wall.clock()
        calls.append(call)

    assert calls == list(simulate(options))
    assert not calls or wall.clock() - calls[-1].time <= 1


def test_calls_whose_time_has_passed_are_not_held_up() -> None:
    wall = Wall(QUICK.start + 10**9)

    calls = list(paced(simulate(QUICK), wall.clock, wall.sleep))

    assert len(calls) == len(list(simulate(QUICK)))
    assert wall.sleeps == 0


def test_pacing_ends_when_sleep_says_so_and_loses_no_call() -> None:
    """The labels count every call that was taken from the simulation, so each must be handed on."""
    simulation = Simulation(msgspec.structs.replace(QUICK, duration_s=None, rate=20.0, attack_share=1.0))
    wall = Wall(QUICK.start, stops_after=200)

    calls = list(paced(simulation, wall.clock, wall.sleep))
    simulation.finish()

    assert len(calls) < 1_000
    assert wall.sleeps == 200
    hostile = Counter(call.client for call in calls)
    assert all(
        hostile[label.client] == label.calls
        for label in simulation.labels()
        if label.attack is not AttackKind.ACCOUNT_TAKEOVER
    )
