"""Records, decoders and detectors for tests of the pipeline: no broker, every value given."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from featurizer.calls import ApiCall, encode_call
from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import GATEWAY_V1, FeatureVector, Occasion
from featurizer.sessions import SessionPolicy
from scorer.alerts import AlertPolicy
from scorer.judge import Judge
from scorer.reasons import Explanation
from scorer.verdicts import Readiness, Verdict
from stream.adapters import Decoded, Reject
from stream.batches import Batch, Decode
from stream.dead_letter_limit import DeadLetterPolicy, DeadLetterWindow
from stream.dead_letters import Reason
from stream.pipeline import Detector
from stream.records import TopicPartition
from stream.roles import CheckpointPolicy, DetectStage
from stream.sections.kafka import TopicsSettings
from tests.alerting import MANY, PLAIN
from tests.model_factory import make_bundle

NOW = 1_700_000_000_000
CALLS = TopicPartition("calls", 0)
OTHER = TopicPartition("calls", 1)
LOGS = TopicPartition("logs", 0)
SESSIONS = SessionPolicy(gap=1000, lateness=0, linger=0, quiet=500)


class Made(NamedTuple):
    """A record made by a test."""

    data: bytes | None
    at: int = 0
    source: TopicPartition = CALLS
    time: int = NOW
    name: bytes | None = b"key"

    def topic(self) -> str:
        return self.source.topic

    def partition(self) -> int:
        return self.source.partition

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return (1, self.time)

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.data


def call_record(
    at: int,
    time: int,
    client: str = "ann",
    endpoint: str = "GET /a",
    *,
    source: TopicPartition = CALLS,
    arrival: int | None = None,
    request_id: str | None = None,
) -> Made:
    """Return the record of a call in wire form that arrives at its own time unless told otherwise.

    What else is known of calls differs from one to the next, so that it shows when any of it is lost.
    """
    status, address = (200, 404, 503)[at % 3], f"192.0.2.{at // 3 % 4}"
    call = ApiCall(time, client, endpoint, status, request_id=request_id, address=address, object_id=at * at)
    return Made(encode_call(call), at, source, time if arrival is None else arrival, client.encode())


def decode_words(value: bytes | None) -> Decoded:
    """Decode lines of ``time client path``: ``?`` is no call, ``boom`` and ``bad`` are defects of ours."""
    decoded = Decoded([], [], "words")
    for index, line in enumerate((value or b"").split(b"\n")):
        if line == b"boom":
            raise ZeroDivisionError(line)
        time, _, rest = line.decode().partition(" ")
        client, _, path = rest.partition(" ")
        if client == "bad":
            decoded.calls.append(ApiCall(int(time), client, None))  # type: ignore[arg-type]  # a defect of a decoder
        elif time == "?":
            decoded.rejects.append(Reject(Reason.MISSING_FIELD, "no time", line, index))
        else:
            decoded.calls.append(ApiCall(int(time), client, f"GET {path}"))
    return decoded


class PlainJudge(Judge):
    """A judge to reckon with: the score is a tenth of the session's distinct edges."""

    def verdicts(self, vectors: Sequence[FeatureVector]) -> list[Verdict]:
        return [
            Verdict(
                session_id=vector.session_id,
                occasion=vector.occasion,
                model=self.bundle.uid,
                score=min(1.0, vector.values[0] / 10),
                threshold=self.threshold_closed if vector.occasion is Occasion.CLOSED else self.threshold_open,
                readiness=Readiness.READY if vector.total_edges >= self.minimum_edges else Readiness.LEARNING,
                total_edges=vector.total_edges,
                minimum_edges=self.minimum_edges,
            )
            for vector in vectors
        ]

    def explain(self, vector: FeatureVector, verdict: Verdict) -> Explanation:  # noqa: ARG002 -- the judge's signature
        return Explanation((PLAIN, msgspec.structs.replace(MANY, value=vector.values[0])))


def plain_judge(threshold_open: float = 0.3, threshold_closed: float = 0.3, minimum_edges: int = 0) -> PlainJudge:
    return PlainJudge(
        make_bundle(),
        minimum_edges=minimum_edges,
        threshold_open=threshold_open,
        threshold_closed=threshold_closed,
    )


def make_detector(
    *assigned: TopicPartition,
    sessions: SessionPolicy | None = None,
    alerts: AlertPolicy | None = None,
    judge: Judge | None = None,
    frozen: DegreeSnapshot | None = None,
    decoders: Mapping[str, Decode | None] | None = None,
    **more: Any,
) -> Detector:
    """Return a detector over the partitions, by default with no lateness and no linger."""
    detector = Detector(
        {"calls": None, "logs": decode_words} if decoders is None else decoders,
        judge=judge or plain_judge(),
        sessions=sessions or SESSIONS,
        alerts=alerts or AlertPolicy(),
        schema=GATEWAY_V1,
        frozen=frozen,
        **{"max_endpoints": 1000, **more},
    )
    for name in assigned or (CALLS,):
        detector.assign(name)
    return detector


def detect_stage(
    topics: TopicsSettings | None = None,
    sessions: SessionPolicy = SESSIONS,
    limit: DeadLetterWindow | None = None,
    detector: Detector | None = None,
    *,
    originals: bool = True,
    templates: str = "",
) -> DetectStage:
    """Return the role detect; it makes a checkpoint every ten seconds or thousand records."""
    return DetectStage(
        detector or make_detector(sessions=sessions),
        topics or TopicsSettings(),
        GATEWAY_V1,
        sessions=sessions,
        policy=CheckpointPolicy(interval_s=10, records=1000),
        limit=limit or DeadLetterWindow(DeadLetterPolicy(), "detect"),
        originals=originals,
        templates=templates,
    )


def run(detector: Detector, records: Iterable[Made]) -> Batch:
    """Sessionize and score one batch."""
    batch = detector.sessionize(list(records))
    detector.score(batch)
    return batch


def walk(endpoints: str, client: str = "ann", start: int = NOW, first: int = 0, **where: Any) -> list[Made]:
    """Return the records of a client that calls GET /<letter> once a millisecond."""
    return [
        call_record(first + at, start + at, client, f"GET /{letter}", **where) for at, letter in enumerate(endpoints)
    ]
