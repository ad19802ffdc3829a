"""``gatewatch simulate``: simulated traffic, with attacks, to a file or a topic."""

import contextlib
import json as json_module
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream.clock import now_ms
from stream.console import print_json, stderr, stdout
from stream.errors import CommandError
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.simulator.catalogue import openapi_document
from stream.simulator.encoders import TrafficFormat, encoder
from stream.simulator.files import FileSink, LabelFile
from stream.simulator.pacing import paced
from stream.simulator.traffic import DEFAULT_START, Simulation, SimulationOptions
from stream.simulator.writing import Report, Sink, Summary, write_traffic

DEFAULT_DURATION_S = 600.0

OutFlag = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the calls to a file, a line each.")
]
TopicFlag = Annotated[
    str | None,
    typer.Option("--topic", "-t", metavar="TOPIC", help="Produce the calls to a Kafka topic, a record each."),
]
LabelsFlag = Annotated[
    Path | None, typer.Option("--labels", metavar="FILE", help="Write which calls are attacks, a JSON object a line.")
]
OpenapiFlag = Annotated[
    Path | None, typer.Option("--openapi", metavar="FILE", help="Write the OpenAPI description of the simulated API.")
]
FormatFlag = Annotated[TrafficFormat, typer.Option("--format", "-f", help="Log format.")]
DurationFlag = Annotated[
    float | None,
    typer.Option(
        "--duration",
        metavar="SECONDS",
        help="Event time to simulate. [default: 600; to a topic in real time: until stopped]",
        show_default=False,
    ),
]
RateFlag = Annotated[
    float, typer.Option("--rate", metavar="CALLS/S", help="Calls per second of event time, on average.")
]
AttackShareFlag = Annotated[
    float, typer.Option("--attack-share", metavar="0..1", help="Share of the sessions that are attacks.")
]
SeedFlag = Annotated[int, typer.Option("--seed", help="The same seed, start and flags give the same calls.")]
StartFlag = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="TIME",
        help="Event time of the beginning: ISO 8601, epoch milliseconds, or now. "
        "[default: 2026-01-01T00:00:00Z; to a topic: now, or so that the calls end now]",
        show_default=False,
    ),
]
TimeScaleFlag = Annotated[
    float,
    typer.Option("--time-scale", metavar="FACTOR", help="Divide all pauses by it; 30 suits a session gap of 10 s."),
]
ClientsFlag = Annotated[
    int | None,
    typer.Option("--clients", help="Benign clients. [default: as many as the rate needs]", show_default=False),
]
AttacksFromFlag = Annotated[
    float, typer.Option("--attacks-from", metavar="SECONDS", help="Begin attacks only after this long.")
]
FastFlag = Annotated[bool, typer.Option("--as-fast-as-possible", help="Do not keep to real time on a topic.")]
KeyedFlag = Annotated[bool, typer.Option("--keyed", help="Give records the client as their key.")]


class Target(NamedTuple):
    """Where calls go and how."""

    out: Path | None
    topic: str | None
    format: TrafficFormat
    keyed: bool
    live: bool


