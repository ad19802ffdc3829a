"""``gatewatch state``: look at the durable state, give it up, or move it to partitions that were added."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from stream import assembly
from stream.console import print_json, stdout
from stream.errors import CommandError, ExitCode, StateError
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.logs import configure_logs
from stream.model_topic import models_in_use
from stream.records import TopicPartition
from stream.settings import Settings
from stream.state_admin import StateAdmin, administered
from stream.state_migration import StateMigration, Unread
from stream.state_report import StateReport
from stream.state_reset import reset_position, reset_records

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Show, reset or migrate the durable state.")

PartitionFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--partition",
        metavar="TOPIC-N",
        help="Only this input partition, named as state show does; may be repeated.",
        show_default=False,
    ),
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
FinishFlag = Annotated[
    bool,
    typer.Option("--finish", help="First process the calls that are in the way as a worker would, alerts included."),
]
ForceFlag = Annotated[bool, typer.Option("--force", help="Migrate although calls are unread; says what that tears.")]


@app.callback()
def _group() -> None:
    """Show, reset or migrate the durable state."""


@app.command()
def show(
    config: ConfigFlag = None, assign: AssignFlag = None, bootstrap: BootstrapFlag = None, *, json: JsonFlag = False
) -> None:
    """Say what is durable of each input partition; exit code 5 if a worker would not go on from it."""
    settings = _settings(config, assign, bootstrap)
    with administered(settings) as admin:
        reports = admin.reports()
    if json:
        print_json([own._asdict() for own in reports])
    else:
        print_reports(reports)
    if any(own.problem for own in reports):
        raise typer.Exit(ExitCode.STATE)


@app.command()
def reset(
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    *,
    partition: PartitionFlag = None,
    yes: YesFlag = False,
) -> None:
    """Give the state up: the next start begins with empty sessions and degree tables at the committed offsets.

    Every worker of the role detect has to be stopped.
    """
    settings = _settings(config, assign, bootstrap)
    with administered(settings) as admin:
        admin.require_no_members()
        names = _chosen(admin.names, partition)
        if not yes:
            what = f"open sessions, cooldowns and degree tables of {len(names)} partitions"
            typer.confirm(f"Give up the {what} for good?", abort=True)
        admin.fit_state_topic()
        _reset(admin, names, settings)


@app.command()
def migrate(
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    *,
    finish: FinishFlag = False,
    force: ForceFlag = False,
) -> None:
    """Move open sessions and cooldowns to partitions that were added to api-calls or to keyed inputs.

    Every worker of the role detect has to be stopped. The whole state is read into memory.
    """
    settings = _settings(config, assign, bootstrap)
    model = models_in_use(settings)[0].champion
    with administered(settings) as admin:
        admin.require_no_members()
        migration = StateMigration(settings, model, admin)
        if not migration.topics:
            stdout.print("[green]Nothing to migrate: every checkpoint is of the partitions there are.[/]")
            return
        unread = migration.unread()
        if unread and not (finish or force):
            raise _in_the_way(unread)
        if added := admin.fit_state_topic():
            _say(f"{admin.topics.state}: {added} partitions added")
        if unread and finish:
            _say(f"{migration.finish(unread)} unread records processed")
        elif unread:
            _say(f"torn: {_described(unread)}: these calls become sessions of their own")
        moved = migration.carry_out()
    _say(f"moved {moved.sessions} sessions and {moved.cooldowns} cooldowns")
    if moved.torn:
        _say(f"torn: {moved.torn} sessions end where they are: their clients have begun others in the new partitions")


def print_reports(reports: list[StateReport]) -> None:
    """Print reports for a person."""
    columns = ("version", "templates", "checkpoint", "committed", "end", "replay")
    sizes = ("sessions", "cooldowns", "endpoints", "edges", "bytes")
    table = Table("partition", *columns, *sizes, box=None)
    for own in reports:
        cells = [getattr(own, column) for column in ("partition", *columns, *sizes)]
        table.add_row(*("-" if cell is None else escape(str(cell)) for cell in cells))
    stdout.print(table)
    for own in reports:
        if own.problem:
            stdout.print(f"[bold red]stops:[/] {escape(own.problem)}", soft_wrap=True, highlight=False)
            stdout.print(f"[bold]next:[/] {escape(own.advice)}", soft_wrap=True, highlight=False)


def _settings(config: ConfigFlag, assign: AssignFlag, bootstrap: BootstrapFlag) -> Settings:
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    configure_logs(settings.log)
    return settings


def _chosen(names: list[TopicPartition], wanted: list[str] | None) -> list[TopicPartition]:
    if not wanted:
        return names
    known = {str(name): name for name in names}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise CommandError(
            f"no input partition: {', '.join(unknown)}", f"there are: {', '.join(known)}", ExitCode.USAGE
        )
    return [known[name] for name in dict.fromkeys(wanted)]


def _reset(admin: StateAdmin, names: list[TopicPartition], settings: Settings) -> None:
    """Give partitions up, one transaction each."""
    policy = assembly.session_policy(settings)
    for name in names:
        keys, log = admin.durable(name).sizes, admin.log_of(name)
        position = reset_position(log)
        admin.commit(reset_records(name, keys, log, admin.topics, policy), {name: position})
        _say(f"{name}: {len(keys)} records of state deleted; it goes on at {position}")


def _in_the_way(unread: list[Unread]) -> StateError:
    return StateError(
        f"calls are unread whose sessions would be torn: {_described(unread)}",
        "process them first, as a worker does, with --finish (workers themselves start only after the migration); "
        "or leave them torn with --force",
    )


def _described(unread: list[Unread]) -> str:
    return ", ".join(f"{own.found.records} of {own.found.clients} clients in {own.name}" for own in unread)


def _say(text: str) -> None:
    stdout.print(text, soft_wrap=True, highlight=False, markup=False)
