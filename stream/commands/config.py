"""``gatewatch config``: what the settings are, where each comes from, and whether they can be used."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from stream.console import print_error, print_json, stdout
from stream.errors import CommandError, ExitCode, SettingsError
from stream.flags import AssignFlag, ConfigFlag, JsonFlag, overrides_of
from stream.masking import masked
from stream.settings import Settings, resolve
from stream.settings_errors import field_names

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Show or check the settings.")


@app.command()
def show(config: ConfigFlag = None, assign: AssignFlag = None, *, json: JsonFlag = False) -> None:
    """Show every setting with its value and where the value comes from; secrets are masked."""
    settings, layers = resolve(config, overrides_of(assign))
    values = masked(settings.model_dump(mode="python"))
    if json:
        print_json(values)
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name in field_names(Settings):
        source = origin(name, layers)
        style = "dim" if source == "default" else ""
        table.add_row(name, text_of(lookup(values, name)), source, style=style)
    stdout.print(table)


@app.command()
def check(config: ConfigFlag = None, assign: AssignFlag = None, *, json: JsonFlag = False) -> None:
    """Check the settings, the librdkafka properties, the files named and the model bundles; exit code 2 if wrong."""
    found = problems(config, assign)
    if json:
        print_json({"valid": not found, "problems": found})
    elif found:
        print_error(found)
    else:
        stdout.print("[green]The settings can be used.[/]")
    if found:
        raise typer.Exit(ExitCode.USAGE)


def problems(config: Path | None, assign: list[str] | None) -> list[str]:
    """Return everything that would keep ``gatewatch run`` from starting with these settings, brokers aside."""
    from stream import assembly  # noqa: PLC0415 -- loads numpy and the model: config show need not wait
    from stream.kafka_config import check_properties  # noqa: PLC0415 -- loads librdkafka: same
    from stream.pseudonym_keys import hmac_keys  # noqa: PLC0415 -- same as assembly

    try:
        settings, _ = resolve(config, overrides_of(assign))
    except SettingsError as error:
        return list(error.problems)
    trials: Sequence[Callable[[], object]] = (
        lambda: check_properties(settings),
        lambda: assembly.route_templates(settings),
        lambda: assembly.frozen_degrees(settings.degrees.frozen),
        lambda: assembly.suppressions(settings),
        lambda: hmac_keys(settings),
        lambda: assembly.pseudonyms(settings),
        lambda: settings.model.from_topic or assembly.model_bundle(settings),
        lambda: assembly.challenger_bundle(settings),
    )
    return [problem for trial in trials for problem in complaints(trial)]


def complaints(trial: Callable[[], object]) -> Sequence[str]:
    """Return what keeps a part from being made."""
    try:
        trial()
    except SettingsError as error:
        return error.problems
    except CommandError as error:
        return [str(error)]
    return ()


def origin(name: str, layers: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the layer that a setting's value comes from: flag, environment, file or default."""
    for layer, values in layers.items():
        value: Any = values
        for part in name.split("."):
            # A whole section given as text (JSON) is where its fields come from.
            value = value.get(part) if isinstance(value, Mapping) else value
        if value is not None:
            return layer
    return "default"


def lookup(values: Any, name: str) -> Any:
    """Return the value at a dotted name; None where there is none."""
    for part in name.split("."):
        if not isinstance(values, Mapping):
            return None
        values = values.get(part)
    return values


def text_of(value: Any) -> str:
    """Return a value as the table shows it."""
    if isinstance(value, float):
        return f"{value:.15g}"
    return "unset" if value is None else "(none)" if value in ([], {}, ()) else str(value)
