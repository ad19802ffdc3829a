"""Wording: what a security engineer reads of a feature, as one short sentence."""

import math
from collections.abc import Callable
from typing import NamedTuple

from featurizer.features import SHARE_OF_EDGES
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Direction


class Words(NamedTuple):
    """How a feature is told.

    Attributes:
        below: what a value under the usual range says of the client.
        above: what a value over the usual range says.
        detail: the value in words, {} standing for it.
        percent: the value is told in percent.
    """

    below: str
    above: str
    detail: str = "{}"
    percent: bool = False


_MIXED = "often and rarely used endpoints alike"
_EVEN = "endpoints that are about equally used"


def _common(side: str, moved: str, transitions: str) -> dict[str, Words]:
    """Return words for how common the endpoints of one side of the transitions are."""
    mixed, even = f"{moved} {_MIXED}", f"{moved} {_EVEN}"
    return {
        f"avg_{side}_share": Words(
            f"{moved} rarely used endpoints",
            f"{moved} much used endpoints",
            f"on average {{}} of all transitions {transitions} each",
            percent=True,
        ),
        f"min_{side}_share": Words(
            f"{moved} an endpoint that hardly anyone uses",
            f"{moved} no rarely used endpoint",
            f"{{}} of all transitions {transitions} the rarest one",
            percent=True,
        ),
        f"max_{side}_share": Words(
            f"{moved} none of the most used endpoints",
            f"{moved} the most used endpoints",
            f"{{}} of all transitions {transitions} the commonest one",
            percent=True,
        ),
        f"avg_by_max_{side}_degrees": Words(
            mixed, even, "the average one is used {} as often as the commonest", percent=True
        ),
        f"min_by_avg_{side}_degrees": Words(
            mixed, even, "the rarest is used {} as often as the average one", percent=True
        ),
        f"min_by_max_{side}_degrees": Words(
            mixed, even, "the rarest is used {} as often as the commonest", percent=True
        ),
    }


def _balance(which: str) -> Words:
    """Return words for how common the endpoints left are beside those gone to."""
    beside = "It moved on from endpoints that are {} used beside those it went to"
    return Words(beside.format("little"), beside.format("much"), f"{{}} times as much, {which}")


def _answers(what: str, status: str) -> Words:
    """Return words for a share of the calls that ended in one way."""
    return Words(f"Few of its calls {what}", f"Many of its calls {what}", f"{{}} of them ({status})", percent=True)


