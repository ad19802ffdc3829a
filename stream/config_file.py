"""Writes settings into the user's TOML file; comments, order and everything else in it stay as they are."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from stream.errors import CommandError
from stream.settings import merged


def fragment(section: str, values: Mapping[str, Any]) -> str:
    """Return a section as TOML."""
    return tomlkit.dumps({section: values})


def with_values(text: str, section: str, values: Mapping[str, Any]) -> str:
    """Return a TOML document with some settings of a section set, and nothing else changed.

    Args:
        text: the document.
        section: name of a table at its top; made at the end when there is none.
        values: numbers or text by name.

    Raises:
        ValueError: this cannot be done with this document.
    """
    document = tomlkit.parse(text)
    table = document.setdefault(section, tomlkit.table())
    # Blank lines and comments at a table's end belong to what follows: new values go before them.
    tail = []
    if isinstance(table, Table):
        body = table.value.body
        while body and body[-1][0] is None:
            tail.append(body.pop())
    for name, value in values.items():
        table[name] = value
    if tail:
        table.value.body.extend(reversed(tail))
    result = tomlkit.dumps(document)
    if tomllib.loads(result) != merged(tomllib.loads(text), {section: values}):
        raise ValueError(f"the table {section} is written in a way that cannot be changed without changing more")
    return result


def write_values(path: Path, section: str, values: Mapping[str, Any]) -> None:
    """Set settings of a section in a TOML file.

    Raises:
        CommandError: the file cannot be changed; says what to write into it by hand.
    """
    try:
        path.write_text(with_values(path.read_text(encoding="utf-8"), section, values), encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        by_hand = fragment(section, values).strip().replace("\n", "; ")
        raise CommandError(f"{path} is not changed: {reason}", f"write into it yourself: {by_hand}") from error
