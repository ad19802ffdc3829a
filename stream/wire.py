"""Wire forms: what gatewatch's own topics hold, besides the calls (see ``featurizer.calls``)."""

import math
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import msgspec

from featurizer.calls import ApiCall, encode_call
from featurizer.features import SCHEMAS, FeatureSchema, FeatureVector, Occasion
from scorer.feedback import SessionLabel
from scorer.verdicts import JudgedVector, Verdict
from stream.dead_letters import MAX_KEY_BYTES, MAX_ORIGINAL_BYTES, DeadLetter, Reason
from stream.records import EPOCH_2000

Headers = Sequence[tuple[str, str | bytes]]
Stored = Sequence[tuple[str, str | bytes | None]]
"""Headers of a record as they are read; one that another program wrote may have no value."""

JSON_HEADERS: Headers = (("content-type", "application/json"),)


class Outgoing(NamedTuple):
    """One record to produce.

    Attributes:
        topic: where to.
        key: of the record.
        value: of the record; None deletes what a compacted topic has under the key.
        timestamp: epoch milliseconds; -1 lets the client set the present time.
        headers: of the record.
        partition: where to; -1 lets the key decide.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int = -1
    headers: Headers = ()
    partition: int = -1


class FeatureRecord(msgspec.Struct, frozen=True):
    """A record of the ``features`` topic: a vector by feature name, and what the model said of it.

    Attributes:
        session_id: the session; in an alert ``metadata.correlation_uid``.
        client: identity of the caller.
        occasion: why the vector was taken: the session grew, paused (quiet) or ended (closed).
        start: event time of the session's first call, epoch milliseconds.
        end: event time of its latest call, epoch milliseconds.
        calls: number of calls so far.
        close_reason: why the session ended; null while it is open.
        schema: fingerprint of the FeatureSchema.
        total_edges: edges in the degree tables when it was taken.
        features: values by name of the feature, in schema order; null where a value is missing.
        verdict: what the model said of it.
        challenger: what the model at trial said of it; absent when there is none.
        identity: what `client` is: consumer, subject, user, credential, session, address_agent or address; empty when
            not known.
    """

    session_id: str
    client: str
    occasion: Occasion
    start: int
    end: int
    calls: int
    close_reason: str | None
    schema: str
    total_edges: int
    features: dict[str, float | None]
    verdict: Verdict | None = None
    challenger: Verdict | msgspec.UnsetType = msgspec.UNSET
    identity: str = ""


_encoder = msgspec.json.Encoder()
_vector_decoder = msgspec.json.Decoder(FeatureRecord)
_label_decoder = msgspec.json.Decoder(SessionLabel)


def call_record(topic: str, call: ApiCall, arrival: int, oldest: int) -> Outgoing:
    """Return a call for the topic of normalised calls: keyed by client, stamped with the gateway record's arrival.

    Args:
        topic: the topic.
        call: the call.
        arrival: Kafka timestamp of the gateway's record, epoch milliseconds; the present time when it had none.
        oldest: least timestamp given: a backlog's own would let the topic's retention delete it before it is read.
    """
    timestamp = max(arrival, oldest) if arrival > EPOCH_2000 else -1
    return Outgoing(topic, client_key(call.client), encode_call(call), timestamp)


def client_key(client: str) -> bytes:
    """Return the record key of a client; the same client always goes to the same partition."""
    return client.encode("utf-8", "surrogatepass")


def client_of(key: bytes) -> str:
    """Return the client of a record key.

    Raises:
        UnicodeDecodeError: no client has this key.
    """
    return key.decode("utf-8", "surrogatepass")


def vector_record(
    topic: str,
    vector: FeatureVector,
    verdict: Verdict | None,
    schema: FeatureSchema,
    challenger: Verdict | None = None,
) -> Outgoing:
    """Return a vector and its verdicts for the topic of features."""
    record = FeatureRecord(
        session_id=vector.session_id,
        client=vector.client,
        occasion=vector.occasion,
        start=vector.start,
        end=vector.end,
        calls=vector.calls,
        close_reason=vector.close_reason,
        schema=vector.schema,
        total_edges=vector.total_edges,
        features=dict(zip(schema.names, vector.values, strict=True)),  # NaN is null in JSON
        verdict=verdict,
        challenger=msgspec.UNSET if challenger is None else challenger,
        identity=vector.identity,
    )
    return Outgoing(topic, client_key(vector.client), _encoder.encode(record), headers=JSON_HEADERS)


def decode_features(data: bytes, schema: FeatureSchema) -> JudgedVector:
    """Return the vector of a record of the features topic, with the verdict on it.

    Args:
        data: value of the record.
        schema: features that it has to have; it may have more.

    Raises:
        msgspec.DecodeError: the bytes are no such record.
        ValueError: it follows a schema that lacks some.
    """
    record = _vector_decoder.decode(data)
    own = schema if record.schema == schema.fingerprint else SCHEMAS.get(record.schema)
    if own is None or not schema.within(own) or tuple(record.features) != own.names:
        raise ValueError(f"vector of schema {record.schema}, expected {schema.name} {schema.fingerprint}")
    vector = FeatureVector(
        session_id=record.session_id,
        client=record.client,
        occasion=record.occasion,
        start=record.start,
        end=record.end,
        calls=record.calls,
        schema=record.schema,
        values=tuple(math.nan if value is None else value for value in record.features.values()),
        total_edges=record.total_edges,
        close_reason=record.close_reason,
        identity=record.identity,
    )
    return JudgedVector(vector, record.verdict)


def label_record(topic: str, session_id: str, label: SessionLabel | None) -> Outgoing:
    """Return a label for the topic of labels, or what takes the session's label back."""
    value = None if label is None else _encoder.encode(label)
    return Outgoing(topic, session_id.encode(), value, headers=JSON_HEADERS)


