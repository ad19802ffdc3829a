"""Trial: workers are killed while they read a known input; what they publish is compared with what they must."""

import gc
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from confluent_kafka import KafkaException, Producer

from stream.clock import now_ms
from stream.errors import CommandError
from stream.kafka_config import PRODUCER_DEFAULTS
from stream.records import Record
from stream.settings import Settings, load_settings
from tests.chaos import published
from tests.chaos.comparing import Comparison, compare, repeated_alerts
from tests.chaos.faults import Chaos
from tests.chaos.fleet import Fleet, last_words
from tests.chaos.installation import put_model, settings_of
from tests.chaos.items import Item
from tests.chaos.reference import Detection, degrees_of, normalised, recorded_verdicts
from tests.chaos.schedule import FaultKind, Schedule
from tests.chaos.traffic import LogRecord, make_traffic, markers
from tests.chaos.writer import Writer
from tests.kafka_broker import Broker, GivenBroker
from tests.kafka_fixture import Kafka
from tests.kafka_workers import Gatewatch
from tests.start_server import StartServer

T = TypeVar("T")

CALLS = 200_000
_BEGINS_BEFORE_MS = 7_200_000
_LOOK_S = 0.05
_ASK_S = 0.3
_LONGEST_S = 300.0
_DEGREES_OF = 10_000


@dataclass
class Outcome:
    """What became of a trial.

    Attributes:
        schedule: the trial.
        calls: size of its input, about.
        injected: faults that happened.
        comparison: published against expected.
        crashes: workers that ended by themselves and were started again, each with its last words.
        failures: what went wrong besides.
        restored: partitions that workers restored.
        replayed: records that they read again for it.
        phases: seconds that each part took.
        seconds: it took.
    """

    schedule: Schedule
    calls: int
    injected: Counter[FaultKind] = field(default_factory=Counter)
    comparison: Comparison = field(default_factory=Comparison)
    crashes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    restored: int = 0
    replayed: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """True when nothing was lost, doubled or changed, and nothing went wrong."""
        return self.comparison.equal and not self.failures


class StuckError(Exception):
    """The workers have not come to an end in time; the message says with what."""


def run_trial(schedule: Schedule, broker: Broker, folder: Path, calls: int = CALLS) -> Outcome:
    """Run one trial on a broker.

    Args:
        schedule: what happens.
        broker: started; it runs again when this returns.
        folder: for models, degrees and the workers' logs.
        calls: size of the input.
    """
    outcome, began = Outcome(schedule, calls), time.monotonic()
    kafka = Kafka(broker)
    trial = _Trial(schedule, broker, kafka, folder, outcome)
    gc.disable()  # millions of objects come, and go by themselves
    try:
        trial.run(calls)
    except (StuckError, CommandError, KafkaException, AssertionError, TimeoutError) as error:
        outcome.failures.append(f"{type(error).__name__}: {error}")
    finally:
        trial.end()
        try:
            kafka.close()
        except (KafkaException, TimeoutError) as error:
            outcome.failures.append(f"the topics could not be deleted: {type(error).__name__}: {error}")
        gc.enable()
    outcome.seconds = time.monotonic() - began
    return outcome


