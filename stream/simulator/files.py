"""Files: simulated calls and their labels, a line each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import CommandError
from stream.simulator.encoders import Encoder
from stream.simulator.traffic import AttackLabel
from stream.simulator.visits import SimulatedCall


class FileSink:
    """Writes one line per call.

    Raises:
        CommandError: the file cannot be written.
    """

    def __init__(self, path: Path, encode: Encoder) -> None:
        self._file = open_for_writing(path)
        self._encode = encode

    def write(self, call: SimulatedCall) -> None:
        """Write one line."""
        self._file.write(self._encode(call) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_for_writing(path: Path) -> Any:
    """Open a file for bytes, buffered.

    Raises:
        CommandError: it cannot be opened; says why.
    """
    try:
        return path.open("wb")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


class LabelFile:
    """Writes labels, a JSON object a line, as they become final."""

    def __init__(self, path: Path) -> None:
        self._file = open_for_writing(path)

    def write(self, labels: Iterable[AttackLabel]) -> None:
        """Write labels so that a reader sees them at once."""
        lines = b"".join(msgspec.json.encode(label) + b"\n" for label in labels)
        if lines:
            self._file.write(lines)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
