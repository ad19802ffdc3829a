"""The command line: commands are loaded when they are called, so that ``gatewatch --help`` answers at once."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from stream.errors import CommandError, ExitCode, SettingsError

DISTRIBUTION = "gatewatch"
EXTRAS: Mapping[str, str] = {
    "joblib": "train",
    "matplotlib": "train",
    "networkx": "train",
    "sklearn": "train",
    "river": "evaluate",
    "catboost": "catboost",
    "mlflow": "mlflow",
}
"""Packages that only an extra installs, and which."""


class Entry(NamedTuple):
    """Where a command is, and the line that ``--help`` shows without loading it."""

    module: str
    name: str
    help: str


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("stream.commands.demo", "demo", "Watch gatewatch find simulated attacks; needs no Kafka."),
    "check": Entry(
        "stream.commands.check", "check", "Say what gatewatch understands of your logs, and which settings they need."
    ),
    "run": Entry("stream.commands.run", "run", "Read gateway logs from Kafka and write alerts to Kafka."),
    "replay": Entry("stream.commands.replay", "replay", "Run log files through the detector, without Kafka."),
    "explain": Entry("stream.commands.explain", "explain", "Show why a session was alerted, or was not."),
    "label": Entry("stream.commands.label", "label", "Say what alerted sessions were, or show each model's precision."),
    "suppress": Entry("stream.commands.suppress", "app", "Add, list, test or remove suppression rules."),
    "pseudonym": Entry(
        "stream.commands.pseudonym", "pseudonym", "Say what a client or an address is called under each key."
    ),
    "simulate": Entry(
        "stream.commands.simulate", "simulate", "Write simulated traffic with attacks to a topic or file."
    ),
    "train": Entry("stream.commands.train", "train", "Train a model bundle."),
    "evaluate": Entry(
        "stream.commands.evaluate", "evaluate", "Measure a model on labelled call logs, beside simpler detectors."
    ),
    "tune": Entry(
        "stream.commands.tune", "tune", "Show what thresholds cost in alerts on your logs, and choose by a budget."
    ),
    "promote": Entry("stream.commands.promote", "promote", "Put the challenger's model in place of the champion's."),
    "models": Entry("stream.commands.models", "app", "Show the topic of models, or try a challenger."),
    "routes": Entry("stream.commands.routes", "app", "Find routes to pin in a log."),
    "topics": Entry("stream.commands.topics", "app", "Make or check the Kafka topics."),
    "dead-letters": Entry("stream.commands.dead_letters", "app", "Look at dead letters, or feed them back."),
    "state": Entry("stream.commands.state", "app", "Show, reset or migrate the durable state."),
    "config": Entry("stream.commands.config", "app", "Show or check the settings."),
}
"""Every command: a function that typer can read, or a Typer with commands of its own."""


class LazyGroup(TyperGroup):
    """A group that lists its commands without loading them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the overridden signature
        """Return the names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 -- the overridden signature
        """Return a stand-in that knows name and help only."""
        entry = COMMANDS.get(cmd_name)
        return entry and TyperCommand(cmd_name, help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is about to run."""
        # The group suggests a name for a mistyped one from these.
        self.commands = {name: self.get_command(ctx, name) for name in COMMANDS}
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest


def load_command(name: str) -> Any:
    """Return a command of COMMANDS as typer runs it.

    Raises:
        CommandError: the command needs packages that are not installed.
    """
    entry = COMMANDS[name]
    target = getattr(_import(name, entry.module), entry.name)
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(target)
        target = single
    # Plain help: rich takes longer to load than all else together.
    target.rich_markup_mode = None
    command = typer.main.get_command(target)
    command.name = name
    return command


def _import(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise CommandError(f"gatewatch {name} is not part of this installation") from error


app = typer.Typer(
    name=DISTRIBUTION,
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # it would print local variables, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find anomalous API behaviour in gateway logs on Kafka.",
    epilog="Exit codes: 0 ok, 1 failure, 2 wrong flags or settings, 3 missing topic or broker, 4 differences found, "
    "5 state that cannot be gone on from.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- typer calls it with the flag's value
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 -- 30 ms that only --version needs

        typer.echo(f"{DISTRIBUTION} {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[  # noqa: FBT002 -- a flag
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find anomalous API behaviour in gateway logs on Kafka."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (see ExitCode).

    Args:
        argv: arguments without the program's name; those of the process when None.
    """
    try:
        typer.main.get_command(app).main(args=None if argv is None else list(argv), prog_name=DISTRIBUTION)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else ExitCode.OK if done.code is None else ExitCode.FAILURE
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _fail(
            [f"this command needs {error.name}"], f"install gatewatch with the extra: {extra}", ExitCode.FAILURE
        )
    except CommandError as error:
        return _fail([str(error)], error.hint, error.exit_code)
    except SettingsError as error:
        hint = "gatewatch config show lists every setting with its value and source"
        return _fail(error.problems, hint, ExitCode.USAGE)
    return ExitCode.OK


def _fail(problems: Sequence[str], hint: str, code: ExitCode) -> int:
    from stream.console import print_error  # noqa: PLC0415 -- rich is not needed when all goes well

    print_error(problems, hint)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
