"""Settings of sessions, degree tables, routes, model and alerts."""

from pathlib import Path
from typing import Literal, Self

from pydantic import field_validator, model_validator

from stream.sections.fields import Section, setting


class SessionsSettings(Section):
    """When a client's session begins and ends, and its bounds."""

    gap_s: float = setting(
        1800.0, "s, event time", "A session ends after this much silence; half an hour is the web's usual figure.", gt=0
    )
    max_duration_s: float = setting(
        86_400.0, "s, event time", "A session is split at this age: monitors and crawlers never pause.", gt=0
    )
    max_calls: int = setting(10_000, "calls", "A session is split at this many calls, for the same reason.", ge=2)
    max_edges: int = setting(
        5000,
        "edges",
        "Further distinct transitions of one session are not kept: bounds the memory one client can take.",
        ge=1,
    )
    max_open: int = setting(
        250_000,
        "sessions per partition",
        "Above it the one percent idle for longest is closed early. Counted by partition: then the log alone decides. "
        "250,000 sessions of 30 calls take about 0.7 GB; lower it to fit.",
        ge=1,
    )
    lateness_s: float = setting(
        30.0, "s, event time", "How far a partition's calls may be out of order before the watermark passes them.", ge=0
    )
    linger_s: float = setting(
        60.0,
        "s, record time",
        "A session also stays open until this long after its last arrival, so that gateways that ship their logs "
        "late do not cut sessions.",
        ge=0,
    )
    quiet_s: float = setting(
        60.0, "s, event time", "An open session is scored when it pauses this long: a short probe must not wait.", gt=0
    )
    first_vector_calls: int = setting(
        8, "calls", "An open session is first scored at this many calls: fewer say too little.", ge=2
    )
    quiet_growth: float = setting(
        0.125,
        "share",
        "A paused session is scored again only when its calls have grown by this share since its last vector: "
        "bounds the vectors of a client that calls once a minute.",
        ge=0,
        le=1,
    )
    future_tolerance_s: float = setting(
        300.0,
        "s",
        "A call this much later than its record's Kafka timestamp is a dead letter: one wrong clock would close "
        "every session.",
        ge=0,
    )
    idle_after_s: float = setting(
        30.0,
        "s, wall clock",
        "A fully read partition with nothing new for this long lets the wall clock move its watermark, so that "
        "its last sessions close.",
        gt=0,
    )
    excluded_methods: tuple[str, ...] = setting(
        ("HEAD", "OPTIONS"),
        "HTTP methods",
        "Calls with these are no part of call graphs: browsers and probes send them by themselves.",
    )

    @field_validator("excluded_methods")
    @classmethod
    def _upper_case(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(method.upper() for method in value)

    @model_validator(mode="after")
    def _quiet_before_gap(self) -> Self:
        if self.quiet_s >= self.gap_s:
            raise ValueError(f"quiet_s ({self.quiet_s:g}) must be less than gap_s ({self.gap_s:g})")
        return self


class DegreesSettings(Section):
    """The global degree tables: how often each endpoint is source and destination over all traffic."""

    max_endpoints: int = setting(
        10_000,
        "endpoints per partition",
        "Further endpoints count as the one node {overflow}: a scanner must not fill the memory.",
        ge=1,
        le=65_535,
    )
    frozen: Path | None = setting(
        None,
        "file",
        "JSON file of a final degree table to use instead of counting live: makes two runs comparable.",
    )


class RoutesSettings(Section):
    """Which paths are one endpoint."""

    pinned: tuple[str, ...] = setting(
        (),
        "route templates",
        'Routes such as "/orders/{id}" or "GET /users/{name}" that win over the heuristics, which recognise ids only '
        "where they look like ids.",
    )
    openapi: Path | None = setting(
        None, "file", "OpenAPI description (JSON or YAML) of your API; its paths are pinned too."
    )


FROM_TOPIC = "topic:"
"""As ``model.bundle``: the models are on the topic ``topics.models``."""


class ModelSettings(Section):
    """The model bundle and its decision thresholds."""

    bundle: str = setting(
        "access-behaviour",
        "name or path",
        "Shipped bundle (access-behaviour, demo), or the folder or zip that gatewatch train wrote. The default is "
        "trained on a public table; train your own for your traffic. topic: has workers follow the topic of models.",
        min_length=1,
    )
    challenger: str | None = setting(
        None,
        "name or path",
        "A second bundle that judges the same vectors and never alerts: its scores are on the topic features, its "
        "verdicts in the metrics. Thresholds and minimum_edges set here hold for both.",
        min_length=1,
    )
    minimum_edges: int | None = setting(
        None,
        "edges",
        "Below this many edges in the degree tables verdicts are learning: rules alert instead of the model "
        "(rules.enabled). Unset: the bundle's.",
        ge=0,
    )
    threshold_open: float | None = setting(
        None, "score, 0 to 1", "Score from which an open session alerts. Unset: the bundle's.", ge=0, le=1
    )
    threshold_closed: float | None = setting(
        None, "score, 0 to 1", "Score from which a closed session alerts. Unset: the bundle's.", ge=0, le=1
    )

    @property
    def from_topic(self) -> bool:
        """True when workers follow the topic of models."""
        return self.bundle == FROM_TOPIC


class RulesSettings(Section):
    """What is alerted while the degree tables are learning, before the model's verdicts count."""

    enabled: bool = setting(
        default=True,
        unit="true or false",
        why="Alert by these rules, with low confidence, until the degree tables hold model.minimum_edges edges.",
    )
    unexpected: float = setting(
        16.0, "steps in a session", "Steps that follow where they came from less than once in a hundred times.", gt=0
    )
    unexpected_edges: int = setting(
        2_000, "edges", "With fewer in the degree tables no step is unexpected: nearly all are new.", ge=0
    )
    calls_per_minute: float = setting(
        600.0, "calls", "Calls a minute of one client, over its session, a minute at least.", gt=0
    )
    refused: float = setting(10.0, "calls in a session", "Calls that were answered 401 or 403.", gt=0)
    not_found: float = setting(20.0, "calls in a session", "Calls that were answered 404.", gt=0)
    objects: float = setting(500.0, "objects in a session", "Different objects asked for on one route.", gt=0)


class DriftSettings(Section):
    """When live vectors count as differently distributed from the training's."""

    window_vectors: int = setting(
        100_000,
        "vectors",
        "Drift is measured over at most so many of a worker's latest vectors, so that a change on a busy API shows "
        "within minutes.",
        ge=1,
    )
    window_s: float = setting(
        86_400.0,
        "s, event time",
        "Older vectors no longer count. A day, since a night differs from a day without any drift.",
        gt=0,
    )
    minimum_vectors: int = setting(
        1000,
        "vectors",
        "With fewer in the window drift is neither raised nor cleared: chance alone would reach the limits.",
        ge=1,
    )
    raise_above: float = setting(
        0.25, "PSI", "Drift of a feature, or of the score, is raised above this; 0.25 is the usual figure.", gt=0
    )
    clear_below: float = setting(
        0.1, "PSI", "Raised drift is cleared below this: one limit for both would flicker.", ge=0
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.clear_below > self.raise_above:
            raise ValueError(f"clear_below ({self.clear_below:g}) must not be above raise_above ({self.raise_above:g})")
        if self.minimum_vectors > self.window_vectors:
            raise ValueError("minimum_vectors must not be more than window_vectors")
        return self


class SeveritySettings(Section):
    """Scores from which an alert is more than low."""

    medium: float = setting(
        0.7, "score, 0 to 1", "Alerts from this score are medium; below it they are low.", ge=0, le=1
    )
    high: float = setting(0.85, "score, 0 to 1", "Alerts from this score are high.", ge=0, le=1)
    critical: float = setting(0.95, "score, 0 to 1", "Alerts from this score are critical.", ge=0, le=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not self.medium <= self.high <= self.critical:
            raise ValueError("medium, high and critical must not descend")
        return self


AlertEncoding = Literal["ocsf", "ecs", "cef"]


class AlertsSettings(Section):
    """What becomes an alert, and what it says."""

    encoding: AlertEncoding = setting(
        "ocsf",
        "name",
        "Form of the alerts: ocsf (OCSF Detection Finding, JSON), ecs (Elastic Common Schema, JSON) or cef (ArcSight's "
        "Common Event Format, text). OCSF says the most.",
    )
    cooldown_s: float = setting(
        600.0,
        "s, event time",
        "After an alert further ones of the same client wait this long: one incident, one page. Those held back "
        "are counted.",
        ge=0,
    )
    top_features: int = setting(5, "features", "Contributions listed in an alert: enough to see why at a glance.", ge=1)
    evidence_transitions: int = setting(
        5, "transitions", "Rarest transitions of the session listed in an alert as evidence.", ge=0
    )
    suppressions: Path | None = setting(
        None,
        "file",
        "TOML file of rules that account for alerts beforehand: these are published with the status Suppressed. Read "
        "again whenever it changes; gatewatch suppress writes it.",
    )
    severity: SeveritySettings = setting(
        SeveritySettings(), "scores", "Scores from which an alert is medium, high or critical."
    )
