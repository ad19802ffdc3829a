"""Training without labels: weaves attacks into calls, takes the vectors, and marks the sessions to leave out."""

from collections.abc import Sequence
from dataclasses import replace

from featurizer.calls import ApiCall
from featurizer.features import GATEWAY_V1
from scorer.attacks import Woven, observe, weave
from scorer.call_recipe import CallOptions, CallVectors, Weaving, check_size, ready
from scorer.contamination import suspects
from scorer.labelling import label_vectors
from stream.errors import CommandError
from stream.settings import Settings
from stream.weaving import call_vectors

ATTACK_SHARE = 0.3
"""Attacks woven in, by benign sessions. Together they weigh as much as the benign ones whatever their number; more of
them show more of what an attack may be, and take longer."""
FEWEST_ATTACKS, MOST_ATTACKS = 540, 10_000
"""Ten for each of nine kinds, in three intensities, whole and spliced, at least; more than the most add only time."""


def weave_into(calls: Sequence[ApiCall], settings: Settings, options: CallOptions, contamination: float) -> CallVectors:
    """Weave attacks into calls, and find the sessions that look like hidden attacks: they weigh nothing.

    Args:
        calls: calls of logs, in log order.
        settings: limits of sessions.
        options: what the user decides.
        contamination: share of the sessions that may be hidden attacks, 0 to 1; as many weigh nothing at most.

    Raises:
        CommandError: there is no session, too few to learn from, or no kind of attack can be woven.
    """
    try:
        woven = _weave(calls, settings, options.seed)
        labelled = frozenset(label.client for label in woven.labels)
        vectors = label_vectors(call_vectors(woven.calls, settings, labelled), woven.labels, GATEWAY_V1)
        check_size(vectors, ready(vectors))
        found = suspects(vectors, contamination, options, GATEWAY_V1)
    except ValueError as error:
        raise CommandError(
            f"--calls: {error}", "give more calls; gatewatch replay shows what becomes of the lines"
        ) from error
    weight = vectors.weight.copy()
    weight[found] = 0.0
    left_out = {kind.value: reason for kind, reason in woven.left_out.items()}
    weaving = Weaving(attacks=len(woven.labels), left_out=left_out, contamination=contamination, trimmed=len(found))
    return CallVectors(replace(vectors, weight=weight), weaving)


def _weave(calls: Sequence[ApiCall], settings: Settings, seed: int) -> Woven:
    """Return calls with attacks among them."""
    observed = observe(calls, round(settings.sessions.gap_s * 1000))
    wanted = round(ATTACK_SHARE * len(observed.sessions))
    return weave(calls, observed, attacks=min(max(wanted, FEWEST_ATTACKS), MOST_ATTACKS), seed=seed)
