"""``gatewatch evaluate``: it judges as a replay does, writes a report, and says what is wrong."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurizer.features import GATEWAY_V1
from scorer.labelling import read_labels
from stream.assembly import model_bundle
from stream.cli import main
from stream.recorder import Recorder
from stream.replay import Replay
from stream.settings import Settings, load_settings
from tests.simulated_logs import DEMO_LIMITS, as_flags, short_log

SET_LIMITS = as_flags(DEMO_LIMITS)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Simulated calls and their labels."""
    return short_log(tmp_path_factory.mktemp("traffic"))


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(None, DEMO_LIMITS)


@pytest.fixture(scope="module")
def evaluated(traffic: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder that the command wrote, changes to the log included, and what it printed."""
    calls, labels = map(str, traffic)
    folder = tmp_path_factory.mktemp("report") / "out"
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(["evaluate", "--calls", calls, "--labels", labels, "--out", str(folder), "--json", *SET_LIMITS])
    assert code == 0
    return folder, json.loads(printed.getvalue())


def test_a_recording_is_what_a_replay_sees(traffic: tuple[Path, Path], settings: Settings) -> None:
    replay = Replay(settings, model_bundle(settings))
    verdicts = [verdict for batch in replay.run([traffic[0]]) for verdict in batch.verdicts]

    recording, degrees = Recorder(settings, model_bundle(settings)).record(
        [traffic[0]], read_labels(traffic[1].read_bytes())
    )

    assert recording.scores.tolist() == [verdict.score for verdict in verdicts]
    assert recording.alerting.tolist() == [verdict.anomalous for verdict in verdicts]
    assert len(recording.raised) == sum(replay.summary.alerts.values()) > 0
    assert len(recording.calls.session) == replay.summary.calls
    assert degrees == replay.degrees
    closed = recording.vectors.closed
    counted = np.bincount(recording.calls.session)[recording.vectors.session[closed]]
    np.testing.assert_array_equal(counted, recording.vectors.calls[closed])
    assert not recording.vectors.unmatched


def test_a_change_that_changes_nothing_leaves_the_recording_alone(
    traffic: tuple[Path, Path], settings: Settings
) -> None:
    before, _ = Recorder(settings, model_bundle(settings)).record([traffic[0]], [])
    after, _ = Recorder(settings, model_bundle(settings), change=lambda call: [call]).record([traffic[0]], [])
    nothing = Recorder(settings, model_bundle(settings), change=lambda call: [call] if call.time % 2 else [])

    np.testing.assert_array_equal(before.scores, after.scores)
    assert 0 < len(nothing.record([traffic[0]], [])[0].calls.session) < len(before.calls.session)


def test_the_folder_holds_a_page_and_what_was_printed(evaluated: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = evaluated

    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    assert json.loads((folder / "report.json").read_text()) == printed
    page = (folder / "report.html").read_text()
    assert f"Evaluation of {printed['model']}" in page
    assert page.count("data:image/png;base64,") == 10


def test_the_report_counts_every_labelled_attack_and_tries_every_change(
    evaluated: tuple[Path, dict[str, Any]], traffic: tuple[Path, Path]
) -> None:
    _, printed = evaluated
    attacks = len(traffic[1].read_text().splitlines())

    assert 0.8 * attacks < printed["traffic"]["attacked"] <= attacks
    assert [own["name"] for own in printed["drift"]] == [
        *("none", "volume x 0.1", "volume x 1", "volume x 10", "new endpoint", "flash crowd", "load test")
    ]
    assert [own["added"] is None for own in printed["drift"]] == [True] * 5 + [False] * 2
    assert printed["drift"][6]["added"]["of"] >= 1
    detectors = {own["name"] for own in printed["comparison"]["detectors"]}
    groups = {str(feature.group) for feature in GATEWAY_V1.features}  # the demo reads these
    assert {loss["group"] for loss in printed["ablation"]["losses"]} == groups
    assert detectors == {"model", "transition rule", "MIDAS", "half-space trees", "isolation forest"}


def test_for_people_the_main_figures_are_printed(
    traffic: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    calls, labels = map(str, traffic)

    code = main(["evaluate", "--calls", calls, "--labels", labels, "--no-drift", *SET_LIMITS])

    printed = capsys.readouterr().out
    assert code == 0
    for words in ("object_walk", "transition rule", "rule of thumb", "of attacks found", "evaluation/report.html"):
        assert words in printed
    assert json.loads(Path("evaluation/report.json").read_text())["drift"] == []


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ([], 2, "--calls"),
        (["--calls", "calls"], 2, "--labels"),
        (["--calls", "calls", "--labels", "labels", "--format", "morse"], 2, "no format"),
        (["--calls", "calls", "--labels", "labels", "--bundle", "nowhere"], 2, "nowhere"),
        (["--calls", "calls", "--labels", "labels", "--out", "taken"], 2, "taken holds something else"),
        (["--calls", "calls", "--labels", "labels", "--out", "calls"], 2, "calls holds something else"),
        (["--calls", "calls", "--labels", "labels"], 1, "there is no session in the calls"),
    ],
)
def test_what_is_wrong_is_named(capsys: pytest.CaptureFixture[str], flags: list[str], code: int, says: str) -> None:
    for name in ("calls", "labels"):
        Path(name).write_bytes(b"")
    Path("taken").mkdir()
    Path("taken/thesis.txt").write_text("years of work")

    assert main(["evaluate", *flags]) == code
    assert says in capsys.readouterr().err


def test_calls_without_a_labelled_attack_cannot_be_measured(
    traffic: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("none").write_bytes(b"")

    assert main(["evaluate", "--calls", str(traffic[0]), "--labels", "none", "--no-drift", *SET_LIMITS]) == 1
    assert "no attacked session got a verdict" in capsys.readouterr().err
