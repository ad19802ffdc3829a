"""The form of a file of suppression rules (TOML), read whole or refused whole.

    [[rule]]
    name = "nightly-export"
    client = "svc-export-*"                    # or a list; * any text, ? one character
    identity = ["address", "address_agent"]    # what the client's name is, see docs/identity.md
    network = "10.20.0.0/16"                   # the client is an address in it
    endpoints = ["GET /export/*"]              # the session called nothing else
    when = ["calls < 500", "n_apis <= 2"]      # all of them
    reason = "Nightly export, CHG-1234"
    expires = 2027-01-31                       # first day (UTC) on which it no longer holds; or a date-time with offset

All conditions of a rule have to hold; it needs at least one. Name, reason and expiry are required.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from featurizer.identity import Identity
from scorer.suppression import (
    COMPARISONS,
    SESSION_FACTS,
    ClientIn,
    ClientIs,
    Compared,
    Condition,
    IdentityIs,
    OnlyEndpoints,
    Rule,
    Suppressions,
)

MOST_RULES: Final = 1000
"""Each is a series in the metrics and is looked at for every alert."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREDICATE = re.compile(rf"\s*([a-z][a-z0-9_]*)\s*({'|'.join(COMPARISONS)})\s*(\S+)\s*")

_Texts = str | tuple[str, ...]


class RuleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule as its file has it; see the module."""

    name: str
    reason: str
    expires: Any
    client: _Texts = ()
    identity: _Texts = ()
    network: _Texts = ()
    endpoints: _Texts = ()
    when: _Texts = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: list[dict[str, Any]] = []


def read_rules(text: str, features: Collection[str]) -> Suppressions:
    """Return the rules of a file.

    Args:
        text: the file.
        features: names of the features that predicates can ask.

    Raises:
        ValueError: what is wrong with which rule.
    """
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).rule
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}; rules are tables [[rule]]") from error
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if len(entries) > MOST_RULES:
        raise ValueError(f"{len(entries)} rules, but there can be {MOST_RULES}: match by a glob or a network instead")
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(entries, 1):
        title = f"rule {number} ({entry.get('name', 'without a name')})"
        try:
            rule = read_rule(msgspec.convert(entry, RuleEntry), features)
        except (ValueError, msgspec.ValidationError) as error:
            raise ValueError(f"{title}: {error}") from error
        if rule.name in rules:
            raise ValueError(f"{title}: the name is taken by an earlier rule")
        rules[rule.name] = rule
    return Suppressions(tuple(rules.values()))


def read_rule(entry: RuleEntry, features: Collection[str]) -> Rule:
    """Return the rule of an entry.

    Raises:
        ValueError: what is wrong with it.
    """
    if not _NAME.fullmatch(entry.name):
        raise ValueError("name: letters, digits, '.', '_' and '-', at most 64")
    if not entry.reason.strip():
        raise ValueError("reason: say why, for whoever reads the suppressed alert")
    conditions = tuple(_conditions(entry, features))
    if not conditions:
        raise ValueError("it would suppress everything: give client, identity, network, endpoints or when")
    return Rule(entry.name, entry.reason.strip(), expiry_of(entry.expires), conditions)


def expiry_of(value: object) -> int:
    """Return when a rule ends, epoch milliseconds: the beginning of a day (UTC), or a moment.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, datetime):  # a datetime is a date too
        if value.tzinfo is None:
            raise ValueError("expires: give the offset too, for example 2027-01-31T12:00:00Z")
        return round(value.timestamp() * 1000)
    if isinstance(value, date):
        return round(datetime.combine(value, time(), UTC).timestamp() * 1000)
    raise ValueError("expires: a date without quotes, for example 2027-01-31")


def day_or_moment(text: str) -> date | datetime:
    """Return the date or the date-time that a text is.

    Raises:
        ValueError: it is neither.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)


def _conditions(entry: RuleEntry, features: Collection[str]) -> Iterator[Condition]:
    if clients := _texts(entry.client, "client"):
        yield ClientIs(clients)
    if kinds := _texts(entry.identity, "identity"):
        if unknown := [kind for kind in kinds if kind not in set(Identity)]:
            raise ValueError(f"identity: there is no {unknown[0]}; there are {', '.join(Identity)}")
        yield IdentityIs(kinds)
    if networks := _texts(entry.network, "network"):
        try:
            yield ClientIn(tuple(ip_network(text) for text in networks))
        except ValueError as error:
            raise ValueError(f"network: {error}") from None
    if endpoints := _texts(entry.endpoints, "endpoints"):
        yield OnlyEndpoints(endpoints)
    for text in _texts(entry.when, "when"):
        yield _predicate(text, [*SESSION_FACTS, *features])


def _texts(value: _Texts, field: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not all(text.strip() for text in texts):
        raise ValueError(f"{field}: empty text")
    return texts


def _predicate(text: str, names: Sequence[str]) -> Compared:
    parts = _PREDICATE.fullmatch(text)
    try:
        number = float(parts[3]) if parts else math.nan
    except ValueError:
        number = math.nan
    if parts is None or not math.isfinite(number):
        raise ValueError(f"when: {text!r} is no comparison with a number, such as 'calls < 20'")
    if parts[1] not in names:
        near = difflib.get_close_matches(parts[1], names, n=1, cutoff=0.5)
        hint = f"; do you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
        raise ValueError(f"when: there is no {parts[1]}{hint}")
    return Compared(parts[1], parts[2], number)
