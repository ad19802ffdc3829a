"""``gatewatch routes``: which routes to pin, mined from raw paths."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer
from rich.markup import escape

from featurizer.mining import SIBLINGS, Swallowed
from stream import assembly
from stream.checking.endpoints import RouteProposal, propose_routes, raw_paths
from stream.checking.examination import raw_routes
from stream.checking.formats import detect
from stream.checking.fragment import toml_value
from stream.checking.words import count, cut
from stream.commands.check import FileArgument, SampleFlag, TopicFlag, sample_of, write_new
from stream.config_file import write_values
from stream.console import print_json, printable, stdout
from stream.errors import CommandError
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Find routes to pin in a log.")

SECTION, NAME = "routes", "pinned"

SiblingsFlag = Annotated[
    int,
    typer.Option("--siblings", metavar="N", min=2, help="Words that may share a place before it is a parameter."),
]
MostFlag = Annotated[int, typer.Option("--most", metavar="N", min=0, help="Further templates shown, by calls.")]
WriteFlag = Annotated[
    Path | None,
    typer.Option(
        "--write",
        metavar="FILE",
        help="Write the pins to a settings file, new or not: what else is in it stays.",
        show_default=False,
    ),
]


@app.callback()
def _group() -> None:
    """Find routes to pin in a log."""


@app.command()
def suggest(  # noqa: PLR0913 -- one parameter per flag
    file: FileArgument = None,
    *,
    topic: TopicFlag = None,
    sample: SampleFlag = 100_000,
    siblings: SiblingsFlag = SIBLINGS,
    most: MostFlag = 10,
    write: WriteFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Suggest routes to pin, and show which raw paths each would swallow. Read them before you use them.

    The rules recognise ids that look like ids; here words become a parameter where many of them share a place. Refused
    calls (4xx) decide nothing, and neither do calls whose route the gateway names. Pins of the settings stay.
    """
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    found = sample_of(file, topic, sample, settings)
    routes = raw_routes(settings)
    readings = detect(found.records, routes, assembly.identity_chain(settings)).readings
    calls = [call for reading in readings for call in reading.decoded.calls]
    if not calls:
        raise CommandError(f"nothing of {found.name} was understood", "gatewatch check says why")
    paths = raw_paths(calls)
    proposal = propose_routes(paths, routes, siblings)
    if write is not None and proposal.pins:
        write_pins(write, proposal.pins)
    if json:
        print_json(document(proposal))
        return
    named = len(calls) - paths.answered.total() - paths.refused.total()
    stdout.print(
        f"[bold]{escape(found.name)}[/]: {count(len(calls), 'call')}; {named:,} with a route of their own, "
        f"{proposal.refused_calls:,} refused (4xx), {paths.answered.total():,} to {count(len(paths.answered), 'path')}",
        highlight=False,
        soft_wrap=True,
    )
    show(proposal, most)
    if proposal.pins:
        _finish(proposal.pins, write)


def write_pins(path: Path, pins: Sequence[str]) -> None:
    """Add pins to a settings file, or make one.

    Raises:
        CommandError: it cannot be read or written; says what to write into it by hand.
    """
    if not path.exists():
        write_new(path, toml_of(pins))
        return
    try:
        present = tomllib.loads(path.read_text(encoding="utf-8")).get(SECTION, {}).get(NAME, [])
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} is not changed: {error}", f"write into it yourself: {toml_of(pins)}") from error
    array = tomlkit.array().multiline(multiline=True)
    array.extend(dict.fromkeys([*present, *pins]))
    write_values(path, SECTION, {NAME: array})


def toml_of(pins: Sequence[str]) -> str:
    """Return pins as settings."""
    return f"[{SECTION}]\n{NAME} = {toml_value(pins)}\n"


def document(proposal: RouteProposal) -> dict[str, Any]:
    """Return a proposal as plain JSON types."""
    return proposal._asdict() | {"rows": [row._asdict() for row in proposal.rows]}


def show(proposal: RouteProposal, most: int) -> None:
    """Print a proposal for a person."""
    pinned = set(proposal.pins)
    parameters = [row for row in proposal.rows if row.template in pinned and "{" in row.template]
    words = [row for row in proposal.rows if row.template in pinned and "{" not in row.template]
    others = [row for row in proposal.rows if row.template not in pinned]
    if proposal.pins:
        stdout.print(f"{proposal.before:,} templates, {proposal.after:,} with {len(pinned):,} pins", highlight=False)
    else:
        stdout.print("[green]Nothing looks like an unmerged id: no pin is needed.[/]")
    _print_rows("Pins", parameters)
    if words:
        stdout.print("\n[bold]Pinned too, because the pins above would take them[/]")
    for row in words:
        stdout.print(escape(f"{row.template}  {count(row.calls, 'call')}"), highlight=False, soft_wrap=True)
    _print_rows(f"{'Other templates' if proposal.pins else 'Templates'}, {len(others):,} in all", others[:most])


def _print_rows(title: str, rows: Sequence[Swallowed]) -> None:
    if not rows:
        return
    stdout.print(f"\n[bold]{title}[/]")
    for row in rows:
        stdout.print(escape(row.template), highlight=False, soft_wrap=True)
        swallowed = f"    {count(row.calls, 'call')}, {count(row.paths, 'path')}: {_examples(row)}"
        stdout.print(escape(cut(swallowed, stdout.width)), highlight=False, soft_wrap=True, style="dim")


def _examples(row: Swallowed) -> str:
    return printable("  ".join(row.examples)) + ("  …" if row.paths > len(row.examples) else "")


def _finish(pins: Sequence[str], write: Path | None) -> None:
    if write is None:
        stdout.print("\nfor gatewatch.toml, or give --write FILE:")
        stdout.print(escape(toml_of(pins)), highlight=False, soft_wrap=True)
    else:
        stdout.print(f"\nwritten to {escape(str(write))}", highlight=False, soft_wrap=True)
    stdout.print(
        "[bold]next[/]  remove what is wrong, restart every worker with SIGTERM, and train the model anew: endpoints "
        "get other names",
        soft_wrap=True,
        highlight=False,
    )
