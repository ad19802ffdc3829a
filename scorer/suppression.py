"""Suppression: rules that account for alerts beforehand, each with a reason and an end.

A suppressed alert is an alert like any other, but for its status: nothing that a session, a degree table or a cooldown
becomes depends on a rule. Time is the log's event time, so a replay of the log suppresses the same alerts.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from math import isnan
from operator import ge, gt, le, lt
from typing import Final, Protocol

import msgspec

from featurizer.features import FeatureVector

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {"<=": le, ">=": ge, "<": lt, ">": gt}
"""How a predicate compares; those of two characters first, so that text is split at the whole sign."""

SESSION_FACTS: Final = ("calls", "duration_s", "score")
"""What a predicate can ask besides features."""


class Facts(msgspec.Struct, frozen=True):
    """What rules are held against.

    Attributes:
        client: identity of the caller.
        values: features, and SESSION_FACTS, by name; None where missing. A name that is not there is not known.
        endpoints: endpoints that the session is known to have called.
        whole: these are all of them.
    """

    client: str
    values: Mapping[str, float | None]
    endpoints: frozenset[str]
    whole: bool


class Condition(Protocol):
    """A part of a rule. Its text is how the rule says it."""

    def holds(self, facts: Facts) -> bool | None:
        """Return whether it holds; None when the facts do not tell."""


class ClientIs(msgspec.Struct, frozen=True):
    """The client is one of these: names, or globs in which ``*`` stands for any text and ``?`` for one character."""

    globs: tuple[str, ...]

    def __str__(self) -> str:
        return f"client {' or '.join(self.globs)}"

    def holds(self, facts: Facts) -> bool:
        """Return whether it holds."""
        return any(fnmatchcase(facts.client, glob) for glob in self.globs)


class ClientIn(msgspec.Struct, frozen=True):
    """The client is an address in one of these networks."""

    networks: tuple[Network, ...]

    def __str__(self) -> str:
        return f"network {' or '.join(map(str, self.networks))}"

    def holds(self, facts: Facts) -> bool:
        """Return whether it holds; a client that is no address is in no network."""
        address = _address(facts.client)
        return address is not None and any(address in network for network in self.networks)


class OnlyEndpoints(msgspec.Struct, frozen=True):
    """The session called no endpoint besides these (globs): one call elsewhere is enough to alert."""

    globs: tuple[str, ...]

    def __str__(self) -> str:
        return f"only endpoints {' or '.join(self.globs)}"

    def holds(self, facts: Facts) -> bool | None:
        """Return whether it holds; None when the session may have called others."""
        if not all(any(fnmatchcase(endpoint, glob) for glob in self.globs) for endpoint in facts.endpoints):
            return False
        return True if facts.whole else None


class Compared(msgspec.Struct, frozen=True):
    """A value compared with a number."""

    name: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.number:g}"

    def holds(self, facts: Facts) -> bool | None:
        """Return whether it holds; no comparison holds of a missing value."""
        if self.name not in facts.values:
            return None
        value = facts.values[self.name]
        return value is not None and COMPARISONS[self.sign](value, self.number)


class Rule(msgspec.Struct, frozen=True):
    """One rule: it suppresses an alert when all its conditions hold and it has not expired.

    Attributes:
        name: unique in its file.
        reason: why, for whoever reads the suppressed alert.
        expires: from this time on it suppresses nothing, epoch milliseconds.
        conditions: at least one.
    """

    name: str
    reason: str
    expires: int
    conditions: tuple[Condition, ...]

    def matches(self, facts: Facts) -> bool | None:
        """Return whether all conditions hold; None when the facts do not tell. Expiry does not count here."""
        answers = [condition.holds(facts) for condition in self.conditions]
        if False in answers:
            return False
        return None if None in answers else True


class Suppression(msgspec.Struct, frozen=True):
    """Why an alert is suppressed.

    Attributes:
        rule: name of the rule.
        reason: the rule's.
        expires: the rule's, epoch milliseconds.
    """

    rule: str
    reason: str
    expires: int


class Suppressions(msgspec.Struct, frozen=True):
    """The rules in force, in the order of their file."""

    rules: tuple[Rule, ...] = ()

    def find(self, facts: Facts, now: int) -> Suppression | None:
        """Return what the first rule that matches says; None when none does, or none can be told to.

        Args:
            facts: of the alert.
            now: greatest event time seen in the log when the vector was taken, epoch milliseconds.
        """
        for rule in self.rules:
            if now < rule.expires and rule.matches(facts):
                return Suppression(rule.name, rule.reason, rule.expires)
        return None


def facts_of(vector: FeatureVector, score: float, endpoints: Iterable[str], *, whole: bool) -> Facts:
    """Return the facts of an alert.

    Args:
        vector: the vector that was judged.
        score: its score.
        endpoints: endpoints that its session called.
        whole: these are all of them.
    """
    values = {name: None if isnan(value) else value for name, value in vector.named().items()}
    about = (vector.calls, (vector.end - vector.start) / 1000, score)
    return Facts(vector.client, values | dict(zip(SESSION_FACTS, about, strict=True)), frozenset(endpoints), whole)


def _address(client: str) -> Address | None:
    try:
        address = ip_address(client)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
