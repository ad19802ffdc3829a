"""Suppression rules on a topic: what the topic amounts to, whoever wrote it, and how a worker follows it."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

import stream.topic_feed
from scorer.suppression import Suppressions
from scorer.suppression_file import MOST_RULES, RuleEntry, read_rule
from stream import assembly
from stream.app import Role
from stream.assembly import SCHEMA, Models
from stream.cli import main
from stream.demo import EmbeddedBroker
from stream.errors import ExitCode
from stream.label_feed import LabelFeed
from stream.settings import load_settings
from stream.suppression_feed import SuppressionTopicFeed
from stream.suppression_records import RuleRecord, TopicRules, removal_record, rule_record
from stream.suppression_reload import RulesInForce
from stream.suppression_topic import FollowedRules, followed_rules
from stream.telemetry import Telemetry
from stream.wire import Outgoing
from stream.worker import assemble
from tests.model_factory import make_bundle
from tests.polled_topics import FakeConsumer, polled
from tests.records import Made, make_detector
from tests.simulated_logs import as_flags

NAMES = SCHEMA.names


def entry(name: str, reason: str = "x", **conditions: tuple[str, ...]) -> RuleEntry:
    return RuleEntry(name, reason, date(2100, 1, 1), **{"client": ("ann",), **conditions})


def as_read(*records: Outgoing) -> list[Made]:
    return [Made(own.value, name=own.key) for own in records]


def taken(*records: Outgoing) -> tuple[list[str], list[str]]:
    """Return the names of the rules that records amount to, and the problems."""
    rules = TopicRules(NAMES)
    problems = rules.take(as_read(*records))
    return [rule.name for rule in rules.rules().rules], problems


@pytest.mark.parametrize("expires", [date(2100, 2, 3), datetime(2100, 2, 3, 4, 5, tzinfo=UTC)])
def test_a_rule_comes_back_as_it_was_written(expires: date) -> None:
    own = RuleEntry(
        "r", "why", expires, ("a", "b*"), ("user",), ("192.0.2.0/24",), ("GET /a",), ("calls < 5", "n_apis >= 2")
    )
    rules = TopicRules(NAMES)
    assert rules.take(as_read(rule_record("suppressions", own))) == []
    assert rules.rules() == Suppressions((read_rule(own, NAMES),))


def test_a_record_can_say_all_that_a_file_can() -> None:
    assert RuleRecord.__struct_fields__ == RuleEntry.__struct_fields__


def test_of_each_name_the_newest_record_counts_and_rules_are_in_the_order_of_their_names() -> None:
    records = [rule_record("t", entry(name)) for name in ("b", "a", "c")]
    assert taken(*records, removal_record("t", "b"), rule_record("t", entry("a", "y"))) == (["a", "c"], [])


names = st.sampled_from(["a", "b", "c"])
writes = st.one_of(
    st.builds(lambda name, reason: rule_record("t", entry(name, reason)), names, st.sampled_from(["x", "y"])),
    st.builds(lambda name: removal_record("t", name), names),
    st.builds(lambda name: Outgoing("t", name.encode(), b"broken"), names),
)


@given(records=st.lists(writes, max_size=12), cut=st.integers(0, 12))
def test_when_a_worker_began_to_follow_does_not_matter(records: Sequence[Outgoing], cut: int) -> None:
    """It is as if it had read the topic now, compacted."""
    following, newly = TopicRules(NAMES), TopicRules(NAMES)
    following.take(as_read(*records[:cut]))
    following.take(as_read(*records[cut:]))
    newest = {own.key: own for own in records}
    newly.take(as_read(*newest.values()))
    assert following.rules() == newly.rules()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"{", "truncated"),
        (b'{"name": "a"}', "missing required field"),
        ({"names": 1}, "unknown field"),
        ({"name": "b"}, "the record's key is a, the rule's name b"),
        ({"expires": "soon"}, "soon is no date"),
        ({"expires": "2100-01-01T00:00:00"}, "give the offset too"),
        ({"client": []}, "would suppress everything"),
        ({"when": ["n_api < 3"]}, "do you mean n_apis"),
        ({"network": ["10.0.0.0/99"]}, "network"),
    ],
)
def test_a_record_that_cannot_be_used_suppresses_nothing_and_leaves_the_others(
    value: bytes | dict[str, Any], why: str
) -> None:
    good = rule_record("t", entry("a"))
    if isinstance(value, dict):
        value = json.dumps(json.loads(good.value or b"") | value).encode()
    found, problems = taken(good, rule_record("t", entry("b")), good._replace(value=value))
    assert found == ["b"]
    assert why in problems[0]
    assert problems[0].startswith("rule a: ")


def test_there_are_no_more_rules_than_in_a_file() -> None:
    found, problems = taken(*(rule_record("t", entry(f"r{at:05}")) for at in range(MOST_RULES + 2)))
    assert (len(found), found[-1]) == (MOST_RULES, f"r{MOST_RULES - 1:05}")
    assert problems == [f"{MOST_RULES + 2} rules, but there can be {MOST_RULES}: the last by name are left out"]


def test_a_worker_takes_up_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Outgoing("t", b"a", b"broken")
    records = [[rule_record("t", entry("b"))], [], [rule_record("t", entry("a"))], [broken, removal_record("t", "b")]]
    consumer = FakeConsumer([[polled(own) for own in poll] for poll in records])
    monkeypatch.setattr(stream.topic_feed, "Consumer", lambda _: consumer)
    detector, telemetry, seen = make_detector(), Telemetry(CollectorRegistry()), list[list[str]]()

    class Watched(RulesInForce):
        def use(self, rules: Suppressions) -> None:
            super().use(rules)
            seen.append([rule.name for rule in detector.suppressions.rules])

    async def follow() -> None:
        in_force = Watched(detector, telemetry)
        feed = SuppressionTopicFeed({}, "t", start=7, rules=TopicRules(NAMES), in_force=in_force)
        await feed.start()
        while len(seen) < 3 and not feed.crashed:  # noqa: ASYNC110 -- the polls are in another thread
            await asyncio.sleep(0.01)
        await feed.stop()
        assert not feed.crashed

    asyncio.run(follow())
    assert [own.offset for own in consumer.places] == [7]
    assert seen == [["b"], ["a", "b"], []]
    value = telemetry.registry.get_sample_value
    counted = [value("gatewatch_suppression_reloads_total", {"result": own}) for own in ("done", "refused")]
    assert (counted, value("gatewatch_suppression_rules")) == ([3, 1], 0)


def test_a_worker_starts_with_the_rules_of_the_topic() -> None:
    settings, rules = load_settings(overrides={"alerts.suppressions": "topic:"}), TopicRules(NAMES)
    rules.take(as_read(rule_record("t", entry("a"))))
    worker = assemble(settings, Models(make_bundle()), Role.ALL, rules=FollowedRules(rules, 1))
    assert [type(feed) for feed in worker.app.feeds] == [SuppressionTopicFeed, LabelFeed]
    assert worker.telemetry.registry.get_sample_value("gatewatch_suppression_rules") == 1


def test_commands_that_follow_nothing_have_no_rules_of_the_topic() -> None:
    assert assembly.suppressions(load_settings(overrides={"alerts.suppressions": "topic:"})) == Suppressions()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EmbeddedBroker:
    """A broker with an empty topic of rules; the working folder has no gatewatch.toml."""
    monkeypatch.chdir(tmp_path)
    broker = EmbeddedBroker()
    broker.make_topics(["suppressions"])
    return broker


class TestCommand:
    @pytest.fixture
    def run(self, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        """Run ``gatewatch suppress`` against an embedded broker; return what it prints, or complains of."""

        def command(*arguments: str, code: int = 0) -> str:
            assert main(["suppress", *arguments, "--bootstrap-servers", broker.bootstrap_servers]) == code
            out, err = capsys.readouterr()
            return err if code else out

        return command

    def test_rules_are_added_replaced_listed_and_removed(self, run: Callable[..., str]) -> None:
        flags = ["--client", "ann", "--expires", "2100-01-01", "--topic", "--reason"]
        said = run("add", "export", *flags, "Nightly")
        assert "added     export to the topic suppressions" in said
        assert "alerts.suppressions set to topic: take it up" in said
        run("add", "office", *flags, "Ours")
        assert "replaced  export on the topic suppressions" in run("add", "export", *flags, "Daily")
        listed = json.loads(run("list", "--topic", "--json"))
        assert [(own["name"], own["reason"]) for own in listed] == [("export", "Daily"), ("office", "Ours")]
        run("remove", "export")
        assert [own["name"] for own in json.loads(run("list", "--topic", "--json"))] == ["office"]
        assert "has no rule export" in run("remove", "export", code=ExitCode.FAILURE)
        assert "nothing was written" in run("add", "all", *flags, "x", "--when", "n_api < 1", code=ExitCode.USAGE)
        two = run("list", "--topic", "--file", "rules.toml", code=ExitCode.USAGE)
        assert "the rules are in the one or on the other" in two


def test_a_worker_reads_the_topic_to_its_end_before_it_starts(broker: EmbeddedBroker) -> None:
    servers = {"kafka.bootstrap_servers": broker.bootstrap_servers}
    assert followed_rules(load_settings(overrides=servers)) is None
    settings = load_settings(overrides={**servers, "alerts.suppressions": "topic:"})
    for name in ("b", "a"):
        flags = ["--client", "x", "--expires", "1d", "--reason", "y", "--topic", *as_flags(servers)]
        assert main(["suppress", "add", name, *flags]) == 0
    found = followed_rules(settings)
    assert found is not None
    assert ([rule.name for rule in found.rules.rules().rules], found.position) == (["a", "b"], 2)
