"""``gatewatch tune``: its thresholds keep the budget when a worker uses them, and go into the file that it reads."""

import io
import json
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from scorer.labelling import read_labels
from scorer.thresholds import Thresholds
from scorer.tuning import Tuning
from stream import console
from stream.assembly import alert_policy, model_bundle
from stream.cli import main
from stream.recorder import Recorder
from stream.settings import load_settings
from tests.simulated_logs import DEMO_LIMITS, as_flags, short_log

LIMITS = {**DEMO_LIMITS, "rules.enabled": False}
"""Thresholds are a model's: what the rules find meanwhile is not theirs to choose."""
FILE = """# Ours
[sessions]
gap_s = 60
quiet_s = 3  # as in the demo
lateness_s = 1

[model]
bundle = "demo"
minimum_edges = 200

# about the log
[log]
level = "info"
"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Simulated calls and their labels."""
    return short_log(tmp_path_factory.mktemp("traffic"))


def set_limits(**others: Any) -> list[str]:
    """Return the limits as flags."""
    return as_flags({**LIMITS, **others})


def run(*arguments: str) -> str:
    """Return what a command that succeeds prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(arguments) == 0
    return printed.getvalue()


def replayed(calls: Path, thresholds: dict[str, float]) -> list[dict[str, Any]]:
    """Return the lines that a replay with some thresholds writes."""
    own = {f"model.threshold_{name}": value for name, value in thresholds.items()}
    done = replay(calls, set_limits(**own))
    return [json.loads(line) for line in done.splitlines()]


def replay(calls: Path, flags: list[str]) -> str:
    printed = io.TextIOWrapper(io.BytesIO())
    with redirect_stdout(printed):
        assert main(["replay", str(calls), "--json", *flags]) == 0
    printed.flush()
    return printed.buffer.getvalue().decode()


def test_alerts_are_those_that_a_replay_raises(traffic: tuple[Path, Path]) -> None:
    settings = load_settings(None, LIMITS)
    bundle = model_bundle(settings)
    recording, _ = Recorder(settings, bundle).record([traffic[0]], read_labels(traffic[1].read_bytes()))
    tuning = Tuning(recording, alert_policy(settings), labelled=True, seed=0)

    raised = list(tuning.raised(Thresholds(**bundle.manifest.thresholds)))

    assert raised == recording.raised.tolist()
    assert raised


def test_a_replay_with_the_thresholds_chosen_keeps_the_budget(traffic: tuple[Path, Path]) -> None:
    done = run("tune", "--calls", str(traffic[0]), "--budget", "50", "--json", *set_limits())
    tuned = json.loads(done)

    lines = replayed(traffic[0], tuned["chosen"]["thresholds"])

    alerted = {line["metadata"]["correlation_uid"] for line in lines if line["type"] == "alert"}
    sessions = sum(line["type"] == "session" for line in lines)
    assert tuned["kept"]
    assert not tuned["labelled"]
    assert 0 < len(alerted) <= 0.05 * sessions


def test_a_budget_a_day_is_of_alerts_with_cooldown(traffic: tuple[Path, Path]) -> None:
    done = run("tune", "--calls", str(traffic[0]), "--per-day", "10000", "--json", *set_limits())
    tuned = json.loads(done)

    lines = replayed(traffic[0], tuned["chosen"]["thresholds"])

    alerts = sum(line["type"] == "alert" for line in lines)
    assert 0 < alerts <= 10_000 * tuned["days"]
    assert tuned["chosen"]["alerts_a_day"]["value"] == pytest.approx(alerts / tuned["days"])


def test_for_people_the_trade_is_a_table(traffic: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.stdout, "_width", 160)  # its own was looked up when it was made
    calls, labels = map(str, traffic)

    labelled = run("tune", "--calls", calls, "--labels", labels, "--budget", "20", *set_limits())
    unlabelled = run("tune", "--calls", calls, *set_limits())

    for words in ("benign sessions and", "attacks found", "now", "20 in 1,000, chosen", "[model]\nthreshold_open = "):
        assert words in labelled
    assert "put this into gatewatch.toml" in labelled
    assert "all alerts are counted, those on real attacks too" in unlabelled
    assert "attacks found" not in unlabelled
    assert "threshold_open" not in unlabelled


def test_the_file_gets_the_thresholds_and_nothing_else(traffic: tuple[Path, Path]) -> None:
    path = Path("gatewatch.toml")
    path.write_text(FILE)

    printed = run("tune", "--calls", str(traffic[0]), "--budget", "50", "--write", "--seed", "1")

    written = path.read_text()
    own = tomllib.loads(written)["model"]
    assert f"threshold_open = {own['threshold_open']!r}" in printed
    assert "restart every worker" in printed
    assert load_settings().model.threshold_closed == own["threshold_closed"]
    kept = [line for line in written.splitlines() if not line.startswith("threshold_")]
    assert kept == FILE.splitlines()


def test_a_variable_that_wins_over_the_file_is_named(
    traffic: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("gatewatch.toml").write_text(FILE)
    monkeypatch.setenv("GATEWATCH_MODEL__THRESHOLD_OPEN", "0.99")

    printed = run("tune", "--calls", str(traffic[0]), "--budget", "50", "--write")

    assert "GATEWATCH_MODEL__THRESHOLD_OPEN is set here, and wins over the file" in printed
    assert "THRESHOLD_CLOSED is set" not in printed


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--budget", "1", "--per-day", "1"], "give one of them"),
        (["--write"], "give a budget: --budget N or --per-day N"),
        (["--write", "--budget", "1"], "there is no gatewatch.toml to write to"),
        (
            ["--write", "--budget", "1", "--config", "own.toml", "--bundle", "access-behaviour"],
            "own.toml says otherwise than the flags about model.bundle",
        ),
        (["--write", "--budget", "1", "--config", "own.toml", "--set", "sessions.gap_s=90"], "about sessions.gap_s"),
        (["--format", "morse"], "no format"),
        (["--bundle", "nowhere"], "nowhere"),
    ],
)
def test_wrong_flags_are_named_before_any_work(flags: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("calls").write_bytes(b"")
    Path("own.toml").write_text(FILE)

    assert main(["tune", "--calls", "calls", *flags]) == 2
    assert says in capsys.readouterr().err.replace("\n", " ")


def test_calls_without_a_session_or_a_verdict_are_refused(
    traffic: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("none").write_bytes(b"")
    early = set_limits(**{"model.minimum_edges": 1_000_000})

    assert main(["tune", "--calls", "none"]) == 1
    assert "there is no session in the calls" in capsys.readouterr().err
    assert main(["tune", "--calls", str(traffic[0]), *early]) == 1
    assert "the degree table was too small" in capsys.readouterr().err.replace("\n", " ")
    assert main(["tune", "--calls", str(traffic[0]), "--labels", "none", *set_limits()]) == 1
    assert "no labelled attack has a session" in capsys.readouterr().err
