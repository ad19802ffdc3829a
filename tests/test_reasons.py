"""Contributions that tell the same story are one reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.features import GATEWAY_V1, Group
from scorer.reasons import Contribution, Direction, direction_of, stories
from tests.alerting import LOWERING, MANY, PLAIN, RARE, UNKNOWN, change

contributions = st.lists(
    st.builds(
        Contribution,
        feature=st.sampled_from("abcdefgh"),
        contribution=st.floats(-10, 10),
        direction=st.sampled_from(list(Direction)),
        group=st.sampled_from(list(Group)),
    )
)


@given(contributions)
def test_a_group_s_contribution_is_the_sum_of_its_features_and_no_raising_group_is_left_out(
    items: list[Contribution],
) -> None:
    sums = {group: sum(item.contribution for item in items if item.group is group) for group in Group}
    assert {story.group: story.contribution for story in stories(items)} == {
        group: total for group, total in sums.items() if total > 0
    }


@given(contributions)
def test_reasons_come_the_strongest_first_and_tell_of_a_feature_that_raised_the_score(
    items: list[Contribution],
) -> None:
    found = stories(items)
    strengths = [story.contribution for story in found]
    assert strengths == sorted(strengths, reverse=True)
    assert all(story.telling.contribution > 0 and story.telling.group is story.group for story in found)


def test_features_of_one_group_are_one_reason_told_by_its_strongest() -> None:
    found = stories([MANY, LOWERING, RARE, PLAIN, UNKNOWN])
    assert [(story.group, story.contribution, story.telling) for story in found] == [
        (Group.DESTINATIONS, 2.5, RARE),
        (Group.SHAPE, 1.0, MANY),
        (Group.SOURCES, 0.75, UNKNOWN),
    ]


def test_an_unusual_value_tells_more_than_a_usual_one_that_did_more() -> None:
    (story,) = stories([change(MANY, contribution=0.5), change(PLAIN, contribution=2.0)])
    assert story.telling.feature == MANY.feature


def test_a_group_that_lowers_the_score_is_no_reason() -> None:
    assert stories([change(MANY, contribution=0.5), LOWERING]) == []


@pytest.mark.parametrize(
    ("value", "direction"),
    [
        (4.9, Direction.BELOW),
        (5.0, Direction.WITHIN),
        (7.0, Direction.WITHIN),
        (9.0, Direction.WITHIN),
        (9.1, Direction.ABOVE),
        (None, Direction.MISSING),
    ],
)
def test_the_bounds_of_the_usual_range_are_usual(value: float | None, direction: Direction) -> None:
    assert direction_of(value, 5.0, 9.0) is direction


def test_every_group_has_a_feature() -> None:
    assert {feature.group for feature in GATEWAY_V1.features} == set(Group)
