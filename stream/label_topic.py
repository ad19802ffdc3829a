"""The topic of labels: what people said of sessions, read whole and added to. Every method blocks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import msgspec

from scorer.feedback import SessionLabel
from stream.cycle import AbandonedError, Cycle, DeliveryError, Flushes
from stream.errors import CommandError
from stream.finding_topic import GROUP
from stream.kafka_config import producer_config
from stream.records import Record
from stream.settings import Settings
from stream.whole_topic import WholeTopic
from stream.wire import decode_label, label_record

_READ_AT_ONCE = 1000
_TIMEOUT_S = 30.0


class LabelTopic(WholeTopic):
    """The topic as it is now; use it as a context.

    Args:
        settings: how to reach the brokers, and the topic's name.

    Raises:
        CommandError: as WholeTopic.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.topics.labels, GROUP)
        self._producer = producer_config(settings, None)

    def read(self) -> dict[str, SessionLabel]:
        """Return the latest label of each session that has one.

        Raises:
            CommandError: the topic can't be read, or holds something else.
        """
        messages = self.messages(self.since(None), _READ_AT_ONCE)
        return latest_labels(cast("Iterator[Record]", messages), self.name)

    def write(self, labels: Mapping[str, SessionLabel | None]) -> None:
        """Add labels by session; None takes a session's label back. Returns when the brokers have them.

        Raises:
            CommandError: they could not be written.
        """
        outgoing = [label_record(self.name, session, label) for session, label in labels.items()]
        try:
            Flushes(self._producer, _TIMEOUT_S).deliver(Cycle(outgoing=outgoing), self.consumer)
        except (DeliveryError, AbandonedError) as error:
            hint = "label them again: the latest label of a session holds"
            raise CommandError(f"{self.name} could not be written: {error}", hint) from error


def latest_labels(records: Iterable[Record], topic: str) -> dict[str, SessionLabel]:
    """Return the latest label of each session; one whose latest record has no value was taken back.

    Raises:
        CommandError: the latest record of a key is no label.
    """
    latest = {record.key(): record for record in records}
    labels: dict[str, SessionLabel] = {}
    for key, record in latest.items():
        value = record.value()
        if value is None:
            continue
        try:
            label = decode_label(key, value)
        except (ValueError, msgspec.DecodeError) as error:
            raise CommandError(
                f"{topic}-{record.partition()}@{record.offset()} is no label: {error}",
                'write the session as key and {"session_id": …, "verdict": "true-positive", "time": ms} as value; '
                "a record of the same key without a value takes it back",
            ) from error
        labels[label.session_id] = label
    return labels
