"""Reference: what the pure pipeline makes of the input partitions as they are, without any fault."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import FeatureVector
from scorer.judge import Judge
from scorer.reasons import Explanation
from scorer.verdicts import Readiness, Verdict
from stream import assembly
from stream.adapters import decoder
from stream.batches import Batch
from stream.encodings.records import alert_record
from stream.records import REPLAY, FileRecord, Record, TopicPartition
from stream.settings import Settings
from stream.wire import FeatureRecord, call_record, dead_letter_record, vector_record
from tests.chaos.items import Item, alert_item, call_item, degree_items, letter_item, vector_item

_BATCH = 5_000

Verdicts = Mapping[tuple[str, str, int], Verdict]
"""Verdict by session id, occasion and calls."""


class SwiftJudge(Judge):
    """A judge that explains nothing: explanations take long and are not compared."""

    def explain(self, vector: FeatureVector, verdict: Verdict) -> Explanation:  # noqa: ARG002 -- the judge's signature
        return Explanation(())


class RecordedJudge(SwiftJudge):
    """Returns the verdicts that were published: live degrees depend on which worker had which partitions when.

    A vector that was not published is missed elsewhere; here it is judged normal.
    """

    published: Verdicts = {}  # noqa: RUF012 -- replaced, never changed

    def verdicts(self, vectors: Sequence[FeatureVector]) -> list[Verdict]:
        return [self._published(vector) for vector in vectors]

    def _published(self, vector: FeatureVector) -> Verdict:
        found = self.published.get((vector.session_id, str(vector.occasion), vector.calls))
        if found is not None:
            return found
        return Verdict(vector.session_id, vector.occasion, self.bundle.uid, 0.0, 1.0, Readiness.READY, 0, 0)


def recorded_verdicts(records: Sequence[Record]) -> dict[tuple[str, str, int], Verdict]:
    """Return the verdicts on the topic of features."""
    decode = msgspec.json.Decoder(FeatureRecord).decode
    vectors = [decode(record.value() or b"") for record in records]
    return {(own.session_id, str(own.occasion), own.calls): own.verdict for own in vectors if own.verdict}


def normalised(settings: Settings, logs: Sequence[Record]) -> Iterator[Item]:
    """Yield the calls and dead letters that gateway log records lead to."""
    normaliser = assembly.normaliser(settings)
    for records in _batches(logs):
        batch = normaliser.normalise(records)
        for call, arrival in batch.calls:
            record = call_record("", call, arrival, oldest=0)
            yield call_item(record.key, record.value, record.timestamp)
        yield from _letters(batch)


class Detection:
    """A run of the pure detector over the partitions of the calls.

    Args:
        settings: the workers' own.
        verdicts: what they published, for live degrees; None has the model judge.
    """

    def __init__(self, settings: Settings, verdicts: Verdicts | None) -> None:
        judge = assembly.make_judge(
            settings, assembly.model_bundle(settings), SwiftJudge if verdicts is None else RecordedJudge
        )
        if isinstance(judge, RecordedJudge):
            judge.published = verdicts or {}
        self._everything = verdicts is None
        self._detector = assembly.detector(settings, judge, assembly.detect_decoders(settings))
        for partition in range(settings.topics.partitions):
            self._detector.assign(TopicPartition(settings.topics.api_calls, partition))

    def items(self, calls: Sequence[Record]) -> Iterator[Item]:
        """Yield the vectors, alerts and dead letters that the calls lead to."""
        for records in _batches(calls):
            batch = self._detector.sessionize(records)
            self._detector.score(batch)
            for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
                record = vector_record("", sample.vector, verdict, assembly.SCHEMA)
                yield vector_item(record.value, everything=self._everything)
            for alert in batch.alerts:
                yield alert_item(alert_record("", alert, 0).value)
            yield from _letters(batch)

    def degrees(self) -> Iterator[Item]:
        """Yield the counts of the partitions' degree tables as they are now."""
        for name, state in self._detector.partitions.items():
            yield from degree_items(str(name), state.table.snapshot())


def degrees_of(settings: Settings, values: Sequence[bytes]) -> DegreeSnapshot:
    """Return the degree table that gateway log records lead to, read as one partition."""
    routes = assembly.route_templates(settings)
    decode = decoder(settings.inputs[0].format, routes)
    sessionizer = assembly.sessionizer(settings, {REPLAY.topic: decode})
    sessionizer.assign(REPLAY)
    sessionizer.sessionize([FileRecord(number, value) for number, value in enumerate(values)])
    return sessionizer.degrees.snapshot()


def _letters(batch: Batch) -> Iterator[Item]:
    for letter in batch.dead_letters:
        record = dead_letter_record("", letter)
        yield letter_item(record.key, record.value, record.headers)


def _batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    remaining = iter(records)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
