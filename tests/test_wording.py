"""What a person reads of a feature."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.features import GATEWAY_V1, SHARE_OF_EDGES, Feature
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Direction, direction_of
from scorer.wording import WORDS, number, sentence_of
from tests.alerting import PLAIN, RARE, UNKNOWN, change

FEATURES = {feature.name: feature for feature in GATEWAY_V1.features}


def item_of(feature: Feature, value: float | None, low: float, high: float) -> Contribution:
    """Return what a feature did with a value, its usual range given."""
    where = direction_of(value, low, high)
    return Contribution(feature.name, feature.meaning, value, low, high, where, 1.0, feature.unit, feature.group)


@pytest.mark.parametrize(
    ("name", "value", "low", "high", "sentence"),
    [
        ("n_apis", 41, 1, 3, "It called many different endpoints: 41; usual is 1 to 3."),
        ("n_connections", 1234, 3, 12, "It made many different transitions: 1,234; usual is 3 to 12."),
        (
            "edges_per_api",
            3.4286,
            0.75,
            2.3,
            "It took many different ways between its endpoints: the number per endpoint is 3.43; usual is 0.75 to 2.3.",
        ),
        (
            "density",
            2 / 3,
            0.0828,
            0.5,
            "It tried many of the possible transitions between its endpoints: 66.7 %; usual is 8.28 % to 50 %.",
        ),
        (
            "std_local_dest_degrees",
            4.7,
            0,
            2.1,
            (
                "It came to some of its endpoints in many ways and to others in few: the number of ways varies by 4.7; "
                "usual is 0 to 2.1."
            ),
        ),
        (
            "min_dest_share",
            0.00002,
            0.001,
            0.02,
            (
                "It went to an endpoint that hardly anyone uses: 0.002 % of all transitions lead to the rarest one; "
                "usual is 0.1 % to 2 %."
            ),
        ),
        (
            "avg_source_share",
            0.0151,
            0.0166,
            0.0689,
            (
                "It moved on from rarely used endpoints: on average 1.51 % of all transitions begin at each; "
                "usual is 1.66 % to 6.89 %."
            ),
        ),
        (
            "min_by_max_dest_degrees",
            0.0058,
            0.0197,
            0.715,
            (
                "It went to often and rarely used endpoints alike: the rarest is used 0.58 % as often as the "
                "commonest; usual is 1.97 % to 71.5 %."
            ),
        ),
        (
            "avg_source_by_avg_dest_degrees",
            1.8,
            0.72,
            1.32,
            (
                "It moved on from endpoints that are much used beside those it went to: 1.8 times as much, on average; "
                "usual is 0.72 to 1.32."
            ),
        ),
    ],
)
def test_a_value_outside_the_usual_range_is_one_plain_sentence(
    name: str, value: float, low: float, high: float, sentence: str
) -> None:
    assert sentence_of(item_of(FEATURES[name], value, low, high)) == sentence


def test_a_usual_value_is_called_usual() -> None:
    assert sentence_of(item_of(FEATURES["avg_dest_share"], 0.02, 0.0167, 0.0757)) == (
        "How common the endpoints it went to are, on average: 2 %, by itself usual (1.67 % to 7.57 %)."
    )


def test_a_missing_value_is_told_as_such() -> None:
    assert sentence_of(UNKNOWN) == "Spread of the sources: nothing to tell it from; usual is 5 to 90."


def test_a_range_of_one_value_is_told_as_one() -> None:
    assert sentence_of(change(PLAIN, value=3.0, usual_low=1.0, usual_high=1.0, direction=Direction.ABOVE)).endswith(
        "usual is 1."
    )


def test_a_feature_without_words_is_told_by_its_meaning_and_shares_of_edges_in_percent() -> None:
    assert sentence_of(RARE) == "How common the rarest endpoint is: 0.25; usual is 5.5 to 1,200."
    assert sentence_of(change(RARE, unit=SHARE_OF_EDGES)) == (
        "How common the rarest endpoint is: 25 %; usual is 550 % to 120,000 %."
    )


@pytest.mark.parametrize(("enough", "told"), [(0.016512, "1.66 %"), (0.001399, "0.139 %")])
def test_what_would_have_been_enough_is_rounded_to_the_safe_side(enough: float, told: str) -> None:
    item = item_of(FEATURES["avg_dest_share"], 0.0151, 0.0166, 0.0689)
    assert sentence_of(item, Counterfactual(item.feature, 0.0151, enough, 0.5)).endswith(
        f"usual is 1.66 % to 6.89 %, and {told} alone would have kept it under the threshold."
    )


def test_every_feature_has_words_and_all_words_have_a_feature() -> None:
    assert WORDS.keys() == FEATURES.keys()


@pytest.mark.parametrize("name", WORDS)
@given(
    value=st.none() | st.floats(0, 1e6) | st.floats(min_value=0, allow_infinity=False),
    low=st.floats(0, 1e6),
    high=st.floats(0, 1e6),
)
def test_whatever_the_value_it_is_one_sentence_without_an_exponent(
    name: str, value: float | None, low: float, high: float
) -> None:
    sentence = sentence_of(item_of(FEATURES[name], value, *sorted([low, high])))
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert ". " not in sentence
    assert "{" not in sentence
    assert "e-" not in sentence


@given(st.floats(1e-9, 1e9))
def test_a_number_is_told_to_three_digits(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=0.005)
    assert float(number(value, math.floor).replace(",", "")) <= value * (1 + 1e-9)
    assert float(number(value, math.ceil).replace(",", "")) >= value * (1 - 1e-9)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (41.0, "41"),
        (99.96, "100"),
        (120_000.0, "120,000"),
        (0.25, "0.25"),
        (0.00002, "0.00002"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_short_to_read(value: float, text: str) -> None:
    assert number(value) == text
