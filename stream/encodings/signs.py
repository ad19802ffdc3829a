"""Signs: what the reasons and transitions of an alert are known to be signs of, by the names that others use.

MITRE ATT&CK for techniques, the OWASP API Security Top 10 of 2023 for risks. A sign says what behaviour like this is
known for, where to look first; that it succeeded, or that somebody meant it, no call graph can say. What no reason and
no transition shows gets no name.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from featurizer.calls import UNMATCHED_ROUTE
from featurizer.features import Group
from scorer.alerts import Alert, Transition
from scorer.reasons import Direction

ATTACK_VERSION: Final = "17.1"
"""Version of the ATT&CK matrix that the ids and names below are of."""

_WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_SIGN_IN: Final = re.compile(r"/(log-?in|sign-?in|authenticate|token|mfa|otp)$", re.IGNORECASE)


class Named(NamedTuple):
    """Something by its id and name in a catalogue."""

    uid: str
    name: str


class Technique(NamedTuple):
    """A technique of ATT&CK, with the tactic it serves."""

    tactic: Named
    technique: Named
    sub_technique: Named | None = None


class Sign(NamedTuple):
    """What behaviour is known for.

    Attributes:
        technique: of ATT&CK; None when none describes it.
        risk: of the OWASP API Security Top 10; None when none does.
        shown: whether an alert shows it.
    """

    technique: Technique | None
    risk: Named | None
    shown: Callable[[Alert], bool]


def signs_of(alert: Alert) -> list[Sign]:
    """Return the signs that an alert shows, in the order of the table."""
    return [sign for sign in SIGNS.values() if sign.shown(alert)]


def techniques_of(alert: Alert) -> list[Technique]:
    """Return the techniques that an alert is a sign of, each once."""
    return list(dict.fromkeys(sign.technique for sign in signs_of(alert) if sign.technique))


def risks_of(alert: Alert) -> list[Named]:
    """Return the risks that an alert is a sign of, each once."""
    return list(dict.fromkeys(sign.risk for sign in signs_of(alert) if sign.risk))


def _unknown_routes(alert: Alert) -> bool:
    # Walks through ids that do not exist meet such routes too, but hardly any other that is rarely used.
    unknown = any(
        _route(end) == UNMATCHED_ROUTE for item in alert.transitions for end in (item.source, item.destination)
    )
    return unknown and _tells(alert, Group.DESTINATIONS, Direction.BELOW)


def _many_endpoints(alert: Alert) -> bool:
    return _tells(alert, Group.SHAPE, Direction.ABOVE, "n_apis")


def _repeated_sign_in(alert: Alert) -> bool:
    return any(_signs_in(item.source) and _signs_in(item.destination) for item in alert.transitions)


def _object_after_object(alert: Alert) -> bool:
    # One such transition alone is in many a benign session.
    same = [_route(item.source) for item in alert.transitions if item.source == item.destination]
    return sum("{" in route and route != UNMATCHED_ROUTE for route in same) >= 2


def _rare_write(alert: Alert) -> bool:
    writes = any(_writes(item) for item in alert.transitions)
    return writes and _tells(alert, Group.DESTINATIONS, Direction.BELOW)


def _tells(alert: Alert, group: Group, direction: Direction, feature: str | None = None) -> bool:
    return any(
        reason.group is group and reason.direction is direction and feature in {None, reason.feature}
        for reason in alert.reasons
    )


def _signs_in(endpoint: str) -> bool:
    return endpoint.startswith("POST ") and _SIGN_IN.search(endpoint) is not None


def _writes(item: Transition) -> bool:
    method = item.destination.partition(" ")[0]
    return method in _WRITING and _route(item.destination) != UNMATCHED_ROUTE and not _signs_in(item.destination)


def _route(endpoint: str) -> str:
    return endpoint.partition(" ")[2]


_RECONNAISSANCE: Final = Named("TA0043", "Reconnaissance")
_CREDENTIAL_ACCESS: Final = Named("TA0006", "Credential Access")
_SCANNING: Final = Named("T1595", "Active Scanning")

SIGNS: Final[Mapping[str, Sign]] = {
    "a reason is that it went to rarely used endpoints, and a rare transition meets no route of the API": Sign(
        Technique(_RECONNAISSANCE, _SCANNING, Named("T1595.003", "Wordlist Scanning")),
        Named("API9:2023", "Improper Inventory Management"),
        _unknown_routes,
    ),
    "a reason is that it called unusually many different endpoints": Sign(
        Technique(_RECONNAISSANCE, _SCANNING), None, _many_endpoints
    ),
    "a rare transition leads from sign-in to sign-in": Sign(
        Technique(_CREDENTIAL_ACCESS, Named("T1110", "Brute Force")),
        Named("API2:2023", "Broken Authentication"),
        _repeated_sign_in,
    ),
    "two rare transitions lead from an object to another of the same route": Sign(
        None, Named("API1:2023", "Broken Object Level Authorization"), _object_after_object
    ),
    "a reason is that it went to rarely used endpoints, and a rare transition leads to a write": Sign(
        None, Named("API5:2023", "Broken Function Level Authorization"), _rare_write
    ),
}
"""Signs by what shows them. A sign-in is a POST to a route that ends in /login, /token or the like."""
