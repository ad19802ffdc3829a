"""What an alert is a sign of, by the names of MITRE ATT&CK and of the OWASP API Security Top 10."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import Group
from scorer.alerts import Alert, Transition
from scorer.reasons import Direction, Explanation, Reason
from stream.encodings.signs import SIGNS, risks_of, signs_of, techniques_of
from tests.alerting import alert_of

MANY = Reason(Group.SHAPE, 1.0, "n_apis", Direction.ABOVE, "It called many.")
FEW = msgspec.structs.replace(MANY, direction=Direction.BELOW)
RARE = Reason(Group.DESTINATIONS, 1.0, "min_dest_share", Direction.BELOW, "It went to rare ones.")


def alert(*ends: tuple[str, str], reasons: tuple[Reason, ...] = ()) -> Alert:
    """Return an alert of rare transitions and reasons."""
    return alert_of(
        explanation=Explanation((), reasons), transitions=[Transition(source, end, 0.1) for source, end in ends]
    )


def shown(own: Alert) -> tuple[list[str], list[str]]:
    """Return the ids of the techniques and of the risks."""
    techniques = [(item.sub_technique or item.technique).uid for item in techniques_of(own)]
    return techniques, [risk.uid for risk in risks_of(own)]


@pytest.mark.parametrize(
    ("own", "techniques", "risks"),
    [
        (alert(("GET /a", "GET {unmatched}"), reasons=(RARE,)), ["T1595.003"], ["API9:2023"]),
        (alert(("POST {unmatched}", "GET /a"), reasons=(RARE,)), ["T1595.003"], ["API9:2023"]),
        (alert(reasons=(MANY,)), ["T1595"], []),
        (alert(("POST /v1/auth/login", "POST /v1/auth/login")), ["T1110"], ["API2:2023"]),
        (alert(("POST /oauth/token", "POST /Sign-In")), ["T1110"], ["API2:2023"]),
        (alert(*[("GET /orders/{id}",) * 2, ("GET /users/{id}",) * 2]), [], ["API1:2023"]),
        (alert(("GET /a", "DELETE /users/{id}"), reasons=(RARE,)), [], ["API5:2023"]),
    ],
)
def test_what_shows_a_sign_is_named(own: Alert, techniques: list[str], risks: list[str]) -> None:
    assert shown(own) == (techniques, risks)


@pytest.mark.parametrize(
    "own",
    [
        alert(),
        alert(("GET /a", "GET /b"), reasons=(FEW, RARE)),
        alert(("GET /a", "DELETE /users/{id}")),
        alert(("GET /a", "POST /login")),
        alert(("GET /a", "GET {unmatched}")),
        alert(("GET /orders/{id}", "GET /orders/{id}")),
        alert(("GET /login", "GET /login")),
        alert(("POST /logins/all", "POST /logins/all")),
        alert(("GET /orders/{id}", "GET /users/{id}")),
        alert(("GET /orders", "GET /orders")),
        alert(*[("{overflow}", "{overflow}"), ("GET {unmatched}", "GET {unmatched}")] * 2),
    ],
)
def test_what_shows_none_gets_no_name(own: Alert) -> None:
    assert shown(own) == ([], [])


def test_several_signs_are_named_each_once() -> None:
    own = alert(
        ("GET {unmatched}", "GET {unmatched}"),
        ("GET /a", "POST {unmatched}"),
        ("GET /a", "PUT /b"),
        reasons=(MANY, RARE),
    )
    assert shown(own) == (["T1595.003", "T1595"], ["API9:2023", "API5:2023"])


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(Group)), max_size=3), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_every_alert_can_be_asked(groups: list[Group], ends: list[tuple[str, str]]) -> None:
    reasons = tuple(Reason(group, 1.0, "n_apis", Direction.ABOVE, "") for group in groups)
    assert len(signs_of(alert(*ends, reasons=reasons))) <= len(SIGNS)


def test_ids_have_the_form_of_their_catalogue() -> None:
    for sign in SIGNS.values():
        assert sign.technique or sign.risk
        if sign.technique:
            assert re.fullmatch(r"TA\d{4}", sign.technique.tactic.uid)
            assert re.fullmatch(r"T\d{4}", sign.technique.technique.uid)
            if sign.technique.sub_technique:
                assert re.fullmatch(rf"{sign.technique.technique.uid}\.\d{{3}}", sign.technique.sub_technique.uid)
        if sign.risk:
            assert re.fullmatch(r"API(?:[1-9]|10):2023", sign.risk.uid)