def simulate(  # noqa: PLR0913 -- one parameter per flag
    *,
    out: OutFlag = None,
    topic: TopicFlag = None,
    labels: LabelsFlag = None,
    openapi: OpenapiFlag = None,
    format: FormatFlag = TrafficFormat.GATEWATCH,  # noqa: A002 -- the flag's name
    duration: DurationFlag = None,
    rate: RateFlag = 200.0,
    attack_share: AttackShareFlag = 0.03,
    seed: SeedFlag = 0,
    start: StartFlag = None,
    time_scale: TimeScaleFlag = 1.0,
    clients: ClientsFlag = None,
    attacks_from: AttacksFromFlag = 0.0,
    as_fast_as_possible: FastFlag = False,
    keyed: KeyedFlag = False,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Write simulated traffic of a shop's API: mostly benign, some of it attacks.

    A topic gets the calls in real time unless --as-fast-as-possible is given; a file gets them at once.
    """
    if openapi is not None:
        write_openapi(openapi)
        if out is None and topic is None:
            return
    target = target_of(out, topic, format, keyed=keyed, fast=as_fast_as_possible)
    options = options_of(
        target, start, duration, seed=seed, rate=rate, attack_share=attack_share, time_scale=time_scale,
        clients=clients, attacks_from_s=attacks_from,
    )  # fmt: skip
    properties = None if topic is None else producer_properties(config, assign, bootstrap)
    show(write(options, target, properties, labels), topic or str(out), json=json)


def write_openapi(path: Path) -> None:
    """Write the description of the simulated API.

    Raises:
        CommandError: the file cannot be written.
    """
    try:
        path.write_text(json_module.dumps(openapi_document(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


def target_of(
    out: Path | None,
    topic: str | None,
    format: TrafficFormat,  # noqa: A002 -- the flag's name
    *,
    keyed: bool,
    fast: bool,
) -> Target:
    """Return where the calls go.

    Raises:
        typer.BadParameter: nowhere, or to two places.
    """
    if (out is None) == (topic is None):
        raise typer.BadParameter("give either --out FILE or --topic TOPIC")
    return Target(out, topic, format, keyed, live=topic is not None and not fast)


def options_of(target: Target, start: str | None, duration_s: float | None, **fields: Any) -> SimulationOptions:
    """Return the options: those in ``fields`` as they are, the others as they suit the target.

    Raises:
        typer.BadParameter: a value is out of range.
    """
    if duration_s is None and not target.live:
        duration_s = DEFAULT_DURATION_S
    try:
        return SimulationOptions(
            start=start_of(start, target, duration_s),
            duration_s=duration_s,
            by_address=target.format.by_address,
            **fields,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def start_of(text: str | None, target: Target, duration_s: float | None) -> int:
    """Return the event time to begin with, epoch milliseconds.

    Raises:
        typer.BadParameter: the text is not a time.
    """
    if text is None:
        if target.topic is None:
            return DEFAULT_START
        return now_ms() if target.live else now_ms() - round((duration_s or 0) * 1000)
    if text == "now":
        return now_ms()
    if text.isdecimal():
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--start {text}: write 2026-01-01T00:00:00Z, epoch milliseconds, or now") from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def producer_properties(config: Path | None, assign: list[str] | None, bootstrap: str | None) -> dict[str, Any]:
    """Return librdkafka's properties for writing to the user's cluster.

    Raises:
        SettingsError: the settings cannot be used.
    """
    from stream.kafka_config import producer_config  # noqa: PLC0415 -- loads librdkafka: a file needs none of it

    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    return producer_config(settings, None) | {"delivery.report.only.error": True}


def write(
    options: SimulationOptions, target: Target, properties: dict[str, Any] | None, labels: Path | None
) -> Summary:
    """Write the calls and labels, showing progress, until they end or the process is asked to stop.

    Raises:
        CommandError: they cannot be written; says why.
    """
    simulation = Simulation(options)
    with contextlib.ExitStack() as stack:
        sink = sink_of(target, properties)
        label_file = None if labels is None else stack.enter_context(contextlib.closing(LabelFile(labels)))
        stop = stack.enter_context(stopping())
        report = stack.enter_context(progress(options))
        ahead = now_ms() - options.start
        calls = paced(simulation, lambda: now_ms() - ahead, stop.wait) if target.live else simulation
        try:
            summary = write_traffic(simulation, calls, sink, labels=label_file, stop=stop, report=report)
            sink.close()
        except OSError as error:
            raise CommandError(f"cannot write: {error.strerror}") from error
    return summary


def sink_of(target: Target, properties: dict[str, Any] | None) -> Sink:
    """Return where the calls go.

    Raises:
        CommandError: it is not there.
    """
    encode = encoder(target.format)
    if target.out is not None:
        return FileSink(target.out, encode)
    from confluent_kafka import Producer  # noqa: PLC0415 -- loads librdkafka: a file needs none of it

    from stream.simulator.sinks import TopicSink  # noqa: PLC0415 -- same

    return TopicSink(Producer(properties or {}), str(target.topic), encode, keyed=target.keyed)


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; a second SIGINT interrupts as usual."""
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def progress(options: SimulationOptions) -> Iterator[Report]:
    """Show how far the simulation has come, on a terminal."""
    columns = (
        TextColumn("{task.fields[calls]:,} calls"),
        BarColumn(),
        TextColumn("{task.fields[time]}"),
        TimeRemainingColumn(),
    )
    total = None if options.duration_s is None else options.duration_s * 1000
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("", total=total, calls=0, time="")

        def report(calls: int, reached: int) -> None:
            time = datetime.fromtimestamp(reached / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
            bar.update(task, completed=reached - options.start, calls=calls, time=time)

        yield report


def show(summary: Summary, where: str, *, json: bool) -> None:
    """Print the summary, for a person or as JSON."""
    if json:
        print_json(msgspec.to_builtins(summary))
        return
    table = Table("session", "begun", "labelled", box=None, pad_edge=False)
    for name, begun in summary.sessions.items():
        table.add_row(name, f"{begun:,}", f"{summary.attacks[name]:,}" if name in summary.attacks else "")
    stdout.print(table)
    stdout.print(
        f"{summary.calls:,} calls ({summary.calls_per_second:,.1f}/s of event time, {summary.hostile_calls:,} hostile) "
        f"to {where} in {summary.seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
