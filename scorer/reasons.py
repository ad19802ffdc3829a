"""Reasons: what raised a score, one plain sentence for each group of features that tell the same story.

Shapley values are additive, so what a group did to the score is the sum of what its features did.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

import msgspec

from featurizer.features import Group
from scorer.counterfactual import Counterfactual

MOST_TOLD = 3
"""Reasons that a message tells at most: enough to see why at a glance."""


class Direction(StrEnum):
    """Where a value lies against the usual range."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"
    MISSING = "missing"


_UNUSUAL = (Direction.BELOW, Direction.ABOVE)


class Contribution(msgspec.Struct, frozen=True):
    """What one feature did to the score.

    Attributes:
        feature: name in the FeatureSchema.
        meaning: the feature in words.
        value: value of the feature; None where missing.
        usual_low: 5 % quantile of the benign training sessions.
        usual_high: 95 % quantile of the benign training sessions.
        direction: where the value lies against that range.
        contribution: SHAP value, log-odds; positive raises the score.
        unit: of the value.
        group: what the feature tells together with others.
    """

    feature: str
    meaning: str
    value: float | None
    usual_low: float
    usual_high: float
    direction: Direction
    contribution: float
    unit: str
    group: Group


class Reason(msgspec.Struct, frozen=True):
    """What one group of features did to the score.

    Attributes:
        group: the group.
        contribution: sum of the SHAP values of all its features, log-odds; positive.
        feature: the feature that the sentence tells of.
        direction: where its value lies against the usual range.
        sentence: the value and what is usual, for a person.
    """

    group: Group
    contribution: float
    feature: str
    direction: Direction
    sentence: str


class Explanation(msgspec.Struct, frozen=True):
    """Why a score is what it is.

    Attributes:
        contributions: of every feature, in schema order; they and the model's base add up to the raw score.
        reasons: the groups that raised the score, first the strongest.
        counterfactual: what would have kept the score under the threshold; None when no other value of a feature that
            the foremost reasons tell of would, or when it is under the threshold.
    """

    contributions: tuple[Contribution, ...]
    reasons: tuple[Reason, ...] = ()
    counterfactual: Counterfactual | None = None


class Story(NamedTuple):
    """A group that raised the score: the sum of its contributions, and its most telling one."""

    group: Group
    contribution: float
    telling: Contribution

    @property
    def direction(self) -> Direction:
        """Where the telling value lies against the usual range."""
        return self.telling.direction


Told = TypeVar("Told", Story, Reason)


def direction_of(value: float | None, low: float, high: float) -> Direction:
    """Return where a value lies against the usual range."""
    if value is None:
        return Direction.MISSING
    if value < low:
        return Direction.BELOW
    return Direction.ABOVE if value > high else Direction.WITHIN


def stories(contributions: Iterable[Contribution]) -> list[Story]:
    """Return the groups that raised the score, first the strongest.

    The telling feature is the one that raised the score most of those with an unusual value, or else of all: a value
    inside the usual range can raise a score too, beside the others.
    """
    members: defaultdict[Group, list[Contribution]] = defaultdict(list)
    for item in contributions:
        members[item.group].append(item)
    totals = {group: sum(item.contribution for item in items) for group, items in members.items()}
    raising = [group for group, total in totals.items() if total > 0]
    raising.sort(key=lambda group: (-totals[group], group))
    return [Story(group, totals[group], _most_telling(members[group])) for group in raising]


def _most_telling(items: Sequence[Contribution]) -> Contribution:
    raising = [item for item in items if item.contribution > 0]
    unusual = [item for item in raising if item.direction in _UNUSUAL]
    return max(unusual or raising, key=lambda item: (item.contribution, item.feature))


def foremost(items: Sequence[Told]) -> list[Told]:
    """Return the reasons to tell: the strongest, and the next ones whose value is unusual by itself."""
    return [item for at, item in enumerate(items) if at == 0 or item.direction in _UNUSUAL][:MOST_TOLD]
