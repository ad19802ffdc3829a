"""Throw records at every input format and check what must hold for any bytes.

    python -m tests.fuzz_adapters --records 100000 --seed 1

Records are golden ones of each format in turn, changed at random (values of JSON odd or gone; bytes flipped, cut,
doubled, spliced, put in arrays, lines and envelopes), and random bytes. For each: decoding does not raise; every reject
has a reason of the closed list, a printable detail and bytes that are in the record; a call can be written to a topic
and read back; nothing is lost (a record without calls has a reject, or is ignored); a second decoder, that has seen
nothing before, says the same.
"""

import argparse
import base64
import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from featurizer.calls import decode_call, encode_call
from featurizer.routes import RouteTemplates
from stream.adapters import FORMATS, Decoded, decoder
from stream.adapters.fields import LONGEST_CLIENT
from stream.adapters.own import LONGEST_ENDPOINT
from stream.adapters.times import EARLIEST, LATEST
from stream.dead_letters import Reason
from tests import golden_records

PINNED = ("/users/{name}", "GET /reports/{year}-{month}.csv", "/files/{rest+}")
SPICES = [
    *(
        b"\n",
        b"\r\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b'"',
        b"\\",
        b"\\x00",
        b"\\u0000",
        b"\\ud800",
        b"\x00",
        b"\xff",
        b"\xc3",
    ),
    *(b"1e999", b"-1", b"99999999999999999999", b"NaN", b"null", b"true", b"%", b"%2F", b"{id}", b"?", b"#", b" - - ["),
    *(
        b'] "',
        b"HTTP/1.1",
        b'"client":',
        b'"remote_addr":',
        b'"started_at":',
        b'"start_time":',
        b'"RequestPath":',
        b'"downstream_remote_address":',
        b'"time":',
        b"\xf0\x9f\x98\x80",
        b"\xe2\x80\xa8",
        b"\xd9\xa1",
    ),
    *(b"[" * 2_000, b"a" * 300),
]
"""Bytes that mean something to one of the formats."""

ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 1e300, 10**400),
    *("", "-", "a" * 300, "\u0661", "1e999"),
    *([], {}, [None], {"a": 1}),
]

ENVELOPES: tuple[Callable[[bytes], bytes], ...] = (
    lambda line: json.dumps({"log": as_text(line) + "\n", "stream": "stdout"}).encode(),
    lambda line: json.dumps({"message": as_text(line), "log": {"offset": 7}}).encode(),
    lambda line: b"2016-10-06T00:17:09.669794202Z stdout F " + line,
    lambda line: b"\0\0\0\0\1" + line,
    lambda line: base64.b64encode(gzip.compress(line, 1)),
    lambda line: json.dumps({"specversion": "1.0", "data_base64": base64.b64encode(line).decode()}).encode(),
    lambda line: json.dumps({"messageType": "DATA_MESSAGE", "logEvents": [{"message": as_text(line)}] * 2}).encode(),
    lambda line: gzip.compress(line, 1),
)
"""What shippers put around a line; the last two hold several, and bytes that no text can hold."""


def as_text(line: bytes) -> str:
    """Return a line as shippers write it into JSON."""
    return line.decode("utf-8", "replace")


def seeds(format_name: str = "*") -> list[bytes]:
    """Return the records of the golden files, of all formats or of one."""
    return [own for file in golden_records.files(format_name) for own in golden_records.records(file) if own]


def reshaped(seed: bytes, rng: random.Random) -> bytes:
    """Return a JSON record with one value, at any depth, odd or gone; any other record as it is."""
    try:
        record = json.loads(seed)
    except (ValueError, RecursionError):
        return seed
    at = record
    while isinstance(at, dict | list) and at:
        key = rng.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.3:
            at[key] = rng.choice(ODD_VALUES)
            if rng.random() < 0.3:
                del at[key]
            break
        at = at[key]
    return json.dumps(record).encode()


def mutated(seed: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:  # noqa: C901 -- a flat list of changes
    """Return a record changed in up to four places."""
    data = bytearray(seed)
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([1, 1, 2, 8, 64]))
        match rng.randrange(9):
            case 0:
                data[at:end] = b""
            case 1:
                data[at:at] = data[at:end]
            case 2:
                data[at:at] = rng.choice(SPICES)
            case 3:
                data[at:end] = rng.choice(SPICES)
            case 4:
                data[at:end] = rng.randbytes(end - at)
            case 5:
                del data[at:]
            case 6:
                data = bytearray(rng.choice([b",", b"\n", b"\r\n\r\n"]).join([bytes(data), rng.choice(others)]))
            case 7:
                data = bytearray(b"[" + data + b"]")
            case 8:
                data = bytearray(rng.choice(ENVELOPES)(bytes(data)))
    return bytes(data)


def records(count: int, seed: int) -> Iterator[bytes]:
    """Yield records, the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311 -- repeatable, no secret
    known = seeds()
    of_formats = [seeds(name) for name in FORMATS]
    for _ in range(count):
        if rng.random() < 0.1:
            yield rng.randbytes(rng.randint(0, 200))
        else:
            record = rng.choice(rng.choice(of_formats))
            yield mutated(reshaped(record, rng) if rng.random() < 0.4 else record, known, rng)


def check(record: bytes, decoded: Decoded) -> None:
    """Raise AssertionError unless everything holds that must for any record."""
    for call in decoded.calls:
        assert EARLIEST <= call.time < LATEST
        assert 0 < len(call.client) <= LONGEST_CLIENT
        assert 0 < len(call.endpoint) <= LONGEST_ENDPOINT
        assert 0 <= call.status <= 999
        assert call.duration_ms is None or call.duration_ms >= 0
        assert call.request_id is None or len(call.request_id) <= len(record)
        assert decode_call(encode_call(call)) == call
    for reject in decoded.rejects:
        assert reject.reason in Reason
        assert reject.reason is not Reason.INTERNAL_ERROR, reject.detail
        assert reject.detail.isprintable()
        assert len(reject.detail) < 200
        # Of a record with envelopes an element may be what is in them, unpacked.
        assert reject.index is not None or reject.original == record
        assert reject.original in record or reject.detail.startswith(("in ", "part of a CRI line", "gzip", "base64"))
    places = [reject.index for reject in decoded.rejects]
    elements = len(decoded.calls) + len(decoded.rejects) + decoded.ignored
    assert places == [None] or (None not in places and len(set(places)) == len(places))
    assert all(place is None or place < elements for place in places)
    assert elements > 0 or record.strip()[:1] == b"["


def run(count: int, seed: int) -> Counter[str]:
    """Decode the records in every format and return how many calls and rejects of each reason there were."""
    seen: Counter[str] = Counter()
    decoders = {name: decoder(name, RouteTemplates(PINNED)) for name in FORMATS}
    for number, record in enumerate(records(count, seed)):
        for name, decode in decoders.items():
            try:
                decoded = decode(record)
                check(record, decoded)
                if number % 16 == 0:
                    assert decoder(name, RouteTemplates(PINNED))(record) == decoded
            except Exception as error:
                error.add_note(f"format {name}, record {number} of seed {seed}: {record!r}")
                raise
            seen[f"{name} call"] += len(decoded.calls)
            seen.update(f"{name} {reject.reason}" for reject in decoded.rejects)
    return seen


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=int, default=20_000, help="records to try in every format (default %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same records (default %(default)s)"
    )
    arguments = parser.parse_args()
    for name, number in sorted(run(arguments.records, arguments.seed).items()):
        sys.stdout.write(f"{name:32} {number:>10,}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
