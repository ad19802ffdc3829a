"""``gatewatch train``: what it writes, what it prints, and what it says when something is wrong."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import version
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pytest

import stream.train
import stream.unlabelled
from featurizer.features import GATEWAY_V1, matrix_of
from scorer import call_recipe
from scorer.access_behaviour import Rows, read_table
from scorer.attacks import Kind
from scorer.bundle import ModelBundle
from scorer.catboost_recipe import CatBoostRecipe
from scorer.evaluation import honest
from scorer.manifest import ESTIMATOR, MANIFEST
from scorer.model_card import CAPTIONS, CARD
from scorer.table_recipe import RECIPES, TableReport
from scorer.training import AnyRecipe, Recipe
from stream.bundles import read_bundle
from stream.cli import main
from stream.replay import replay_vectors
from stream.settings import load_settings
from stream.stages import library_versions
from stream.train import runner, table_data, workers
from tests.labelled_sessions import make_examples
from tests.made_up_report import made_up_report
from tests.pictures import assert_picture
from tests.simulated_logs import as_flags, simulated_log

SCHEMA = GATEWAY_V1
LIMITS = {"sessions.gap_s": 60.0, "sessions.quiet_s": 3.0, "sessions.lateness_s": 1.0}
FEW = 90
"""Woven attacks that suffice here."""
MINE = ["--name", "mine", "--with-estimator", "--licence", "Apache-2.0"]
SET_LIMITS = as_flags(LIMITS)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml, and with a cache of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))


@pytest.fixture(scope="module", autouse=True)
def process_tracker() -> None:
    """Start the one helper that Python keeps for spawned processes until the end: it is nothing that a test leaves."""
    resource_tracker.ensure_running()


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Make models of calls of a third of the trees: how good they are is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cast("dict[str, AnyRecipe]", call_recipe.RECIPES), "hgbt", Recipe(max_iter=20))
        yield


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Simulated calls and their labels."""
    return simulated_log(tmp_path_factory.mktemp("traffic"), seed=3, duration_s=90, rate=120, attack_share=0.15)


