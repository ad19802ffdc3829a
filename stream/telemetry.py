"""Telemetry: every metric of gatewatch, named in one place.

The README's table and the checks of dashboards and alert rules read METRICS. No label holds a client, a path or
anything else of which there are many. Observe once per batch, session or alert, never per call: an observation costs
as much as the rest of a call's way.
"""

import platform
from collections.abc import Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from featurizer.features import Occasion
from featurizer.sessions import CloseReason
from scorer.alerts import AlertKind, Decision
from scorer.feedback import UNNAMED, Said
from scorer.precision import MOST_MODELS, attacks_among
from scorer.severity import Severity
from scorer.verdicts import Leg, Readiness
from stream.dead_letters import Reason
from stream.metrics import Label, counter, declared, gauge, histogram

STAGES = ("normalise", "sessionize", "score")
CAPS = ("max_calls", "max_duration", "max_edges", "max_endpoints", "max_open", "max_transitions")
"""Limits that a session or a table can reach: settings, but for the last (``featurizer.degrees``)."""
HOLDING_BACK = (Decision.COOLDOWN, Decision.REPEATED, Decision.BUDGET)

_LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300, 1800, 3600)
_WORK_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)
_COMMIT_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_RESTORE_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300)
_RECORDS = (1, 10, 50, 100, 500, 1000, 2500, 5000, 10_000, 25_000)

_KIND = Label("kind", AlertKind)


