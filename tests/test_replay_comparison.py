"""Two models over the same files: every alert of either is in the comparison once, with what the other says of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scorer.alerts import Alert
from scorer.bundle import ModelBundle
from stream.bundles import write_bundle
from stream.cli import main
from stream.errors import ExitCode
from stream.outcomes import Outcome
from stream.replay import Replay
from stream.replay_comparison import Change, Compared, ReplayComparison
from stream.settings import Settings, load_settings
from tests.model_factory import make_bundle
from tests.simulated_logs import as_flags

LENIENT, STRICT = make_bundle(), make_bundle(threshold_open=0.0, threshold_closed=0.0)
LIMITS = {"model.minimum_edges": 0, "sessions.gap_s": 120.0}
NOON = 1_700_000_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clients that go to and fro between two endpoints, and every fifth one that goes to many once."""
    path = tmp_path_factory.mktemp("traffic") / "calls.jsonl"
    lines = [
        {
            "time": NOON + 20_000 * client + 100 * call,
            "client": f"c{client % 20}",
            "method": "GET",
            "path": path_of(client, call),
        }
        for client in range(25)
        for call in range(10)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def path_of(client: int, call: int) -> str:
    return f"/only/{chr(97 + client)}{chr(97 + call)}" if client % 5 == 4 else f"/{'ab'[call % 2]}"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings for the log, in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)
    return load_settings(overrides=LIMITS)


def alerts(settings: Settings, bundle: ModelBundle, log: Path) -> dict[tuple[str, str], Alert]:
    """Return the alerts of one model alone."""
    return {(own.session_id, own.kind): own for batch in Replay(settings, bundle).run([log]) for own in batch.alerts}


def keys(compared: list[Compared], *changes: Change) -> set[tuple[str, str]]:
    return {(own.session_id, own.kind) for own in compared if own.change in changes}


def test_each_side_is_what_its_model_alerts_alone(settings: Settings, log: Path) -> None:
    compared = ReplayComparison(settings, LENIENT, STRICT).run([log])
    first, second = alerts(settings, LENIENT, log), alerts(settings, STRICT, log)
    assert keys(compared, Change.BOTH, Change.REMOVED) == first.keys()
    assert keys(compared, Change.BOTH, Change.ADDED) == second.keys()
    assert len(compared) == len(first.keys() | second.keys())
    for own in compared:
        for opinion, raised in ((own.first, first), (own.second, second)):
            alert = raised.get((own.session_id, own.kind))
            if alert is not None:
                told = (opinion.score, opinion.severity, opinion.message, opinion.outcome)
                assert told == (alert.score, alert.severity, alert.message, Outcome.ALERT)
            elif opinion.outcome is Outcome.NORMAL:
                assert opinion.score < opinion.threshold
            else:
                assert (opinion.outcome, opinion.score >= opinion.threshold) == (Outcome.HELD_BACK, True)
    assert Counter(own.change for own in compared)[Change.ADDED] > 0, "the example has something to show"


def test_a_model_beside_itself_changes_nothing(settings: Settings, log: Path) -> None:
    compared = ReplayComparison(settings, STRICT, STRICT).run([log])
    assert compared
    for own in compared:
        assert (own.change, own.first) == (Change.BOTH, own.second)


def test_the_other_way_round_added_is_removed(settings: Settings, log: Path) -> None:
    one, other = (ReplayComparison(settings, *pair).run([log]) for pair in ((LENIENT, STRICT), (STRICT, LENIENT)))
    assert keys(one, Change.ADDED) == keys(other, Change.REMOVED)
    assert keys(one, Change.REMOVED) == keys(other, Change.ADDED)


def test_a_suppressed_alert_is_one_that_a_rule_accounts_for(settings: Settings, log: Path, tmp_path: Path) -> None:
    rules = tmp_path / "suppressions.toml"
    rules.write_text('[[rule]]\nname = "all"\nreason = "x"\nexpires = 9000-01-01\nclient = "*"\n')
    ruled = load_settings(overrides=LIMITS | {"alerts.suppressions": str(rules)})
    plain = ReplayComparison(settings, LENIENT, STRICT).run([log])
    compared = ReplayComparison(ruled, LENIENT, STRICT).run([log])
    assert [own.change for own in compared] == [own.change for own in plain]
    outcomes = {own.second.outcome for own in compared if own.change is not Change.REMOVED}
    assert outcomes == {Outcome.SUPPRESSED}


@pytest.mark.usefixtures("settings")
class TestCommand:
    def run(self, capsys: pytest.CaptureFixture[str], log: Path, *flags: str, code: int = 0) -> str:
        """Return what the command prints of two bundles in the working folder."""
        for name, bundle in (("lenient", LENIENT), ("strict", STRICT)):
            write_bundle(name, bundle.to_files())
        arguments = ["replay", "--compare", "./lenient", "./strict", str(log), *flags, *as_flags(LIMITS)]
        assert main(arguments) == code
        out, err = capsys.readouterr()
        return err if code else out

    def test_json_has_every_alert_and_both_summaries(self, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        found: dict[str, Any] = json.loads(self.run(capsys, log, "--json"))
        assert [own["uid"] for own in found["models"]] == [LENIENT.uid, STRICT.uid]
        changes = Counter(own["change"] for own in found["alerts"])
        first, second = (sum(own["alerts"].values()) for own in found["summaries"])
        assert (changes["both"] + changes["removed"], changes["both"] + changes["added"]) == (first, second)

    def test_people_see_counts_and_the_strongest_of_each(self, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        found = json.loads(self.run(capsys, log, "--json"))
        printed = self.run(capsys, log, "--most", "1")
        added = [own for own in found["alerts"] if own["change"] == "added"]
        strongest = max(added, key=lambda own: own["second"]["score"])
        assert f"added, as B has them {len(added)} " in " ".join(printed.split())
        assert "Alerts of B only" in printed
        assert strongest["client"] in printed

    def test_flags_of_one_model_are_refused(self, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        said = self.run(capsys, log, "--bundle", "demo", code=ExitCode.USAGE)
        assert "--compare names both models" in said

    def test_a_file_without_calls_fails(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        empty = tmp_path / "empty.log"
        empty.write_text("nothing\n")
        assert "no line was understood" in self.run(capsys, empty, code=ExitCode.FAILURE)
