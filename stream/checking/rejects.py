"""What of a sample is no call: why, how often, where, and what to do about it."""

from collections.abc import Iterable
from typing import NamedTuple

from stream.adapters import Reject
from stream.checking.formats import Reading
from stream.checking.lines import field_names, shown
from stream.dead_letters import Reason

_MOST_FIELDS = 12


class RejectGroup(NamedTuple):
    """Rejects of one kind.

    Attributes:
        reason: why they are no calls.
        detail: the same in a sentence.
        rejects: how many.
        place: where the first is.
        example: the first, without what may be secret.
        advice: what to do.
    """

    reason: Reason
    detail: str
    rejects: int
    place: str
    example: str
    advice: str


def reject_groups(readings: Iterable[Reading]) -> list[RejectGroup]:
    """Return the rejects by reason and detail, the most frequent first."""
    counts: dict[tuple[Reason, str], int] = {}
    firsts: dict[tuple[Reason, str], tuple[Reject, str]] = {}
    for record, decoded in readings:
        for reject in decoded.rejects:
            kind = (reject.reason, reject.detail)
            counts[kind] = counts.get(kind, 0) + 1
            element = "" if reject.index is None else f", element {reject.index + 1}"
            firsts.setdefault(kind, (reject, record.place + element))
    return [
        RejectGroup(*kind, count, firsts[kind][1], shown(firsts[kind][0].original, None), advice_on(firsts[kind][0]))
        for kind, count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def advice_on(reject: Reject) -> str:
    """Return what to do about a reject."""
    original = reject.original.strip()
    if not original:
        return "leave out blank lines and tombstones: each counts as a dead letter"
    match reject.reason:
        case Reason.UNKNOWN_FORMAT | Reason.UNDECODABLE:
            return _advice_on_bytes(original)
        case Reason.MISSING_FIELD:
            return f"have the gateway log it; there are: {_fields(original)}" if _fields(original) else _OTHER_LINES
        case Reason.INVALID_FIELD if "looks like" in reject.detail:
            return "convert the number where the line is written or shipped"
        case Reason.INVALID_FIELD:
            return "correct it where the line is written or shipped"
    return "this is a defect of gatewatch: please report it with the line"


_OTHER_LINES = "lines of another program? Keep access logs apart from other logs"


def _advice_on_bytes(original: bytes) -> str:
    if original in {b"[", b"{", b"]", b"}", b"],", b"},"}:
        return "one JSON value over several lines: write one value a line, for example with jq -c"
    if original[:1] == b"\0" or sum(byte < 9 for byte in original[:64]) > 4:
        return "not text (Avro, Protobuf, compressed?): gatewatch reads JSON and log lines"
    if fields := _fields(original):
        return f"no format has these fields: {fields}. Rename them to those of a format, see the README"
    if original[:1] in {b"{", b"["}:
        return "the JSON is cut off or broken: does the shipper limit the length of a line?"
    return _OTHER_LINES


def _fields(original: bytes) -> str:
    names = field_names(original)
    return ", ".join(names[:_MOST_FIELDS]) + (", …" if len(names) > _MOST_FIELDS else "")
