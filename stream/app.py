"""App: the Faust application that hosts the agents, the intakes and the web server.

Faust gives the life cycle, agents, channels, signals and the web server. It does not move bytes: its own consumer is
left out of the boot (see .github/adr), and ``stream.intake`` and ``stream.outbox`` talk to Kafka.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import faust
from faust.app.base import BootStrategy
from mode import Service

from stream import assembly
from stream.agents import Send, add_detect_agents, add_normalise_agent
from stream.assembly import Models
from stream.batch_size import BatchSize
from stream.cycle import Delivery, Flushes, Transactions
from stream.dead_letter_limit import DeadLetterWindow
from stream.degree_feed import DegreeFeed
from stream.drift_watch import DriftWatch
from stream.errors import SettingsError
from stream.intake import Intake, Stage
from stream.kafka_config import consumer_config, producer_config
from stream.measuring import Recorder, TimedJudge
from stream.outbox import Outbox
from stream.pipeline import Detector
from stream.recovery import Recovery
from stream.roles import CheckpointPolicy, DetectStage, NormaliseStage
from stream.settings import Settings
from stream.state_reader import StateReader
from stream.telemetry import Telemetry

_STEP_TIMEOUT_S = 30.0


class Role(StrEnum):
    """What a worker does; ``all`` is both on one event loop."""

    ALL = "all"
    NORMALISE = "normalise"
    DETECT = "detect"

    @property
    def parts(self) -> tuple["Role", ...]:
        """The roles that run."""
        return (Role.NORMALISE, Role.DETECT) if self is Role.ALL else (self,)


class WithoutFaustsKafka(BootStrategy):
    """Boot without Faust's consumer and producer."""

    enable_kafka = False


class App(faust.App):
    """A Faust app that reads no topics itself."""

    BootStrategy = WithoutFaustsKafka

    feeds: Sequence[Service] = ()
    intakes: Sequence[Intake] = ()

    async def on_first_start(self) -> None:
        """Do not create Faust's data directory: nothing is kept in it."""

    async def on_start(self) -> None:
        """Let the agents' streams flow: Faust would do so when its own consumer gets partitions."""
        await super().on_start()
        self.flow_control.resume()

    async def on_started(self) -> None:
        """Start to read once the agents run; as the last services started, the intakes are the first to stop."""
        await super().on_started()
        for service in (*self.feeds, *self.intakes):
            await self.add_runtime_dependency(service)


@dataclass(frozen=True)
class Leg:
    """One role at work: its intake and its state."""

    role: Role
    intake: Intake
    stage: NormaliseStage | DetectStage


def create_app(settings: Settings) -> App:
    """Return an empty application with the settings' web server."""
    return App(
        settings.kafka.group_prefix,
        # Faust wants the address of a broker even when it is not to talk to one.
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        web_bind=settings.web.bind,
        web_host=settings.web.bind,
        web_port=settings.web.port,
        # An agent's exception must stop the worker: Faust's default would drop the batch and go on.
        agent_supervisor="mode.supervisors.CrashingSupervisor",
        autodiscover=False,
    )


