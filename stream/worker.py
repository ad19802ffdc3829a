"""Worker: one process of gatewatch, assembled from settings and a model, and run until something ends it."""

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from stream import assembly
from stream.app import App, Leg, Role, add_legs, create_app
from stream.assembly import Models
from stream.errors import CommandError, ExitCode, StateError
from stream.host import Host, Reload, tune_garbage_collection
from stream.intake import Intake
from stream.label_feed import LabelFeed
from stream.measuring import StateGauges
from stream.model_feed import ModelFeed
from stream.model_reload import ModelReload, show_models
from stream.model_topic import FollowedModels, reader_config
from stream.pipeline import Detector
from stream.roles import DetectStage
from stream.sections.operation import WebSettings
from stream.settings import Settings
from stream.suppression_feed import SuppressionFeed, SuppressionTopicFeed
from stream.suppression_reload import RulesInForce, SuppressionReload
from stream.suppression_topic import FollowedRules
from stream.telemetry import Telemetry, process_registry
from stream.web.pages import Site, add_pages

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Worker:
    """A worker ready to run.

    Attributes:
        app: the Faust application.
        legs: the roles at work.
        telemetry: the metrics.
        gauges: brings the gauges up to date.
        reload: reads the model again; None without the role detect.
        shutdown_timeout_s: longest that stopping in good order may take.
    """

    app: App
    legs: Sequence[Leg]
    telemetry: Telemetry
    gauges: StateGauges
    reload: Reload | None
    shutdown_timeout_s: float

    @property
    def ready(self) -> bool:
        """True when every role has joined its group and reads all its partitions."""
        return all(leg.intake.ready for leg in self.legs)

    @property
    def explanation(self) -> CommandError | None:
        """The error that a role stopped on, if it says by itself what to do."""
        reasons = (leg.intake.crash_reason for leg in self.legs)
        return next((reason for reason in reasons if isinstance(reason, CommandError)), None)

    @property
    def lag(self) -> int:
        """Records not yet read, over all assigned partitions."""
        return sum(sum(leg.intake.lags().values()) for leg in self.legs)


def assemble(
    settings: Settings,
    models: Models | None,
    role: Role,
    followed: FollowedModels | None = None,
    rules: FollowedRules | None = None,
) -> Worker:
    """Return a worker; nothing runs and nothing is connected yet.

    Args:
        settings: of everything.
        models: the models that judge; None for the role normalise, which judges nothing.
        role: what the worker does.
        followed: the topic that they are from, to follow it; None when the settings name them.
        rules: suppression rules of a topic, to follow it; None when the settings name a file, or there are none.

    Raises:
        SettingsError: settings that only show to be wrong in use.
    """
    telemetry = Telemetry(process_registry())
    app = create_app(settings)
    legs = add_legs(app, settings, models, role, telemetry)
    detector = _detector_of(legs)
    if models is not None:
        show_models(telemetry, models)
    gauges = StateGauges(telemetry, app.intakes, detector)
    site = Site(
        settings.web,
        telemetry,
        checks={f"{leg.role} consumer": _joined(leg.intake) for leg in legs},
        scoring=detector,
        excluded_methods=settings.sessions.excluded_methods,
        refresh=gauges.refresh,
    )
    add_pages(app, site)
    reload = None if detector is None else _reload(app, settings, detector, telemetry, followed)
    if detector is not None:
        labels = LabelFeed(reader_config(settings), settings.topics.labels, telemetry)
        app.feeds = [*app.feeds, *_rule_feeds(settings, detector, telemetry, rules), labels]
    return Worker(app, legs, telemetry, gauges, reload, settings.delivery.shutdown_timeout_s)


def require_port(settings: WebSettings) -> None:
    """Make sure that the web server can listen.

    Raises:
        CommandError: something else listens there.
    """
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise CommandError(
                f"the web server cannot listen on {settings.bind}:{settings.port}: {error.strerror}",
                "choose another port with --web-port, or another address with --set web.bind=…",
            ) from error


def run_until_stopped(worker: Worker) -> ExitCode:
    """Run a worker; SIGTERM and SIGINT end it in good order, SIGHUP reloads its model.

    Returns:
        OK after a signal; STATE when the durable state could not be gone on from, FAILURE when the worker failed
        otherwise (the log says why).
    """
    host = Host(worker.app, worker.shutdown_timeout_s, worker.reload)
    tune_garbage_collection()
    try:
        host.execute_from_commandline()
    except SystemExit as ended:
        crashed = bool(ended.code) or host.crashed or worker.app.crashed
    except Exception as error:  # noqa: BLE001 -- logged where it happened; here it only decides the exit code
        log.error("the worker failed", error=str(error))  # noqa: TRY400 -- the traceback has been logged
        crashed = True
    if not crashed:
        return ExitCode.OK
    failures = [leg.intake.failure for leg in worker.legs]
    return ExitCode.STATE if any(isinstance(failure, StateError) for failure in failures) else ExitCode.FAILURE


def _reload(
    app: App, settings: Settings, detector: Detector, telemetry: Telemetry, followed: FollowedModels | None
) -> Reload:
    """Return what reloads the models; those of a topic are followed as well."""
    if followed is None:
        return ModelReload(settings, detector, telemetry, lambda: assembly.named_models(settings)).reload
    reload = ModelReload(settings, detector, telemetry, followed.models.models)
    feed = ModelFeed(
        reader_config(settings),
        settings.topics.models,
        start=followed.position,
        models=followed.models,
        reload=reload,
    )
    app.feeds = [*app.feeds, feed]
    return reload.reload


def _rule_feeds(
    settings: Settings, detector: Detector, telemetry: Telemetry, followed: FollowedRules | None
) -> Iterator[SuppressionFeed | SuppressionTopicFeed]:
    """Yield what keeps the suppression rules up to date; those of a topic are put in force first."""
    if followed is not None:
        detector.suppressions = followed.rules.rules()
        in_force = RulesInForce(detector, telemetry)
        topic, config = settings.topics.suppressions, reader_config(settings)
        yield SuppressionTopicFeed(config, topic, start=followed.position, rules=followed.rules, in_force=in_force)
    elif settings.alerts.suppressions is not None and not settings.alerts.from_topic:
        yield SuppressionFeed(SuppressionReload(settings.alerts.suppressions, detector, telemetry))


def _detector_of(legs: Sequence[Leg]) -> Detector | None:
    return next((leg.stage.detector for leg in legs if isinstance(leg.stage, DetectStage)), None)


def _joined(intake: Intake) -> Callable[[], tuple[bool, str]]:
    def check() -> tuple[bool, str]:
        if not intake.joined:
            return False, "has not joined its consumer group yet"
        return intake.ready, f"is restoring {len(intake.restoring)} partitions"

    return check
