"""``gatewatch explain``: why a session was alerted, or was not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from scorer.judge import Judge
from stream import assembly
from stream.adapters import FORMATS
from stream.commands.log_flags import require_format
from stream.commands.replay import progress
from stream.console import print_json, stderr
from stream.errors import CommandError, ExitCode
from stream.explain_report import show_explained, show_sessions
from stream.explained import (
    ClientReplay,
    Explained,
    SessionLine,
    calls_of,
    counts_of,
    document,
    of_finding,
    with_vector,
)
from stream.flags import AssignFlag, BootstrapFlag, BundleFlag, ConfigFlag, JsonFlag, settings_of
from stream.known_calls import walked
from stream.settings import Settings

SHOWN = 20

TargetArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FINDING|FILE…",
        help="Uid of a finding on the topic of anomalies, or a file with one (JSON), or - for standard input; with "
        "--client log files, the oldest first.",
        show_default=False,
    ),
]
ClientFlag = Annotated[
    str | None,
    typer.Option(
        "--client",
        metavar="CLIENT",
        help="Judge log files, and explain this client's most anomalous session.",
        show_default=False,
    ),
]
CallsFlag = Annotated[
    list[Path] | None,
    typer.Option(
        "--calls",
        metavar="FILE",
        help="Gateway log with the calls of a finding; may be repeated, the oldest first.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
FormatFlag = Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS), help="Format of the log files.")]
PictureFlag = Annotated[
    Path | None,
    typer.Option(
        "--picture",
        metavar="FILE.svg|png",
        help="Draw the call graph too; it needs the extra train.",
        show_default=False,
    ),
]
MostFlag = Annotated[int, typer.Option("--most", min=1, help="Calls, paths and transitions shown, of each.")]


def explain(  # noqa: PLR0913 -- one parameter per flag
    target: TargetArgument,
    *,
    client: ClientFlag = None,
    calls: CallsFlag = None,
    log_format: FormatFlag = "auto",
    picture: PictureFlag = None,
    most: MostFlag = SHOWN,
    bundle: BundleFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Show why a session was alerted, or was not: calls, endpoints, call graph, features, threshold, suppression.

    Of a finding from the topic all features are told if its vector is still on the topic of features and the model is
    the one that judged it; of a file those that contributed most.
    """
    require_format(log_format)
    require_picture(picture)
    settings = settings_of(config, assign, {"model.bundle": bundle, "kafka.bootstrap_servers": bootstrap})
    others: list[SessionLine] = []
    if client is not None:
        if calls:
            raise CommandError("--client and --calls", "name the log files as FILE", ExitCode.USAGE)
        files = [log_file(name) for name in target]
        run = ClientReplay(settings, assembly.model_bundle(settings), client, log_format)
        with progress(files) as report:
            own, others = run.run(files, report)
    else:
        own = explained_finding(settings, target, calls or [], log_format)
    if picture is not None:
        picture.write_bytes(drawn(own, settings, picture.suffix.removeprefix(".")))
        stderr.print(f"written   {escape(str(picture))}", soft_wrap=True, highlight=False)
    if json:
        print_json(document(own, others))
        return
    show_explained(own, settings.sessions.excluded_methods, most)
    show_sessions(others, own.session_id)


def explained_finding(settings: Settings, names: Sequence[str], files: list[Path], log_format: str) -> Explained:
    """Return what is known of a finding.

    Raises:
        CommandError: it is not there, or several are.
    """
    from stream.finding_topic import named_findings, vector_of  # noqa: PLC0415 -- loads librdkafka: log files do without

    found = named_findings(settings, names)
    if len(found) != 1:
        uids = ", ".join(own.uid for own in found[:5])
        raise CommandError(
            f"{len(found)} findings, but one can be explained at a time: {uids}",
            "keep one line of the file; or give --client if it is a log",
            ExitCode.USAGE,
        )
    (finding,) = found
    with progress(files) as report:
        known = calls_of(settings, finding, files, log_format, report) if files else []
    own = of_finding(finding, known)
    if finding.uid in names and not settings.model.from_topic:
        model = assembly.model_bundle(settings)
        vector = vector_of(settings, finding) if model.uid == finding.model else None
        if vector is not None:
            return with_vector(own, vector, assembly.make_judge(settings, model, Judge))
    return own


def drawn(own: Explained, settings: Settings, form: str) -> bytes:
    """Return the picture of the session's call graph; of a finding without calls that of its rarest transitions."""
    from scorer.graph_picture import graph_picture  # noqa: PLC0415 -- needs the extra train

    transitions = walked(own.known, settings.sessions.excluded_methods) or counts_of(own.transitions)
    what = "" if own.known else ", rarest transitions only"
    title = f"{own.client}: score {own.score:.2f}, {own.outcome}{what}"
    return graph_picture(transitions, {(each.source, each.destination) for each in own.transitions}, title, form)


def log_file(name: str) -> Path:
    """Return the path of a log file.

    Raises:
        CommandError: there is none.
    """
    path = Path(name)
    if not path.is_file():
        raise CommandError(f"there is no file {name}", "with --client the arguments are log files", ExitCode.USAGE)
    return path


def require_picture(path: Path | None) -> None:
    """Make sure that a picture can be written.

    Raises:
        CommandError: its name ends otherwise than pictures do.
    """
    if path is not None and path.suffix not in {".svg", ".png"}:
        raise CommandError(f"--picture {path}: neither .svg nor .png", "name it for example graph.svg", ExitCode.USAGE)