class Telemetry:
    """The metrics of one process.

    Args:
        registry: where the collectors are registered; one Telemetry per registry.
    """

    alert_event_latency = histogram(
        "gatewatch_alert_event_latency_seconds",
        "s",
        "Event time of a call until the alert that it raised was committed. Alerts of a pause or of a session's end, "
        "which wait by design, are left out.",
        buckets=_LATENCY_S,
    )
    alert_record_latency = histogram(
        "gatewatch_alert_record_latency_seconds",
        "s",
        "The same from the Kafka timestamp of the call's record.",
        buckets=_LATENCY_S,
    )
    stage_duration = histogram(
        "gatewatch_stage_duration_seconds",
        "s",
        "Time that a stage of the pipeline took for one batch.",
        Label("stage", STAGES),
        buckets=_WORK_S,
    )
    scoring_duration = histogram(
        "gatewatch_scoring_duration_seconds",
        "s",
        "Time that the model took for the vectors of one batch.",
        buckets=_WORK_S,
    )
    commit_duration = histogram(
        "gatewatch_commit_duration_seconds", "s", "Time that one commit of outputs and offsets took.", buckets=_COMMIT_S
    )
    batch_size = histogram("gatewatch_batch_records", "records", "Records in one batch from Kafka.", buckets=_RECORDS)

    calls = counter(
        "gatewatch_calls",
        "calls",
        "API calls understood in the inputs, by log format.",
        Label("format"),
    )
    ignored = counter(
        "gatewatch_ignored_entries",
        "entries",
        "Entries of the inputs that are by design no calls, such as spans that no server made.",
    )
    session_calls = counter("gatewatch_session_calls", "calls", "API calls put into a session.")
    sessions_closed = counter(
        "gatewatch_sessions_closed", "sessions", "Sessions that ended, by why.", Label("reason", CloseReason)
    )
    vectors = counter(
        "gatewatch_vectors", "vectors", "Feature vectors taken of sessions, by occasion.", Label("occasion", Occasion)
    )
    verdicts = counter(
        "gatewatch_verdicts",
        "verdicts",
        "Vectors judged, by whether the degree tables were ready and whether the verdict was anomalous.",
        Label("readiness", Readiness),
        Label("anomalous", ("true", "false")),
    )
    alerts = counter(
        "gatewatch_alerts",
        "alerts",
        "Alerts committed, by kind, severity, and what the verdict rests on; suppressed ones too.",
        _KIND,
        Label("severity", Severity),
        Label("leg", Leg),
    )
    alerts_held_back = counter(
        "gatewatch_alerts_held_back",
        "verdicts",
        "Anomalous verdicts without an alert of their own: the client's cooldown, the session already has one, or the "
        "hour has had as many as it may have (alerts.budget_per_hour).",
        Label("reason", HOLDING_BACK),
    )
    alert_budget_spent = gauge(
        "gatewatch_alert_budget_spent",
        "alerts",
        "Alerts of a partition in the hour that its log has come to; alerts.budget_exempt ones too.",
        Label("topic"),
        Label("partition"),
    )
    alert_budget_limit = gauge(
        "gatewatch_alert_budget_limit",
        "alerts",
        "Alerts that a partition may have an hour (alerts.budget_per_hour); +Inf is no limit.",
        Label("topic"),
        Label("partition"),
    )
    alerts_suppressed = counter(
        "gatewatch_alerts_suppressed",
        "alerts",
        "Alerts committed with the status Suppressed, by the rule that accounts for them (alerts.suppressions).",
        Label("rule"),
    )
    suppression_rules = gauge("gatewatch_suppression_rules", "rules", "Suppression rules in force, expired ones too.")
    suppression_reloads = counter(
        "gatewatch_suppression_reloads",
        "reloads",
        "Changes of suppression rules that were taken up, or refused: then the rules of the file before stay in force, "
        "and the rule of the topic suppresses nothing.",
        Label("result", ("done", "refused")),
    )
    dead_letters = counter(
        "gatewatch_dead_letters", "records", "Records, or parts, that could not be used.", Label("reason", Reason)
    )
    dead_letter_share = gauge(
        "gatewatch_dead_letter_share",
        "share",
        "Dead letters among the last records of a role (dead_letters.limit_window_records).",
        Label("role"),
    )
    dead_letter_share_limit = gauge(
        "gatewatch_dead_letter_share_limit",
        "share",
        "The share above which the worker stops (dead_letters.limit_share); 1 is no limit.",
        Label("role"),
    )
    late_calls = counter("gatewatch_late_calls", "calls", "Calls that came after their session had ended.")
    duplicate_calls = counter("gatewatch_duplicate_calls", "calls", "Calls dropped as exact duplicates.")
    caps_reached = counter(
        "gatewatch_caps_reached",
        "sessions or endpoints",
        "Limits reached, by setting; what lies beyond is no longer told apart.",
        Label("cap", CAPS),
    )
    evictions = counter(
        "gatewatch_evictions", "sessions", "Open sessions closed early because too many were open (sessions.max_open)."
    )

    checkpoints = counter("gatewatch_checkpoints", "checkpoints", "Checkpoints of partitions committed.")
    checkpoint_bytes = counter("gatewatch_checkpoint_bytes", "bytes", "Keys and values in committed checkpoints.")
    checkpoint_age = gauge(
        "gatewatch_checkpoint_age_records",
        "records",
        "Records of a partition since its last checkpoint: what a replay after a crash would read again.",
        Label("topic"),
        Label("partition"),
    )
    restoring = gauge(
        "gatewatch_partitions_restoring", "partitions", "Assigned partitions whose state is not restored yet."
    )
    restore_progress = gauge(
        "gatewatch_restore_progress_ratio", "share", "How much of the state of the partition at hand has been read."
    )
    restore_duration = histogram(
        "gatewatch_restore_duration_seconds",
        "s",
        "Time that restoring one partition took, its replay included.",
        buckets=_RESTORE_S,
    )
    restored_sessions = counter("gatewatch_restored_sessions", "sessions", "Open sessions restored from checkpoints.")
    replayed_records = counter(
        "gatewatch_replayed_records", "records", "Records processed again, without outputs, to restore a partition."
    )
    lost_records = counter(
        "gatewatch_lost_records",
        "records",
        "Records that retention deleted before they were read, passed over because of state.accept_loss; at most.",
    )
    restored_under_other_templates = counter(
        "gatewatch_restored_under_other_templates",
        "partitions",
        "Partitions restored whose state was made under other route templates than those in force: endpoints with "
        "another name now count as new.",
    )

    consumer_lag = gauge(
        "gatewatch_consumer_lag_records",
        "records",
        "Records not yet read of an assigned partition.",
        Label("topic"),
        Label("partition"),
    )
    watermark_delay = gauge(
        "gatewatch_watermark_delay_seconds",
        "s",
        "How far a partition's watermark is behind the wall clock.",
        Label("topic"),
        Label("partition"),
    )
    partitions_assigned = gauge(
        "gatewatch_partitions_assigned", "partitions", "Partitions this worker reads, by role.", Label("role")
    )
    open_sessions = gauge("gatewatch_open_sessions", "sessions", "Sessions open on this worker.")
    open_sessions_limit = gauge(
        "gatewatch_open_sessions_limit",
        "sessions",
        "Sessions that may be open on this worker: sessions.max_open, or what state.memory_budget allows, a partition.",
    )
    clock_steps = gauge(
        "gatewatch_clock_steps",
        "steps",
        "Times the wall clock was set since the start; idle partitions follow a step after a minute.",
    )
    degree_edges = gauge("gatewatch_degree_edges", "edges", "Edges counted in the degree tables.")
    degree_endpoints = gauge("gatewatch_degree_endpoints", "endpoints", "Endpoints in the degree tables.")
    learning_edges_needed = gauge(
        "gatewatch_learning_edges_needed",
        "edges",
        "Edges the degree tables need before verdicts can alert; learning lasts while gatewatch_degree_edges is less.",
    )
    leg = gauge(
        "gatewatch_verdicts_leg",
        "1",
        "What verdicts rest on: rules while the degree tables are learning, then an unsupervised or a trained model; "
        "1 for the one at work.",
        Label("leg", Leg),
    )
    model_info = gauge(
        "gatewatch_model_info",
        "1",
        "The model in use.",
        Label("uid"),
        Label("name"),
        Label("schema"),
        Label("trained_on"),
    )
    model_reloads = counter(
        "gatewatch_model_reloads",
        "reloads",
        "Reloads of the model, by SIGHUP or from the topic of models; a refused one leaves the model at work.",
        Label("result", ("done", "refused")),
    )
    challenger_info = gauge(
        "gatewatch_challenger_info",
        "1",
        "The model that judges beside the one in use.",
        Label("uid"),
        Label("name"),
        Label("trained_on"),
    )
    challenger_verdicts = counter(
        "gatewatch_challenger_verdicts",
        "verdicts",
        "Vectors that the challenger judged too, by whether each model called them anomalous; they disagree where the "
        "labels differ.",
        Label("champion", ("anomalous", "normal")),
        Label("challenger", ("anomalous", "normal")),
    )
    challenger_alerts = counter(
        "gatewatch_challenger_alerts",
        "alerts",
        "Alerts that the challenger would have raised in place of the model in use; beside gatewatch_alerts_total.",
        _KIND,
        Label("severity", Severity),
    )
    drift_psi = gauge(
        "gatewatch_drift_psi",
        "PSI",
        "Population stability index of a feature, or of the score, over this worker's latest vectors against the "
        "model's benign training rows; none until there are drift.minimum_vectors.",
        Label("variable"),
    )
    drift_raised = gauge(
        "gatewatch_drift_raised",
        "0 or 1",
        "Whether drift of a feature, or of the score, is raised: it was above drift.raise_above, and not yet below "
        "drift.clear_below.",
        Label("variable"),
    )
    drift_vectors = gauge(
        "gatewatch_drift_window_vectors", "vectors", "Vectors in the window that drift is measured over."
    )
    labelled_sessions = gauge(
        "gatewatch_labelled_sessions",
        "sessions",
        "Labelled sessions, by the model whose alert was looked at (unnamed: the label does not say) and what they "
        f"were found to be, of the {MOST_MODELS} models that were labelled last. Every worker of the role detect shows "
        "them all: take the maximum over workers, not the sum.",
        Label("model"),
        Label("verdict", Said),
    )
    model_precision = gauge(
        "gatewatch_model_precision",
        "share",
        "Attacks among the sessions that a model alerted and that were labelled as attack or as none; none until there "
        "is one. The same on every worker of the role detect: take the maximum over workers.",
        Label("model"),
    )
    templates_info = gauge(
        "gatewatch_route_templates_info",
        "1",
        "The route templates in force: version of the rules, and a checksum of the pinned routes, those of the OpenAPI "
        "file included. All workers have to have the same.",
        Label("version"),
    )
    build_info = gauge("gatewatch_build_info", "1", "The program.", Label("version"), Label("python"))
    web_requests = counter(
        "gatewatch_web_requests", "requests", "Requests to the web server.", Label("route"), Label("status_code")
    )

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        for metric in METRICS:
            setattr(self, metric.attribute, metric.collector(registry))
        self.build_info.labels(version("gatewatch"), platform.python_version()).set(1)

    def model(self, uid: str, name: str, schema: str, trained_on: str) -> None:
        """Say which model is in use; the one named before is forgotten.

        Args:
            uid: of the bundle.
            name: of the bundle.
            schema: name of the feature schema.
            trained_on: a few words; longer text is cut.
        """
        self.model_info.clear()
        self.model_info.labels(uid, name, schema, trained_on[:80]).set(1)

    def challenger(self, uid: str, name: str, trained_on: str) -> None:
        """Say which model judges beside the one in use; the one named before is forgotten."""
        self.challenger_info.clear()
        self.challenger_info.labels(uid, name, trained_on[:80]).set(1)

    def labelled(self, models: Mapping[str, Mapping[Said, int]]) -> None:
        """Say what people found sessions to be, in sessions by model; what was said before is forgotten."""
        self.labelled_sessions.clear()
        self.model_precision.clear()
        for model, said in models.items():
            for verdict in Said:
                self.labelled_sessions.labels(model, verdict).set(said.get(verdict, 0))
            share = attacks_among(said)
            if share.of and model != UNNAMED:
                self.model_precision.labels(model).set(share.value)


METRICS = declared(Telemetry)
"""The catalogue."""


def process_registry() -> CollectorRegistry:
    """Return a registry with the usual metrics of a process: CPU, memory, file descriptors, garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
