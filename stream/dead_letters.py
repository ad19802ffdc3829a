"""DeadLetter: a record, or part of one, that could not become an ApiCall in a session, kept with its reason."""

from enum import StrEnum

import msgspec

MAX_RECORD_BYTES = 2_097_152
"""Largest record gatewatch produces; the topic of dead letters is made to hold it."""
MAX_ORIGINAL_BYTES = MAX_RECORD_BYTES - 131_072
"""Bytes of an original kept in a dead letter; the rest is room for key, headers and the batch around it."""
MAX_KEY_BYTES = 65_536


class Reason(StrEnum):
    """Why a record is a dead letter; the label of the metric, so the list is closed."""

    UNDECODABLE = "undecodable"
    """The bytes are not text or JSON of the topic's format."""
    UNKNOWN_FORMAT = "unknown_format"
    """No known gateway format fits (format ``auto``)."""
    MISSING_FIELD = "missing_field"
    """A field that a call needs (time, client, method, path) is absent."""
    INVALID_FIELD = "invalid_field"
    """A field is there but its value cannot be right."""
    FUTURE_TIMESTAMP = "future_timestamp"
    """The event time is too far after the Kafka timestamp: believing it would close every session."""
    LATE_CALL = "late_call"
    """The client's open session began more than a gap after this call."""
    INTERNAL_ERROR = "internal_error"
    """Processing this one record raised; a defect of gatewatch."""


class Rejected(Exception):  # noqa: N818 -- an outcome of decoding, named as one
    """A record (or element) cannot become an ApiCall.

    Attributes:
        reason: the closed-list reason.
        detail: a sentence that names the field and what was found, without values that may be personal.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class DeadLetter(msgspec.Struct, frozen=True):
    """The original bytes with where they came from and why they went no further.

    Attributes:
        reason: the closed-list reason.
        detail: what was wrong, one sentence.
        topic: source topic.
        partition: source partition.
        offset: source offset.
        timestamp: Kafka timestamp of the source record, epoch milliseconds; -1 when it had none.
        original: the bytes rejected: the record's value, or one element of it.
        key: the record's key.
        index: position of the element when the record held an array; None for a whole record.
    """

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    original: bytes
    key: bytes | None = None
    index: int | None = None
