"""Which formats a sample is of, told by what each format reads of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from featurizer.calls import ApiCall
from featurizer.routes import RouteTemplates
from stream.adapters import FORMATS, Decode, Decoded, IdentityChain, decoder
from stream.adapters.detection import AUTO
from stream.checking.sample import SampleRecord

PROBED = 1_000
"""Records that every format is tried on; after that those that read most of them come first."""


class Reading(NamedTuple):
    """A record and what became of it."""

    record: SampleRecord
    decoded: Decoded


class Detection(NamedTuple):
    """How a sample reads.

    Attributes:
        readings: each record as the settings proposed would read it.
        shares: records by the format that reads them best; those that none reads are not in it.
        format: the format to set: the only one, or ``auto``.
        by_auto: records of a mixed sample that ``auto`` reads whole.
    """

    readings: list[Reading]
    shares: Counter[str]
    format: str
    by_auto: int

    @property
    def mixed(self) -> bool:
        """Several formats are needed."""
        return len(self.shares) > 1

    @property
    def auto_suffices(self) -> bool:
        """The format ``auto`` reads what the formats together do."""
        return self.by_auto >= self.shares.total()


def detect(records: Sequence[SampleRecord], routes: RouteTemplates, identities: IdentityChain) -> Detection:
    """Return how a sample reads.

    A record is of the format that reads it whole; of several the one that reads most of the sample, with most fields.
    """
    decoders = {name: decoder(name, routes, identities) for name in FORMATS if name != AUTO.name}
    order = _ranked(records[:: len(records) // PROBED + 1], decoders)
    found = [_best(record.value, order, decoders) for record in records]
    shares = Counter(decoded.format for decoded in found if whole(decoded))
    chosen = next(iter(shares)) if len(shares) == 1 else AUTO.name
    auto = decoder(AUTO.name, routes, identities)
    set_reader = decoders.get(chosen, auto)
    readings = [
        Reading(record, decoded if whole(decoded) else set_reader(record.value))
        for record, decoded in zip(records, found, strict=True)
    ]
    by_auto = sum(whole(auto(record.value)) for record in records) if len(shares) > 1 else 0
    return Detection(readings, shares, chosen, by_auto)


def why_not(value: bytes | None, routes: RouteTemplates) -> dict[str, str]:
    """Return what keeps each format from reading a record."""
    found = {name: decoder(name, routes)(value) for name in FORMATS if name != AUTO.name}
    return {name: decoded.rejects[0].detail for name, decoded in found.items() if decoded.rejects}


def whole(decoded: Decoded) -> bool:
    """Return whether every element of a record is a call."""
    return bool(decoded.calls) and not decoded.rejects


def is_address(client: str) -> bool:
    """Return whether a client is known by its network address only."""
    try:
        ip_address(client)
    except ValueError:
        return False
    return True


def _ranked(probe: Sequence[SampleRecord], decoders: Mapping[str, Decode]) -> list[str]:
    """Return the formats, the one that reads most calls with most fields first; else in the order of the table."""

    def merit(name: str) -> tuple[int, int]:
        calls = [call for record in probe for call in decoders[name](record.value).calls]
        return len(calls), sum(map(_fields, calls))

    merits = {name: merit(name) for name in decoders}
    return sorted(decoders, key=merits.__getitem__, reverse=True)  # stable


def _fields(call: ApiCall) -> int:
    return (
        (call.status != 0)
        + (call.duration_ms is not None)
        + (call.request_id is not None)
        + (not is_address(call.client))
    )


def _best(value: bytes | None, order: Sequence[str], decoders: Mapping[str, Decode]) -> Decoded:
    """Return a record as the first format in order reads it that reads it whole; else by the one that reads most."""
    best: Decoded | None = None
    for name in order:
        decoded = decoders[name](value)
        if whole(decoded):
            return decoded
        if best is None or len(decoded.calls) > len(best.calls):
            best = decoded
    assert best is not None  # noqa: S101 -- there are formats
    return best
