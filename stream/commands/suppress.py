"""``gatewatch suppress``: rules that account for alerts beforehand; see docs/triage.md."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from featurizer.identity import Identity
from scorer.suppression import Facts, Rule, Suppressions
from scorer.suppression_file import MOST_RULES, RuleEntry, day_or_moment, read_rule
from stream.assembly import SCHEMA
from stream.clock import now_ms
from stream.console import print_json, shown, stderr, stdout
from stream.errors import CommandError, ExitCode
from stream.findings import Finding, facts_of_finding
from stream.flags import AssignFlag, BootstrapFlag, ConfigFlag, JsonFlag, settings_of
from stream.sections.detection import FROM_TOPIC
from stream.settings import Settings
from stream.suppressions import add_rule, read_suppressions

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Add, list, test or remove suppression rules.")

_MS_PER_DAY = 86_400_000

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the rule, unique among all.", show_default=False)]
FindingsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FINDING…",
        help="Uid of a finding on the topic of anomalies, a file of findings (JSON, one or one a line), or - for "
        "standard input.",
        show_default=False,
    ),
]
FileFlag = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="The rules; short for --set alerts.suppressions=…", show_default=False),
]
TopicFlag = Annotated[
    bool,
    typer.Option(
        "--topic", help="The rules are on the topic of suppressions; short for --set alerts.suppressions=topic:"
    ),
]
ReasonFlag = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is in every alert suppressed.", show_default=False)
]
ExpiresFlag = Annotated[
    str,
    typer.Option(
        "--expires",
        metavar="DATE|90d",
        help="First day (UTC) on which it no longer holds, a date-time with offset, or days from today.",
        show_default=False,
    ),
]
ClientFlag = Annotated[
    list[str] | None,
    typer.Option("--client", metavar="GLOB", help="The client is one of these; may be repeated.", show_default=False),
]
IdentityFlag = Annotated[
    list[Identity] | None,
    typer.Option(
        "--identity",
        metavar="KIND",
        help="The client's name is of this kind, for example address; may be repeated.",
        show_default=False,
    ),
]
NetworkFlag = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="The client is an address in one of these.", show_default=False),
]
EndpointFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="GLOB",
        help='The session called nothing else, for example "GET /export/*"; may be repeated.',
        show_default=False,
    ),
]
WhenFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--when",
        metavar="COMPARISON",
        help='For example "calls < 20": calls, duration_s, score or a feature; may be repeated, all must hold.',
        show_default=False,
    ),
]


@app.callback()
def _group() -> None:
    """Add, list, test or remove suppression rules. A suppressed alert is published with the status Suppressed."""


@app.command()
def add(  # noqa: PLR0913 -- one parameter per flag
    name: NameArgument,
    *,
    reason: ReasonFlag,
    expires: ExpiresFlag,
    client: ClientFlag = None,
    identity: IdentityFlag = None,
    network: NetworkFlag = None,
    endpoint: EndpointFlag = None,
    when: WhenFlag = None,
    file: FileFlag = None,
    topic: TopicFlag = False,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
) -> None:
    """Add a rule to the end of the file, or to the topic; all conditions have to hold.

    What is in the file stays as it is. On the topic a rule of the same name is replaced.
    """
    settings = settings_with(config, assign, file, bootstrap, topic=topic)
    entry = RuleEntry(
        name=name,
        client=tuple(client or ()),
        identity=tuple(map(str, identity or ())),
        network=tuple(network or ()),
        endpoints=tuple(endpoint or ()),
        when=tuple(when or ()),
        reason=reason,
        expires=ends(expires, now_ms()),
    )
    place = str(settings.alerts.suppressions or "")
    try:
        if settings.alerts.from_topic:
            read_rule(entry, SCHEMA.names)
            added = put_on_topic(settings, entry)
            place = f"the topic {settings.topics.suppressions}"
        else:
            add_rule(rules_file(settings), entry, SCHEMA.names)
            added = "added"
    except ValueError as error:
        raise CommandError(str(error), "nothing was written", ExitCode.USAGE) from error
    to = "to" if added == "added" else "on"
    stdout.print(f"{added:9} [bold]{shown(name)}[/] {to} {shown(place)}", soft_wrap=True, highlight=False)
    named = "topic:" if settings.alerts.from_topic else "this file"
    next_step = f"workers with alerts.suppressions set to {named} take it up by themselves"
    stdout.print(f"next      {next_step}", soft_wrap=True, highlight=False)


@app.command()
def remove(
    name: NameArgument, config: ConfigFlag = None, assign: AssignFlag = None, bootstrap: BootstrapFlag = None
) -> None:
    """Take a rule off the topic; one in a file is taken out with an editor."""
    from stream.suppression_records import removal_record  # noqa: PLC0415 -- with its topic, which loads librdkafka
    from stream.suppression_topic import SuppressionTopic  # noqa: PLC0415 -- loads librdkafka: a file needs none

    settings = settings_with(config, assign, None, bootstrap, topic=True)
    with SuppressionTopic(settings) as topic:
        if name not in topic.read()[0].names:
            raise CommandError(
                f"the topic {topic.name} has no rule {name}", "gatewatch suppress list --topic says which there are"
            )
        topic.write(removal_record(topic.name, name))
    stdout.print(f"removed   [bold]{shown(name)}[/] from the topic {shown(topic.name)}", highlight=False)


@app.command("list")
def show(  # noqa: PLR0913 -- one parameter per flag
    *,
    file: FileFlag = None,
    topic: TopicFlag = False,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Show the rules, and how long each still holds."""
    settings = settings_with(config, assign, file, bootstrap, topic=topic)
    rules, now = rules_of(settings).rules, now_ms()
    if json:
        print_json([described(rule, now) for rule in rules])
        return
    table = Table("rule", "suppresses when", "because", "expires", "holds", box=None)
    for rule in rules:
        row = described(rule, now)
        cells = (rule.name, " and ".join(row["conditions"]), rule.reason, row["expires"], left(rule.expires - now))
        table.add_row(*map(shown, cells), style="dim" if row["expired"] else "")
    stdout.print(table if rules else "There are no rules.")


