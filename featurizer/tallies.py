"""Tallies: what a session counts of its calls beside its graph, in numbers that stay small.

One array of counters a session: pauses between calls on a scale of powers of two, answers by what they say, calls that
named an object, changes of the address. A call adds to two or three of them, whatever the session's length.
"""

from array import array
from zlib import crc32

PAUSES = 24
"""Counters of pauses. Counter k holds those of 2**(k-1) to 2**k - 1 ms, counter 0 those of 0 ms, the last also longer
ones (above 2.3 hours)."""

UNANSWERED, CLIENT_ERRORS, DENIED, NOT_FOUND, SERVER_ERRORS, OBJECT_CALLS, ADDRESS_CHANGES = range(PAUSES, PAUSES + 7)
"""Places of the other counters: calls without a recorded status, with 4xx, with 401 or 403, with 404, with 5xx; calls
whose route has a parameter; calls from another address than the one before."""

TALLIES = PAUSES + 7

OBJECT_BITS = 128
"""Bits in which the objects of one route are noted: by linear counting (Whang et al., ACM TODS 15, 1990) up to some 600
different ones can be told."""
MOST_ROUTES = 32
"""Routes whose objects a session notes; those it calls later are passed over."""
MOST_ADDRESSES = 8
"""Different addresses that a session remembers, the latest ones."""
ADDRESS_BYTES = 4

PAUSE_COUNTER = bytes(min(bits, PAUSES - 1) for bits in range(64))
"""Counter of a pause by the bits of its length in milliseconds."""


def new_tally() -> "array[int]":
    """Return counters at zero."""
    return array("I", bytes(4 * TALLIES))


def count_answer(tally: "array[int]", status: int) -> None:
    """Count an answer that was no success: its status is 400 or above, or none was recorded."""
    if status >= 500:
        tally[SERVER_ERRORS] += 1
    elif status >= 400:
        tally[CLIENT_ERRORS] += 1
        if status in {401, 403}:
            tally[DENIED] += 1
        elif status == 404:
            tally[NOT_FOUND] += 1
    else:
        tally[UNANSWERED] += 1


def address_seen(tally: "array[int]", addresses: bytes, address: str) -> bytes:
    """Return the remembered addresses with one more, counting it if it is another than the latest.

    Args:
        tally: the session's counters.
        addresses: checksums of the addresses so far, 4 bytes each, the latest first.
        address: where a call came from.
    """
    checksum = crc32(address.encode("utf-8", "surrogatepass")).to_bytes(ADDRESS_BYTES, "little")
    if addresses.startswith(checksum):
        return addresses
    if addresses:
        tally[ADDRESS_CHANGES] += 1
    known = [addresses[at : at + ADDRESS_BYTES] for at in range(0, len(addresses), ADDRESS_BYTES)]
    return b"".join([checksum, *(own for own in known if own != checksum)][:MOST_ADDRESSES])