def train(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    capsys.readouterr()
    code = main(["train", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def trained(traffic: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelBundle, dict[str, Any]]:
    """A bundle that the command made of the traffic, and what it printed."""
    calls, labels = map(str, traffic)
    target = tmp_path_factory.mktemp("model") / "mine.zip"
    flags = [*MINE, "--out", str(target), "--json", "--no-cache"]
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(["train", "--calls", calls, "--labels", labels, *flags, *SET_LIMITS])
    assert code == 0
    return read_bundle(target, SCHEMA), json.loads(printed.getvalue())


def test_a_model_of_call_logs_scores_the_vectors_of_the_log(
    trained: tuple[ModelBundle, dict[str, Any]], traffic: tuple[Path, Path]
) -> None:
    bundle, _ = trained
    vectors = list(replay_vectors([traffic[0]], load_settings(None, LIMITS)))
    hostile = {json.loads(line)["client"] for line in traffic[1].read_text().splitlines()}
    scores = bundle.score(matrix_of(vectors, SCHEMA))
    attack = np.array([vector.client in hostile for vector in vectors])
    assert scores[attack].mean() > scores[~attack].mean() + 0.3


def test_what_is_printed_is_what_was_written(trained: tuple[ModelBundle, dict[str, Any]]) -> None:
    bundle, printed = trained
    assert printed["uid"] == bundle.uid
    assert bundle.uid.startswith("mine-")
    assert printed["metrics"] == bundle.manifest.metrics
    assert bundle.manifest.data.name == "calls.jsonl, labels.jsonl"
    assert bundle.manifest.parameters["sessions.gap_s"] == 60.0
    assert printed["budget"] == {"false_alert_budget": 1.0}
    assert sum(kind["found"]["of"] for kind in printed["detection"][:-1]) == printed["detection"][-1]["found"]["of"] > 0


def test_the_card_of_a_model_of_calls_says_what_was_found(trained: tuple[ModelBundle, dict[str, Any]]) -> None:
    bundle, printed = trained
    text = bundle.documents[CARD].decode()
    assert text.startswith("# Model card: mine\n")
    for kind in printed["detection"]:
        assert f"| {kind['attack']} | {kind['found']['of']} |" in text
    for fact in ("False alerts:", "calls.jsonl, labels.jsonl; licence Apache-2.0", "last 40 % of the time", bundle.uid):
        assert fact in text
    for low, high in printed["threshold_intervals"].values():
        assert f"{low:.4f} to {high:.4f} for" in " ".join(text.split())
    for name in CAPTIONS:
        assert_picture(bundle.documents[name])


@pytest.fixture(scope="module")
def unlabelled(
    traffic: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelBundle, dict[str, Any]]:
    """A bundle that the command made of the same calls without their labels and few attacks, and what it printed."""
    target = tmp_path_factory.mktemp("unlabelled") / "model"
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(stream.unlabelled, "FEWEST_ATTACKS", FEW)
        code = main(["train", "--calls", str(traffic[0]), "--out", str(target), "--json", "--no-cache", *SET_LIMITS])
    assert code == 0
    return read_bundle(target, SCHEMA), json.loads(printed.getvalue())


@pytest.mark.timeout(120)
def test_without_labels_attacks_are_woven_in_and_figures_say_so(
    unlabelled: tuple[ModelBundle, dict[str, Any]], trained: tuple[ModelBundle, dict[str, Any]]
) -> None:
    bundle, printed = unlabelled
    assert printed["attacks"] == "woven"
    assert trained[1]["attacks"] == "labelled"
    assert "attacks_found" in trained[1]["metrics"]
    assert "woven_attacks_found" in printed["metrics"]
    assert "attacks_found" not in printed["metrics"]
    assert bundle.manifest.trained_on.endswith("its detection figures are on woven attacks")
    assert bundle.manifest.trained_on.startswith("Call logs without labels:")
    assert bundle.manifest.data.name == "calls.jsonl"
    assert {kind["attack"] for kind in printed["detection"]} <= {*Kind, "all"}


@pytest.mark.timeout(120)
def test_the_card_of_a_model_of_unlabelled_calls_says_what_it_can_not_know(
    unlabelled: tuple[ModelBundle, dict[str, Any]],
) -> None:
    bundle, _ = unlabelled
    text = " ".join(bundle.documents[CARD].decode().split())
    parameters = bundle.manifest.parameters
    assert f"{parameters['woven_attacks']:,} attacks were woven into them" in text
    assert f"{parameters['trimmed_sessions']:,} sessions were left out" in text
    assert "All figures of detection are on woven attacks" in text
    assert "this one finds the most attacks; those found before half of their calls were made count twice" in text
    assert "benign sessions are too few to be sure of 1 in 1,000" in text


def test_the_estimator_comes_along_when_asked_for_and_agrees(
    trained: tuple[ModelBundle, dict[str, Any]], traffic: tuple[Path, Path]
) -> None:
    bundle, _ = trained
    assert set(bundle.documents) == {CARD, ESTIMATOR, *CAPTIONS}
    estimator = joblib.load(io.BytesIO(bundle.documents[ESTIMATOR]))
    rows = matrix_of(replay_vectors([traffic[0]], load_settings(None, LIMITS)), SCHEMA)
    np.testing.assert_allclose(bundle.score(rows), estimator.predict_proba(rows)[:, 1], rtol=0, atol=1e-12)


@pytest.mark.timeout(120)
def test_a_repeated_run_redoes_what_changed_and_gives_the_bundle_of_a_run_without_cache(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    trained: tuple[ModelBundle, dict[str, Any]],
    traffic: tuple[Path, Path],
) -> None:
    logs = ["--calls", str(traffic[0]), "--labels", str(traffic[1]), *SET_LIMITS, *MINE, "--out", "mine"]
    cache = ["--cache", "cache"]
    with monkeypatch.context() as interrupted:
        interrupted.setattr(stream.train, "evaluate_calls", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(capsys, *logs, *cache)
    assert not Path("mine").exists()

    code, out, _ = train(capsys, *logs, *cache, "--json")
    assert code == 0
    kept = {"vectors": True, "split": True, "fit": True, "threshold": True, "evaluate": False, "bundle": False}
    assert json.loads(out)["stages"] == kept
    first = read_bundle("./mine", SCHEMA)
    assert first.uid == trained[0].uid
    own = {*first.to_files()} - {MANIFEST, ESTIMATOR}  # a pickle of equal things may have other bytes
    assert {name: first.to_files()[name] for name in own} == {name: trained[0].to_files()[name] for name in own}
    assert not any(trained[1]["stages"].values())

    code, out, _ = train(capsys, *logs, *cache)
    assert "from the cache: vectors, split, fit, threshold, evaluate, bundle\n" in out
    assert read_bundle("./mine", SCHEMA).to_files() == first.to_files()

    code, out, _ = train(capsys, *logs, *cache, "--false-alerts-per-day", "50000")
    assert "made: threshold, evaluate, bundle; from the cache: vectors, split, fit\n" in out
    other = read_bundle("./mine", SCHEMA)
    assert other.uid != first.uid
    sessions, budget = (other.manifest.parameters[name] for name in ("benign_sessions_a_day", "false_alert_budget"))
    assert budget == pytest.approx(1000 * 50000 / sessions)
    assert f"budget      50000 false alerts a day are {budget:g} in 1,000: the input has {sessions:,.1f} benign" in out
    card = " ".join(other.documents[CARD].decode().split())
    assert f"50000 false alerts a day. The input has {sessions:,.1f} benign sessions a day" in card


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> TableReport:
    """What the measuring of a model of the table, minutes of work, is made up to say."""
    report = made_up_report(read_table(table_data()).without_copies().select(Rows.DEFAULT).anomalous)
    monkeypatch.setattr(stream.train, "measure", lambda _raw, rows, name, _run: report.honest[rows, name])
    monkeypatch.setattr(stream.train, "measure_ours", lambda _raw, rows, *_rest: report.honest[rows, "ours"])
    monkeypatch.setattr(stream.train, "measure_their_way", lambda _raw, _run: report.original)
    return report


def test_the_recipe_of_the_table_prints_both_protocols(capsys: pytest.CaptureFixture[str], report: TableReport) -> None:
    """The measuring is made up here; training, card, files and printing are not."""
    code, out, _ = train(capsys, "--recipe", "access-behaviour")

    assert code == 0
    figure = report.shipped.figures()["f1"]
    assert out.count(f"{figure.mean:.3f} ± {figure.spread:.3f}") == 7
    assert "Honest protocol" in out
    assert "threshold on the test rows" in out
    bundle = read_bundle("./access-behaviour", SCHEMA)
    assert bundle.uid in out
    assert bundle.manifest.metrics == report.metrics()
    assert bundle.manifest.library_versions == library_versions()


@pytest.mark.usefixtures("report")
def test_a_catboost_model_of_the_table_says_so_and_repeats_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "catboost", CatBoostRecipe(iterations=5, class_weight=None))

    code, _, _ = train(capsys, "--recipe", "access-behaviour", "--model", "catboost", "--no-cache")

    assert code == 0
    bundle = read_bundle("./access-behaviour", SCHEMA)
    assert bundle.manifest.parameters["model"] == "catboost"
    assert bundle.manifest.library_versions["catboost"] == version("catboost")
    card = bundle.documents[CARD].decode()
    assert "CatBoost's CatBoostClassifier (parameters under Facts)" in card
    assert "`gatewatch train --recipe access-behaviour --model catboost --seed 0`" in card


def test_an_isolation_forest_of_calls_is_a_bundle_like_others(
    capsys: pytest.CaptureFixture[str], traffic: tuple[Path, Path]
) -> None:
    logs = ("--calls", str(traffic[0]), "--labels", str(traffic[1]), *SET_LIMITS)
    code, _, _ = train(capsys, *logs, "--model", "isolation-forest", "--no-cache", "--out", "isolated")
    assert code == 0
    bundle = read_bundle("./isolated", SCHEMA)
    assert bundle.manifest.parameters["model"] == "isolation-forest"
    assert "scikit-learn's IsolationForest, fitted to the benign rows alone" in bundle.documents[CARD].decode()


def test_an_isolation_forest_is_not_searched_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = train(capsys, "--recipe", "access-behaviour", "--model", "isolation-forest", "--search", "2")
    assert code == 2
    assert "learns without labels" in " ".join(err.split())


def test_a_search_over_calls_is_recorded_with_what_it_chose(
    capsys: pytest.CaptureFixture[str], traffic: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recipe, "SPACE", {"max_iter": (3,)})
    logs = ("--calls", str(traffic[0]), "--labels", str(traffic[1]), *SET_LIMITS)
    code, _, _ = train(capsys, *logs, "--search", "2", "--no-cache", "--out", "found")
    assert code == 0
    bundle = read_bundle("./found", SCHEMA)
    assert bundle.manifest.parameters["candidates"] == 2
    assert bundle.ensemble.trees.count == bundle.manifest.parameters["max_iter"]
    assert "best of 2 candidates" in bundle.documents[CARD].decode()


def test_processes_measure_what_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.train, "MAX_PROCESSES", 2)
    examples, recipe = make_examples(100), Recipe(max_iter=2)
    told: list[tuple[int, int]] = []
    with workers() as pool:
        shared = honest(examples, recipe, (0,), runner(pool, lambda done, total: told.append((done, total))))
    assert shared.figures() == honest(examples, recipe, (0,)).figures()
    assert told == [(1, 5)] * 5


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--recipe access-behaviour"),
        (["--recipe", "access-behaviour", "--cache", "cache", "--no-cache"], "--no-cache"),
        (["--recipe", "access-behaviour", "--cache", "calls/cache"], "can't be made"),
        (["--recipe", "access-behaviour", "--calls", "calls"], "give one of"),
        (["--topics", "--calls", "calls"], "give one of"),
        (["--topics", "--labels", "labels"], "on the topic labels"),
        (["--topics", "--false-alerts", "1", "--false-alerts-per-day", "5"], "they are two budgets"),
        (["--recipe", "access-behaviour", "--false-alerts-per-day", "5"], "has no times"),
        (["--topics", "--contamination", "0.1"], "without --labels"),
        (["--calls", "calls", "--label-weight", "5"], "--label-weight is for --topics"),
        (["--calls", "calls", "--labels", "labels", "--contamination", "0.1"], "without --labels"),
        (["--recipe", "access-behaviour", "--contamination", "0.1"], "without --labels"),
        (["--calls", "calls", "--contamination", "0.5"], "--contamination"),
        (["--recipe", "other"], "access-behaviour"),
        (["--calls", "calls", "--labels", "labels", "--format", "morse"], "no format"),
        (["--calls", "calls", "--labels", "labels", "--name", "My Model"], "--name My Model"),
        (["--calls", "nowhere", "--labels", "labels"], "nowhere"),
    ],
)
def test_wrong_flags_are_named(capsys: pytest.CaptureFixture[str], flags: list[str], says: str) -> None:
    for name in ("calls", "labels"):
        Path(name).write_bytes(b"")
    code, out, err = train(capsys, *flags)
    assert code == 2
    assert says in err
    assert not out


