"""``gatewatch promote``: the challenger's bundle in place of the champion's."""

from typing import Annotated

import typer
from rich.markup import escape

from stream.assembly import SCHEMA
from stream.console import print_json, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, ConfigFlag, JsonFlag, settings_of
from stream.promotion import Promotion
from stream.promotion import promote as put_in_place
from stream.promotion import rollback as put_back

BundleFlag = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="PATH",
        help="The champion's bundle, which is replaced; short for --set model.bundle=…",
        show_default=False,
    ),
]
ChallengerFlag = Annotated[
    str | None,
    typer.Option(
        "--challenger",
        metavar="NAME|PATH",
        help="The bundle to promote; short for --set model.challenger=…",
        show_default=False,
    ),
]
RollbackFlag = Annotated[bool, typer.Option("--rollback", help="Put back what the last promotion replaced.")]


def promote(  # noqa: PLR0913 -- one parameter per flag
    *,
    rollback: RollbackFlag = False,
    bundle: BundleFlag = None,
    challenger: ChallengerFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    json: JsonFlag = False,
) -> None:
    """Write the challenger's bundle in place of the champion's, which is kept beside it for --rollback.

    Workers go on with the model they have until they get SIGHUP or start anew.
    """
    if rollback and challenger is not None:
        raise CommandError("--rollback takes no --challenger", "it puts back what is kept", ExitCode.USAGE)
    own = settings_of(config, assign, {"model.bundle": bundle, "model.challenger": challenger}).model
    done = put_back(own.bundle, SCHEMA) if rollback else put_in_place(own.bundle, own.challenger, SCHEMA)
    if json:
        print_json({name: str(value) for name, value in done._asdict().items()})
    else:
        show(done)


def show(done: Promotion) -> None:
    """Print what was done, and what is left to do."""
    lines = (
        f"in place  [bold]{escape(done.promoted)}[/] in {escape(str(done.place))}",
        f"kept      {escape(done.replaced)} in {escape(str(done.kept))}",
        "next      send SIGHUP to every worker: it judges with this model from its next batch on",
    )
    stdout.print("\n".join(lines), soft_wrap=True, highlight=False)
