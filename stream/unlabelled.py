"""Training without labels: leaves a few sessions out of calls, weaves attacks into the rest, and takes the vectors."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from featurizer.calls import ApiCall
from featurizer.features import GATEWAY_V1, FeatureVector
from scorer.attacks import Woven, observe, weave
from scorer.call_recipe import CallOptions, CallVectors, Weaving, check_size, ready
from scorer.contamination import suspects
from scorer.labelling import LabelledVectors, label_vectors
from stream.errors import CommandError
from stream.settings import Settings
from stream.weaving import call_vectors

ATTACK_SHARE = 0.3
"""Attacks woven in, by benign sessions. Together they weigh as much as the benign ones whatever their number; more of
them show more of what an attack may be, and take longer."""
FEWEST_ATTACKS, MOST_ATTACKS = 540, 10_000
"""Ten for each of nine kinds, in three intensities, whole and spliced, at least; more than the most add only time."""


def weave_into(calls: Sequence[ApiCall], settings: Settings, options: CallOptions, contamination: float) -> CallVectors:
    """Weave attacks into calls, leave out the sessions that look like hidden attacks, and weave into the rest.

    Args:
        calls: calls of logs, in log order.
        settings: limits of sessions.
        options: what the user decides.
        contamination: share of the sessions that may be hidden attacks, 0 to 1; as many are left out at most.

    Raises:
        CommandError: there is no session, too few to learn from, or no kind of attack can be woven.
    """
    try:
        woven, taken, vectors = _weave(calls, settings, options.seed)
        check_size(vectors, ready(vectors))
        found = suspects(vectors, contamination, options, GATEWAY_V1)
        if len(found):
            kept = without_sessions(calls, _last_vectors(taken, found))
            woven, _, vectors = _weave(kept, settings, options.seed)
    except ValueError as error:
        raise CommandError(
            f"--calls: {error}", "give more calls; gatewatch replay shows what becomes of the lines"
        ) from error
    left_out = {kind.value: reason for kind, reason in woven.left_out.items()}
    weaving = Weaving(attacks=len(woven.labels), left_out=left_out, contamination=contamination, trimmed=len(found))
    return CallVectors(vectors, weaving)


def _weave(
    calls: Sequence[ApiCall], settings: Settings, seed: int
) -> tuple[Woven, list[FeatureVector], LabelledVectors]:
    """Return calls with attacks, and the vectors of their sessions, plain and labelled."""
    observed = observe(calls, round(settings.sessions.gap_s * 1000))
    wanted = round(ATTACK_SHARE * len(observed.sessions))
    woven = weave(calls, observed, attacks=min(max(wanted, FEWEST_ATTACKS), MOST_ATTACKS), seed=seed)
    taken = list(call_vectors(woven.calls, settings, frozenset(label.client for label in woven.labels)))
    return woven, taken, label_vectors(taken, woven.labels, GATEWAY_V1)


def without_sessions(calls: Iterable[ApiCall], sessions: Iterable[FeatureVector]) -> list[ApiCall]:
    """Return the calls that are in none of some sessions.

    Args:
        calls: the calls.
        sessions: the last vector of each session.
    """
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for vector in sorted(sessions, key=lambda vector: vector.start):
        spans[vector.client].append((vector.start, vector.end))

    def left(call: ApiCall) -> bool:
        own = spans.get(call.client)
        at = bisect_right(own, call.time, key=lambda span: span[0]) if own else 0
        return not own or not at or call.time > own[at - 1][1]

    return [call for call in calls if left(call)]


def _last_vectors(vectors: Iterable[FeatureVector], sessions: Iterable[int]) -> list[FeatureVector]:
    """Return the last vector of some sessions; sessions are numbered in the order in which they first appear."""
    last: dict[str, FeatureVector] = {}
    for vector in vectors:
        last[vector.session_id] = vector  # keeps the place of the first
    ordered = list(last.values())
    return [ordered[number] for number in sessions]
