"""ModelReload: reads the models again from where they lie, and swaps them in between two batches."""

import asyncio

import structlog

from stream import assembly
from stream.errors import CommandError
from stream.measuring import TimedJudge
from stream.pipeline import Detector
from stream.settings import Settings
from stream.telemetry import Telemetry

log = structlog.get_logger(__name__)


class ModelReload:
    """Replaces a detector's model and its challenger; if either cannot be used, the present pair stays at work.

    Args:
        settings: name the bundles, and the thresholds that win over their own.
        detector: whose models they are.
        telemetry: the metrics.
    """

    def __init__(self, settings: Settings, detector: Detector, telemetry: Telemetry) -> None:
        self._settings = settings
        self._detector = detector
        self._telemetry = telemetry

    async def reload(self) -> bool:
        """Read the bundles and use them from the next batch on; return whether that was possible."""
        try:
            bundle = await asyncio.to_thread(assembly.model_bundle, self._settings)
            trial = await asyncio.to_thread(assembly.challenger_bundle, self._settings)
            judge = assembly.make_judge(self._settings, bundle, TimedJudge)
        except CommandError as error:
            log.error("the model is not reloaded", error=str(error))  # noqa: TRY400 -- not a defect
            self._telemetry.model_reloads.labels("refused").inc()
            return False
        judge.telemetry = self._telemetry
        # The agents score a batch in one go, without giving way: this is a batch boundary.
        self._detector.judge = judge
        self._detector.challenger = assembly.make_challenger(self._settings, trial)
        manifest = bundle.manifest
        self._telemetry.model(bundle.uid, manifest.name, manifest.schema_name, manifest.trained_on)
        if trial is not None:
            self._telemetry.challenger(trial.uid, trial.manifest.name, trial.manifest.trained_on)
            log.info("challenger reloaded", uid=trial.uid, trained_on=trial.manifest.trained_on)
        self._telemetry.model_reloads.labels("done").inc()
        log.info("model reloaded", uid=bundle.uid, trained_on=manifest.trained_on)
        return True
