"""``gatewatch check``: what gatewatch understands of a log or topic, and the settings that it needs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stream.checking.examination import Examination, examine
from stream.checking.fragment import settings_fragment
from stream.checking.report import document, print_examination
from stream.checking.sample import STDIN, Sample, file_sample, topic_sample
from stream.clock import now_ms
from stream.console import print_json, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.settings import DEFAULT_FILE, Settings

FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="Log file, also packed by gzip; - is standard input.", show_default=False),
]
TopicFlag = Annotated[
    str | None, typer.Option("--topic", "-t", metavar="TOPIC", help="Look at a Kafka topic.", show_default=False)
]
SampleFlag = Annotated[
    int,
    typer.Option("--sample", metavar="N", min=1, help="Lines of the file's beginning, or records of the topic's end."),
]
WriteFlag = Annotated[
    Path | None,
    typer.Option("--write", metavar="FILE", help="Write the settings proposed to a new file.", show_default=False),
]


def check(  # noqa: PLR0913 -- one parameter per flag
    file: FileArgument = None,
    *,
    topic: TopicFlag = None,
    sample: SampleFlag = 10_000,
    write: WriteFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Say what gatewatch understands of your logs, what it does not and why, and which settings they need.

    Every format is tried. Nothing is changed, and no consumer group is made. Of raw lines only what was read is shown:
    no query strings, headers or bodies. Exit code 1 when nothing or less than half is understood.
    """
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    if write is not None and write.exists():
        raise CommandError(f"{write} is there already", "name a new file with --write", ExitCode.USAGE)
    found = examine(sample_of(file, topic, sample, settings), settings, now_ms())
    fragment = settings_fragment(found, settings)
    if json:
        print_json(document(found, fragment))
    else:
        print_examination(found, stdout)
    if not found.understood:
        raise _not_understood(found)
    if write is not None:
        write_new(write, fragment)
    if not json:
        _print_settings(fragment, write, found, file)


def sample_of(file: Path | None, topic: str | None, most: int, settings: Settings) -> Sample:
    """Return the sample that a command is to look at.

    Raises:
        CommandError: neither a file nor a topic is named, or both; or it cannot be read, or is empty.
    """
    if (file is None) == (topic is None):
        raise CommandError("name a file or a topic", "gatewatch check FILE, or --topic TOPIC", ExitCode.USAGE)
    found = file_sample(file, most) if file is not None else topic_sample(settings, str(topic), most)
    if not found.records:
        raise CommandError(f"{found.name} is empty", "come back when something has been logged")
    return found


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"{path} is not written: {error.strerror}", exit_code=ExitCode.USAGE) from error


def _not_understood(found: Examination) -> CommandError:
    if found.calls:
        return CommandError(f"less than half of {found.sample.name} was understood", "what to do stands with each kind")
    return CommandError(
        f"nothing of {found.sample.name} was understood",
        "write one of the formats at the gateway, see the README; gatewatch is a JSON object of your own",
    )


def _print_settings(fragment: str, write: Path | None, found: Examination, file: Path | None) -> None:
    """Print the settings and what comes next."""
    stdout.print(f"\n[bold]Settings[/] ({f'written to {escape(str(write))}' if write else 'for gatewatch.toml'})")
    stdout.print(escape(fragment), highlight=False, soft_wrap=True)
    config = f" --config {write}" if write is not None and write != DEFAULT_FILE else ""
    if found.findings is not None and found.findings.routes.pins:
        source = f"--topic {found.sample.topic}" if found.sample.topic else str(file)
        _next(f"gatewatch routes suggest {source}")
    if file is not None and file != STDIN and file.suffix != ".gz":
        _next(f"gatewatch replay{config} --format {found.detection.format} {file}")
    else:
        _next(f"gatewatch config check{config}")


def _next(command: str) -> None:
    stdout.print(f"[bold]next[/]  {escape(command)}", highlight=False, soft_wrap=True)
