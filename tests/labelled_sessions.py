"""Made-up labelled sessions: benign ones are long and common, attacks short and rare; nothing is left to chance."""

from collections.abc import Iterator

import numpy as np

from featurizer.features import GATEWAY_V1, FeatureVector, Occasion
from scorer.examples import Examples, groups_of
from scorer.labelling import AttackLabel

MINUTE = 60_000
EDGES = 8_000


def make_examples(rows: int = 240, seed: int = 0) -> Examples:
    """Two classes that overlap a little, one row a group."""
    rng = np.random.default_rng(seed)
    anomalous = rng.random(rows) < 0.3
    features = rng.normal(size=(rows, 4)) + anomalous[:, None] * np.array([1.5, -1.0, 0.0, 0.5])
    return Examples(features, anomalous, groups_of(features), np.ones(rows))


def make_session(number: int, *, hostile: bool, client: str, start: int, hostile_after: int = 0) -> list[FeatureVector]:
    """Vectors at 8 and 16 calls and at the end of a session, one call a second.

    Args:
        number: identity of the session; varies its values.
        hostile: whether it is an attack (or becomes one).
        client: who calls.
        start: event time of the first call.
        hostile_after: calls before the first hostile one.
    """
    rng = np.random.default_rng(number)
    vectors = []
    for calls, occasion in ((8, Occasion.GROWING), (16, Occasion.GROWING), (20, Occasion.CLOSED)):
        bad = hostile and calls > hostile_after
        share = (0.012 if bad else 0.05) * rng.lognormal(0, 0.5)
        edges = calls * (0.3 if bad else 0.8) * rng.lognormal(0, 0.2)
        told = {"n_connections": edges, "n_apis": edges, "avg_source_share": share, "avg_dest_share": share}
        vectors.append(
            FeatureVector(
                session_id=f"s{number}",
                client=client,
                occasion=occasion,
                start=start,
                end=start + (calls - 1) * 1000,
                calls=calls,
                schema=GATEWAY_V1.fingerprint,
                values=tuple(told.get(name, 1.0) for name in GATEWAY_V1.names),
                total_edges=min(100 + number * 40, EDGES),
                close_reason="gap" if occasion is Occasion.CLOSED else None,
            )
        )
    return vectors


def make_traffic(sessions: int = 240) -> tuple[list[FeatureVector], list[AttackLabel]]:
    """Sessions of returning users, a minute apart; every eighth is an attack of a new client, of two kinds by turns.

    The second kind begins after 8 calls: the first vector of such a session is benign.
    """
    vectors: list[FeatureVector] = []
    labels = []
    for number, start in _starts(sessions):
        hostile = number % 8 == 0
        late = 8 if number % 16 == 0 else 0
        client = f"attacker{number}" if hostile else f"user{number * 7 % 60}"
        vectors += make_session(number, hostile=hostile, client=client, start=start, hostile_after=late)
        if hostile:
            kind = "takeover" if late else "scan"
            labels.append(AttackLabel(client, kind, start + late * 1000, start + 19_000))
    return vectors, labels


def _starts(sessions: int) -> Iterator[tuple[int, int]]:
    yield from ((number, 1_700_000_000_000 + number * MINUTE) for number in range(sessions))
