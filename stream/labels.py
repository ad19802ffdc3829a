"""Reads files of labels."""

from pathlib import Path

from scorer.labelling import AttackLabel, read_labels
from stream.errors import CommandError, ExitCode


def labels_of(path: Path) -> list[AttackLabel]:
    """Read a labels file.

    Raises:
        CommandError: it can't be read, or a line is no label.
    """
    try:
        return read_labels(path.read_bytes())
    except OSError as error:
        raise CommandError(f"--labels {path}: {error.strerror}", exit_code=ExitCode.USAGE) from error
    except ValueError as error:
        hint = 'one JSON object a line: {"client": …, "attack": …, "start": ms, "end": ms}'
        raise CommandError(f"--labels {path}: {error}", hint, ExitCode.USAGE) from error
