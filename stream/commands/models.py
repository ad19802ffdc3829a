"""``gatewatch models``: what is on the topic of models, and the challenger's trial."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from scorer.bundle import BundleError
from stream.assembly import SCHEMA
from stream.console import print_json, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.model_publishing import end_trial, publish_trial
from stream.model_records import ModelRecord, ModelRole
from stream.model_topic import ModelTopic

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Show the topic of models, or try a challenger.")

BundleArgument = Annotated[
    str, typer.Argument(metavar="BUNDLE", help="Shipped name, folder or .zip.", show_default=False)
]
RoleArgument = Annotated[ModelRole, typer.Argument(metavar="ROLE", help="Whose bundle.", show_default=False)]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The .zip to write.", show_default=False)]


@app.callback()
def _group() -> None:
    """Show the topic of models, or try a challenger. `gatewatch promote` changes the champion."""


@app.command()
def show(
    config: ConfigFlag = None, assign: AssignFlag = None, bootstrap: BootstrapFlag = None, *, json: JsonFlag = False
) -> None:
    """Say which bundles are on the topic, since when, and whether this gatewatch can use them."""
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    with ModelTopic(settings) as topic:
        present = topic.read()
    rows = [described(present[role]) for role in ModelRole if role in present]
    if json:
        print_json(rows)
        return
    table = Table("role", "uid", "since", "bytes", "trained on", box=None)
    for row in rows:
        table.add_row(*(escape(str(row[name])) for name in ("role", "uid", "since", "bytes", "trained_on")))
    stdout.print(table if rows else f"The topic {topic.name} is empty.")
    for row in rows:
        if row["problem"]:
            stdout.print(f"[bold red]refused:[/] {escape(row['problem'])}", soft_wrap=True, highlight=False)


@app.command("try")
def try_(
    bundle: BundleArgument, config: ConfigFlag = None, assign: AssignFlag = None, bootstrap: BootstrapFlag = None
) -> None:
    """Put a bundle on trial: every worker that follows the topic judges with it too, and it alerts nobody."""
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    uid = publish_trial(settings, bundle, SCHEMA)
    stdout.print(f"on trial  [bold]{escape(uid)}[/] on the topic {escape(settings.topics.models)}", highlight=False)


@app.command()
def withdraw(config: ConfigFlag = None, assign: AssignFlag = None, bootstrap: BootstrapFlag = None) -> None:
    """End the challenger's trial without promoting it."""
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    uid = end_trial(settings)
    stdout.print(f"withdrawn {escape(uid)}", highlight=False)


@app.command()
def save(
    role: RoleArgument,
    file: FileArgument,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
) -> None:
    """Write a bundle of the topic to a file, for replay and evaluate."""
    if file.suffix != ".zip":
        raise CommandError(f"{file} is not called .zip", "name the file for example our-api.zip", ExitCode.USAGE)
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    with ModelTopic(settings) as topic:
        record = topic.read().get(role)
    if record is None or record.content is None:
        raise CommandError(f"the topic {topic.name} has no {role}", "gatewatch models show says what there is")
    try:
        file.write_bytes(record.content)
    except OSError as error:
        raise CommandError(f"{file} can't be written: {error.strerror or error}") from error
    stdout.print(f"written   {escape(record.uid)} to {escape(str(file))}", soft_wrap=True, highlight=False)


def described(record: ModelRecord) -> dict[str, Any]:
    """Return what is to be said of a record."""
    trained_on, problem = "", ""
    try:
        trained_on = record.bundle(SCHEMA).manifest.trained_on
    except BundleError as error:
        problem = str(error)
    return {
        "role": str(record.role),
        "uid": record.uid,
        "since": datetime.fromtimestamp(record.time / 1000, UTC).isoformat(timespec="seconds"),
        "bytes": len(record.content or b""),
        "trained_on": trained_on,
        "problem": problem,
    }
