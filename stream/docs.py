"""The README's tables of settings, metrics and commands, and parts of the docs, generated from the program itself.

    python -m stream.docs README.md            rewrite the blocks between the markers
    python -m stream.docs README.md --check    exit code 4 if a block is out of date

A block lies between ``<!-- settings:begin -->`` and ``<!-- settings:end -->``; likewise ``metrics``,
``commands`` and ``gateways``.
The tables of ``docs/alerts.md`` beside the README and all of ``docs/schemas`` are brought up to date with it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stream import topic_docs
from stream.cli import COMMANDS, DISTRIBUTION, load_command
from stream.errors import CommandError, ExitCode
from stream.gateway_docs import gateways_block
from stream.markdown import table
from stream.sections.kafka import InputSettings
from stream.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from stream.settings_errors import fields, is_section
from stream.telemetry import METRICS

HELP_WIDTH = 100
"""Columns of the help texts, whatever the terminal."""


def settings_block() -> str:
    """Return one table per section of the settings."""
    parts = []
    for name, field in Settings.model_fields.items():
        if name == "inputs":
            rows = [_setting_row(f"inputs[].{leaf}", own, "") for leaf, own in fields(InputSettings)]
            note = f'As environment variable: `{ENV_PREFIX}INPUTS=\'[{{"topic": "gateway-logs"}}]\'` (JSON).'
        else:
            assert isinstance(field.annotation, type)  # noqa: S101 -- every other field is a section
            rows = list(_setting_rows(f"{name}.", field.annotation))
            note = ""
        head = f"#### `[{name}]`\n\n{field.description}"
        parts.append("\n\n".join(part for part in (head, note, table(SETTING_COLUMNS, rows)) if part))
    return "\n\n".join(parts)


SETTING_COLUMNS = ("setting", "environment variable", "default", "unit", "why")


def _setting_rows(prefix: str, section: type[BaseModel]) -> Iterator[Sequence[str]]:
    for name, field in fields(section, prefix):
        if not is_section(field):
            yield _setting_row(name, field, f"`{ENV_PREFIX}{name.replace('.', ENV_DELIMITER).upper()}`")


def _setting_row(name: str, field: FieldInfo, variable: str) -> Sequence[str]:
    extra = field.json_schema_extra
    unit = extra["unit"] if isinstance(extra, dict) else ""
    return (f"`{name}`", variable, _default(field.get_default()), str(unit), str(field.description))


def _default(value: Any) -> str:
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:.15g}`" if isinstance(value, float) else f"`{value}`"


def metrics_block() -> str:
    """Return the table of metrics."""
    rows = [
        (
            f"`{metric.exposed_name}`",
            metric.type_name,
            metric.unit,
            ", ".join(f"`{label.name}`" for label in metric.labels),
            metric.meaning,
        )
        for metric in METRICS
    ]
    return table(("metric", "type", "unit", "labels", "meaning"), rows)


def commands_block() -> str:
    """Return every command with its help.

    Raises:
        CommandError: a command cannot be loaded.
    """
    overview = table(
        ("command", "what it does"), [(f"`{DISTRIBUTION} {c}`", entry.help) for c, entry in COMMANDS.items()]
    )
    helps = [
        f"<details><summary><code>{path}</code></summary>\n\n```text\n{text}\n```\n\n</details>"
        for name in COMMANDS
        for path, text in _helps(load_command(name), f"{DISTRIBUTION} {name}")
    ]
    return "\n\n".join([overview, *helps])


def _helps(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield a command's name and help, or those of the commands below it."""
    below = getattr(command, "commands", None)
    if below:
        for name, own in below.items():
            yield from _helps(own, f"{path} {name}")
        return
    options = {"terminal_width": HELP_WIDTH, "max_content_width": HELP_WIDTH, "help_option_names": ["-h", "--help"]}
    context = command.make_context(path, [], resilient_parsing=True, **options)
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


BLOCKS: Mapping[str, Callable[[], str]] = {
    "settings": settings_block,
    "metrics": metrics_block,
    "commands": commands_block,
    "gateways": gateways_block,
}


def rewritten(text: str, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> str:
    """Return a document with every block made anew.

    Raises:
        CommandError: a pair of markers is absent.
    """
    for name, make in blocks.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        block = f"{begin}\n{make()}\n{end}"
        text, found = pattern.subn(lambda _, block=block: block, text)  # type: ignore[misc] # a default is no parameter
        if not found:
            raise CommandError(f"there is no block {name}", f"put {begin} and {end} where it belongs")
    return text


def generated(document: Path) -> dict[Path, str]:
    """Return every document that is generated, or holds generated blocks, as it should be, by its path.

    Args:
        document: the README; what is in ``docs`` beside it follows, if there is such a folder.

    Raises:
        CommandError: a pair of markers is absent.
    """
    made = {document: rewritten(document.read_text(encoding="utf-8"), BLOCKS)}
    folder = document.parent / "docs"
    if folder.is_dir():
        alerts = folder / "alerts.md"
        made[alerts] = rewritten(alerts.read_text(encoding="utf-8"), topic_docs.BLOCKS)
        made |= {folder / "schemas" / name: text for name, text in topic_docs.files().items()}
    return made


def main(
    document: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 4 if out of date.")] = False,
) -> None:
    """Bring the generated parts of a document, and of the docs beside it, up to date."""
    for path, text in generated(document).items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            typer.echo(f"{path} is out of date: run python -m stream.docs {document}", err=True)
            raise typer.Exit(ExitCode.DIFFERENT)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
