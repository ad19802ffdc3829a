"""``gatewatch demo``: the whole path on this machine, without Kafka or Docker."""

import socket
from dataclasses import asdict
from typing import Annotated, Any

import typer
from confluent_kafka import Producer
from rich.markup import escape
from rich.table import Table

from stream import assembly
from stream.app import Role
from stream.console import print_json, stderr, stdout
from stream.demo import LIMITS, DemoSummary, Director, EmbeddedBroker, Subscriber, Traffic, summarise
from stream.errors import CommandError
from stream.flags import JsonFlag
from stream.logs import configure_logs
from stream.sections.operation import WebSettings
from stream.settings import Settings, load_settings
from stream.topic_specs import wanted_topics
from stream.worker import Worker, assemble, require_port, run_until_stopped

COLOURS = {"Low": "cyan", "Medium": "yellow", "High": "red", "Critical": "bold red"}

DurationFlag = Annotated[
    float | None,
    typer.Option(
        "--duration", metavar="SECONDS", min=1, help="Stop by itself. [default: at Ctrl-C]", show_default=False
    ),
]
RateFlag = Annotated[float, typer.Option("--rate", metavar="CALLS/S", min=1, max=5000, help="Calls per second.")]
ShareFlag = Annotated[
    float, typer.Option("--attack-share", metavar="0..1", min=0, max=1, help="Share of the sessions that are attacks.")
]
SeedFlag = Annotated[int, typer.Option("--seed", help="Varies the traffic.")]
BundleFlag = Annotated[str, typer.Option("--bundle", metavar="NAME|PATH", help="Model bundle.")]
PortFlag = Annotated[
    int | None,
    typer.Option(
        "--web-port", metavar="PORT", help="Port of the web server. [default: 6066, or a free one]", show_default=False
    ),
]


def demo(  # noqa: PLR0913 -- one parameter per flag
    *,
    duration: DurationFlag = None,
    rate: RateFlag = 200.0,
    attack_share: ShareFlag = 0.06,
    seed: SeedFlag = 0,
    bundle: BundleFlag = "demo",
    web_port: PortFlag = None,
    json: JsonFlag = False,
) -> None:
    """Watch gatewatch find simulated attacks: embedded broker, simulator, worker and live alerts in one process."""
    broker = EmbeddedBroker()
    settings = demo_settings(broker, bundle, web_port)
    require_port(settings.web)
    configure_logs(settings.log)
    names = settings.topics
    broker.make_topics(spec.name for spec in wanted_topics(settings))
    model = assembly.model_bundle(settings)
    stderr.print(f"model [bold]{model.uid}[/]: {escape(model.manifest.trained_on)}", soft_wrap=True)
    stderr.print(
        f"embedded broker at {broker.bootstrap_servers}: it gives at_least_once only; "
        "a real Kafka gives exactly_once (gatewatch run)",
        soft_wrap=True,
    )
    worker = assemble(settings, assembly.Models(model), Role.ALL)
    subscriber = Subscriber(broker.bootstrap_servers, names.anomalies, (lambda _: None) if json else show_alert)
    director = Director(worker, lambda: new_traffic(settings, rate, attack_share, seed), duration)
    subscriber.start()
    director.start()
    stderr.print(f"web: http://{settings.web.bind}:{settings.web.port} (/metrics, /readyz, /v1/score)", soft_wrap=True)
    code = run_until_stopped(worker)
    traffic = director.finish()
    subscriber.stop()
    if code or traffic is None:
        raise worker.explanation or CommandError("the worker stopped on an error", "the log above says which")
    summary = summarise(traffic, subscriber.alerts, closed_sessions(worker))
    if json:
        print_json(asdict(summary))
    else:
        show_summary(summary)


def demo_settings(broker: EmbeddedBroker, bundle: str, web_port: int | None) -> Settings:
    """Return settings for the embedded broker and for traffic faster than life."""
    flags = {
        "kafka.bootstrap_servers": broker.bootstrap_servers,
        "delivery.guarantee": "at_least_once",
        "model.bundle": bundle,
        "web.port": web_port or free_port(WebSettings().port),
        "log.level": "warning",
    }
    return load_settings(None, LIMITS | flags)


def free_port(wished: int) -> int:
    """Return the wished port of this machine's loopback if nothing listens there, else one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wished))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def new_traffic(settings: Settings, rate: float, attack_share: float, seed: int) -> Traffic:
    """Return traffic for the first input topic."""
    servers = settings.kafka.bootstrap_servers
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 3})
    return Traffic(producer, settings.inputs[0].topic, rate=rate, attack_share=attack_share, seed=seed)


def closed_sessions(worker: Worker) -> int:
    """Return how many sessions the worker has closed."""
    (family,) = worker.telemetry.sessions_closed.collect()
    return sum(int(sample.value) for sample in family.samples if sample.name.endswith("_total"))


def show_alert(finding: Any) -> None:
    """Print an alert as it comes."""
    colour, own = COLOURS[finding["severity"]], finding["unmapped"]
    stdout.print(
        f"[{colour}]{finding['severity']:8}[/] {own['kind']:7} {own['score']:.2f}  {escape(finding['message'])}",
        soft_wrap=True,
        highlight=False,
    )


def show_summary(summary: DemoSummary) -> None:
    """Print how the detector did."""
    table = Table("attack", "simulated", "alerted", "missed", "under way", box=None, pad_edge=False)
    for kind, simulated in summary.simulated.items():
        table.add_row(
            kind, str(simulated), str(summary.alerted[kind]), str(summary.missed[kind]), str(summary.under_way[kind])
        )
    stdout.print(table)
    p50, p99 = (
        "-" if value is None else f"{value:,.0f} ms" for value in (summary.latency_p50_ms, summary.latency_p99_ms)
    )
    stdout.print(
        f"{summary.calls:,} calls, {summary.sessions:,} sessions, {summary.alerts:,} alerts, "
        f"{sum(summary.simulated.values())} attacks simulated, {sum(summary.alerted.values())} alerted, "
        f"{sum(summary.missed.values())} missed, {sum(summary.under_way.values())} under way without an alert yet, "
        f"{summary.false_alerts} false alerts, "
        f"call to early alert p50 {p50}, p99 {p99}",
        soft_wrap=True,
        highlight=False,
    )
