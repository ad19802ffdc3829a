"""JSON records: taking arrays and lines apart, decoding into a typed Struct, saying what was wrong."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from featurizer.calls import ApiCall
from stream.adapters.decoded import ReadOne
from stream.adapters.fields import invalid, missing
from stream.dead_letters import Reason, Rejected

Row = TypeVar("Row")

_elements = msgspec.json.Decoder(list[msgspec.Raw])
_any_json = msgspec.json.Decoder(msgspec.Raw)
_MISSING = re.compile(r"missing required field `([^`]*)`")
_PLACE = re.compile(r" - at `\$(?:\.([\w.-]+)|\[(\d+)\])")


def json_reader(row: type[Row], call_of: Callable[[Row], ApiCall], names: tuple[str, ...] = ()) -> ReadOne:
    """Return a function that reads one JSON value.

    Args:
        row: the Struct that a value must fit.
        call_of: makes the call; raises Rejected.
        names: names of the positions, where the value is an array.
    """
    decode = msgspec.json.Decoder(row).decode

    def read(value: bytes) -> ApiCall:
        try:
            try:
                fitted = decode(value)
            except UnicodeDecodeError:
                # NGINX writes a path's raw bytes as they are, also where they are no UTF-8.
                fitted = decode(value.decode("utf-8", "replace").encode())
        except msgspec.ValidationError as error:
            raise _explained(error, names) from None
        except msgspec.DecodeError as error:
            raise Rejected(Reason.UNDECODABLE, f"no JSON: {error}") from None
        return call_of(fitted)

    return read


def split_objects(value: bytes) -> list[bytes] | None:
    """Return the entries of an array, or the lines of a record whose lines are objects.

    Raises:
        Rejected: the array is not well-formed, so that nobody can tell where its entries begin.
    """
    text = value.strip()
    if text.startswith(b"["):
        return _entries(text)
    return _lines(text, b"{")


def split_arrays(value: bytes) -> list[bytes] | None:
    """Return the entries of an array of arrays, or the lines of a record whose lines are arrays.

    Raises:
        Rejected: the array is not well-formed.
    """
    text = value.strip()
    if text.startswith(b"[") and text[1:].lstrip()[:1] in {b"[", b"]"}:
        return _entries(text)
    return _lines(text, b"[")


def _entries(text: bytes) -> list[bytes]:
    """Return the entries of a JSON array, each with exactly its bytes."""
    try:
        return [bytes(raw) for raw in _elements.decode(text)]
    except msgspec.DecodeError as error:
        raise Rejected(Reason.UNDECODABLE, f"no JSON: {error}") from None


def is_json(text: bytes) -> bool:
    """True when the text is one well-formed JSON value."""
    try:
        _any_json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _lines(text: bytes, opening: bytes) -> list[bytes] | None:
    """Return the lines, unless the line breaks are within one value (indented, or cut off)."""
    if b"\n" not in text or is_json(text):
        return None
    lines = [line for line in (line.strip() for line in text.split(b"\n")) if line]
    return lines if any(line.startswith(opening) and is_json(line) for line in lines) else None


def _explained(error: msgspec.ValidationError, names: tuple[str, ...]) -> Rejected:
    """Return the rejection for a value that does not fit its Struct; msgspec's message holds types, no values."""
    text = str(error)
    place = _PLACE.search(text)
    if absent := _MISSING.search(text):
        return missing(f"{place[1]}.{absent[1]}" if place and place[1] else absent[1])
    if text.startswith("Expected `array` of at least length"):
        return Rejected(Reason.MISSING_FIELD, text.lower())
    if place is None:
        return Rejected(Reason.UNDECODABLE, text)
    field = place[1] or (names[int(place[2])] if int(place[2]) < len(names) else place[2])
    what = text[: place.start()]
    return missing(field) if what.endswith("got `null`") else invalid(field, what[:1].lower() + what[1:])
