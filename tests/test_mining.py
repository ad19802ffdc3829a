"""Which routes are mined from raw paths, and which are left alone."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.mining import SIBLINGS, RawPaths, Swallowed, bare_path, mine, swallowed
from featurizer.routes import RouteTemplates
from tests.traffic_paths import USERS, WORDS, once


def test_words_that_share_a_place_become_a_parameter_above_a_number_of_them() -> None:
    assert mine(once(f"/users/{name}" for name in USERS[: SIBLINGS + 1])) == ("/users/{name}",)
    assert mine(once(f"/users/{name}" for name in USERS[:SIBLINGS])) == ()
    assert mine(once(f"/users/{name}" for name in USERS[:3]), siblings=2) == ("/users/{name}",)


def test_what_follows_a_parameter_is_pinned_as_well() -> None:
    paths = once(f"/users/{name}{rest}" for name in USERS for rest in ("", "/orders", "/orders/42"))

    assert mine(paths) == ("/users/{name}", "/users/{name}/orders", "/users/{name}/orders/{id}")


@pytest.mark.parametrize("word", ["me", "self", "current", "search", "health", "v2", "Me"])
def test_well_known_words_stay_and_are_pinned_beside_the_parameter(word: str) -> None:
    paths = once(f"/users/{name}" for name in [*USERS, word])

    assert mine(paths) == tuple(sorted([f"/users/{word}", "/users/{name}"]))


def test_a_word_with_other_things_below_it_stays() -> None:
    paths = once([*(f"/users/{name}" for name in USERS), "/users/reports/monthly", "/users/reports/yearly"])

    assert RouteTemplates(mine(paths)).template("/users/reports/monthly") == "/users/reports/monthly"


def test_the_first_segment_and_what_follows_an_api_or_a_version_name_resources() -> None:
    for prefix in ("", "/api", "/v1", "/api/v2.1", "/rest/v1beta1"):
        assert mine(once(f"{prefix}/{name}/list" for name in USERS)) == ()


def test_a_first_segment_that_is_an_identifier_is_never_pinned() -> None:
    assert mine(once(f"/{number}{number}/users/{name}" for number in range(100, 110) for name in USERS)) == ()


def test_words_that_are_seen_again_and_again_are_a_fixed_set() -> None:
    methods = [f"{verb}{noun}" for verb in ("get", "list", "create", "delete") for noun in WORDS[:10]]

    assert mine({f"/twirp/{method}": 50 for method in methods}) == ()
    assert mine(once(f"/twirp/{method}" for method in methods)) == ("/twirp/{name}",)


def test_very_many_words_are_a_parameter_whatever_follows_them() -> None:
    """As in /repos/{organisation}/{repository}: nothing below one organisation is below another."""
    many = [f"{first}{second}" for first in WORDS for second in WORDS][: 10 * SIBLINGS + 1]
    paths = {f"/repos/{name}/x{name}": 7 for name in many}

    assert mine(paths) == ("/repos/{name}/{name}",)
    assert mine(dict(list(paths.items())[:-1])) == ()


def test_identifiers_of_several_kinds_at_one_place_become_one() -> None:
    uuid = "550e8400-e29b-41d4-a716-446655440000"

    assert mine({"/orders/42": 50, f"/orders/{uuid}": 50}) == ("/orders/{id}",)
    assert mine({"/orders/42": 50, f"/orders/{uuid}": 50, "/orders/export": 3}) == ("/orders/export", "/orders/{id}")
    assert mine({"/orders/42": 99, f"/orders/{uuid}": 1}) == ()
    assert mine({"/orders/42": 50, f"/orders/{uuid}": 50, "/orders/special": 50}) == ()


def test_identifiers_beside_names_become_names() -> None:
    paths = once([*(f"/users/{name}" for name in USERS), "/users/42", "/users/jane@example.com"])

    assert mine(paths) == ("/users/{name}",)


def test_files_of_one_kind_keep_their_extension() -> None:
    paths = once([*(f"/images/{name}.png" for name in USERS), *(f"/images/{name}.jpg" for name in USERS[:5])])

    assert mine(paths) == ("/images/{name}", "/images/{name}.png")


def test_names_with_points_are_no_files() -> None:
    assert mine(once(f"/users/{name}.{name}" for name in USERS)) == ("/users/{name}",)


def test_below_graphql_nothing_is_a_parameter() -> None:
    assert mine(once(f"/graphql/{name}" for name in USERS)) == ()


def test_refused_calls_decide_nothing() -> None:
    paths = RawPaths()
    for name in USERS:
        for status in (400, 401, 403, 404, 405):
            paths.add(f"/users/{name}", status)
    paths.add("/users/alice", 200)
    paths.add("/users/alice", 500, calls=2)

    assert mine(paths.answered) == ()
    assert paths.answered == {"/users/alice": 3}
    assert paths.refused.total() == 5 * len(USERS)


def test_what_is_no_path_is_passed_over() -> None:
    assert mine(once(["*", "", "-", "/", "example.org:443", "//"])) == ()


def test_a_very_deep_path_is_pinned_with_its_rest() -> None:
    deep = "/a" * 20
    pins = mine(once(f"/users/{name}{deep}" for name in USERS))

    assert len(pins) == 1
    assert pins[0].endswith("/{more+}")
    assert RouteTemplates(pins).template(f"/users/zoe{deep}/b") == pins[0]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/orders/42?token=secret", "/orders/42"),
        ("/orders#secret", "/orders"),
        ("/orders;jsessionid=secret/42;v=1", "/orders/42"),
        ("https://user:secret@example.org/orders?q", "/orders"),
        ("https://example.org", "/"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_bare_path_has_no_query_no_matrix_parameters_and_no_authority(target: str, path: str) -> None:
    assert bare_path(target) == path


def test_templates_come_with_the_paths_they_swallow_the_most_called_first() -> None:
    paths = {"/orders/1": 1, "/orders/2": 5, "/orders/3": 1, "/orders/4": 1, "/health": 20}

    assert swallowed(paths, RouteTemplates()) == [
        Swallowed("/health", 1, 20, ("/health",)),
        Swallowed("/orders/{id}", 4, 8, ("/orders/2", "/orders/1", "/orders/3")),
    ]


# What holds for all paths

segments = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(USERS),
    st.sampled_from(["api", "v1", "me", "search", "graphql", "{id}", "a.png", "b%2Fc", ":x", "*", "", ".."]),
    st.integers(0, 99_999).map(str),
    st.uuids().map(str),
    st.text(string.ascii_lowercase + ".-_{}%;é", min_size=1, max_size=6),
)
raw_paths = st.dictionaries(
    st.lists(segments, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts)),
    st.integers(1, 30),
    max_size=20,
)
collections = st.lists(st.sampled_from(["/users/", "/a/b/", "/api/x/"]), min_size=1, max_size=3).flatmap(
    lambda starts: st.dictionaries(
        st.tuples(st.sampled_from(starts), segments, st.sampled_from(["", "/orders", "/1", "/x.json"])).map("".join),
        st.integers(1, 3),
        min_size=6,
        max_size=20,
    )
)
traffic = st.one_of(raw_paths, collections)


@settings(max_examples=60, deadline=None)  # a log is a large example
@given(paths=traffic, seed=st.integers())
def test_the_order_of_the_paths_changes_nothing(paths: dict[str, int], seed: int) -> None:
    shuffled = list(paths.items())
    random.Random(seed).shuffle(shuffled)  # noqa: S311 -- no cryptography

    assert mine(dict(shuffled), siblings=2) == mine(paths, siblings=2)


@settings(max_examples=60, deadline=None)  # a log is a large example
@given(paths=traffic)
def test_every_path_goes_to_exactly_one_template(paths: dict[str, int]) -> None:
    rows = swallowed(paths, RouteTemplates(mine(paths, siblings=2)), examples=len(paths))

    assert sorted(path for row in rows for path in row.examples) == sorted(paths)
    assert sum(row.calls for row in rows) == sum(paths.values())
    assert [len(row.examples) for row in rows] == [row.paths for row in rows]


@settings(max_examples=60, deadline=None)  # a log is a large example
@given(paths=traffic)
def test_no_mined_route_begins_with_a_parameter(paths: dict[str, int]) -> None:
    for pin in mine(paths, siblings=2):
        assert pin.startswith("/")
        assert "{" not in pin.split("/")[1]


@settings(max_examples=60, deadline=None)  # a log is a large example
@given(paths=traffic)
def test_the_loader_reads_mined_routes_back_to_the_same_endpoints(paths: dict[str, int]) -> None:
    """A pin is an endpoint of its own, and in any order the pins lead to the same endpoints."""
    pins = mine(paths, siblings=2)
    loaded, reversed_ = RouteTemplates(pins), RouteTemplates(pins[::-1])

    for path in paths:
        assert loaded.template(path) == reversed_.template(path)
        assert loaded.endpoint("GET", path, 200) == f"GET {loaded.template(path)}"
    assert len(set(pins)) == len(pins)


@settings(max_examples=60, deadline=None)  # a log is a large example
@given(paths=traffic)
def test_pins_never_tell_apart_what_the_rules_do_not(paths: dict[str, int]) -> None:
    rules, pinned = RouteTemplates(), RouteTemplates(mine(paths, siblings=2))

    together = {rules.template(path): pinned.template(path) for path in paths}

    assert {pinned.template(path) for path in paths} == set(together.values())
