"""Made-up recordings: sessions written as the endpoints that they call, a letter each, a call a second."""

from typing import NamedTuple

import numpy as np

from featurizer.features import Feature, FeatureSchema, Group
from scorer.ablation import Scorer
from scorer.labelling import LabelledVectors
from scorer.recording import Calls, Recording

GAP_MS = 60_000
VECTOR_CALLS = 4
MADE_SCORER = Scorer(
    score=lambda values: values[:, 1],
    schema=FeatureSchema(
        "made up", 1, (Feature("calls", "calls", "calls", Group.SHAPE), Feature("score", "1", "score", Group.MIX))
    ),
)
"""The model of made-up recordings: its second feature is the score, its first says nothing."""


class Made(NamedTuple):
    """A session.

    Attributes:
        endpoints: what it calls.
        early: score of the vector at VECTOR_CALLS calls; there is none when the session is shorter.
        closing: score of the vector at its end, a gap after its last call.
        client: who calls; everybody is another when empty.
        attack: kind of attack; none when empty.
        hostile_after: calls before the first hostile one.
        start: event time of the first call, seconds.
    """

    endpoints: str
    early: float = 0.0
    closing: float = 0.0
    client: str = ""
    attack: str = ""
    hostile_after: int = 0
    start: float = 0.0


def make_recording(*sessions: Made, threshold: float = 0.5) -> Recording:
    """Return the recording of sessions, whose verdicts alert from the threshold on."""
    names = [own.client or f"client{number}" for number, own in enumerate(sessions)]
    clients = list(dict.fromkeys(names))
    starts = np.array([round(own.start * 1000) for own in sessions])
    calls = sorted(
        (int(starts[number]) + 1000 * at, number, endpoint)
        for number, own in enumerate(sessions)
        for at, endpoint in enumerate(own.endpoints)
    )
    vectors = []
    for number, own in enumerate(sessions):
        last = int(starts[number]) + 1000 * (len(own.endpoints) - 1)
        if len(own.endpoints) >= VECTOR_CALLS:
            end = int(starts[number]) + 1000 * (VECTOR_CALLS - 1)
            vectors.append((end, number, False, VECTOR_CALLS, end, own.early))
        vectors.append((last + GAP_MS, number, True, len(own.endpoints), last, own.closing))
    clock, session, closed, counts, ends, scores = (np.array(column) for column in zip(*sorted(vectors), strict=True))
    never = np.iinfo(np.int64).max
    hostile = np.array(
        [start + 1000 * own.hostile_after if own.attack else never for start, own in zip(starts, sessions, strict=True)]
    )
    endpoints = tuple(sorted({endpoint for _, _, endpoint in calls}))
    return Recording(
        vectors=LabelledVectors(
            values=np.stack([counts, scores], axis=1).astype(np.float64),
            total_edges=np.full(len(session), 1000.0),
            session=session.astype(np.intp),
            closed=closed.astype(bool),
            calls=counts,
            end=ends,
            anomalous=ends >= hostile[session],
            client=np.array([clients.index(name) for name in names]),
            start=starts,
            attacks=tuple(own.attack for own in sessions),
            hostile_from=np.where(hostile == never, 0, hostile),
            weight=np.ones(len(sessions)),
            unmatched=(),
        ),
        scores=scores,
        complete=closed.astype(bool),
        alerting=scores >= threshold,
        ready=np.ones(len(session), dtype=bool),
        clock=clock,
        raised=session[scores >= threshold],
        clients=tuple(names),
        calls=Calls(
            session=np.array([number for _, number, _ in calls]),
            time=np.array([time for time, _, _ in calls]),
            endpoint=np.array([endpoints.index(endpoint) for _, _, endpoint in calls]),
            endpoints=endpoints,
        ),
    )


def make_day(sessions: int = 120, seed: int = 0) -> Recording:
    """Return a recording of many sessions: attacks, every sixth, jump about and score higher, with some overlap."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(sessions):
        hostile = number % 6 == 0
        walk = "".join(rng.choice(list("aehx"), 12)) if hostile else "abcdabcdabcd"[: 6 + number % 6]
        early, closing = np.clip(rng.normal((0.6, 0.8) if hostile else (0.2, 0.3), 0.15), 0, 1).tolist()
        client = f"attacker{number}" if hostile else f"user{number % 20}"
        attack = ("scan", "walk")[number // 6 % 2] if hostile else ""
        made.append(Made(walk, early, closing, client, attack, 2, number * 90.0))
    return make_recording(*made)
