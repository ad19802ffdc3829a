"""The file of suppression rules on disk: read whole, changed by adding to its end, replaced in one step."""

import tempfile
from collections.abc import Collection
from pathlib import Path

import msgspec
import tomlkit

from scorer.suppression import Suppressions
from scorer.suppression_file import RuleEntry, read_rules

Stamp = tuple[int, ...]
"""Tells one state of a file from another; empty when there is no file."""


def stamp_of(path: Path) -> Stamp:
    """Return what changes whenever the file does, also when another is put in its place."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def read_suppressions(path: Path, features: Collection[str]) -> Suppressions:
    """Return the rules of a file.

    Args:
        path: the file.
        features: names of the features that predicates can ask.

    Raises:
        ValueError: it can't be read, or what is wrong with which rule; names the file.
    """
    try:
        return read_rules(path.read_text(encoding="utf-8"), features)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def with_rule(text: str, entry: RuleEntry, features: Collection[str]) -> str:
    """Return the text of a file with a rule more at its end, the rest as it was.

    Args:
        text: the file.
        entry: the rule; ``expires`` is a date or a date-time.
        features: names of the features that predicates can ask.

    Raises:
        ValueError: the file as it is, or the rule, is wrong.
    """
    read_rules(text, features)
    table = tomlkit.table()
    for name, value in msgspec.structs.asdict(entry).items():
        if value != ():
            table[name] = list(value) if isinstance(value, tuple) else value
    rules = tomlkit.aot()
    rules.append(table)
    document = tomlkit.document()
    document["rule"] = rules
    before = text if not text or text.endswith("\n") else text + "\n"
    result = before + ("\n" if before.strip() else "") + tomlkit.dumps(document)
    read_rules(result, features)
    return result


def add_rule(path: Path, entry: RuleEntry, features: Collection[str]) -> None:
    """Add a rule to a file, which is made if there is none; a reader sees the file with it or without it.

    Raises:
        ValueError: the file as it is, or the rule, is wrong; or the file can't be written.
    """
    place = path.resolve()  # a link stays a link
    try:
        text = place.read_text(encoding="utf-8") if place.exists() else ""
        result = with_rule(text, entry, features)
        place.parent.mkdir(parents=True, exist_ok=True)
        mode = place.stat().st_mode & 0o777 if place.exists() else 0o644
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as scratch:
            made = Path(scratch) / place.name
            made.write_text(result, encoding="utf-8")
            made.chmod(mode)
            made.replace(place)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
