"""A budget of memory becomes a bound on open sessions, the same on every worker."""

import pytest

from featurizer.session import SESSION_BYTES
from stream.assembly import max_open
from stream.errors import SettingsError
from stream.settings import load_settings


@pytest.mark.parametrize(
    ("overrides", "sessions"),
    [
        ({}, 250_000),
        ({"state.memory_budget": "400MB"}, 100_000 * 1000 // SESSION_BYTES),
        ({"state.memory_budget": "400MB", "sessions.max_open": 7}, 7),
        ({"state.memory_budget": 9_600_000, "topics.partitions": 2, "inputs": [{"topic": "k", "keyed": True}]}, 2000),
    ],
)
def test_it_is_shared_out_over_all_partitions_a_worker_may_have_to_take(
    overrides: dict[str, object], sessions: int
) -> None:
    assert max_open(load_settings(overrides=overrides)) == sessions


def test_one_that_holds_no_session_is_refused_with_the_least_that_makes_sense() -> None:
    with pytest.raises(SettingsError, match=r"state\.memory_budget.*give at least"):
        max_open(load_settings(overrides={"state.memory_budget": "1KB"}))


def test_one_that_is_no_size_is_refused() -> None:
    with pytest.raises(SettingsError, match="memory_budget"):
        load_settings(overrides={"state.memory_budget": "a lot"})
