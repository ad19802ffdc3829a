"""Tracking: a training run as MLflow keeps it: parameters, metrics, the bundle, and a version in the model registry."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scorer.manifest import Manifest
from stream.bundles import write_bundle
from stream.clock import now_ms
from stream.errors import CommandError, ExitCode
from stream.train import Made

EXPERIMENT = "gatewatch"
"""Experiment that runs are recorded under; made where there is none."""
ARTIFACT = "bundle"
"""Where in a run's artifacts the bundle lies."""

_RETRIES = "1"
"""Further attempts at a request: a server that is not there is known within seconds, not minutes."""


class Tracked(NamedTuple):
    """Where a run was recorded: its id, and name and version of the registered model."""

    run: str
    model: str
    version: str


class Tracking:
    """An MLflow server, reached before any work is done.

    Args:
        uri: of the server; credentials are MLflow's own environment variables.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
        CommandError: the server can't be reached, or refuses (exit code 3).
    """

    def __init__(self, uri: str) -> None:
        # MLflow reports its use to its makers unless told otherwise; whoever wants that can say so.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _RETRIES)
        from mlflow import MlflowClient  # noqa: PLC0415 -- the extra mlflow; reads the environment when it is imported

        self._uri = uri
        with self._asking(f"{uri} can't be used"):
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            found = self._client.get_experiment_by_name(EXPERIMENT)
            self._experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)

    def record(self, made: Made) -> Tracked:
        """Record a run and register its bundle as a new version of the model's name.

        Raises:
            CommandError: the server can't be reached any more, or refuses; the run is then marked as failed.
        """
        manifest, client = made.bundle.manifest, self._client
        with self._asking(f"the bundle was written, but not recorded at {self._uri}"):
            run = client.create_run(self._experiment, run_name=manifest.uid, tags=_tags(manifest))
            status = "FAILED"
            try:
                self._log(run.info.run_id, made)
                version = self._register(run.info, manifest)
                status = "FINISHED"
            finally:
                client.set_terminated(run.info.run_id, status)
        return Tracked(run.info.run_id, manifest.name, version)

    def _log(self, run: str, made: Made) -> None:
        from mlflow.entities import Metric, Param  # noqa: PLC0415 -- the extra mlflow

        manifest, now = made.bundle.manifest, now_ms()
        parameters = {"seed": manifest.seed, **manifest.parameters}
        metrics = manifest.metrics | {f"threshold_{name}": value for name, value in manifest.thresholds.items()}
        self._client.log_batch(
            run,
            metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
            params=[Param(name, str(value)) for name, value in parameters.items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / ARTIFACT
            write_bundle(bundle, made.bundle.to_files())
            self._client.log_artifacts(run, str(bundle), ARTIFACT)

    def _register(self, run: Any, manifest: Manifest) -> str:
        name = manifest.name
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        source = f"{run.artifact_uri}/{ARTIFACT}"
        made = self._client.create_model_version(name, source, run_id=run.run_id, tags=_tags(manifest))
        return str(made.version)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 -- the extra mlflow

        try:
            yield
        except (MlflowException, OSError) as error:
            said = str(error).partition("\n")[0]
            hint = "is it an MLflow server, and may you write to it? Without --mlflow nothing is recorded"
            raise CommandError(f"{what}: {said}", hint, ExitCode.UNREACHABLE) from error


def _tags(manifest: Manifest) -> dict[str, str]:
    return {
        "gatewatch.uid": manifest.uid,
        "gatewatch.data": manifest.data.name,
        "gatewatch.sha256": manifest.data.sha256,
    }
