"""Samples: records from the beginning of a file, or from the end of a topic's partitions, with where each was."""

import gzip
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from stream.dead_letters import MAX_RECORD_BYTES
from stream.errors import CommandError, ExitCode
from stream.settings import Settings

STDIN = Path("-")

_GZIP = b"\x1f\x8b"
_COMPRESSED: Mapping[bytes, str] = {
    b"BZh": "bzip2 -dc",
    b"\xfd7zXZ\x00": "xz -dc",
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"PK\x03\x04": "unzip -p",
}
"""First bytes of other compressed files, and what unpacks them."""

Report = Callable[[int], object]
"""Told how many records have been read since the last time."""


class SampleRecord(NamedTuple):
    """A record of a sample.

    Attributes:
        value: its bytes; None for a tombstone.
        place: where it was, for people.
        partition: within one the order of records means something.
        arrival: Kafka timestamp, epoch milliseconds; -1 for none.
    """

    value: bytes | None
    place: str
    partition: int = 0
    arrival: int = -1


class Sample(NamedTuple):
    """Records to look at.

    Attributes:
        name: of the file or topic.
        unit: what a record is: ``line`` or ``record``.
        records: in order within each partition.
        whole: there was no more.
        topic: the topic; None for a file.
    """

    name: str
    unit: str
    records: list[SampleRecord]
    whole: bool
    topic: str | None = None


def file_sample(path: Path, most: int) -> Sample:
    """Return the first lines of a file, packed by gzip or not, or of standard input (``-``).

    Raises:
        CommandError: it cannot be read.
    """
    try:
        with _opened(path) as file:
            lines = [line.rstrip(b"\r\n") for line in islice(_lines(file), most + 1)]
    except (OSError, EOFError) as error:
        raise CommandError(f"{path}: {getattr(error, 'strerror', None) or error}", exit_code=ExitCode.USAGE) from error
    records = [SampleRecord(line, f"line {number:,}") for number, line in enumerate(lines[:most], start=1)]
    name = "standard input" if path == STDIN else path.name
    return Sample(name, "line", records, len(lines) <= most)


def topic_sample(settings: Settings, topic: str, most: int, report: Report = lambda _: None) -> Sample:
    """Return the last records of a topic, about as many of each partition; no consumer group is made.

    Raises:
        CommandError: no broker answers, there is no such topic (exit code 3), or the brokers refuse.
    """
    from stream.whole_topic import WholeTopic  # noqa: PLC0415 -- loads librdkafka: a file need not wait

    with WholeTopic(settings, topic, "check", "name a topic that there is with --topic") as reader:
        starts = last_offsets(reader.bounds, most)
        records = [
            SampleRecord(
                message.value(),
                f"{topic}-{message.partition()}@{message.offset()}",
                message.partition() or 0,
                message.timestamp()[1],
            )
            for message in reader.messages(starts, 100, report)
        ]
        whole = all(starts[number] <= first for number, (first, _) in reader.bounds.items())
    return Sample(topic, "record", records, whole, topic)


def last_offsets(bounds: Mapping[int, tuple[int, int]], most: int) -> dict[int, int]:
    """Return where to start reading for at most so many offsets: as many of each partition, if it has them.

    Args:
        bounds: first offset and the one after the last, by partition.
        most: offsets to read.
    """
    starts: dict[int, int] = {}
    left = most
    # The shortest first: what it does not use is for the others.
    for at, number in enumerate(sorted(bounds, key=lambda number: bounds[number][1] - bounds[number][0])):
        first, end = bounds[number]
        own = min(end - first, left // (len(bounds) - at))
        starts[number] = end - own
        left -= own
    return starts


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        first = file.read(6)
        file.seek(0)
        for magic, unpack in _COMPRESSED.items():
            if first.startswith(magic):
                hint = f"unpack it first: {unpack} {path} | gatewatch check -"
                raise CommandError(f"{path} is compressed, and not by gzip", hint, ExitCode.USAGE)
        if not first.startswith(_GZIP):
            yield file
            return
        with gzip.open(file) as unpacked:
            yield unpacked  # type: ignore[misc] # a GzipFile reads as one


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines; one without an end is cut, so that a file of another kind does not fill the memory."""
    while line := file.readline(MAX_RECORD_BYTES):
        yield line
