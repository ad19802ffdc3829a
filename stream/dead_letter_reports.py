"""Dead letters as people and programs read them."""

import base64
import json
import sys
from datetime import UTC, datetime
from typing import Any

from stream.console import printable
from stream.dead_letter_topic import Kept
from stream.wire import StoredDeadLetter

BEGINNING = 60
"""Characters of an original that a table shows."""


def row(kept: Kept) -> tuple[str, ...]:
    """Return the cells of a dead letter in a table; nothing in them can steer a terminal."""
    stored = _stored(kept)
    letter = stored.letter
    source = f"{letter.topic}-{letter.partition}@{letter.offset}"
    cells = (kept.position, moment(kept.time), letter.reason, source, letter.detail, beginning(letter.original))
    return tuple(printable(cell) for cell in cells)


def print_line(kept: Kept) -> None:
    """Write a dead letter as a line of JSON."""
    sys.stdout.write(json.dumps(document(kept), ensure_ascii=False) + "\n")


def document(kept: Kept) -> dict[str, Any]:
    """Return a dead letter for another program; bytes that are no UTF-8 are base64, under another name."""
    stored = _stored(kept)
    letter = stored.letter
    return {
        "position": kept.position,
        "time": kept.time,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "index": letter.index,
        "truncated_from": stored.truncated_from,
        **_text("key", letter.key),
        **_text("original", letter.original),
    }


def moment(time_ms: int) -> str:
    """Return a Kafka timestamp as people read it (UTC); empty when there is none."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(" ", "seconds")[:19] + "Z" if time_ms > 0 else ""


def beginning(data: bytes) -> str:
    """Return the first characters of an original."""
    text = data[: 4 * BEGINNING].decode(errors="replace")
    return text if len(text) <= BEGINNING else text[: BEGINNING - 1] + "…"


def _stored(kept: Kept) -> StoredDeadLetter:
    if kept.stored is None:
        raise ValueError(f"{kept.position} is no dead letter")
    return kept.stored


def _text(name: str, data: bytes | None) -> dict[str, str | None]:
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
