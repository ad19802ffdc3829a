"""Where commands write: results to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape

stdout = Console()
stderr = Console(stderr=True)


def print_error(problems: Iterable[str], hint: str = "") -> None:
    """Say what is wrong, a line for each problem, and what to do next."""
    for problem in problems:
        stderr.print(f"[bold red]error:[/] {escape(problem)}", soft_wrap=True, highlight=False)
    if hint:
        stderr.print(f"[bold]next:[/] {escape(hint)}", soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Write a value for another program: JSON without colours or wrapping."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def printable(text: str) -> str:
    """Return a text without characters that would do something to a terminal."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def shown(text: str) -> str:
    """Return a text that somebody else has chosen, such as a client's name, for ``print``: it is shown as it is."""
    return escape(printable(text))
