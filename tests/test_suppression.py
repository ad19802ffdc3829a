"""Suppression rules: what matches, until when, and that nothing but an alert's status depends on them."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import ACCESS_BEHAVIOUR_V1
from featurizer.sessions import CloseReason
from scorer.suppression import Facts, Rule, Suppressions, facts_of
from scorer.suppression_file import MOST_RULES, read_rules
from stream.batches import Batch
from stream.checkpoints import mark_record
from stream.pipeline import Detector
from tests.alerting import VECTOR
from tests.records import CALLS, NOW, make_detector, walk

NAMES = ACCESS_BEHAVIOUR_V1.names
FACTS = Facts(
    "ann", {"calls": 16.0, "n_apis": 2.0, "min_dest_share": None}, frozenset({"GET /a", "GET /b"}), whole=True
)


def rules(text: str) -> Suppressions:
    return read_rules(text, NAMES)


def rule(conditions: str, name: str = "r", expires: str = "2100-01-01") -> Rule:
    """Return a rule with conditions in TOML."""
    (made,) = rules(f'[[rule]]\nname = "{name}"\nreason = "because"\nexpires = {expires}\n{conditions}').rules
    return made


def facts(client: str = "ann", *, endpoints: tuple[str, ...] = ("GET /a",), whole: bool = True) -> Facts:
    return Facts(client, FACTS.values, frozenset(endpoints), whole)


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "client", "holds"),
        [
            ('client = "ann"', "ann", True),
            ('client = "ann"', "anna", False),
            ('client = "Ann"', "ann", False),
            ('client = ["bob", "an?"]', "ann", True),
            ('client = "svc-*"', "svc-export", True),
            ('network = "10.0.0.0/8"', "10.1.2.3", True),
            ('network = "10.0.0.0/8"', "11.1.2.3", False),
            ('network = "10.0.0.0/8"', "::ffff:10.1.2.3", True),
            ('network = "2001:db8::/32"', "2001:db8::1", True),
            ('network = "2001:db8::/32"', "10.1.2.3", False),
            ('network = ["192.0.2.7", "10.0.0.0/8"]', "192.0.2.7", True),
            ('network = "0.0.0.0/0"', "ann", False),
        ],
    )
    def test_the_client_is_a_name_a_glob_or_an_address_in_a_network(
        self, condition: str, client: str, *, holds: bool
    ) -> None:
        assert rule(condition).matches(facts(client)) is holds

    def test_one_call_to_another_endpoint_is_enough_to_alert(self) -> None:
        own = rule('endpoints = ["GET /a*", "POST /login"]')
        assert own.matches(facts(endpoints=("GET /a", "GET /a/{id}", "POST /login"))) is True
        assert own.matches(facts(endpoints=("GET /a", "GET /admin/{id}", "DELETE /a"))) is False

    def test_endpoints_that_are_not_all_known_suppress_nothing(self) -> None:
        own = rule('endpoints = "GET /a"')
        assert own.matches(facts(whole=False)) is None
        assert own.matches(facts(endpoints=("GET /b",), whole=False)) is False
        assert Suppressions((own,)).find(facts(whole=False), NOW) is None

    @pytest.mark.parametrize(
        ("comparison", "holds"),
        [
            ("calls < 17", True),
            ("calls<16", False),
            ("calls <= 16", True),
            ("n_apis >= 2.5", False),
            ("n_apis > 1e0", True),
            ("min_dest_share < 1", False),
            ("min_dest_share >= 0", False),
            ("score > 0.5", None),
        ],
    )
    def test_a_comparison_holds_of_no_missing_value_and_of_an_unknown_one_nobody_knows(
        self, comparison: str, *, holds: bool | None
    ) -> None:
        assert rule(f'when = "{comparison}"').matches(FACTS) is holds

    def test_all_conditions_have_to_hold(self) -> None:
        both = 'client = "ann"\nwhen = ["calls < 20", "n_apis <= {}"]'
        assert rule(both.format(2)).matches(FACTS) is True
        assert rule(both.format(1)).matches(FACTS) is False
        assert rule('client = "bob"\nwhen = "score > 0.5"').matches(FACTS) is False

    def test_a_vector_tells_its_features_by_name_and_what_the_session_was(self) -> None:
        own = facts_of(VECTOR, 0.9, ["GET /a"], whole=True)
        assert (own.client, own.values["calls"], own.values["duration_s"], own.values["score"]) == (
            VECTOR.client,
            16,
            42.0,
            0.9,
        )
        assert own.values["n_apis"] == 9
        assert own.values["std_local_dest_degrees"] is None
        assert set(own.values) == {*NAMES, "calls", "duration_s", "score"}


class TestExpiry:
    def test_a_day_begins_at_midnight_utc_and_the_rule_is_over_then(self) -> None:
        own = Suppressions((rule('client = "ann"', expires="2027-01-31"),))
        end = round(datetime(2027, 1, 31, tzinfo=UTC).timestamp() * 1000)
        assert own.find(FACTS, end - 1) is not None
        assert own.find(FACTS, end) is None

    def test_a_moment_has_an_offset(self) -> None:
        assert (
            rule('client = "a"', expires="2027-01-31T02:00:00+02:00").expires
            == rule('client = "a"', expires="2027-01-31").expires
        )

    def test_the_first_rule_of_the_file_that_holds_and_has_not_expired_says_why(self) -> None:
        own = (
            rule('client = "ann"', "over", "2000-01-01"),
            rule('client = "bob"', "other"),
            rule('client = "a*"', "first"),
            rule('client = "ann"', "second"),
        )
        found = Suppressions(own).find(FACTS, NOW)
        assert found is not None
        assert (found.rule, found.reason, found.expires) == ("first", "because", own[2].expires)


class TestFile:
    def test_no_rules_are_rules_too(self) -> None:
        assert rules("# nothing yet\n") == Suppressions()

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('name = "r"', r"unknown field `name`.*tables \[\[rule\]\]"),
            ("[[rule]]", r"rule 1 \(without a name\): .*missing required field `name`"),
            ('[[rule]]\nname = "r"\nreason = "x"\nclient = "a"', r"rule 1 \(r\): .*missing required field `expires`"),
            ('[[rule]]\nname = "r"\nexpires = 2100-01-01\nclient = "a"', "missing required field `reason`"),
        ],
    )
    def test_what_a_rule_needs_is_named(self, text: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            rules(text)

    @pytest.mark.parametrize(
        ("conditions", "problem"),
        [
            ("", "would suppress everything"),
            ("client = []", "would suppress everything"),
            ('client = ""', "client: empty text"),
            ('network = "10.0.0.1/8"', "network: 10.0.0.1/8 has host bits set"),
            ('network = "ann"', "network: 'ann'"),
            ('when = "calls = 3"', "no comparison"),
            ('when = "calls < many"', "no comparison"),
            ('when = "calls < nan"', "no comparison"),
            ('when = "n_api < 3"', "there is no n_api; do you mean n_apis?"),
            ('user_agent = "curl"', "unknown field `user_agent`"),
            ("client = 7", "Expected"),
        ],
    )
    def test_a_condition_that_cannot_be_meant_is_refused(self, conditions: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            rule(conditions)

    @pytest.mark.parametrize("expires", ['"2027-01-31"', "2027", "2027-01-31T12:00:00", "12:00:00"])
    def test_an_end_that_is_no_moment_is_refused(self, expires: str) -> None:
        with pytest.raises(ValueError, match="expires: "):
            rule('client = "a"', expires=expires)

    def test_names_are_unique_and_fit_a_label(self) -> None:
        one = '[[rule]]\nname = "r"\nreason = "x"\nexpires = 2100-01-01\nclient = "a"\n'
        with pytest.raises(ValueError, match=r"rule 2 \(r\): the name is taken"):
            rules(one * 2)
        with pytest.raises(ValueError, match="name: letters"):
            rule('client = "a"', name="a b")
        with pytest.raises(ValueError, match=f"but there can be {MOST_RULES}"):
            rules("[[rule]]\n" * (MOST_RULES + 1))

    @given(st.text())
    def test_whatever_the_text_it_is_read_or_refused_with_a_value_error(self, text: str) -> None:
        with suppress(ValueError):
            assert isinstance(rules(text), Suppressions)


EVERYTHING = Suppressions((rule('client = "*"', "all"),))


def run(detector: Detector, records: str, clients: int) -> list[Batch]:
    """Return the batches of clients that walk one after the other, and of their ends."""
    batches = []
    for number in range(clients):
        calls = walk(records, f"client {number % 3}", NOW + number * 700, number * len(records))
        batch = detector.sessionize(calls)
        detector.score(batch)
        batches.append(batch)
    return [*batches, detector.finish([CALLS], CloseReason.END_OF_INPUT)]


@settings(deadline=None)  # the first example trains the model
@given(records=st.text("abcdefgh", min_size=8, max_size=24), clients=st.integers(1, 6))
def test_a_rule_changes_the_status_of_alerts_and_nothing_else(records: str, clients: int) -> None:
    """Otherwise adding a rule would change degree tables, cooldowns, and what is restored after a crash."""
    plain, ruled = make_detector(), make_detector(suppressions=EVERYTHING)
    before, after = run(plain, records, clients), run(ruled, records, clients)
    for one, other in zip(before, after, strict=True):
        assert one.decisions == other.decisions
        assert [mark_record(*own, "state") for own in one.marks] == [mark_record(*own, "state") for own in other.marks]
        assert one.alerts == [msgspec.structs.replace(own, suppression=None) for own in other.alerts]
        assert all(own.suppression is not None and own.suppression.rule == "all" for own in other.alerts)
    assert plain.degrees.snapshot() == ruled.degrees.snapshot()


def test_a_rule_on_endpoints_is_held_against_all_that_the_session_called() -> None:
    limited = Suppressions((rule('endpoints = ["GET /a", "GET /b", "GET /c", "GET /d"]'),))
    detector = make_detector(suppressions=limited)
    (inside,) = run(detector, "abcdabcd", 1)[0].alerts
    assert inside.suppression is not None
    (outside,) = run(make_detector(suppressions=limited), "abcdabce", 1)[0].alerts
    assert outside.suppression is None


def test_a_session_whose_graph_is_full_is_not_known_whole() -> None:
    limited = Suppressions((rule('endpoints = "GET /*"'),))
    full = make_detector(suppressions=limited, sessions=msgspec.structs.replace(make_detector()._sessions, max_edges=4))
    (alert,) = run(full, "abcdabcd", 1)[0].alerts
    assert alert.capped
    assert alert.suppression is None


def test_expiry_goes_by_the_time_of_the_log() -> None:
    start = datetime.fromtimestamp(NOW / 1000, UTC)
    for expires, suppressed in ((start.date().isoformat(), False), ("2023-11-15", True)):
        own = Suppressions((rule('client = "*"', expires=expires),))
        (alert,) = run(make_detector(suppressions=own), "abcdabcd", 1)[0].alerts
        assert (alert.suppression is not None) is suppressed


def test_the_example_in_the_documentation_is_a_file_of_rules() -> None:
    text = (Path(__file__).parent.parent / "docs/triage.md").read_text()
    example = dedent(
        "\n".join(re.findall(r"(?m)^(?: {4}.*|)$", text[text.index("    [[rule]]") : text.index("| key |")]))
    )
    assert [(own.name, len(own.conditions)) for own in rules(example).rules] == [("nightly-export", 4), ("pen-test", 1)]
