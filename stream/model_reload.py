"""ModelReload: swaps other models in between two batches."""

import asyncio
from collections.abc import Callable

import structlog

from stream import assembly
from stream.assembly import Models
from stream.errors import CommandError
from stream.measuring import TimedJudge
from stream.pipeline import Detector
from stream.settings import Settings
from stream.telemetry import Telemetry

log = structlog.get_logger(__name__)


class ModelReload:
    """Replaces a detector's model and its challenger; if they cannot be used, the present pair stays at work.

    Args:
        settings: the thresholds that win over the bundles' own.
        detector: whose models they are.
        telemetry: the metrics.
        read: returns the models there are now, checked; it may block, and raise CommandError.
    """

    def __init__(
        self, settings: Settings, detector: Detector, telemetry: Telemetry, read: Callable[[], Models]
    ) -> None:
        self._settings = settings
        self._detector = detector
        self._telemetry = telemetry
        self._read = read
        self._one_at_a_time = asyncio.Lock()  # or what was read first could be swapped in last

    async def reload(self) -> bool:
        """Read the models and use them from the next batch on; return whether that was possible."""
        async with self._one_at_a_time:
            try:
                models = await asyncio.to_thread(self._read)
                judge = assembly.make_judge(self._settings, models.champion, TimedJudge)
            except CommandError as error:
                self.refuse(str(error))
                return False
            self._use(judge, models)
            return True

    def refuse(self, problem: str) -> None:
        """Say why a model is not used; the present ones stay at work."""
        log.error("the model is not reloaded", error=problem)
        self._telemetry.model_reloads.labels("refused").inc()

    def _use(self, judge: TimedJudge, models: Models) -> None:
        bundle, trial = models
        judge.telemetry = self._telemetry
        # The agents score a batch in one go, without giving way: this is a batch boundary.
        self._detector.judge = judge
        self._detector.challenger = assembly.make_challenger(self._settings, trial)
        show_models(self._telemetry, models)
        if trial is not None:
            log.info("challenger reloaded", uid=trial.uid, trained_on=trial.manifest.trained_on)
        self._telemetry.model_reloads.labels("done").inc()
        log.info("model reloaded", uid=bundle.uid, trained_on=bundle.manifest.trained_on)


def show_models(telemetry: Telemetry, models: Models) -> None:
    """Say in the metrics which models are at work."""
    manifest = models.champion.manifest
    telemetry.model(models.champion.uid, manifest.name, manifest.schema_name, manifest.trained_on)
    telemetry.challenger_info.clear()
    if models.challenger is not None:
        trial = models.challenger.manifest
        telemetry.challenger(models.challenger.uid, trial.name, trial.trained_on)
