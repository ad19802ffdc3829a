"""Assembly: builds the pipeline that settings describe; the one place that reads settings for it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from pydantic import ByteSize

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import GATEWAY_V1
from featurizer.routes import RouteTemplates
from featurizer.session import SESSION_BYTES, SessionPolicy
from scorer.alerts import AlertPolicy
from scorer.bundle import BundleError, ModelBundle
from scorer.drift import DriftPolicy
from scorer.judge import Judge
from scorer.rules import RulePolicy
from scorer.severity import Severity, SeverityPolicy, Worth
from scorer.suppression import Suppressions
from stream.adapters import IdentityChain, Pseudonyms, decoder
from stream.batches import Decode
from stream.bundles import read_bundle
from stream.challenger import Challenger
from stream.dead_letter_limit import DeadLetterPolicy
from stream.errors import CommandError, ExitCode, SettingsError
from stream.openapi import read_openapi
from stream.pipeline import Detector, Normaliser, Sessionizer
from stream.pseudonym_keys import hmac_keys
from stream.settings import Settings
from stream.suppressions import read_suppressions

J = TypeVar("J", bound=Judge)

SCHEMA = GATEWAY_V1
"""The features that are computed: what models of any schema need."""


class Models(NamedTuple):
    """The models that judge.

    Attributes:
        champion: the one in use.
        challenger: one that judges beside it.
    """

    champion: ModelBundle
    challenger: ModelBundle | None = None


def session_policy(settings: Settings) -> SessionPolicy:
    """Return the limits of sessions, seconds turned into milliseconds.

    Raises:
        SettingsError: the memory budget is too small for any session.
    """
    own = settings.sessions
    return SessionPolicy(
        gap=_ms(own.gap_s),
        max_duration=_ms(own.max_duration_s),
        max_calls=own.max_calls,
        max_edges=own.max_edges,
        max_open=max_open(settings),
        lateness=_ms(own.lateness_s),
        linger=_ms(own.linger_s),
        quiet=_ms(own.quiet_s),
        first_vector_calls=own.first_vector_calls,
        quiet_growth=own.quiet_growth,
        future_tolerance=_ms(own.future_tolerance_s),
    )


def max_open(settings: Settings) -> int:
    """Return how many sessions may be open in a partition.

    A memory budget is shared out over all input partitions, because one worker may have to hold them all, and so that
    the log alone decides which sessions are closed early, whichever worker reads it.

    Raises:
        SettingsError: the memory budget is too small for any session.
    """
    budget = settings.state.memory_budget
    if budget is None:
        return settings.sessions.max_open
    partitions = settings.topics.partitions * (1 + sum(entry.keyed for entry in settings.inputs))
    fitting = int(budget) // (SESSION_BYTES * partitions)
    if not fitting:
        least = ByteSize(SESSION_BYTES * partitions * 1000).human_readable()
        problem = f"state.memory_budget: {budget.human_readable()} holds no session in each of {partitions} partitions"
        raise SettingsError([f"{problem}: give at least {least} (1,000 sessions each)"])
    return min(settings.sessions.max_open, fitting)


def alert_policy(settings: Settings) -> AlertPolicy:
    """Return the limits of alerting."""
    own = settings.alerts
    return AlertPolicy(
        cooldown=_ms(own.cooldown_s),
        top_features=own.top_features,
        evidence_transitions=own.evidence_transitions,
        severity=severity_policy(settings),
        budget=own.budget_per_hour,
        budget_exempt=None if own.budget_exempt == "none" else Severity(own.budget_exempt),
    )


def severity_policy(settings: Settings) -> SeverityPolicy:
    """Return the table of severities."""
    own = settings.alerts.severity
    endpoints = tuple((glob, Worth(worth)) for glob, worth in own.endpoints.items())
    return SeverityPolicy(**own.model_dump(exclude={"endpoints"}), endpoints=endpoints)


def drift_policy(settings: Settings) -> DriftPolicy:
    """Return the window and the limits of drift."""
    own = settings.drift
    return DriftPolicy(
        window_vectors=own.window_vectors,
        window=_ms(own.window_s),
        minimum_vectors=own.minimum_vectors,
        raise_above=own.raise_above,
        clear_below=own.clear_below,
    )


def dead_letter_policy(settings: Settings) -> DeadLetterPolicy:
    """Return the limit of dead letters."""
    own = settings.dead_letters
    return DeadLetterPolicy(share=own.limit_share, window=own.limit_window_records, minimum=own.limit_minimum)


def route_templates(settings: Settings) -> RouteTemplates:
    """Return the route templates: pinned ones and those of the OpenAPI file first.

    Raises:
        SettingsError: a pin or the file is wrong.
    """
    try:
        return RouteTemplates(pinned_routes(settings))
    except (ValueError, OSError) as error:
        raise SettingsError([f"routes: {error}"]) from error


def pinned_routes(settings: Settings) -> list[str]:
    """Return the routes that win over the heuristics: pinned ones and those of the OpenAPI file.

    Raises:
        OSError: the file can't be read.
        ValueError: it describes no API.
    """
    described = read_openapi(settings.routes.openapi) if settings.routes.openapi else []
    return [*settings.routes.pinned, *described]


def frozen_degrees(path: Path | None) -> DegreeSnapshot | None:
    """Return the degree table of a file that ``gatewatch replay --degrees-out`` wrote; None without a file.

    Raises:
        SettingsError: the file is missing or no degree table.
    """
    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=DegreeSnapshot)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(
            [f"degrees.frozen: {path}: {error}; write one with `gatewatch replay --degrees-out FILE`"]
        ) from error


def named_models(settings: Settings) -> Models:
    """Return the models that the settings name.

    Raises:
        CommandError: there is no such bundle, or one can't be used here.
    """
    return Models(model_bundle(settings), challenger_bundle(settings))


def model_bundle(settings: Settings) -> ModelBundle:
    """Return the model that the settings name.

    Raises:
        CommandError: there is no such bundle, or it can't be used here.
    """
    if settings.model.from_topic:
        raise CommandError(
            f"model.bundle is the topic {settings.topics.models}, which only workers follow",
            "fetch a bundle with `gatewatch models save champion our-api.zip`, and name that: --bundle our-api.zip",
            ExitCode.USAGE,
        )
    try:
        return read_bundle(settings.model.bundle, SCHEMA)
    except BundleError as error:
        raise CommandError(str(error), exit_code=ExitCode.USAGE) from error


def challenger_bundle(settings: Settings) -> ModelBundle | None:
    """Return the model at trial that the settings name; None without one.

    Raises:
        CommandError: there is no such bundle, or it can't be used here.
    """
    if settings.model.challenger is None:
        return None
    if settings.model.from_topic:
        raise CommandError(
            f"model.challenger names a bundle, but models are those of the topic {settings.topics.models}",
            "unset model.challenger, and put the bundle on trial with: gatewatch models try BUNDLE",
            ExitCode.USAGE,
        )
    try:
        return read_bundle(settings.model.challenger, SCHEMA)
    except BundleError as error:
        hint = "name a bundle trained for this version in model.challenger, or unset it to run without a challenger"
        raise CommandError(f"model.challenger: {error}", hint, ExitCode.USAGE) from error


def make_challenger(settings: Settings, bundle: ModelBundle | None) -> Challenger | None:
    """Return the model at trial, with the overrides that would be the champion's once it is promoted."""
    if bundle is None:
        return None
    # Rules have nothing to compare with: while they decide, a model at trial does not.
    return Challenger(make_judge(settings, bundle, Judge, with_rules=False), alert_policy(settings))


