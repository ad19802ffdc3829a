"""``gatewatch label``: what somebody found alerted sessions to be, and what that says of each model."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from scorer.feedback import Said, SessionLabel
from scorer.precision import ModelPrecision, precision_by_model
from stream.clock import now_ms
from stream.console import print_json, shown, stdout
from stream.errors import CommandError, ExitCode
from stream.finding_topic import all_findings, named_findings
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.label_topic import LabelTopic
from stream.settings import Settings

FindingsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FINDING…]",
        help="Uid of a finding on the topic of anomalies, a file of findings (JSON, one or one a line), or - for "
        "standard input.",
        show_default=False,
    ),
]
VerdictFlag = Annotated[
    Said | None, typer.Option("--verdict", help="What the session was found to be.", show_default=False)
]
AttackFlag = Annotated[
    str | None,
    typer.Option("--attack", metavar="KIND", help="Kind of attack, of a true positive.", show_default=False),
]
FromFlag = Annotated[
    int | None,
    typer.Option(
        "--hostile-from",
        metavar="MS",
        help="Event time of the first hostile call, of a true positive: what came before trains nothing. "
        "[default: the whole session]",
        show_default=False,
    ),
]
ByFlag = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so.", show_default=False)]
TakeBackFlag = Annotated[bool, typer.Option("--take-back", help="Nothing is said of the sessions any more.")]
SummaryFlag = Annotated[bool, typer.Option("--summary", help="Write nothing; show each model's precision.")]


def label(  # noqa: PLR0913 -- one parameter per flag
    findings: FindingsArgument = None,
    *,
    verdict: VerdictFlag = None,
    attack: AttackFlag = None,
    hostile_from: FromFlag = None,
    by: ByFlag = "",
    take_back: TakeBackFlag = False,
    summary: SummaryFlag = False,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Say what alerted sessions were. The latest label of a session holds; gatewatch train --topics learns from it.

    With --summary: of the sessions on the topic of anomalies that each model alerted, how many of those that people
    labelled were attacks.
    """
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
    if summary:
        require(not (findings or verdict or take_back), "--summary labels nothing", "leave the other flags out")
        show_precision(precision_of(settings), json=json)
        return
    require(bool(findings), "there is no finding to label", "name its uid, or --summary to see what is labelled")
    require((verdict is None) == take_back, "one of --verdict and --take-back", "for example --verdict benign")
    hostile = verdict is Said.TRUE_POSITIVE
    told = attack is not None or hostile_from is not None
    require(hostile or not told, "--attack and --hostile-from are of a true positive", "--verdict true-positive")
    found = named_findings(settings, findings or ())
    labels = {
        own.session_id: None
        if verdict is None
        else SessionLabel(own.session_id, verdict, now_ms(), attack or "", hostile_from, by, own.model)
        for own in found
    }
    with LabelTopic(settings) as topic:
        topic.write(labels)
    if json:
        print_json([{"session_id": own.session_id, "uid": own.uid, "client": own.client} for own in found])
        return
    for own in found:
        said = "label taken back" if verdict is None else str(verdict)
        stdout.print(f"{said}  {shown(own.client)}, session {own.session_id}", highlight=False, soft_wrap=True)


def precision_of(settings: Settings) -> list[ModelPrecision]:
    """Return the precision of every model that alerted, as the topics of anomalies and labels have it.

    Raises:
        CommandError: no broker answers, or a topic is missing or can't be read.
    """
    with LabelTopic(settings) as topic:
        labels = topic.read()
    return precision_by_model(((own.model, own.session_id) for own in all_findings(settings)), labels)


def show_precision(models: Sequence[ModelPrecision], *, json: bool) -> None:
    """Print the precision of models."""
    if json:
        print_json([msgspec.structs.asdict(own) for own in models])
        return
    columns = ("model", "sessions alerted", "attacks", "no attacks", "tests", "not labelled", "precision", "95 %")
    table = Table(*columns, box=None)
    for own in models:
        counts = (own.alerted, own.attacks, own.others, own.tests, own.unlabelled)
        share = "" if own.precision is None else f"{own.precision:.0%}"
        interval = "" if own.low is None or own.high is None else f"{own.low:.0%} to {own.high:.0%}"
        table.add_row(shown(own.model), *(f"{count:,}" for count in counts), share, interval)
    stdout.print(table if models else "No session has been alerted, as far as the topic remembers.")


def require(fine: bool, problem: str, hint: str) -> None:  # noqa: FBT001 -- reads as a statement
    """Refuse flags that do not go together.

    Raises:
        CommandError: they do not.
    """
    if not fine:
        raise CommandError(problem, hint, ExitCode.USAGE)