def test_a_labels_file_that_is_none_is_named_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("calls").write_bytes(b"")
    Path("labels").write_bytes(b'{"client":"a"}')
    code, _, err = train(capsys, "--calls", "calls", "--labels", "labels")
    assert code == 2
    assert "line 1 is no label" in err
    assert "attack" in err


def test_calls_without_a_session_fail(capsys: pytest.CaptureFixture[str]) -> None:
    Path("calls").write_bytes(b"nothing to see\n")
    Path("labels").write_bytes(b"")
    code, _, err = train(capsys, "--calls", "calls", "--labels", "labels")
    assert code == 1
    assert "no session" in err
    assert "gatewatch replay" in err


def test_unlabelled_calls_without_a_session_fail(capsys: pytest.CaptureFixture[str]) -> None:
    Path("calls").write_bytes(b"nothing to see\n")
    code, _, err = train(capsys, "--calls", "calls")
    assert code == 1
    assert "no session" in err
    assert "gatewatch replay" in err


def test_too_few_unlabelled_calls_fail_with_what_is_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.unlabelled, "FEWEST_ATTACKS", FEW)
    Path("calls").write_bytes(b'[1767225600000,"a","GET /books/{id}",200]\n')
    code, _, err = train(capsys, "--calls", "calls")
    assert code == 1
    assert "at least 10 of 5 clients are needed" in " ".join(err.split())


def test_too_few_attacks_fail_with_what_is_needed(
    capsys: pytest.CaptureFixture[str], traffic: tuple[Path, Path]
) -> None:
    Path("few").write_bytes(b"\n".join(traffic[1].read_bytes().splitlines()[:2]))
    code, _, err = train(capsys, "--calls", str(traffic[0]), "--labels", "few", *SET_LIMITS)
    assert code == 1
    assert "at least 10 of 5 clients are needed" in err


def test_a_place_that_holds_something_else_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    code, _, err = train(capsys, "--recipe", "access-behaviour", "--out", str(taken))
    assert code == 2
    assert "is not a model bundle" in err
    assert (taken / "thesis.txt").read_text() == "years of work"
