"""Intervals of thresholds come from drawing clients; they move no threshold, and are part of a manifest."""

import math
from importlib import resources

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.call_fits import Deciding
from scorer.manifest import BundleError, decode_manifest, encode_manifest
from scorer.thresholds import Greatest
from tests.model_factory import make_bundle

MANIFEST = make_bundle().manifest
BUDGET = 50.0
FEW = 60
"""Resamples that suffice here."""
INTERVALS = {"open": (0.7, 0.8), "closed": (0.6, 0.7)}


def made_up(benign: int, seed: int = 0) -> Deciding:
    """Sessions of a client each whose scores overlap, an attack for every four benign ones."""
    rng, attacked = np.random.default_rng(seed), benign // 4
    low, high = (
        Greatest(*(rng.beta(*shape, count) for _ in range(3)))
        for shape, count in (((2, 8), benign), ((6, 3), attacked))
    )
    return Deciding(low, high, np.arange(benign + attacked))


def widths(sessions: Deciding) -> list[float]:
    return [high - low for low, high in sessions.intervals(BUDGET, seed=0, resamples=FEW).values()]


@pytest.mark.parametrize("seed", range(3))
def test_an_interval_holds_the_threshold_that_was_chosen(seed: int) -> None:
    sessions = made_up(500, seed)
    chosen = sessions.chosen(BUDGET)
    for name, (low, high) in sessions.intervals(BUDGET, seed).items():
        assert low <= getattr(chosen, name) <= high


def test_more_sessions_make_intervals_narrower() -> None:
    assert sum(widths(made_up(2000))) < 0.6 * sum(widths(made_up(300)))


def test_the_same_seed_gives_the_same_intervals() -> None:
    sessions = made_up(300)
    first, again, other = (sessions.intervals(BUDGET, seed, FEW) for seed in (1, 1, 2))
    assert first == again != other


def test_where_no_benign_session_may_alert_the_threshold_is_the_upper_end() -> None:
    sessions = made_up(100)
    chosen = sessions.chosen(1.0)
    assert chosen.open == np.nextafter(sessions.benign.early.max(), math.inf)
    assert sessions.intervals(1.0, seed=0)["open"][1] == chosen.open


def test_sessions_of_one_client_are_drawn_together() -> None:
    """Ten sessions that resemble each other tell less than ten of as many clients."""
    apart = made_up(600)
    apart = apart._replace(benign=apart.benign.of(np.argsort(apart.benign.early)))
    together = apart._replace(client=np.where(np.arange(750) < 600, apart.client // 10, apart.client))
    assert widths(together)[0] > 2 * widths(apart)[0]


@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 5))
@settings(max_examples=10)
def test_bounds_are_thresholds_however_few_sessions_there_are(benign: int, attacked: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ours, theirs = (Greatest(*(rng.random(count) for _ in range(3))) for count in (benign, attacked))
    sessions = Deciding(ours, theirs, np.arange(benign + attacked))
    for low, high in sessions.intervals(500.0, seed, resamples=20).values():
        assert 0 <= low <= high <= 1


def test_a_manifest_keeps_its_intervals_and_the_uid_is_not_of_them() -> None:
    told = msgspec.structs.replace(MANIFEST, threshold_intervals=INTERVALS)
    assert decode_manifest(encode_manifest(told)) == told
    bundle = make_bundle()
    again = type(bundle).assemble(told, bundle.schema, bundle.ensemble, bundle.reference)
    assert again.uid == bundle.uid
    assert again.manifest.threshold_intervals == INTERVALS


@pytest.mark.parametrize("name", ["access-behaviour", "demo"])
def test_a_bundle_from_before_there_were_intervals_is_read_and_written_as_it_was(name: str) -> None:
    data = resources.files("scorer").joinpath("bundles", name, "manifest.json").read_bytes()
    manifest = decode_manifest(data)
    assert manifest.threshold_intervals is msgspec.UNSET
    assert encode_manifest(manifest) == data


def test_an_interval_that_is_none_is_refused() -> None:
    data = encode_manifest(MANIFEST).replace(
        b'"trained_on"', b'"threshold_intervals": {"open": [0.5, 2]}, "trained_on"'
    )
    with pytest.raises(BundleError, match="threshold_intervals"):
        decode_manifest(data)
