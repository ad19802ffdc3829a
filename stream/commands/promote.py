"""``gatewatch promote``: the challenger's bundle in place of the champion's, where it lies or on the topic."""

from typing import Annotated

import typer
from rich.markup import escape

from stream.assembly import SCHEMA
from stream.console import print_json, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.model_publishing import Published, publish_champion, publish_previous
from stream.promotion import Promotion
from stream.promotion import promote as put_in_place
from stream.promotion import rollback as put_back

BundleFlag = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="PATH|topic:",
        help="The champion's bundle, which is replaced; short for --set model.bundle=…",
        show_default=False,
    ),
]
ChallengerFlag = Annotated[
    str | None,
    typer.Option(
        "--challenger",
        metavar="NAME|PATH",
        help="The bundle to promote; short for --set model.challenger=…; with topic: the challenger there, if none "
        "is named.",
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
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Put the challenger's bundle in place of the champion's, which is kept for --rollback.

    A champion at a path is kept beside it, and workers go on with the model they have until they get SIGHUP or start
    anew. With --bundle topic: all is done on the topic of models, and the workers that follow it take it up.
    """
    if rollback and challenger is not None:
        raise CommandError("--rollback takes no --challenger", "it puts back what is kept", ExitCode.USAGE)
    flags = {"model.bundle": bundle, "model.challenger": challenger, "kafka.bootstrap_servers": bootstrap}
    settings = settings_of(config, assign, flags)
    own = settings.model
    done: Promotion | Published
    if own.from_topic:
        done = publish_previous(settings, SCHEMA) if rollback else publish_champion(settings, SCHEMA)
    else:
        done = put_back(own.bundle, SCHEMA) if rollback else put_in_place(own.bundle, own.challenger, SCHEMA)
    if json:
        print_json(done._asdict())
    elif isinstance(done, Published):
        show_published(done)
    else:
        show(done)


def show_published(done: Published) -> None:
    """Print what was done on the topic."""
    lines = [f"champion  [bold]{escape(done.promoted)}[/] on the topic {escape(done.topic)}"]
    if done.replaced is not None:
        lines.append(f"previous  {escape(done.replaced)}, kept on the topic")
    lines.append("next      nothing: workers that follow the topic judge with it from their next batch on")
    stdout.print("\n".join(lines), soft_wrap=True, highlight=False)


def show(done: Promotion) -> None:
    """Print what was done, and what is left to do."""
    lines = (
        f"in place  [bold]{escape(done.promoted)}[/] in {escape(str(done.place))}",
        f"kept      {escape(done.replaced)} in {escape(str(done.kept))}",
        "next      send SIGHUP to every worker: it judges with this model from its next batch on",
    )
    stdout.print("\n".join(lines), soft_wrap=True, highlight=False)