def make_judge(settings: Settings, bundle: ModelBundle, kind: type[J], *, with_rules: bool = True) -> J:
    """Return the model with the settings' overrides."""
    own, rules = settings.model, settings.rules
    return kind(
        bundle,
        minimum_edges=own.minimum_edges,
        threshold_open=own.threshold_open,
        threshold_closed=own.threshold_closed,
        rules=RulePolicy(**rules.model_dump(exclude={"enabled"})) if with_rules and rules.enabled else None,
    )


def identity_chain(settings: Settings) -> IdentityChain:
    """Return which names of a client come first."""
    return IdentityChain(settings.identity.order, settings.identity.trusted_hops)


def pseudonyms(settings: Settings) -> Pseudonyms | None:
    """Return the pseudonyms of clients and addresses; None when they stay as they are logged.

    Raises:
        SettingsError: the keys can't be read, or the current one is not among them.
    """
    current = settings.privacy.current
    if current is None:
        return None
    try:
        return Pseudonyms(hmac_keys(settings), current)
    except ValueError as error:
        raise SettingsError([f"privacy.current: {error}"]) from None


def log_decoder(settings: Settings, log_format: str) -> Decode:
    """Return how logs of a format are read in files.

    Raises:
        SettingsError: a route or a key is wrong.
    """
    return decoder(log_format, route_templates(settings), identity_chain(settings), pseudonyms(settings))


