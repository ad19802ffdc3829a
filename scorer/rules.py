"""Rules: what can be said of a session before a model can, while the degree tables are still learning.

A rule counts one thing and has a limit. With r the greatest count by its limit, the score is r / (1 + r): one half at
the limit, and log-odds of ln r. It is no probability; confidence is low.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from featurizer.features import FeatureVector, Group
from scorer.reasons import Contribution, Direction, Explanation, Reason

RULES_UID = "rules-1"
"""What verdicts by rules name as their model; the number changes when a rule does."""
THRESHOLD = 0.5
_MINUTE_MS = 60_000


class RulePolicy(msgspec.Struct, frozen=True):
    """Limits of the rules. Meaning and defaults: settings ``rules``."""

    unexpected: float = 16.0
    unexpected_edges: int = 2_000
    calls_per_minute: float = 600.0
    refused: float = 10.0
    not_found: float = 20.0
    objects: float = 500.0


class _Rule(NamedTuple):
    """One rule: what it counts, and how it tells of it."""

    name: str
    meaning: str
    unit: str
    group: Group
    sentence: str
    counted: Callable[[FeatureVector, Mapping[str, float]], float]


def _times(share: str) -> Callable[[FeatureVector, Mapping[str, float]], float]:
    """Return how many of a session's calls a share is."""
    return lambda vector, values: vector.calls * values.get(share, math.nan)


RULES: Mapping[str, _Rule] = {
    "unexpected": _Rule(
        "unexpected_transitions",
        "steps that follow where they came from less than once in a hundred times",
        "steps",
        Group.SURPRISE,
        "It took {count} steps that hardly anyone takes; the rule's limit is {limit}.",
        # A session of n calls has n - 1 steps.
        lambda vector, values: (vector.calls - 1) * values.get("unexpected_share", math.nan),
    ),
    "calls_per_minute": _Rule(
        "calls_per_minute",
        "calls a minute, over a minute at least",
        "calls",
        Group.TIMING,
        "It made {count} calls a minute; the rule's limit is {limit}.",
        lambda vector, _: vector.calls * _MINUTE_MS / max(vector.end - vector.start, _MINUTE_MS),
    ),
    "refused": _Rule(
        "refused_calls",
        "calls that were refused (401, 403)",
        "calls",
        Group.OUTCOMES,
        "It was refused {count} times (401 or 403); the rule's limit is {limit}.",
        _times("denied_share"),
    ),
    "not_found": _Rule(
        "calls_not_found",
        "calls that found nothing (404)",
        "calls",
        Group.OUTCOMES,
        "It found nothing {count} times (404); the rule's limit is {limit}.",
        _times("not_found_share"),
    ),
    "objects": _Rule(
        "objects_on_one_route",
        "different objects it asked for on one route",
        "objects",
        Group.OBJECTS,
        "It asked for {count} different objects on one route; the rule's limit is {limit}.",
        lambda _, values: values.get("max_objects", math.nan),
    ),
}
"""The rules by the name of their limit: the first-order transition rule, and guards of rates."""


def rule_score(vector: FeatureVector, policy: RulePolicy) -> float:
    """Return the score of a session by the rules, 0 to 1; what the vector does not tell breaks no rule."""
    greatest = max(_ratios(vector, policy).values())
    return greatest / (1 + greatest)


def explain_rules(vector: FeatureVector, policy: RulePolicy) -> Explanation:
    """Return which rules a session broke, first the one it broke most; each is a reason, two of one group as well."""
    ratios = _ratios(vector, policy)
    broken = sorted((name for name, ratio in ratios.items() if ratio >= 1), key=lambda name: (-ratios[name], name))
    return Explanation(
        tuple(_contribution(name, ratios[name], policy) for name in broken),
        tuple(_reason(name, ratios[name], policy) for name in broken),
    )


def _ratios(vector: FeatureVector, policy: RulePolicy) -> dict[str, float]:
    """Return each count by its limit; 0 where it is not known."""
    values = vector.named()
    counts = {name: rule.counted(vector, values) for name, rule in RULES.items()}
    if vector.total_edges < policy.unexpected_edges:
        counts["unexpected"] = math.nan
    return {name: 0.0 if math.isnan(count) else count / getattr(policy, name) for name, count in counts.items()}


def _contribution(name: str, ratio: float, policy: RulePolicy) -> Contribution:
    rule, limit = RULES[name], getattr(policy, name)
    return Contribution(
        feature=rule.name,
        meaning=rule.meaning,
        value=ratio * limit,
        usual_low=0.0,
        usual_high=limit,
        direction=Direction.ABOVE,
        contribution=math.log(ratio),
        unit=rule.unit,
        group=rule.group,
    )


def _reason(name: str, ratio: float, policy: RulePolicy) -> Reason:
    rule, limit = RULES[name], getattr(policy, name)
    sentence = rule.sentence.format(count=f"{ratio * limit:.0f}", limit=f"{limit:g}")
    return Reason(rule.group, math.log(ratio), rule.name, Direction.ABOVE, sentence)
