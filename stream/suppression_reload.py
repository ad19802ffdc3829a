"""Suppression rules of a worker, taken up between two batches when they have changed."""

import asyncio
from pathlib import Path

import structlog

from scorer.suppression import Suppressions
from stream.assembly import SCHEMA
from stream.pipeline import Detector
from stream.suppressions import Stamp, read_suppressions, stamp_of
from stream.telemetry import Telemetry

log = structlog.get_logger(__name__)


class RulesInForce:
    """The rules that a detector holds alerts against, and what the metrics say of them.

    Args:
        detector: whose rules they are.
        telemetry: the metrics.
    """

    def __init__(self, detector: Detector, telemetry: Telemetry) -> None:
        self._detector = detector
        self._telemetry = telemetry
        self._show()

    def use(self, rules: Suppressions) -> None:
        """Use rules from the next batch on."""
        if rules == self._detector.suppressions:
            return
        # The agents score a batch in one go, without giving way: this is a batch boundary.
        self._detector.suppressions = rules
        self._show()
        self._telemetry.suppression_reloads.labels("done").inc()
        log.info("suppression rules reloaded", rules=len(rules.rules))

    def refuse(self, problem: str) -> None:
        """Say what cannot be used."""
        log.error("the suppression rules are not reloaded", error=problem)
        self._telemetry.suppression_reloads.labels("refused").inc()

    def _show(self) -> None:
        rules = self._detector.suppressions.rules
        self._telemetry.suppression_rules.set(len(rules))
        for rule in rules:
            self._telemetry.alerts_suppressed.labels(rule.name)  # at zero from the start


class SuppressionReload:
    """Replaces a detector's rules when their file has changed; while it is broken, the present ones stay in force.

    Args:
        path: the file.
        detector: whose rules they are.
        telemetry: the metrics.
    """

    def __init__(self, path: Path, detector: Detector, telemetry: Telemetry) -> None:
        self._path = path
        self._in_force = RulesInForce(detector, telemetry)
        self._seen: Stamp | None = None

    async def look(self) -> None:
        """Read the file if it has changed since the last look, and use its rules from the next batch on."""
        try:
            found = await asyncio.to_thread(self._read)
        except ValueError as error:
            self._in_force.refuse(str(error))
            return
        if found is not None:
            self._in_force.use(found)

    def _read(self) -> Suppressions | None:
        stamp = stamp_of(self._path)  # before reading: what is written meanwhile is seen by the next look
        if stamp == self._seen:
            return None
        self._seen = stamp
        return read_suppressions(self._path, SCHEMA.names)
