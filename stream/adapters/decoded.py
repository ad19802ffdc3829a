"""Decoded: what one record of an input topic holds, calls and rejects, and how a record is taken apart."""

from collections.abc import Callable

import msgspec

from featurizer.calls import ApiCall
from featurizer.routes import RouteTemplates
from stream.adapters.identities import IdentityChain
from stream.dead_letters import Reason, Rejected

MOST_ELEMENTS = 10_000
"""Elements (array entries or lines) that one record may hold; a larger record is rejected whole."""

_MARKS_PER_ELEMENT = 64  # commas, line breaks; more would be no log entry


class Reject(msgspec.Struct, frozen=True):
    """A record, or one element of it, that is no call.

    Attributes:
        reason: why, from the closed list.
        detail: one sentence that names the field, without values.
        original: the bytes of the element, exactly as they came.
        index: position of the element in its record; None for a whole record.
    """

    reason: Reason
    detail: str
    original: bytes
    index: int | None = None


class Decoded(msgspec.Struct):
    """What a record holds: each of its elements is one of the calls or of the rejects, or is ignored.

    Attributes:
        calls: the calls, in the record's order.
        rejects: the elements that are none, in the record's order.
        format: name of the format that read them.
        ignored: how many elements are by design no calls, such as spans that no server made.
    """

    calls: list[ApiCall]
    rejects: list[Reject]
    format: str
    ignored: int = 0


class Ignored(Exception):  # noqa: N818 -- an outcome of decoding, named as one
    """An element is by design no call: nothing is wrong with it, and it becomes no dead letter."""


Decode = Callable[[bytes | None], Decoded]
"""Reads a record's value; never raises, whatever the bytes."""

ReadOne = Callable[[bytes], ApiCall]
"""Reads one element; raises Rejected, Ignored, or one of msgspec's and UnicodeDecodeError."""

Split = Callable[[bytes], list[bytes] | None]
"""Takes a record apart into elements; None when it is one element itself."""


class Adapter(msgspec.Struct, frozen=True):
    """One input format.

    Attributes:
        name: as settings spell it.
        summary: one line for people.
        bind: makes the function that decodes records, with given route templates and with names in a given order.
    """

    name: str
    summary: str
    bind: Callable[[RouteTemplates, IdentityChain], Decode]


def record_decoder(name: str, read_one: ReadOne, split: Split) -> Decode:
    """Return a decoder that first takes a record as one element, and only if that fails looks closer."""

    def decode(value: bytes | None) -> Decoded:
        try:
            return Decoded([read_one(value)], [], name)  # type: ignore[arg-type]  # None raises TypeError, seen below
        except Exception as error:  # noqa: BLE001 -- any bytes may come; the closer look gives each its reason
            return _look_closer(name, value, error, read_one, split)

    return decode


def is_crowded(value: bytes) -> bool:
    """True when a record cannot but hold more than ``MOST_ELEMENTS``: taken apart, they take far more memory."""
    return max(value.count(b"\n"), value.count(b",")) > _MARKS_PER_ELEMENT * MOST_ELEMENTS


def whole_reject(name: str, value: bytes | None, reason: Reason, detail: str) -> Decoded:
    """Return a record rejected as a whole."""
    return Decoded([], [Reject(reason, detail, value or b"")], name)


def _look_closer(name: str, value: bytes | None, error: Exception, read_one: ReadOne, split: Split) -> Decoded:
    """Return what a record holds that is no call as it stands; the error says why, should it be one element."""
    if value is None:
        return whole_reject(name, value, Reason.UNDECODABLE, "empty record")
    try:
        elements = _elements(value, split)
    except Rejected as rejected:
        return whole_reject(name, value, rejected.reason, rejected.detail)
    except RecursionError:
        return whole_reject(name, value, Reason.UNDECODABLE, "nested too deep")
    decoded = Decoded([], [], name)
    if elements is None:
        _note(value, None, error, decoded)
        return decoded
    for index, element in enumerate(elements):
        try:
            decoded.calls.append(read_one(element))
        except Exception as own:  # noqa: BLE001 -- a defect met by one element must not stop the others
            _note(element, index, own, decoded)
    return decoded


def _elements(value: bytes, split: Split) -> list[bytes] | None:
    if not value.strip():
        raise Rejected(Reason.UNDECODABLE, "empty record")
    crowded = is_crowded(value)
    elements = None if crowded else split(value)
    if crowded or (elements is not None and len(elements) > MOST_ELEMENTS):
        raise Rejected(Reason.UNDECODABLE, f"the record holds more than {MOST_ELEMENTS} elements")
    return elements


def _note(element: bytes, index: int | None, error: Exception, decoded: Decoded) -> None:
    """Note what keeps an element from being a call."""
    match error:
        case Ignored():
            decoded.ignored += 1
            return
        case Rejected():
            reason, detail = error.reason, error.detail
        case RecursionError():
            reason, detail = Reason.UNDECODABLE, "nested too deep"
        case _:
            reason, detail = Reason.INTERNAL_ERROR, f"reading {decoded.format} raised {type(error).__name__}"
    decoded.rejects.append(Reject(reason, detail, element, index))
