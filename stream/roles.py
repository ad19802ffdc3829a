"""Roles: what the agents call for each role, and how a role's outputs are encoded."""

from collections.abc import Iterable

from featurizer.features import FeatureSchema
from featurizer.sessions import CloseReason
from stream.batches import Batch
from stream.clock import now_ms
from stream.dead_letter_limit import DeadLetterWindow
from stream.encodings.ocsf import alert_record
from stream.pipeline import Detector, Normaliser
from stream.records import TopicPartition
from stream.sections.kafka import TopicsSettings
from stream.wire import Outgoing, call_record, dead_letter_record, vector_record

_MS_PER_H = 3_600_000


class NormaliseStage:
    """The role normalise: no state, so partitions come and go freely.

    Args:
        normaliser: turns gateway logs into calls.
        topics: names of the output topics.
        limit: of its dead letters.
    """

    def __init__(self, normaliser: Normaliser, topics: TopicsSettings, limit: DeadLetterWindow) -> None:
        self.normaliser = normaliser
        self.limit = limit
        self._topics = topics

    def assign(self, names: Iterable[TopicPartition]) -> None:
        """Do nothing."""

    def release(self, names: Iterable[TopicPartition]) -> Batch:  # noqa: ARG002 -- the protocol's signature
        """Return nothing more to do."""
        return Batch()

    def drop(self, names: Iterable[TopicPartition]) -> None:  # noqa: ARG002 -- the protocol's signature
        """Count dead letters anew: the partitions' records may come back."""
        self.limit.clear()

    def encode(self, batch: Batch) -> list[Outgoing]:
        """Return the calls and dead letters of a batch as records."""
        topics = self._topics
        oldest = now_ms() - round(topics.api_calls_retention_h * _MS_PER_H / 2)
        records = [call_record(topics.api_calls, call, arrival, oldest) for call, arrival in batch.calls]
        records += [dead_letter_record(topics.dead_letters, letter) for letter in batch.dead_letters]
        return records


class DetectStage:
    """The role detect: sessions, degrees, verdicts, alerts.

    Args:
        detector: the pipeline and its state.
        topics: names of the output topics.
        schema: the feature schema, to name the features.
        limit: of its dead letters.
    """

    def __init__(
        self, detector: Detector, topics: TopicsSettings, schema: FeatureSchema, limit: DeadLetterWindow
    ) -> None:
        self.detector = detector
        self.limit = limit
        self._topics = topics
        self._schema = schema

    def assign(self, names: Iterable[TopicPartition]) -> None:
        """Start with empty partitions."""
        for name in names:
            self.detector.assign(name)

    def release(self, names: Iterable[TopicPartition]) -> Batch:
        """Close the partitions' sessions: the next owner starts with new ones."""
        return self.detector.release(names, CloseReason.REVOKED)

    def drop(self, names: Iterable[TopicPartition]) -> None:
        """Forget the partitions; what they would lead to must not be published by this worker."""
        self.detector.release(names, CloseReason.REVOKED)
        self.limit.clear()

    def encode(self, batch: Batch) -> list[Outgoing]:
        """Return the alerts, vectors and dead letters of a batch as records."""
        topics, created = self._topics, now_ms()
        records = [alert_record(topics.anomalies, alert, created) for alert in batch.alerts]
        if topics.publish_features:
            records += [
                vector_record(topics.features, sample.vector, verdict, self._schema)
                for sample, verdict in zip(batch.samples, batch.verdicts, strict=True)
            ]
        records += [dead_letter_record(topics.dead_letters, letter) for letter in batch.dead_letters]
        return records
