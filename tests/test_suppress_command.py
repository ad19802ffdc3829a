"""``gatewatch suppress``: rules are added, listed, and held against findings."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream import finding_topic
from stream.cli import main
from stream.commands.suppress import left
from stream.encodings.ocsf import detection_finding
from stream.errors import ExitCode
from stream.findings import read_finding
from tests.alerting import VECTOR, alert_of, vector

FILE = "suppressions.toml"
CREATED = 1_700_000_050_000
RULE = ["--reason", "Nightly export", "--expires", "2100-01-01"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml, with an alert in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "finding.json").write_text(json.dumps(detection_finding(alert_of(), CREATED)))


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Return what a command prints, on standard error when it fails."""
    assert main(["suppress", *arguments]) == code
    out, err = capsys.readouterr()
    return " ".join((err if code else out).split())


def add(capsys: pytest.CaptureFixture[str], name: str, *flags: str, code: int = 0) -> str:
    return run(capsys, "add", name, *RULE, *flags, "--file", FILE, code=code)


def held(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(capsys, "test", *arguments, "--file", FILE, "--json"))
    return found


def test_a_rule_that_was_added_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    add(capsys, "export", "--client", "user:*", "--when", "calls < 20", "--endpoint", "GET /a", "--endpoint", "GET /b")
    add(capsys, "office", "--network", "192.0.2.0/24", "--expires", "2000-01-01")
    first, second = json.loads(run(capsys, "list", "--file", FILE, "--json"))
    assert first == {
        "name": "export",
        "conditions": ["client user:*", "only endpoints GET /a or GET /b", "calls < 20"],
        "reason": "Nightly export",
        "expires": "2100-01-01",
        "expired": False,
    }
    assert (second["name"], second["expired"]) == ("office", True)
    assert "expired" in run(capsys, "list", "--set", f"alerts.suppressions={FILE}")


def test_a_rule_that_is_wrong_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    said = add(capsys, "export", "--when", "n_api < 3", code=ExitCode.USAGE)
    assert "rule 1 (export): when: there is no n_api; do you mean n_apis?" in said
    assert "nothing was written" in said
    assert not Path(FILE).exists()
    said = add(capsys, "export", "--client", "a", "--expires", "soon", code=ExitCode.USAGE)
    assert "--expires soon: no date" in said


def test_days_from_today_become_a_date(capsys: pytest.CaptureFixture[str]) -> None:
    add(capsys, "export", "--client", "a", "--expires", "90d")
    (rule,) = json.loads(run(capsys, "list", "--file", FILE, "--json"))
    assert (len(rule["expires"]), rule["expired"]) == (10, False)


def test_without_a_file_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--file suppressions.toml" in run(capsys, "list", code=ExitCode.USAGE)
    assert "cannot be read: No such file" in run(capsys, "list", "--file", FILE, code=ExitCode.USAGE)


def test_a_finding_is_held_against_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    add(capsys, "other", "--client", "bob")
    add(capsys, "over", "--client", "user:ann", "--expires", "2000-01-01")
    add(capsys, "unknown", "--when", "min_dest_share < 1")
    add(capsys, "own", "--client", "user:ann", "--when", "n_apis <= 9")
    add(capsys, "late", "--client", "*")
    (found,) = held(capsys, "finding.json")
    assert (found["client"], found["suppressed_by"]) == ("user:ann", "own")
    answers = {rule.pop("name"): rule for rule in found["rules"]}
    nothing: dict[str, Any] = {"failing": [], "unknown": []}
    assert answers == {
        "other": {"matches": False, "expired": False, **nothing, "failing": ["client bob"]},
        "over": {"matches": True, "expired": True, **nothing},
        "unknown": {"matches": None, "expired": False, **nothing, "unknown": ["min_dest_share < 1"]},
        "own": {"matches": True, "expired": False, **nothing},
        "late": {"matches": True, "expired": False, **nothing},
    }
    said = run(capsys, "test", "finding.json", "--file", FILE)
    assert "other no not client bob" in said
    assert "over no it matches, but expired 2000-01-01" in said
    assert "unknown unknown the finding does not tell: min_dest_share < 1" in said
    assert "own yes Nightly export late too Nightly export" in said


def test_a_finding_of_the_topic_is_told_with_all_its_features(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = read_finding(detection_finding(alert_of(), CREATED))
    known = vector(values=(*VECTOR.values[:21], 0.25, 0.5))
    monkeypatch.setattr(finding_topic, "findings_on_topic", lambda _settings, _uids: {finding.uid: finding})
    monkeypatch.setattr(finding_topic, "vector_of", lambda _settings, _finding: known)
    add(capsys, "rare", "--when", "min_dest_share < 0.3")
    assert held(capsys, finding.uid)[0]["suppressed_by"] == "rare"
    (unknown,) = held(capsys, "finding.json")[0]["rules"]
    assert unknown["matches"] is None
    absent = "f" * 32
    said = run(capsys, "test", absent, "--file", FILE, code=ExitCode.FAILURE)
    assert f"no OCSF finding {absent} on the topic anomalies" in said


def test_what_is_neither_finding_nor_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    add(capsys, "own", "--client", "a")
    said = run(capsys, "test", "somewhere.json", "--file", FILE, code=ExitCode.USAGE)
    assert "somewhere.json is no uid of a finding, and no file" in said


@pytest.mark.parametrize(
    ("ms", "words"), [(0, "expired"), (1, "less than a day"), (86_400_000, "1 day more"), (172_800_000, "2 days more")]
)
def test_how_long_a_rule_holds_is_told_in_days(ms: int, words: str) -> None:
    assert left(ms) == words
