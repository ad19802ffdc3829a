"""The golden records of every input format, with what must become of them; tests/golden/README.md has the fields."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"


def files(format_name: str = "*") -> list[Path]:
    """Return the files of all formats or of one; a file's folder is the format."""
    return sorted(FOLDER.glob(f"{format_name}/*.jsonl"))


def cases(file: Path) -> list[dict[str, Any]]:
    """Return the cases of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def records(file: Path) -> list[bytes | None]:
    """Return the records of a file; None is a tombstone."""
    return [None if case["record"] is None else as_bytes(case["record"]) for case in cases(file)]


def as_bytes(text: str) -> bytes:
    """Return the bytes of a record that is told as text; a lone surrogate is a byte that is no UTF-8."""
    return text.encode("utf-8", "surrogateescape")
