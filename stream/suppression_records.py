"""Records of the topic ``suppressions``: a rule by its name, and what they amount to. Pure."""

from collections.abc import Collection, Iterable

import msgspec

from scorer.suppression import Rule, Suppressions
from scorer.suppression_file import MOST_RULES, RuleEntry, day_or_moment, read_rule
from stream.records import Keyed
from stream.wire import Outgoing


class RuleRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A suppression rule: it accounts for an alert when all that it says holds. It says one of the last five at least.

    Attributes:
        name: of the rule, and the record's key.
        reason: why, for whoever reads the suppressed alert.
        expires: first day (UTC) on which it no longer holds, or a date and time with offset; ISO 8601.
        client: the client is one of these; `*` stands for any text, `?` for one character.
        identity: the client's name is of one of these kinds.
        network: the client is an address in one of these networks.
        endpoints: the session called nothing besides these; `*` and `?` likewise.
        when: comparisons that hold, such as `calls < 500`.
    """

    name: str
    reason: str
    expires: str
    client: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    when: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RuleRecord).decode


def rule_record(topic: str, entry: RuleEntry) -> Outgoing:
    """Return the record of a rule; ``expires`` is a date or a date-time.

    Raises:
        msgspec.ValidationError: it has conditions that are no lists.
    """
    own = msgspec.convert(msgspec.structs.asdict(entry) | {"expires": entry.expires.isoformat()}, RuleRecord)
    return Outgoing(topic, entry.name.encode(), _encode(own), partition=0)


def removal_record(topic: str, name: str) -> Outgoing:
    """Return the record that takes a rule back."""
    return Outgoing(topic, name.encode(), None, partition=0)


class TopicRules:
    """The rules on the topic: of each name the newest record counts, and one that cannot be used suppresses nothing.

    Other than in a file one wrong rule does not make the others wrong: somebody else may have written it. So the rules
    in force depend on what the topic holds and on nothing else, whenever a worker began to follow it.

    Args:
        features: names of the features that predicates can ask.
    """

    def __init__(self, features: Collection[str]) -> None:
        self._features = features
        self._rules: dict[str, Rule | None] = {}  # None for one that cannot be used

    @property
    def names(self) -> Collection[str]:
        """Names under which the topic has something."""
        return self._rules.keys()

    def take(self, records: Iterable[Keyed]) -> list[str]:
        """Take records in, the older ones first; return what is wrong with each that cannot be used."""
        problems = []
        for record in records:
            name = (record.key() or b"").decode("utf-8", "replace")
            value = record.value()
            if value is None:
                self._rules.pop(name, None)
                continue
            try:
                self._rules[name] = self._read(name, value)
            except (ValueError, msgspec.DecodeError) as error:
                self._rules[name] = None
                problems.append(f"rule {name or 'without a name'}: {error}; it suppresses nothing")
        if len(self._rules) > MOST_RULES:
            problems.append(f"{len(self._rules)} rules, but there can be {MOST_RULES}: the last by name are left out")
        return problems

    def rules(self) -> Suppressions:
        """Return the rules, in the order of their names: that of a topic changes when it is compacted."""
        rules = (self._rules[name] for name in sorted(self._rules)[:MOST_RULES])
        return Suppressions(tuple(rule for rule in rules if rule is not None))

    def _read(self, name: str, value: bytes) -> Rule:
        own = _decode(value)
        if own.name != name:
            raise ValueError(f"the record's key is {name}, the rule's name {own.name}")
        try:
            expires = day_or_moment(own.expires)
        except ValueError:
            raise ValueError(f"expires: {own.expires} is no date, such as 2027-01-31") from None
        fields = msgspec.structs.asdict(own) | {"expires": expires}
        return read_rule(RuleEntry(**fields), self._features)
