"""Comparing: two collections of items as multisets; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.items import Item

_MOST_FINDINGS = 12
"""Findings kept of one kind of thing: the first few say it all."""
_LONGEST_TEXT = 160


@dataclass
class Comparison:
    """How what was published differs from what was expected.

    Attributes:
        compared: expected items, by kind.
        lost: expected and not there, by kind.
        duplicated: there more often than expected.
        different: there with another content, or not expected at all.
        findings: a sentence for each of the first few.
    """

    compared: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    duplicated: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """True when nothing differs."""
        return not (self.lost or self.duplicated or self.different)

    def add(self, other: "Comparison") -> None:
        """Add the counts and findings of another comparison."""
        self.compared += other.compared
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.different += other.different
        self.findings += other.findings

    def note(self, counts: Counter[str], item: Item, number: int, text: str) -> None:
        """Count a difference and keep its sentence if there are not many yet."""
        if counts[item.what] < _MOST_FINDINGS:
            self.findings.append(f"{item.what} {_short(item.identity)}: {text}")
        counts[item.what] += number


def compare(expected: Iterable[Item], published: Iterable[Item]) -> Comparison:
    """Return how the published items differ from the expected ones, in any order."""
    result = Comparison()
    here, there = _by_identity(expected), _by_identity(published)
    for name, items in here.items():
        found = there.pop(name, [])
        result.compared[name[0]] += len(items)
        surplus = len(found) - len(items)
        if surplus < 0:
            content = _short(items[0].content)
            result.note(result.lost, items[0], -surplus, f"lost, {len(found)} of {len(items)} are there; {content}")
        elif surplus > 0:
            result.note(result.duplicated, items[0], surplus, f"{len(found)} instead of {len(items)} are there")
        elif wrong := _unequal(items, found):
            mine, theirs = wrong[0]
            result.note(result.different, items[0], len(wrong), _difference(mine.content, theirs.content))
    for found in there.values():
        result.note(result.different, found[0], len(found), f"not expected; {_short(found[0].content)}")
    return result


def repeated_alerts(alerts: Iterable[Item]) -> Comparison:
    """Return which sessions have more than one early, closing, or raised alert of a severity, whatever the uids."""
    result = Comparison()
    by_session: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
    for alert in alerts:
        kind = alert.content["kind"]
        told = f"{kind} {alert.content['severity']}" if kind == "raised" else kind
        by_session[alert.content["session_id"], told].append(alert)
    for (session, kind), own in by_session.items():
        if len(own) > 1:
            result.note(result.duplicated, own[0], len(own) - 1, f"session {session} has {len(own)} {kind} alerts")
    return result


def _by_identity(items: Iterable[Item]) -> dict[tuple[str, tuple[Any, ...]], list[Item]]:
    found: dict[tuple[str, tuple[Any, ...]], list[Item]] = {}
    for item in items:
        found.setdefault(item[:2], []).append(item)
    return found


def _unequal(expected: list[Item], found: list[Item]) -> list[tuple[Item, Item]]:
    """Pair items of one identity; return the pairs that are not alike."""
    left = list(found)
    unmatched = []
    for item in expected:
        twin = next((at for at, other in enumerate(left) if other.content == item.content), None)
        if twin is None:
            unmatched.append(item)
        else:
            del left[twin]
    return list(zip(unmatched, left, strict=True))


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    return "; ".join(f"{name} is {_short(found.get(name))}, expected {_short(expected.get(name))}" for name in names)


def _short(value: Any) -> str:
    text = ", ".join(f"{name}={own}" for name, own in value.items()) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
