"""Installation: settings and models of a trial's workers."""

from functools import cache
from pathlib import Path

from stream.bundles import write_bundle
from tests.chaos import traffic
from tests.chaos.schedule import SESSION_TIMEOUT_S, Schedule
from tests.model_factory import make_bundle

_NEVER_S = 1_000_000.0


def settings_of(schedule: Schedule, bundle: Path, *, own_broker: bool) -> dict[str, object]:
    """Return the settings in which a trial differs from other tests.

    Args:
        schedule: the trial.
        bundle: where its model is.
        own_broker: the broker takes the shortest timeouts; one that is given may not.
    """
    timeout_s = SESSION_TIMEOUT_S if own_broker else 6.0
    return {
        "model.bundle": str(bundle),
        "sessions.gap_s": traffic.GAP_S,
        "sessions.quiet_s": traffic.QUIET_S,
        "sessions.lateness_s": traffic.LATENESS_S,
        "sessions.linger_s": traffic.LINGER_S,
        "sessions.max_calls": traffic.MOST_CALLS,
        # The wall clock decides nothing: the log alone closes sessions.
        "sessions.idle_after_s": _NEVER_S,
        "alerts.cooldown_s": schedule.cooldown_s,
        # Partitions that are caught up with take turns, so that their clocks stay close together.
        "kafka.properties.max.partition.fetch.bytes": 100_000,
        "kafka.properties.session.timeout.ms": round(timeout_s * 1000),
        "kafka.properties.heartbeat.interval.ms": 300,
        "delivery.commit_interval_ms": schedule.commit_interval_ms,
        "kafka.transaction_timeout_s": schedule.transaction_timeout_s,
        "state.checkpoint_interval_s": schedule.checkpoint_interval_s,
    }


def put_model(place: Path, number: int) -> None:
    """Put a model in its place in one step; odd numbers are another model than even ones."""
    write_bundle(place, _model(number % 2))


@cache
def _model(odd: int) -> dict[str, bytes]:
    """Return one of two models; the thresholds make a tenth of the vectors anomalous."""
    return make_bundle(
        "odd" if odd else "even", seed=odd, minimum_edges=0, threshold_open=0.3, threshold_closed=0.15
    ).to_files()