WORDS = {
    "n_connections": Words("It made few different transitions", "It made many different transitions"),
    "n_apis": Words("It called few different endpoints", "It called many different endpoints"),
    "edges_per_api": Words(
        "It took few different ways between its endpoints",
        "It took many different ways between its endpoints",
        "the number per endpoint is {}",
    ),
    "density": Words(
        "It tried few of the possible transitions between its endpoints",
        "It tried many of the possible transitions between its endpoints",
        percent=True,
    ),
    "std_local_dest_degrees": Words(
        "It came to all its endpoints in about as many ways",
        "It came to some of its endpoints in many ways and to others in few",
        "the number of ways varies by {}",
    ),
    "std_local_dest_degrees_per_edges_per_api": Words(
        "It came to all its endpoints in about as many ways",
        "It came to some of its endpoints in many ways and to others in few",
        "the number of ways varies by {} of its average",
        percent=True,
    ),
    **_common("source", "It moved on from", "begin at"),
    **_common("dest", "It went to", "lead to"),
    "std_by_avg_dest_degrees": Words(
        f"It went to {_EVEN}",
        f"It went to {_MIXED}",
        "how often they are used varies by {} of the average",
        percent=True,
    ),
    "std_dest_share": Words(
        f"It went to {_EVEN}", f"It went to {_MIXED}", "their shares of all transitions vary by {}", percent=True
    ),
    "avg_source_by_avg_dest_degrees": _balance("on average"),
    "max_source_by_max_dest_degrees": _balance("the commonest of each"),
    "min_source_by_min_dest_degrees": _balance("the rarest of each"),
    "median_pause": Words(
        "It called again sooner than others", "It waited longer between calls than others", "{} s between two calls"
    ),
    "pause_spread": Words(
        "It called as regularly as a clock",
        "Its pauses were very different",
        "the long ones are {} times as long as the short ones",
    ),
    "burstiness": Words(
        "It called as regularly as a clock", "It called in bursts", "burstiness {} of -1 (a clock) to 1 (bursts)"
    ),
    "client_error_share": _answers("were refused or failed by its own fault", "4xx"),
    "denied_share": _answers("were refused", "401 or 403"),
    "not_found_share": _answers("asked for what does not exist", "404"),
    "server_error_share": _answers("failed on the server", "5xx"),
    "unmatched_share": _answers("went to paths that the API does not have", "404"),
    "object_share": Words(
        "Few of its calls named an object", "Many of its calls named an object", "{} of them", percent=True
    ),
    "avg_objects": Words(
        "It asked for few different objects", "It asked for many different objects", "{} on a route, on average"
    ),
    "max_objects": Words(
        "It asked for few different objects on any route", "It asked for many different objects on one route"
    ),
    "new_object_share": Words(
        "It asked for the same objects again and again",
        "It went from object to object, hardly any of them twice",
        "{} of its calls to objects were the first to them",
        percent=True,
    ),
    "address_changes": Words("Its address hardly changed", "Its address changed in the middle of the session"),
    "n_addresses": Words("It called from one address", "It called from several addresses"),
    "avg_surprise": Words(
        "It did what most others do", "It took ways that hardly anyone takes", "{} bits of surprise a step"
    ),
    "min_surprise": Words(
        "Its most usual step is very usual", "Even its most usual step is one that few others make", "{} bits"
    ),
    "max_surprise": Words(
        "Not even its strangest step is strange", "It made a step that hardly anyone else makes", "{} bits of surprise"
    ),
    "unexpected_share": Words(
        "Hardly any of its steps is unexpected",
        "Many of its steps are ones that others make less than once in a hundred times",
        "{} of them",
        percent=True,
    ),
    "revisit_share": Words(
        "It hardly came back to an endpoint",
        "It came back to the same endpoints again and again",
        "{} of its calls",
        percent=True,
    ),
    "self_loop_share": Words(
        "It hardly called an endpoint twice in a row",
        "It called the same endpoint again and again",
        "{} of its steps",
        percent=True,
    ),
    "write_share": Words(
        "It hardly changed anything", "It changed more than others do", "{} of its calls", percent=True
    ),
}
"""Words by name of the feature; one that is not among them is told by its meaning."""


def sentence_of(item: Contribution, hint: Counterfactual | None = None) -> str:
    """Return what a feature says of the client: its value, what is usual, and what would have been enough.

    Args:
        item: the feature and its value.
        hint: what would have kept the score under the threshold, when it is about this feature.
    """
    words = WORDS.get(item.feature) or Words(_capital(item.meaning), _capital(item.meaning))
    percent = words.percent or item.unit == SHARE_OF_EDGES

    def told(value: float, rounded: Callable[[float], int] = round) -> str:
        return f"{number(value * 100, rounded)} %" if percent else number(value, rounded)

    low, high = told(item.usual_low), told(item.usual_high)
    usual = low if low == high else f"{low} to {high}"
    if item.value is None:
        return f"{_capital(item.meaning)}: nothing to tell it from; usual is {usual}."
    if item.direction is Direction.WITHIN:
        # Beside the other values it raised the score all the same.
        what = f"{_capital(item.meaning)}: {told(item.value)}, by itself usual ({usual})"
    else:
        lead = words.above if item.direction is Direction.ABOVE else words.below
        what = f"{lead}: {words.detail.format(told(item.value))}; usual is {usual}"
    if hint is None:
        return f"{what}."
    # Rounded away from the value: a little more than enough, never less.
    enough = told(hint.enough, math.ceil if hint.enough > hint.value else math.floor)
    return f"{what}, and {enough} alone would have kept it under the threshold."


def number(value: float, rounded: Callable[[float], int] = round) -> str:
    """Return a number with three digits, without an exponent; all digits of a whole part.

    Args:
        value: the number.
        rounded: how to round.
    """
    if math.isinf(value):
        return f"{value}"
    digits = 0 if value == 0 else min(12, max(0, 2 - math.floor(math.log10(abs(value)))))
    text = f"{rounded(value * 10**digits) / 10**digits:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