class _Trial:
    """One trial under way."""

    def __init__(self, schedule: Schedule, broker: Broker, kafka: Kafka, folder: Path, outcome: Outcome) -> None:
        self._schedule = schedule
        self._broker = broker
        self._folder = folder
        self._outcome = outcome
        self._bundle = folder / "model.zip"
        self._reloads = 0
        put_model(self._bundle, self._reloads)
        own_broker = not isinstance(broker, GivenBroker)
        self._gatewatch = Gatewatch(kafka, folder, settings_of(schedule, self._bundle, own_broker=own_broker))
        self._gatewatch.settings["inputs"] = [{"topic": self._gatewatch.logs, "format": "gatewatch"}]
        self._server = StartServer()
        self._gatewatch.start = self._server.start
        self._fleet = Fleet(self._gatewatch, fixed_members=schedule.fixed_members)
        self._chaos: Chaos | None = None
        self._phase_began = time.monotonic()
        self._deadline = time.monotonic() + _LONGEST_S
        self._seen = "nothing asked"  # what the last question on offsets told

    def run(self, calls: int) -> None:
        """Write the input, let the faults happen, wait for the end, compare."""
        gatewatch, start = self._gatewatch, now_ms() - _BEGINS_BEFORE_MS
        settings = gatewatch.create_topics()
        if self._schedule.frozen:
            records = make_traffic(self._schedule.seed, start, calls)
            settings = self._freeze_degrees(settings, records)
            self._start_workers()
        else:
            self._start_workers()
            records = make_traffic(self._schedule.seed, start, calls)
        self._until(lambda: all(slot.settled for slot in self._fleet.slots), "the workers to begin")
        self._chaos = chaos = Chaos(self._schedule, self._fleet, self._broker, self._reload)
        writer = Writer(_producer(gatewatch.kafka.bootstrap), gatewatch.logs, records, lambda: chaos.left)
        self._phase("set up")
        writer.start()
        self._until(lambda: self._over(writer), "the load and the faults", every=_LOOK_S)
        self._phase("load")
        self._until(lambda: self._has_read("normalise", gatewatch.logs), "the logs to be normalised")
        writer.write(markers(start))
        self._until(lambda: self._has_read("normalise", gatewatch.logs), "the markers to be normalised")
        sent = published.records(gatewatch, gatewatch.api_calls)
        self._phase("normalise the rest")
        expected_letters = self._compare_calls(settings, sent)
        self._phase("compare calls")
        last = {record.partition(): record.offset() + 1 for record in sent}
        self._until(lambda: self._committed("detect", gatewatch.api_calls, last), "the calls to be read")
        self._until(lambda: all(slot.settled for slot in self._fleet.slots), "the workers to be at work")
        self._phase("detect the rest")
        self._fleet.stop()
        self._phase("stop")
        self._compare_sessions(settings, sent, expected_letters)
        self._phase("compare sessions")

    def end(self) -> None:
        """End what still runs, and note what there is to note."""
        self._fleet.kill()
        self._server.stop()
        outcome = self._outcome
        if self._chaos is not None:
            self._chaos.end()
            outcome.injected = self._chaos.injected
        outcome.crashes = self._fleet.crashes
        (self._folder / "events.log").write_text("\n".join(self._fleet.events) + "\n")
        outcome.failures += self._fleet.misdeeds
        for log in self._folder.glob("worker-*.log"):
            replays = re.findall(r"partition restored.*\breplayed=(\d+)", log.read_text(errors="replace"))
            outcome.restored += len(replays)
            outcome.replayed += sum(map(int, replays))

    def _freeze_degrees(self, settings: Settings, records: list[LogRecord]) -> Settings:
        file = self._folder / "degrees.json"
        values = [record.value for record in records[:_DEGREES_OF]]
        file.write_bytes(msgspec.json.encode(degrees_of(settings, values)))
        self._gatewatch.settings["degrees.frozen"] = str(file)
        return load_settings(None, self._gatewatch.settings)

    def _start_workers(self) -> None:
        for role in self._schedule.roles:
            self._fleet.add(role)
        self._fleet.look_after(broker_is_up=True)

    def _reload(self) -> None:
        """Replace the model: with live degrees by another."""
        self._reloads += not self._schedule.frozen
        put_model(self._bundle, self._reloads)

    def _over(self, writer: Writer) -> bool:
        return self._chaos is not None and self._chaos.over and not writer.is_alive()

    def _phase(self, name: str) -> None:
        """Note how long the phase that ends took."""
        now = time.monotonic()
        self._outcome.phases[name] = now - self._phase_began
        self._phase_began = now

    def _until(self, condition: Callable[[], bool], what: str, every: float = _ASK_S) -> None:
        """Look after the fleet until a condition holds."""
        chaos, asked = self._chaos, 0.0
        while True:
            if chaos is not None:
                chaos.go_on()
            self._fleet.look_after(broker_is_up=chaos is None or chaos.broker_is_up)
            if time.monotonic() - asked >= every:
                if condition():
                    return
                asked = time.monotonic()
            if time.monotonic() > self._deadline:
                words = [f"{own.worker.name}: {last_words(own.worker)}" for own in self._fleet.slots if own.worker]
                raise StuckError(f"waited in vain for {what} ({self._seen}); " + "; ".join(words))
            time.sleep(_LOOK_S)

    def _has_read(self, role: str, topic: str) -> bool:
        ends = self._answer(lambda: published.end_of(self._gatewatch, topic))
        return ends is not None and self._committed(role, topic, ends)

    def _answer(self, ask: Callable[[], T]) -> T | None:
        """Return what the admin client answers; None when it does not, and then another one is asked the next time.

        The broker may not yet quite be back. And two trials have waited in vain for offsets that were committed, as
        the broker's own log showed: a client that has known the broker before its restart may get no answer any more.
        """
        try:
            return ask()
        except (KafkaException, TimeoutError) as error:
            self._seen = f"no answer: {type(error).__name__} {error}"
            self._gatewatch.kafka.forget_admin()
            return None

    def _committed(self, role: str, topic: str, ends: dict[int, int]) -> bool:
        try:
            committed = self._gatewatch.committed(role, topic)
        except KafkaException as error:
            self._seen = f"no committed offsets: {error}"
            return False
        self._seen = f"committed {committed} of {ends}"
        return all(committed[number] >= end for number, end in ends.items())

    def _compare_calls(self, settings: Settings, sent: list[Record]) -> list[Item]:
        """Compare the calls, and return the dead letters that there must be of gateway logs."""
        expected = list(normalised(settings, published.records(self._gatewatch, self._gatewatch.logs)))
        calls = [item for item in expected if item.what == "call"]
        self._outcome.comparison.add(compare(calls, published.passed_on(sent)))
        return [item for item in expected if item.what == "dead letter"]

    def _compare_sessions(self, settings: Settings, sent: list[Record], letters: list[Item]) -> None:
        """Compare all the rest."""
        gatewatch, result, frozen = self._gatewatch, self._outcome.comparison, self._schedule.frozen
        outputs = [gatewatch.features, gatewatch.anomalies, gatewatch.dead_letters]
        settled = partial(published.settled, gatewatch, outputs)
        self._until(lambda: self._answer(settled) is True, "the last transactions to end")
        features = published.records(gatewatch, gatewatch.features)
        alerts = published.alerts(gatewatch)
        found = [*published.vectors(features, everything=frozen), *alerts, *published.dead_letters(gatewatch)]
        detection = Detection(settings, None if frozen else recorded_verdicts(features))
        expected = [*letters, *detection.items(sent)]
        found += published.degrees(gatewatch, str(gatewatch.settings["topics.degrees"]))
        expected += detection.degrees()
        result.add(compare(expected, found))
        result.add(repeated_alerts(alerts))


def _producer(bootstrap: str) -> Producer:
    """Return a producer that says nothing of a broker that is away."""
    return Producer({**PRODUCER_DEFAULTS, "bootstrap.servers": bootstrap, "log_level": 0})
