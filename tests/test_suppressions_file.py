"""The file of suppression rules: added to without touching the rest, and taken up by a worker while it runs."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import stream.suppression_feed
from scorer.suppression import Suppressions
from scorer.suppression_file import RuleEntry, read_rules
from stream import assembly
from stream.app import Role
from stream.assembly import SCHEMA, Models
from stream.errors import SettingsError
from stream.label_feed import LabelFeed
from stream.settings import load_settings
from stream.suppression_feed import SuppressionFeed
from stream.suppression_reload import SuppressionReload
from stream.suppressions import add_rule, read_suppressions, with_rule
from stream.telemetry import Telemetry
from stream.worker import assemble
from tests.model_factory import make_bundle
from tests.records import make_detector

NAMES = SCHEMA.names
DONE, REFUSED = 0, 1
BEFORE = """# Ours, ask ops
[[rule]]   # the monitor
name = "monitor"
client = "192.0.2.1"
reason = "probes"
expires = 2100-01-01  # never
# the end"""
ENTRY = RuleEntry(
    name="export",
    reason='Nightly "export"\nCHG-1',
    expires=date(2100, 2, 3),
    client=("svc-*",),
    when=("calls < 500",),
)


def test_a_rule_is_added_at_the_end_and_the_rest_stays_as_it_is() -> None:
    after = with_rule(BEFORE, ENTRY, NAMES)
    assert after.startswith(BEFORE + "\n\n[[rule]]\n")
    first, second = read_rules(after, NAMES).rules
    assert first == read_rules(BEFORE, NAMES).rules[0]
    assert (second.name, second.reason) == ("export", 'Nightly "export"\nCHG-1')
    assert list(map(str, second.conditions)) == ["client svc-*", "calls < 500"]


def test_the_first_rule_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "suppressions.toml"
    add_rule(path, ENTRY, NAMES)
    add_rule(path, RuleEntry("next", "x", date(2100, 1, 1), client=("a",)), NAMES)
    assert [own.name for own in read_suppressions(path, NAMES).rules] == ["export", "next"]
    assert [own.name for own in path.parent.iterdir()] == [path.name]


def test_a_link_stays_a_link_and_the_file_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text(BEFORE)
    real.chmod(0o640)
    link.symlink_to(real)
    add_rule(link, ENTRY, NAMES)
    assert link.is_symlink()
    assert (real.stat().st_mode & 0o777, len(read_suppressions(real, NAMES).rules)) == (0o640, 2)


@pytest.mark.parametrize(
    ("text", "entry", "problem"),
    [
        (BEFORE, RuleEntry("monitor", "x", date(2100, 1, 1), client=("a",)), "taken by an earlier rule"),
        (BEFORE, RuleEntry("none", "x", date(2100, 1, 1)), "would suppress everything"),
        ("[[rule", ENTRY, "suppressions.toml: "),
    ],
)
def test_a_wrong_rule_or_a_wrong_file_leaves_the_file_alone(
    tmp_path: Path, text: str, entry: RuleEntry, problem: str
) -> None:
    path = tmp_path / "suppressions.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        add_rule(path, entry, NAMES)
    assert path.read_text() == text


def test_a_broken_file_keeps_a_worker_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "suppressions.toml"
    settings = load_settings(overrides={"alerts.suppressions": str(path)})
    with pytest.raises(SettingsError, match=r"alerts\.suppressions: .*cannot be read: No such file"):
        assembly.suppressions(settings)
    path.write_text("[[rule]]")
    with pytest.raises(SettingsError, match="rule 1"):
        assembly.suppressions(settings)
    path.write_text(BEFORE)
    assert assembly.suppressions(settings) == read_rules(BEFORE, NAMES)


class Watched:
    """A detector with the rules of a file, and what looks after the file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "suppressions.toml"
        self.path.write_text(BEFORE)
        self.detector = make_detector(suppressions=read_suppressions(self.path, NAMES))
        self.telemetry = Telemetry(CollectorRegistry())
        self.reload = SuppressionReload(self.path, self.detector, self.telemetry)

    def look(self) -> Suppressions:
        asyncio.run(self.reload.look())
        return self.detector.suppressions

    def counted(self) -> tuple[float | None, float | None, float | None]:
        """Reloads done, reloads refused, rules in force."""
        value = self.telemetry.registry.get_sample_value
        reloads = "gatewatch_suppression_reloads_total"
        rules = value("gatewatch_suppression_rules")
        return value(reloads, {"result": "done"}), value(reloads, {"result": "refused"}), rules

    def replace(self, text: str) -> None:
        """Put another file in its place, as editors and Kubernetes do."""
        other = self.path.with_suffix(".new")
        other.write_text(text)
        other.replace(self.path)


def test_a_changed_file_is_taken_up_once(tmp_path: Path) -> None:
    own = Watched(tmp_path)
    assert own.look() == read_rules(BEFORE, NAMES)
    assert own.counted() == (0, 0, 1)
    add_rule(own.path, ENTRY, NAMES)
    assert [rule.name for rule in own.look().rules] == ["monitor", "export"]
    own.look()
    assert own.counted() == (1, 0, 2)
    value = own.telemetry.registry.get_sample_value("gatewatch_alerts_suppressed_total", {"rule": "export"})
    assert value == 0


@pytest.mark.parametrize("broken", ["[[rule]]", "\x00", None])
def test_a_broken_or_missing_file_keeps_the_rules_in_force_and_is_counted_once(
    tmp_path: Path, broken: str | None
) -> None:
    own = Watched(tmp_path)
    own.look()
    if broken is None:
        own.path.unlink()
    else:
        own.replace(broken)
    assert own.look() == own.look() == read_rules(BEFORE, NAMES)
    assert own.counted() == (0, 1, 1)
    own.replace(with_rule(BEFORE, ENTRY, NAMES))
    own.look()
    assert own.counted() == (1, 1, 2)


def test_another_comment_changes_no_rule(tmp_path: Path) -> None:
    own = Watched(tmp_path)
    own.look()
    own.replace(BEFORE + "\n# checked in January\n")
    own.look()
    assert own.counted() == (0, 0, 1)


def test_a_worker_looks_at_the_file_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.suppression_feed, "LOOK_S", 0.01)
    own = Watched(tmp_path)

    async def follow() -> None:
        feed = SuppressionFeed(own.reload)
        await feed.start()
        for text, result in (("[[rule]]", REFUSED), (with_rule(BEFORE, ENTRY, NAMES), DONE)):
            own.replace(text)
            while not own.counted()[result]:  # noqa: ASYNC110 -- the feed has no event to wait for
                await asyncio.sleep(0.01)
        await feed.stop()
        assert not feed.crashed

    asyncio.run(follow())
    assert own.counted() == (1, 1, 2)


def test_only_a_worker_with_a_file_looks_after_one(tmp_path: Path) -> None:
    path = tmp_path / "suppressions.toml"
    path.write_text(BEFORE)
    for overrides, feeds in (({}, []), ({"alerts.suppressions": str(path)}, [SuppressionFeed])):
        worker = assemble(load_settings(overrides=overrides), Models(make_bundle()), Role.ALL)
        assert [type(feed) for feed in worker.app.feeds] == [*feeds, LabelFeed]
