"""Replay of dead letters: originals back to the topics that they came from, each at most once."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition as Offset

from stream.cycle import AbandonedError, Cycle, Delivery, DeliveryError, Flushes, Transactions
from stream.dead_letter_progress import Kind, PartitionProgress, Selection, kind_of, starts
from stream.dead_letter_topic import DeadLetterTopic, Kept
from stream.dead_letters import DeadLetter
from stream.errors import CommandError, ExitCode
from stream.kafka_config import producer_config
from stream.records import TopicPartition
from stream.settings import Settings
from stream.whole_topic import Report
from stream.wire import Outgoing

GROUP = "dead-letters"
"""Suffix of the group that remembers what has been fed back, and of the transactional id: a second replay at the same
time fences the first, so that the two feed nothing back twice."""
REPLAYED_FROM = "gatewatch.replayed-from"

_STEP_TIMEOUT_S = 30.0
_BATCH_RECORDS = 1000
_BATCH_BYTES = 8_388_608


@dataclass(slots=True)
class Summary:
    """What became of the dead letters that were read.

    Attributes:
        fed: fed back, by target topic and kind.
        filtered: left out by the filters; a later replay finds them.
        truncated: cut when they were written, so that they cannot be fed back.
        earlier: fed back by an earlier replay.
        foreign: records that are no dead letters.
    """

    fed: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    filtered: int = 0
    truncated: int = 0
    earlier: int = 0
    foreign: int = 0


@dataclass(slots=True)
class _ReplayCycle(Cycle):
    """A cycle whose offsets carry the progress of kinds that filters left out."""

    marks: list[Offset] = field(default_factory=list)

    def offsets(self) -> list[Offset]:
        return self.marks


class DeadLetterReplay:
    """Feeds dead letters back.

    Args:
        topic: the dead letters, with a consumer of the group ``GROUP``.
        delivery: how a batch is made durable; None to feed nothing back, and only say what would be.
        selection: what to feed back.
        there: names of the topics there are.
        target: where to; None for the topic that each came from.
        again: whatever has been fed back before.
    """

    def __init__(  # noqa: PLR0913 -- the parts of a replay, each named at the call
        self,
        topic: DeadLetterTopic,
        delivery: Delivery | None,
        *,
        selection: Selection,
        there: Collection[str],
        target: str | None = None,
        again: bool = False,
    ) -> None:
        self.summary = Summary()
        self._topic = topic
        self._delivery = delivery
        self._selection = selection
        self._there = there
        self._target = target
        self._again = again
        self._outgoing: list[Outgoing] = []
        self._bytes = 0
        if delivery is not None:
            # First of all: it aborts what a killed predecessor left open, and with it the offsets in there.
            _durably(delivery.start)
        self._progress = self._remembered()

    @property
    def remaining(self) -> int:
        """Offsets to pass."""
        return self._topic.remaining(self._starts())

    def run(self, report: Report) -> Summary:
        """Feed back what is due; returns when it is durable.

        Raises:
            CommandError: a target topic is missing (exit code 3), or the brokers refuse; what has been made durable
                until then is remembered, the rest is not.
        """
        for kept in self._topic.read(self._starts(), report):
            self._take(kept)
            if len(self._outgoing) >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES:
                self._commit()
        for own in self._progress.values():
            own.finished(self._selection)
        self._commit()
        return self.summary

    def _remembered(self) -> dict[int, PartitionProgress]:
        try:
            return {number: PartitionProgress.decoded(*mark) for number, mark in self._topic.committed().items()}
        except ValueError as error:
            raise CommandError(
                f"the offsets of the group are not those of an earlier replay: {error}",
                "delete the group with Kafka's own tools; a replay then starts from the beginning",
            ) from None

    def _starts(self) -> Mapping[int, int]:
        return dict.fromkeys(self._progress, 0) if self._again else dict(starts(self._progress))

    def _take(self, kept: Kept) -> None:
        progress, summary = self._progress[kept.partition], self.summary
        if kept.stored is None:
            summary.foreign += 1
            progress.skipped(kept.offset)
            return
        letter = kept.stored.letter
        kind = kind_of(letter)
        chosen = self._selection.chooses(kind)
        if not chosen:
            summary.filtered += progress.due(kind, kept.offset)
        elif not self._again and not progress.due(kind, kept.offset):
            summary.earlier += 1
        elif kept.stored.truncated_from is not None:
            summary.truncated += 1
        else:
            self._feed(kept, letter, kind)
        progress.passed(kind, kept.offset, chosen=chosen)

    def _feed(self, kept: Kept, letter: DeadLetter, kind: Kind) -> None:
        target = self._target or letter.topic
        if target not in self._there:
            raise CommandError(
                f"{kept.position} came from {target}, and there is no such topic",
                "send it elsewhere with --to, or choose other topics with --source",
                ExitCode.UNREACHABLE,
            )
        headers = ((REPLAYED_FROM, kept.position),)
        self._outgoing.append(Outgoing(target, letter.key, letter.original, letter.timestamp, headers))
        self._bytes += len(letter.original)
        self.summary.fed[target, kind] += 1

    def _commit(self) -> None:
        outgoing, self._outgoing, self._bytes = self._outgoing, [], 0
        if self._delivery is None:
            return
        name = self._topic.name
        cycle = _ReplayCycle(
            outgoing=outgoing,
            positions={TopicPartition(name, number): own.next for number, own in self._progress.items()},
            marks=[Offset(name, number, own.next, own.metadata) for number, own in self._progress.items()],
        )
        _durably(self._delivery.deliver, cycle, self._topic.consumer)


def delivery_of(settings: Settings) -> Delivery:
    """Return how records that are fed back become durable together with the offsets that remember them."""
    if settings.delivery.guarantee == "at_least_once":
        return Flushes(producer_config(settings, None), _STEP_TIMEOUT_S)
    return Transactions(producer_config(settings, f"{settings.kafka.group_prefix}-{GROUP}"), _STEP_TIMEOUT_S)


def _durably(call: Any, *arguments: Any) -> None:
    try:
        call(*arguments)
    except (DeliveryError, AbandonedError) as error:
        said = str(error).partition("; ")[0]  # the advice is for workers
        raise CommandError(
            f"the dead letters could not be fed back: {said}",
            "start the replay again: it goes on after the last that were committed",
        ) from error