@app.command("test")
def try_findings(  # noqa: PLR0913 -- one parameter per flag
    findings: FindingsArgument,
    *,
    file: FileFlag = None,
    topic: TopicFlag = False,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
    json: JsonFlag = False,
) -> None:
    """Say which rules would suppress a finding, and which condition keeps the others from it.

    A finding from the topic is looked up with its vector on the topic of features, so that all features are known; a
    file holds those only that contributed most.
    """
    settings = settings_with(config, assign, file, bootstrap, topic=topic)
    rules = rules_of(settings)
    tested = [Tested(own, facts, rules) for own, facts in asked(settings, findings)]
    if json:
        print_json([own.document() for own in tested])
        return
    for own in tested:
        own.show()


class Tested:
    """A finding held against the rules."""

    def __init__(self, finding: Finding, facts: Facts, rules: Suppressions) -> None:
        self._finding = finding
        self._facts = facts
        self._rules = rules.rules
        self._suppression = rules.find(facts, finding.call_time)

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON types; ``matches`` is null where the finding does not tell."""
        rules = [
            {
                "name": rule.name,
                "matches": rule.matches(self._facts),
                "expired": self._expired(rule),
                "failing": self._conditions(rule, answer=False),
                "unknown": self._conditions(rule, answer=None),
            }
            for rule in self._rules
        ]
        suppressed_by = None if self._suppression is None else self._suppression.rule
        return {
            "uid": self._finding.uid,
            "client": self._finding.client,
            "suppressed_by": suppressed_by,
            "rules": rules,
        }

    def show(self) -> None:
        """Print the result."""
        own = self._finding
        stdout.print(f"[bold]{own.uid}[/] {own.severity} {own.score:.2f} {shown(own.client)}", highlight=False)
        table = Table("rule", "suppresses it", "because", box=None)
        for rule in self._rules:
            table.add_row(*map(shown, (rule.name, *self._answer(rule))))
        stdout.print(table if self._rules else "There are no rules.")

    def _answer(self, rule: Rule) -> tuple[str, str]:
        matches = rule.matches(self._facts)
        if matches is False:
            return "no", f"not {', not '.join(self._conditions(rule, answer=False))}"
        if matches is None:
            return "unknown", f"the finding does not tell: {', '.join(self._conditions(rule, answer=None))}"
        if self._expired(rule):
            return "no", f"it matches, but expired {day(rule.expires)}"
        first = self._suppression is not None and self._suppression.rule == rule.name
        return ("yes" if first else "too"), rule.reason

    def _expired(self, rule: Rule) -> bool:
        return self._finding.call_time >= rule.expires

    def _conditions(self, rule: Rule, *, answer: bool | None) -> list[str]:
        return [str(own) for own in rule.conditions if own.holds(self._facts) is answer]


def asked(settings: Settings, names: Sequence[str]) -> Iterable[tuple[Finding, Facts]]:
    """Yield the findings that are named, each with what is known of it.

    Raises:
        CommandError: one is not there.
    """
    from stream.finding_topic import named_findings, vector_of  # noqa: PLC0415 -- loads librdkafka: others need not wait

    for own in named_findings(settings, names):
        vector = vector_of(settings, own) if own.uid in names else None
        yield own, facts_of_finding(own, vector)


def settings_with(
    config: Path | None, assign: list[str] | None, file: Path | None, bootstrap: str | None, *, topic: bool
) -> Settings:
    """Return the settings, with the rules where the flags say.

    Raises:
        CommandError: they say two places.
    """
    if topic and file is not None:
        raise CommandError("--file and --topic", "the rules are in the one or on the other", ExitCode.USAGE)
    place = FROM_TOPIC if topic else file
    return settings_of(config, assign, {"alerts.suppressions": place, "kafka.bootstrap_servers": bootstrap})


def put_on_topic(settings: Settings, entry: RuleEntry) -> str:
    """Write a rule to the topic; return whether it was added or replaced.

    Raises:
        CommandError: the topic is missing, cannot be read or written, or is full.
    """
    from stream.suppression_records import rule_record  # noqa: PLC0415 -- with its topic, which loads librdkafka
    from stream.suppression_topic import SuppressionTopic  # noqa: PLC0415 -- loads librdkafka: a file needs none

    with SuppressionTopic(settings) as topic:
        there = topic.read()[0].names
        if entry.name not in there and len(there) >= MOST_RULES:
            hint = "match by a glob or a network instead, or take one off: gatewatch suppress remove NAME"
            raise CommandError(f"the topic {topic.name} has {len(there)} rules, and can have {MOST_RULES}", hint)
        topic.write(rule_record(topic.name, entry))
    return "replaced" if entry.name in there else "added"


def rules_file(settings: Settings) -> Path:
    """Return the file of the rules.

    Raises:
        CommandError: none is named.
    """
    if settings.alerts.suppressions is None:
        hint = "name it: --file suppressions.toml, or --topic; workers read what alerts.suppressions names"
        raise CommandError("there is no file of suppression rules", hint, ExitCode.USAGE)
    return settings.alerts.suppressions


def rules_of(settings: Settings) -> Suppressions:
    """Return the rules of the file, or of the topic.

    Raises:
        CommandError: none is named, or it can't be read, or a rule of a file is wrong.
    """
    if settings.alerts.from_topic:
        from stream.suppression_topic import SuppressionTopic  # noqa: PLC0415 -- loads librdkafka: a file needs none

        with SuppressionTopic(settings) as topic:
            rules, problems = topic.read()
        for problem in problems:
            stderr.print(f"[bold red]refused:[/] {shown(problem)}", soft_wrap=True, highlight=False)
        return rules.rules()
    try:
        return read_suppressions(rules_file(settings), SCHEMA.names)
    except ValueError as error:
        raise CommandError(str(error), "gatewatch suppress add makes rules", ExitCode.USAGE) from error


def ends(text: str, now: int) -> date | datetime:
    """Return the end that ``--expires`` names.

    Args:
        text: a date, a date-time, or days from today as ``90d``.
        now: wall clock, epoch milliseconds.

    Raises:
        CommandError: it names none.
    """
    if days := re.fullmatch(r"(\d{1,4})d", text):
        return datetime.fromtimestamp(now / 1000, UTC).date() + timedelta(days=int(days[1]))
    try:
        return day_or_moment(text)
    except ValueError:
        raise CommandError(
            f"--expires {text}: no date", "write 2027-01-31, 2027-01-31T12:00:00Z or 90d", ExitCode.USAGE
        ) from None


def described(rule: Rule, now: int) -> dict[str, Any]:
    """Return a rule as plain JSON types."""
    return {
        "name": rule.name,
        "conditions": [str(own) for own in rule.conditions],
        "reason": rule.reason,
        "expires": day(rule.expires),
        "expired": now >= rule.expires,
    }


def day(time: int) -> str:
    """Return a time, epoch milliseconds, as a date, or as a date-time when it is not the beginning of a day (UTC)."""
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return moment.date().isoformat() if time % _MS_PER_DAY == 0 else moment.isoformat(timespec="seconds")


def left(ms: int) -> str:
    """Return how long a rule still holds, in words."""
    if ms <= 0:
        return "expired"
    days = ms // _MS_PER_DAY
    return f"{days} days more" if days > 1 else "1 day more" if days else "less than a day"
