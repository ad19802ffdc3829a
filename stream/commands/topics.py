"""``gatewatch topics``: make the topics, or check those there are."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from stream.console import print_json, stdout
from stream.errors import ExitCode
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.topic_specs import Plan, plan, wanted_topics
from stream.topics import Topics

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make or check the Kafka topics.")

CheckFlag = Annotated[bool, typer.Option("--check", help="Make nothing; exit code 4 if a topic is missing or differs.")]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Make nothing; say what would be made.")]


@app.callback()
def _group() -> None:
    """Make or check the Kafka topics."""


@app.command()
def create(  # noqa: PLR0913 -- one parameter per flag
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    *,
    check: CheckFlag = False,
    dry_run: DryRunFlag = False,
    json: JsonFlag = False,
) -> None:
    """Make the topics that are missing and say how existing ones differ; those are never altered (exit code 4)."""
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    topics = Topics(settings)
    found = plan(settings, topics.describe(spec.name for spec in wanted_topics(settings)))
    making = not (check or dry_run)
    if making:
        topics.create(found.missing)
    if json:
        print_json(answer(found, made=making))
    else:
        show(found, made=making)
    if found.differences or (check and found.missing):
        raise typer.Exit(ExitCode.DIFFERENT)


def answer(found: Plan, *, made: bool) -> dict[str, object]:
    """Return a plan for another program."""
    missing = [
        {
            "topic": spec.name,
            "partitions": spec.partitions,
            "replication_factor": spec.replication_factor,
            "config": dict(spec.config),
        }
        for spec in found.missing
    ]
    return {"created" if made else "missing": missing, "differences": [item._asdict() for item in found.differences]}


def show(found: Plan, *, made: bool) -> None:
    """Print a plan for a person."""
    if found.missing:
        table = Table(
            "topic",
            "holds",
            "partitions",
            "copies",
            "configuration",
            title="Made" if made else "Missing",
            title_justify="left",
            box=None,
        )
        for spec in found.missing:
            config = " ".join(f"{name}={value}" for name, value in spec.config.items())
            table.add_row(spec.name, spec.purpose, str(spec.partitions), str(spec.replication_factor), config)
        stdout.print(table)
    for difference in found.differences:
        stdout.print(f"[yellow]differs:[/] {escape(str(difference))}", soft_wrap=True, highlight=False)
    if not found.missing and not found.differences:
        stdout.print("[green]All topics are there and as they should be.[/]")