def decode_label(key: bytes | None, data: bytes) -> SessionLabel:
    """Return the label of a record of the topic of labels.

    Raises:
        msgspec.DecodeError: the bytes are no label.
        ValueError: the key is not its session, so that a later label would not replace it.
    """
    label = _label_decoder.decode(data)
    if key != label.session_id.encode():
        raise ValueError(f"the key of the label of session {label.session_id} is not the session")
    return label


def dead_letter_record(topic: str, letter: DeadLetter, *, originals: bool = True) -> Outgoing:
    """Return a dead letter: the original bytes as value, and in the headers where they came from and what is wrong.

    An original that the topic could not hold is cut, and a header gives its size: one record must not stop a worker.

    Args:
        topic: the topic.
        letter: the dead letter.
        originals: keep original and key; if not the original is cut to nothing, and so is what an exception said.
    """
    said = letter.detail
    if not originals and letter.reason is Reason.INTERNAL_ERROR:
        said = said.partition("(")[0]  # of an exception its arguments may quote the record
    headers = [
        ("gatewatch.reason", str(letter.reason)),
        ("gatewatch.detail", said),
        ("gatewatch.topic", letter.topic),
        ("gatewatch.partition", str(letter.partition)),
        ("gatewatch.offset", str(letter.offset)),
        ("gatewatch.timestamp", str(letter.timestamp)),
    ]
    if letter.index is not None:
        headers.append(("gatewatch.index", str(letter.index)))
    kept = letter.original[: MAX_ORIGINAL_BYTES if originals else 0]
    if not originals or len(kept) < len(letter.original):
        headers.append(("gatewatch.truncated-from", str(len(letter.original))))
    with_key = originals and letter.key is not None and len(letter.key) <= MAX_KEY_BYTES
    return Outgoing(topic, letter.key if with_key else None, kept, headers=headers)


class StoredDeadLetter(NamedTuple):
    """A dead letter as its topic holds it.

    Attributes:
        letter: the dead letter; its ``original`` may be cut.
        truncated_from: size of the original in bytes when it is cut; None when it is whole.
    """

    letter: DeadLetter
    truncated_from: int | None


def decode_dead_letter(key: bytes | None, value: bytes | None, headers: Stored | None) -> StoredDeadLetter:
    """Return the dead letter of a record that ``dead_letter_record`` made.

    Raises:
        ValueError: it is no such record.
    """
    given = [(name, text) for name, text in headers or () if text is not None]
    said = {name: text.decode() if isinstance(text, bytes) else text for name, text in given}
    try:
        letter = DeadLetter(
            reason=Reason(said["gatewatch.reason"]),
            detail=said["gatewatch.detail"],
            topic=said["gatewatch.topic"],
            partition=int(said["gatewatch.partition"]),
            offset=int(said["gatewatch.offset"]),
            timestamp=int(said["gatewatch.timestamp"]),
            original=value or b"",
            key=key,
            index=int(said["gatewatch.index"]) if "gatewatch.index" in said else None,
        )
    except KeyError as error:
        raise ValueError(f"no header {error}") from None
    cut = said.get("gatewatch.truncated-from")
    return StoredDeadLetter(letter, None if cut is None else int(cut))


@cache
def product_version() -> str:
    """Return gatewatch's version."""
    try:
        return version("gatewatch")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "0+unknown"
