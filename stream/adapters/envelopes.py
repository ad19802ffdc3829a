"""Envelopes: what shippers and brokers put around a log line, taken off before the format reads it.

======================= ==============================================================================================
Docker json-file,       a JSON object with the line in ``log``
Fluent Bit
Filebeat, Vector        a JSON object with the line in ``message`` (Filebeat's ``log`` is an object, of the file)
CRI                     ``2016-10-06T00:17:09.669794202Z stdout F `` before the line; a line in parts (``P``) is a
                        reject
CloudWatch subscription a JSON object whose ``logEvents`` have the line in ``message``: as it is, in gzip, in gzip in
                        base64, or that in ``{"awslogs":{"data":…}}``. A ``CONTROL_MESSAGE`` is ignored
Confluent wire format   a zero byte and four bytes of schema id before the value; what comes after must be text or JSON.
                        Where the id is in the header ``__value_schema_id`` there is nothing to take off
CloudEvents             structured mode: a JSON object with ``specversion`` and ``data`` or ``data_base64``. In binary
                        mode the value is the payload, and there is nothing to take off
OpenTelemetry           log records of ``resourceLogs``, with the line as the text of their ``body``
======================= ==============================================================================================

The format reads a record first, and only for a record in which it understands nothing an envelope is looked for:
records without one pay nothing, and no field of a format can be taken for an envelope. Nothing is remembered from
record to record. Envelopes may be in one another, ``MOST_LAYERS`` deep.

A dead letter holds the bytes of the record as they came. Where a record holds several lines, a dead letter holds one
entry with its position: the others are calls already, and feeding it back must not repeat them.
"""

import msgspec

from stream.adapters.decoded import MOST_ELEMENTS, Decode, Decoded, Reject, whole_reject
from stream.adapters.json_elements import split_objects
from stream.adapters.unwrapping import MOST_INFLATED, Entry, Room, unwrapped
from stream.dead_letters import Reason, Rejected

MOST_LAYERS = 4
"""Envelopes in one another that are opened: Confluent's prefix, CloudEvents, a shipper's, Docker's."""


def opening_envelopes(bare: Decode) -> Decode:
    """Return a decoder that looks into envelopes too.

    Args:
        bare: reads what is in them, and records without any.
    """

    def decode(value: bytes | None) -> Decoded:
        decoded = bare(value)
        if decoded.calls or value is None or not decoded.rejects:
            return decoded
        return _Opening(bare).record(value, decoded)

    return decode


class _Opening:
    """The way into one record.

    Args:
        bare: reads what is in the envelopes.
    """

    def __init__(self, bare: Decode) -> None:
        self._bare = bare
        self._room = Room(MOST_INFLATED)
        self._found = False  # an envelope
        self._elements = 0
        self._result = Decoded([], [], "")

    def record(self, value: bytes, decoded: Decoded) -> Decoded:
        """Return what is in the record's envelopes; where there are none, what the format made of it."""
        result = self._result
        try:
            self._take(Entry("", value, value), decoded, 0)
        except Rejected as rejected:
            return whole_reject(decoded.format, value, rejected.reason, rejected.detail)
        if not self._found:
            return decoded
        if self._elements == 0:  # a message that only tests the connection
            return Decoded([], [], decoded.format, 1)
        if self._elements == 1:
            result.rejects = [msgspec.structs.replace(reject, original=value, index=None) for reject in result.rejects]
        return result

    def _take(self, entry: Entry, decoded: Decoded, layers: int, *, whole: bool = True) -> None:
        """Take what the format made of an entry, or, where it understood nothing, what is in it.

        Args:
            entry: the record, or what was in an envelope.
            decoded: what the format made of it.
            layers: how many envelopes it was in.
            whole: it may have several elements; False for an element.
        """
        if decoded.calls or not decoded.rejects:
            self._keep(entry, decoded)
            return
        try:
            inside = self._inside(entry.payload, layers)
        except Rejected as rejected:
            self._found = True
            self._keep(entry, whole_reject(decoded.format, entry.payload, rejected.reason, rejected.detail))
            return
        if inside is not None:
            self._found = True
            for part in inside:
                own = entry.own if part.own is None else part.own
                self._take(part._replace(own=own), self._bare(part.payload), layers + 1)
        elif whole and (elements := _elements(entry.payload, decoded)):
            self._result.ignored += decoded.ignored
            self._elements += decoded.ignored
            for element in elements:
                self._take(Entry(entry.place, element, element), self._bare(element), layers, whole=False)
        else:
            self._keep(entry, decoded)

    def _inside(self, payload: bytes, layers: int) -> list[Entry] | None:
        inside = unwrapped(payload, self._room)
        if inside is not None and layers == MOST_LAYERS:
            raise Rejected(Reason.UNDECODABLE, f"more than {MOST_LAYERS} envelopes in one another")
        return inside

    def _keep(self, entry: Entry, decoded: Decoded) -> None:
        result, first = self._result, self._elements
        if (decoded.calls and not result.calls) or not result.format:
            result.format = decoded.format
        result.calls += decoded.calls
        result.ignored += decoded.ignored
        for reject in decoded.rejects:
            detail = f"in {entry.place}: {reject.detail}" if entry.place else reject.detail
            original = reject.original if entry.own is None or reject.index is not None else entry.own
            result.rejects.append(Reject(reject.reason, detail, original, first + (reject.index or 0)))
        self._elements += len(decoded.calls) + len(decoded.rejects) + decoded.ignored
        if self._elements > MOST_ELEMENTS:
            raise Rejected(Reason.UNDECODABLE, f"the record holds more than {MOST_ELEMENTS} elements")


def _elements(value: bytes, decoded: Decoded) -> list[bytes]:
    """Return the elements of a record of which the format understood none; none when it is a single one."""
    if decoded.rejects[0].index is not None:
        return [reject.original for reject in decoded.rejects]
    if value.lstrip()[:1] != b"[":
        return []
    try:
        return split_objects(value) or []  # for formats of text, to which an array is one strange line
    except (Rejected, RecursionError):
        return []