def _input_decoders(settings: Settings, routes: RouteTemplates | None, *, keyed: bool) -> dict[str, Decode]:
    """Return how the inputs that are keyed by client are read, or the others.

    The keys of pseudonyms are asked for where there is such an input only: other workers need not have them.
    """
    inputs = [own for own in settings.inputs if own.keyed is keyed]
    routes, identities = routes or route_templates(settings), identity_chain(settings)
    names = pseudonyms(settings) if inputs else None
    return {own.topic: decoder(own.format, routes, identities, names) for own in inputs}


def normaliser(settings: Settings, routes: RouteTemplates | None = None) -> Normaliser:
    """Return the pipeline's first step over the inputs that are not keyed by client.

    Args:
        settings: which inputs, and how clients are named.
        routes: the route templates, if they have been made of the settings already.
    """
    return Normaliser(_input_decoders(settings, routes, keyed=False))


def sessionizer(
    settings: Settings, decoders: Mapping[str, Decode | None], kind: Callable[..., Sessionizer] = Sessionizer
) -> Sessionizer:
    """Return the pipeline's second step alone: sessions and vectors without a model.

    Args:
        settings: limits.
        decoders: how to read each source; None for calls in wire form.
        kind: makes the sessionizer.

    Raises:
        SettingsError: the frozen degree table can't be read.
    """
    return kind(decoders, **_limits(settings))


def detector(
    settings: Settings, judge: Judge, decoders: Mapping[str, Decode | None], challenger: Challenger | None = None
) -> Detector:
    """Return the pipeline's later steps.

    Args:
        settings: limits.
        judge: the model with its thresholds.
        decoders: how to read each source; None for calls in wire form.
        challenger: a model that judges beside it.

    Raises:
        SettingsError: the frozen degree table or the file of suppression rules can't be read.
    """
    return Detector(
        decoders, judge=judge, challenger=challenger, suppressions=suppressions(settings), **_limits(settings)
    )


def suppressions(settings: Settings) -> Suppressions:
    """Return the suppression rules of the file; none without one: those of the topic only workers follow.

    Raises:
        SettingsError: the file can't be read, or a rule is wrong.
    """
    path = settings.alerts.suppressions
    try:
        return Suppressions() if path is None or settings.alerts.from_topic else read_suppressions(path, SCHEMA.names)
    except ValueError as error:
        raise SettingsError([f"alerts.suppressions: {error}"]) from error


def _limits(settings: Settings) -> dict[str, Any]:
    return {
        "sessions": session_policy(settings),
        "alerts": alert_policy(settings),
        "schema": SCHEMA,
        "max_endpoints": settings.degrees.max_endpoints,
        "excluded_methods": settings.sessions.excluded_methods,
        "frozen": frozen_degrees(settings.degrees.frozen),
    }


def detect_decoders(settings: Settings, routes: RouteTemplates | None = None) -> dict[str, Decode | None]:
    """Return how the role detect reads each of its topics; None for calls in wire form. Arguments as ``normaliser``."""
    return {**_input_decoders(settings, routes, keyed=True), settings.topics.api_calls: None}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
