"""A topic read from offsets to the end that it has now, without joining a consumer group."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Offset
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from stream.errors import CommandError, ExitCode
from stream.kafka_config import consumer_config
from stream.settings import Settings
from stream.topics import TIMEOUT_S, Topics

_POLL_S = 0.05
_SILENCE_S = 30.0
_HINT = "make it with: gatewatch topics create"
_UNLED = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
"""Errors of a partition that was just made: its leader does not know it yet."""
_LASTING = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
"""Errors of the consumer that waiting does not mend."""

Report = Callable[[int], object]
"""Told how many offsets have been passed since the last time."""


class WholeTopic:
    """The topic as it is now; use it as a context.

    Args:
        settings: how to reach the brokers.
        name: of the topic.
        group_suffix: of the group whose committed offsets ``consumer`` asks for; it does not join, and without a commit
            there is no such group.
        hint: how to make the topic.

    Attributes:
        name: of the topic.
        consumer: assigned, not subscribed.
        bounds: first offset and the one after the last, by partition; what comes later is not read.

    Raises:
        CommandError: no broker answers, or there is no such topic (exit code 3); at the end of the context, the broker
            has refused something in it.
    """

    def __init__(self, settings: Settings, name: str, group_suffix: str, hint: str = _HINT) -> None:
        self.name = name
        self.bounds = dict.fromkeys(Topics(settings).partitions(self.name), (0, 0))
        if not self.bounds:
            raise CommandError(f"missing topic: {self.name}", hint, ExitCode.UNREACHABLE)
        # A broker would hold the last answer of each partition up for half a second, in case that more comes.
        self.consumer = Consumer(consumer_config(settings, group_suffix) | {"fetch.wait.max.ms": 10})
        self.look_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.consumer.close()
        if isinstance(error, KafkaException):
            raise CommandError(f"{self.name}: the broker refuses: {error.args[0].str()}") from error

    def look_again(self) -> None:
        """Look the bounds up again, so that what has come since is read as well."""
        with self._asking():
            for number in self.bounds:
                self.bounds[number] = self._bounds_of(Offset(self.name, number))

    def committed(self) -> dict[int, tuple[int, str | None]]:
        """Return the group's committed offset and its metadata of every partition; a negative offset is none."""
        with self._asking():
            found = self.consumer.committed(self._offsets(dict.fromkeys(self.bounds, 0)), timeout=TIMEOUT_S)
        return {own.partition: (own.offset, own.metadata) for own in found}

    def since(self, time_ms: int | None) -> dict[int, int]:
        """Return the offsets of the first records not older than a time; of the oldest ones when it is None."""
        if time_ms is None:
            return {number: low for number, (low, _) in self.bounds.items()}
        with self._asking():
            found = self.consumer.offsets_for_times(
                self._offsets(dict.fromkeys(self.bounds, time_ms)), timeout=TIMEOUT_S
            )
        return {own.partition: own.offset if own.offset >= 0 else self.bounds[own.partition][1] for own in found}

    def remaining(self, starts: Mapping[int, int]) -> int:
        """Return how many offsets there are to pass from the starts to the end."""
        return sum(self.bounds[number][1] - start for number, start in self._unread(starts).items())

    def messages(self, starts: Mapping[int, int], at_once: int, report: Report = lambda _: None) -> Iterator[Message]:
        """Yield the committed records from the starts to the end, in order within a partition.

        Args:
            starts: first offset by partition.
            at_once: how many are taken from the client at a time.
            report: told how many offsets have been passed.

        Raises:
            CommandError: the brokers refuse, or have long been silent.
        """
        position = self._unread(starts)
        self.consumer.assign(self._offsets(position))
        heard = time.monotonic()
        complaint = ""
        while position:
            if time.monotonic() > heard + _SILENCE_S:
                raise CommandError(f"{self.name} cannot be read to its end: {complaint or 'the brokers are silent'}")
            for message in self.consumer.consume(at_once, _POLL_S):
                number, offset, error = message.partition() or 0, message.offset() or 0, message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
                    complaint = self._judged(error)
                    continue
                heard = time.monotonic()
                if number not in position:
                    continue  # written after the end was looked up
                end = self.bounds[number][1]
                if error is None and offset < end:
                    yield message
                passed = end if error is not None else min(offset + 1, end)
                report(passed - position[number])
                position[number] = passed
                if passed == end:
                    del position[number]

    def _bounds_of(self, place: Offset) -> tuple[int, int]:
        retrying = Retrying(
            retry=retry_if_exception(_unled),
            stop=stop_after_delay(TIMEOUT_S),
            wait=wait_fixed(_POLL_S),
            reraise=True,
        )
        return retrying(self.consumer.get_watermark_offsets, place, TIMEOUT_S)

    def _unread(self, starts: Mapping[int, int]) -> dict[int, int]:
        """Return the starts, none before the oldest record, of partitions with something to read."""
        found = {number: max(start, self.bounds[number][0]) for number, start in starts.items()}
        return {number: start for number, start in found.items() if start < self.bounds[number][1]}

    def _offsets(self, positions: Mapping[int, int]) -> list[Offset]:
        return [Offset(self.name, number, offset) for number, offset in positions.items()]

    def _judged(self, error: KafkaError) -> str:
        if error.fatal() or error.code() in _LASTING:
            raise CommandError(f"{self.name} cannot be read: {error.str()}")
        return error.str()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            self.consumer.close()
            raise CommandError(f"{self.name} cannot be read: {error.args[0].str()}") from None


def _unled(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in _UNLED
