"""Woven calls in replay: attacks are measured by the code that serves, and teach the degree tables nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

import pytest

from featurizer.calls import ApiCall, encode_call
from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import FeatureVector, Occasion
from featurizer.sessions import CloseReason
from scorer.attacks import Woven, observe, weave
from stream import assembly
from stream.records import REPLAY, FileRecord
from stream.replay import replay_vectors
from stream.settings import load_settings
from stream.weaving import IsolatingSessionizer, call_vectors, read_calls
from tests.library_calls import GAP, library_calls

SETTINGS = load_settings(None, {})


@pytest.fixture(scope="module")
def calls() -> list[ApiCall]:
    return library_calls()


@pytest.fixture(scope="module")
def woven(calls: list[ApiCall]) -> Woven:
    return weave(calls, observe(calls, GAP), attacks=54, seed=3)


def clients_of(woven: Woven) -> frozenset[str]:
    return frozenset(label.client for label in woven.labels)


def degrees_after(calls: Iterable[ApiCall], isolated: frozenset[str]) -> DegreeSnapshot:
    """Return the degree table after a replay."""
    sessionizer = assembly.sessionizer(SETTINGS, {REPLAY.topic: None}, partial(IsolatingSessionizer, isolated=isolated))
    sessionizer.assign(REPLAY)
    sessionizer.sessionize([FileRecord(at, encode_call(call)) for at, call in enumerate(calls)])
    sessionizer.close([REPLAY], CloseReason.END_OF_INPUT)
    return sessionizer.degrees.snapshot()


def growing(vectors: Iterable[FeatureVector], clients: Collection[str]) -> dict[str, list[tuple[int, int, str, int]]]:
    """Return what some clients' open sessions measured at 8, 16, 32, … calls: where in the log that is, is fixed."""
    result = defaultdict(list)
    for vector in vectors:
        if vector.occasion is Occasion.GROWING and vector.client in clients:
            result[vector.client].append((vector.calls, vector.end, repr(vector.values), vector.total_edges))
    return result


def test_without_attacks_the_calls_give_the_vectors_that_their_log_gives(calls: list[ApiCall], tmp_path: Path) -> None:
    log = tmp_path / "calls"
    log.write_bytes(b"".join(encode_call(call) + b"\n" for call in calls))
    assert read_calls([log], SETTINGS, "api-call", lambda _: None) == calls
    assert repr(list(call_vectors(calls, SETTINGS))) == repr(list(replay_vectors([log], SETTINGS, "api-call")))


def test_attacks_leave_the_degree_tables_as_the_benign_calls_alone_would(calls: list[ApiCall], woven: Woven) -> None:
    assert degrees_after(woven.calls, clients_of(woven)) == degrees_after(calls, frozenset())
    assert degrees_after(woven.calls, frozenset()) != degrees_after(calls, frozenset())


def test_an_attack_among_many_is_measured_as_the_only_one_is_in_service(woven: Woven) -> None:
    every = growing(call_vectors(woven.calls, SETTINGS, clients_of(woven)), clients_of(woven))
    assert len(every) > 40
    for client in sorted(every)[:10]:
        alone = [call for call in woven.calls if call.client == client or call.client not in clients_of(woven)]
        assert growing(call_vectors(alone, SETTINGS), {client})[client] == every[client]


def test_benign_sessions_are_measured_as_without_attacks(calls: list[ApiCall], woven: Woven) -> None:
    readers = {call.client for call in calls}
    among_attacks = growing(call_vectors(woven.calls, SETTINGS, clients_of(woven)), readers)
    assert among_attacks == growing(call_vectors(calls, SETTINGS), readers)