def add_legs(app: App, settings: Settings, models: Models | None, role: Role, telemetry: Telemetry) -> list[Leg]:
    """Add the agents of a role to an application, and return its legs; their intakes are started with the app.

    Raises:
        ValueError: the role judges, and there are no models.
        SettingsError: routes, librdkafka properties or the frozen degree table are wrong.
    """
    legs = []
    policy = assembly.dead_letter_policy(settings)
    routes = assembly.route_templates(settings)
    telemetry.templates_info.labels(routes.version).set(1)
    unkeyed = [entry.topic for entry in settings.inputs if not entry.keyed]
    if Role.NORMALISE in role.parts and unkeyed:
        limit = DeadLetterWindow(policy, Role.NORMALISE)
        committed = Recorder(telemetry, settings.sessions.max_edges).committed
        normalise = NormaliseStage(
            assembly.normaliser(settings, routes), settings.topics, limit, originals=settings.dead_letters.originals
        )
        outbox = Outbox(_delivery(settings, Role.NORMALISE), normalise.encode, committed, _interval_s(settings))
        send = add_normalise_agent(app, normalise, outbox, telemetry)
        legs.append(Leg(Role.NORMALISE, _intake(settings, Role.NORMALISE, unkeyed, send, normalise, outbox), normalise))
    if Role.DETECT in role.parts:
        if models is None:
            raise ValueError(f"the role {role} needs models")
        judge = assembly.make_judge(settings, models.champion, TimedJudge)
        judge.telemetry = telemetry
        decoders = assembly.detect_decoders(settings, routes)
        limit = DeadLetterWindow(policy, Role.DETECT)
        detector = assembly.detector(settings, judge, decoders, assembly.make_challenger(settings, models.challenger))
        detect = _detect_stage(settings, detector, limit, routes.version)
        drift = DriftWatch(detector, assembly.drift_policy(settings), telemetry)
        committed = Recorder(telemetry, settings.sessions.max_edges, drift).committed
        outbox = Outbox(_delivery(settings, Role.DETECT), detect.encode, committed, _interval_s(settings))
        send = add_detect_agents(app, detect, outbox, telemetry)
        recovery = _recovery(settings, detect, telemetry)
        intake = _intake(settings, Role.DETECT, list(decoders), send, detect, outbox, recovery)
        legs.append(Leg(Role.DETECT, intake, detect))
    if not legs:
        raise SettingsError(["inputs: all are keyed, so the role normalise has nothing to read; run the role detect"])
    app.intakes = [leg.intake for leg in legs]
    return legs


def _detect_stage(settings: Settings, detector: Detector, limit: DeadLetterWindow, templates: str) -> DetectStage:
    own = settings.state
    return DetectStage(
        detector,
        settings.topics,
        assembly.SCHEMA,
        sessions=assembly.session_policy(settings),
        policy=CheckpointPolicy(own.checkpoint_interval_s, own.checkpoint_records),
        limit=limit,
        encoding=settings.alerts.encoding,
        originals=settings.dead_letters.originals,
        templates=templates,
    )


def _recovery(settings: Settings, stage: DetectStage, telemetry: Telemetry) -> Recovery:
    config = consumer_config(settings, Role.DETECT)
    return Recovery(
        lambda: StateReader(config, settings.topics.state),
        DegreeFeed(config, settings.topics.degrees, stage.learn),
        stage,
        transactional=settings.delivery.guarantee == "exactly_once",
        accept_loss=settings.state.accept_loss,
        telemetry=telemetry,
    )


def _interval_s(settings: Settings) -> float:
    return settings.delivery.commit_interval_ms / 1000


def _delivery(settings: Settings, role: Role) -> Delivery:
    if settings.delivery.guarantee == "at_least_once":
        return Flushes(producer_config(settings, None), _STEP_TIMEOUT_S)
    # The same id after a restart lets init_transactions abort at once what a killed worker left open; until then
    # read_committed consumers wait. Two workers of one machine differ in the port of their web server.
    identity = f"{settings.kafka.group_prefix}-{role}-{socket.gethostname()}-{settings.web.port}"
    return Transactions(producer_config(settings, identity), _STEP_TIMEOUT_S)


def _intake(  # noqa: PLR0913, PLR0917 -- the parts of an intake
    settings: Settings,
    role: Role,
    topics: list[str],
    send: Send,
    stage: Stage,
    outbox: Outbox,
    recovery: Recovery | None = None,
) -> Intake:
    return Intake(
        role,
        consumer_config(settings, role),
        topics,
        send=send,
        stage=stage,
        outbox=outbox,
        recovery=recovery,
        batch_size=BatchSize(settings.delivery.batch_size, settings.delivery.batch_ms / 1000),
        idle_after_s=settings.sessions.idle_after_s,
        shutdown_timeout_s=settings.delivery.shutdown_timeout_s,
    )
