"""``gatewatch train --mlflow``: the run, its figures and the bundle are where MLflow keeps them, here a folder."""

import importlib
import json
from pathlib import Path

import mlflow
import pytest

import stream.train
from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.access_behaviour import Rows, read_table
from stream.bundles import read_bundle
from stream.cli import main
from stream.errors import CommandError, ExitCode
from stream.tracking import Tracking
from stream.train import Made, table_data
from tests.made_up_report import made_up_report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A store of the test's own; in files, which MLflow's client can do without a server if it is told to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return (tmp_path / "mlruns").as_uri()


@pytest.fixture
def made() -> Made:
    """The shipped bundle, as if it had just been trained; its report is made up."""
    labels = read_table(table_data()).without_copies().select(Rows.DEFAULT).anomalous
    return Made(read_bundle("access-behaviour", ACCESS_BEHAVIOUR_V1), made_up_report(labels))


def test_a_run_is_recorded_and_its_bundle_registered(
    store: str, made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream.train, "make_table_bundle", lambda *_, **__: made)
    arguments = ["train", "--recipe", "access-behaviour", "--mlflow", store, "--json", "--out", "made"]

    versions = []
    for _ in range(2):
        assert main(arguments) == 0
        printed = json.loads(capsys.readouterr().out)
        versions.append(printed["mlflow"]["version"])

    assert versions == ["1", "2"]
    client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    run = client.get_run(printed["mlflow"]["run"])
    manifest = made.bundle.manifest
    assert run.info.status == "FINISHED"
    assert run.data.metrics == manifest.metrics | {f"threshold_{k}": v for k, v in manifest.thresholds.items()}
    assert run.data.params["max_iter"] == str(manifest.parameters["max_iter"])
    assert run.data.params["seed"] == "0"
    assert run.data.tags["gatewatch.uid"] == manifest.uid
    version = client.get_model_version("access-behaviour", "2")
    assert (version.run_id, version.tags["gatewatch.uid"]) == (run.info.run_id, manifest.uid)
    assert version.source is not None
    kept = Path(version.source.removeprefix("file://"))
    assert read_bundle(kept, ACCESS_BEHAVIOUR_V1).uid == manifest.uid


def test_a_server_that_is_not_there_is_said_before_any_work(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "--recipe", "access-behaviour", "--mlflow", "http://127.0.0.1:9", "--no-cache"])
    assert code == ExitCode.UNREACHABLE
    assert "http://127.0.0.1:9 can't be used" in " ".join(capsys.readouterr().err.split())
    assert not Path("access-behaviour").exists()


def test_what_is_refused_leaves_a_run_marked_as_failed(store: str, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = Tracking(store)

    def refuses(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifacts", refuses)
    with pytest.raises(CommandError, match=r"the bundle was written, but not recorded at .*disk full"):
        tracking.record(made)
    client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    experiment = client.get_experiment_by_name("gatewatch")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_nothing_is_told_to_the_makers_of_mlflow(store: str) -> None:
    Tracking(store)
    telemetry = importlib.import_module("mlflow.telemetry.utils")
    assert telemetry.is_telemetry_disabled()
