"""Flags of the commands that read call logs, and of labels of what is in them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stream.adapters import FORMATS
from stream.errors import CommandError, ExitCode

CallsFlag = Annotated[
    list[Path],
    typer.Option(
        "--calls", metavar="FILE", help="Gateway log; may be repeated, the oldest first.", exists=True, dir_okay=False
    ),
]
FormatFlag = Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS), help="Log format of --calls.")]


def labels_option(without: str = "") -> Any:
    """Return the option ``--labels``.

    Args:
        without: the sentence that says what happens without it; empty where it is required.
    """
    return typer.Option(
        "--labels",
        metavar="FILE",
        help='Known attacks in the calls, a line each: {"client": …, "attack": …, "start": ms, "end": ms}. '
        f"{without}".rstrip(),
        show_default=False,
        exists=True,
        dir_okay=False,
    )


def require_format(name: str) -> None:
    """Refuse a log format that there is not.

    Raises:
        CommandError: names those that there are.
    """
    if name not in FORMATS:
        raise CommandError(f"no format {name!r}", f"choose one of {', '.join(FORMATS)}", ExitCode.USAGE)
