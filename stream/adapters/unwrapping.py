"""Unwrapping: one envelope taken off; which ones there are, ``stream.adapters.envelopes`` says."""

import binascii
import re
import zlib
from typing import NamedTuple

import msgspec

from stream.adapters.decoded import MOST_ELEMENTS, is_crowded
from stream.dead_letters import Reason, Rejected

MOST_INFLATED = 16_777_216
"""Bytes that the compressed parts of one record may unpack to; CloudWatch sends about a megabyte."""

_NONE = msgspec.Raw(b"")
_GZIP = b"\x1f\x8b"
_GZIP_IN_BASE64 = b"H4sI"
_BODY = "the body of a log record"
_CRI = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:[0-9]{2}) std(?:out|err) ([FP])(?::\S*)?(?: (.*))?"
)


class Entry(NamedTuple):
    """What an envelope holds.

    Attributes:
        place: where it was, for people; empty for what was in no envelope.
        payload: what the format should read.
        own: the entry's bytes as they stand in an envelope of several; None in one of one.
    """

    place: str
    payload: bytes
    own: bytes | None = None


class Room:
    """How much the compressed parts of one record may still unpack to.

    Attributes:
        left: bytes.
    """

    def __init__(self, size: int) -> None:
        self.left = size

    def inflated(self, data: bytes) -> bytes:
        """Return what gzip holds.

        Raises:
            Rejected: it is malformed, or holds more than there is room for.
        """
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            inflated = stream.decompress(data, self.left + 1)
        except zlib.error:
            raise Rejected(Reason.UNDECODABLE, "gzip is malformed") from None
        if len(inflated) > self.left:
            raise Rejected(Reason.UNDECODABLE, f"gzip holds more than the {MOST_INFLATED >> 20} MiB that a record may")
        if is_crowded(inflated):
            raise Rejected(Reason.UNDECODABLE, f"gzip holds more than {MOST_ELEMENTS} elements")
        if not stream.eof:
            raise Rejected(Reason.UNDECODABLE, "gzip is cut off")
        if stream.unused_data:
            raise Rejected(Reason.UNDECODABLE, "more after the end of gzip")
        self.left -= len(inflated)
        return inflated


class _Object(msgspec.Struct, gc=False):
    """The fields by which JSON envelopes are known; what their values are is looked at afterwards."""

    log: msgspec.Raw = _NONE
    message: msgspec.Raw = _NONE
    body: msgspec.Raw = _NONE
    specversion: msgspec.Raw = _NONE
    data: msgspec.Raw = _NONE
    data_base64: msgspec.Raw = _NONE
    awslogs: msgspec.Raw = _NONE
    message_type: msgspec.Raw = msgspec.field(default=_NONE, name="messageType")
    log_events: msgspec.Raw = msgspec.field(default=_NONE, name="logEvents")
    resource_logs: msgspec.Raw = msgspec.field(default=_NONE, name="resourceLogs")


class _ScopeLogs(msgspec.Struct, rename="camel"):
    log_records: tuple[msgspec.Raw, ...] = ()


class _ResourceLogs(msgspec.Struct, rename="camel"):
    scope_logs: tuple[_ScopeLogs, ...] = ()


_object = msgspec.json.Decoder(_Object).decode
_text = msgspec.json.Decoder(str).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_resources = msgspec.json.Decoder(tuple[_ResourceLogs, ...]).decode


def unwrapped(value: bytes, room: Room) -> list[Entry] | None:
    """Return what an envelope holds; None when the value is none.

    Args:
        value: a record's value, or what was in another envelope.
        room: for what is compressed.

    Raises:
        Rejected: it is an envelope, and what is in it cannot be had.
    """
    text = value.strip()
    if text.startswith(b"{"):
        return _in_json(text)
    if value.startswith(b"\0") and len(value) > 5:
        return [Entry("Confluent's wire format", value[5:])]
    packed = _from_base64(text) if text.startswith(_GZIP_IN_BASE64) else value
    if packed.startswith(_GZIP):
        return [Entry("gzip", room.inflated(packed))]
    return _in_cri(text)


def _in_cri(line: bytes) -> list[Entry] | None:
    match = _CRI.fullmatch(line)
    if match is None:
        return None
    flag, content = match.groups()
    if flag == b"P":
        raise Rejected(Reason.UNDECODABLE, "part of a CRI line (flag P): the shipper has to join the parts")
    return [Entry("a CRI line", content or b"")]


def _in_json(text: bytes) -> list[Entry] | None:
    try:
        try:
            return _in_object(text)
        except UnicodeDecodeError:  # in a name
            return _in_object(text.decode("utf-8", "replace").encode())
    except (msgspec.DecodeError, RecursionError):  # no JSON, or none of these shapes
        return None


def _in_object(text: bytes) -> list[Entry] | None:
    fields = _object(text)
    if fields.log_events:
        return _cloudwatch_events(fields)
    if fields.resource_logs:
        return _log_records(fields.resource_logs)
    place, payload = _single(fields)
    return None if payload is None else [Entry(place, payload)]


def _single(fields: _Object) -> tuple[str, bytes | None]:
    """Return what an envelope of one line holds, and where; None when it is no such envelope."""
    if fields.awslogs:
        return "awslogs.data", _line(_fields(fields.awslogs).get("data", _NONE))
    if fields.specversion and fields.data_base64:
        return "data_base64", _from_base64(_line(fields.data_base64))
    if fields.specversion:
        return "data", _line(fields.data) if fields.data else None
    log, message = bytes(fields.log), bytes(fields.message)
    for place, value, openings in (("log", log, b'"'), ("message", message, b'"{'), ("log", log, b"{")):
        if value and value[0] in openings:
            return place, _line(value)
    return _BODY, _body(fields.body)


def _cloudwatch_events(fields: _Object) -> list[Entry]:
    if bytes(fields.message_type) == b'"CONTROL_MESSAGE"':
        return []
    return [
        Entry("a CloudWatch event", _line(_object(event).message), bytes(event)) for event in _list(fields.log_events)
    ]


def _log_records(resources: msgspec.Raw) -> list[Entry] | None:
    records = [record for own in _resources(resources) for scope in own.scope_logs for record in scope.log_records]
    bodies = [_body(_object(record).body) for record in records]
    if not any(bodies):
        return None
    return [Entry(_BODY, body or b"", bytes(record)) for record, body in zip(records, bodies, strict=True)]


def _body(body: msgspec.Raw) -> bytes | None:
    """Return the text of a log record's body; None where it has none."""
    text = _fields(body).get("stringValue") if body else None
    return None if text is None else _line(text)


def _line(value: msgspec.Raw | bytes) -> bytes:
    """Return a JSON text as its bytes, any other JSON value as it stands."""
    raw = bytes(value)
    if not raw.startswith(b'"'):
        return raw
    try:
        return _text(raw).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return _text(raw.decode("utf-8", "replace")).encode("utf-8", "surrogatepass")


def _from_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        raise Rejected(Reason.UNDECODABLE, "base64 is malformed") from None
