"""Training from Kafka: the topics of features and of labels, each read once from its beginning to its present end."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, cast

import msgspec
from msgspec import structs

from featurizer.features import GATEWAY_V1
from scorer.call_recipe import CallOptions, CallVectors
from scorer.feedback import vectors_of_feedback
from scorer.manifest import DataSource
from scorer.verdicts import JudgedVector
from stream.errors import CommandError
from stream.label_topic import latest_labels
from stream.records import Record
from stream.settings import Settings
from stream.sources import STAGE
from stream.stages import Output, Stages
from stream.whole_topic import WholeTopic
from stream.wire import decode_features

GROUP = "train"
"""Suffix of the group that the consumers name; they do not join it."""

_READ_AT_ONCE = 10_000
_SCHEMA = GATEWAY_V1

Advance = Callable[[int, int], None]


class FeedbackTopics(NamedTuple):
    """The topics and what is known of them.

    Attributes:
        settings: names of the topics, how to reach the brokers, and the limits of sessions to record.
        label_weight: what a labelled session counts.
        description: what the calls are.
        licence: of the vectors, an SPDX expression.
    """

    settings: Settings
    label_weight: float
    description: str
    licence: str

    @property
    def advice(self) -> str:
        """What to do about too few sessions."""
        topics = self.settings.topics
        return (
            f"label more sessions on the topic {topics.labels}, or let {topics.features} fill; "
            "call logs need no labels: gatewatch train --calls"
        )

    def vectors(self, options: CallOptions, stages: Stages) -> Output[CallVectors]:
        """Return the vectors of the sessions that can be trained on. The topics are read each time: they grow.

        Raises:
            CommandError: no broker answers, a topic is missing or can't be read, or no session can be trained on.
        """
        del options
        return stages.run(STAGE, self._read, stages.listener.advance, keep=False)

    def described(self, found: CallVectors) -> DataSource:
        """Return what a manifest says of the topics."""
        topics = self.settings.topics
        return DataSource(
            name=f"{topics.features}, {topics.labels}",
            sha256=found.sha256,
            licence=self.licence,
            url="",
            description=self.description,
        )

    def _read(self, advance: Advance) -> CallVectors:
        topics = self.settings.topics
        with WholeTopic(self.settings, topics.labels, GROUP) as topic:
            said = Records(topic)
            labels = latest_labels(said.read(lambda _done, _total: None), topics.labels)
        with WholeTopic(self.settings, topics.features, GROUP) as topic:
            seen = Records(topic)
            judged = JudgedVectors(seen.read(advance))
            try:
                vectors, feedback = vectors_of_feedback(judged, labels, _SCHEMA, self.label_weight)
            except ValueError as error:
                raise CommandError(f"{topics.features}: {error}", self.advice) from error
        digest = hashlib.sha256((seen.digest() + said.digest()).encode()).hexdigest()
        feedback = structs.replace(feedback, foreign=judged.foreign)
        return CallVectors(vectors, feedback=feedback, sha256=digest)


class Records:
    """The records of a topic, hashed as they are read.

    Args:
        topic: the topic.
    """

    def __init__(self, topic: WholeTopic) -> None:
        self._topic = topic
        self._hashes = {number: hashlib.sha256() for number in topic.bounds}

    def read(self, advance: Advance) -> Iterator[Record]:
        """Yield them, partition after partition; ``advance`` is told of offsets passed, and of how many there are.

        Read side by side, partitions come mixed in another way each time, and the same records make another model.
        """
        starts = self._topic.since(None)
        total = self._topic.remaining(starts)
        for number, start in sorted(starts.items()):
            messages = self._topic.messages({number: start}, _READ_AT_ONCE, lambda passed: advance(passed, total))
            for record in cast("Iterator[Record]", messages):  # a message that was read has a place, its type may not
                key, value = record.key() or b"", record.value() or b""
                self._hashes[number].update(b"%d %d;" % (len(key), len(value)) + key + value)
                yield record

    def digest(self) -> str:
        """Return the hash of all records read."""
        return "".join(own.hexdigest() for _, own in sorted(self._hashes.items()))


class JudgedVectors:
    """The vectors of records of the topic of features.

    Args:
        records: the records.

    Attributes:
        foreign: records passed over: of other features, or of another program.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.foreign = 0
        self._records = records

    def __iter__(self) -> Iterator[JudgedVector]:
        for record in self._records:
            try:
                yield decode_features(record.value() or b"", _SCHEMA)
            except (ValueError, msgspec.DecodeError):
                self.foreign += 1
