"""``gatewatch config``: what the settings are, where each comes from, and whether they can be used."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from stream.console import print_error, print_json, stdout
from stream.errors import ExitCode, SettingsError
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
    """Check the settings, the librdkafka properties, the files named and the model bundle; exit code 2 if wrong."""
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
    try:
        settings, _ = resolve(config, overrides_of(assign))
    except SettingsError as error:
        return list(error.problems)
    return [*missing_files(settings), *wrong_properties(settings), *wrong_pins(settings), *wrong_bundle(settings)]


def wrong_properties(settings: Settings) -> Sequence[str]:
    """Return what librdkafka complains of."""
    from stream.kafka_config import check_properties  # noqa: PLC0415 -- loads librdkafka: config show need not wait

    try:
        check_properties(settings)
    except SettingsError as error:
        return error.problems
    return ()


def wrong_pins(settings: Settings) -> Sequence[str]:
    """Return which pinned route cannot be read."""
    from featurizer.routes import RouteTemplates  # noqa: PLC0415 -- config show need not wait

    try:
        RouteTemplates(settings.routes.pinned)
    except ValueError as error:
        return [f"routes.pinned: {error}"]
    return ()


def wrong_bundle(settings: Settings) -> Sequence[str]:
    """Return why the model bundle cannot be used."""
    from featurizer.features import ACCESS_BEHAVIOUR_V1  # noqa: PLC0415 -- loads numpy: config show need not wait
    from scorer.bundle import BundleError  # noqa: PLC0415 -- same
    from stream.bundles import read_bundle  # noqa: PLC0415 -- same

    try:
        read_bundle(settings.model.bundle, ACCESS_BEHAVIOUR_V1)
    except BundleError as error:
        return [f"model.bundle: {error}"]
    return ()


def missing_files(settings: Settings) -> list[str]:
    """Return one sentence per file that the settings name and that is not there."""
    named = {"degrees.frozen": settings.degrees.frozen, "routes.openapi": settings.routes.openapi}
    return [f"{name}: no such file: {path}" for name, path in named.items() if path is not None and not path.is_file()]


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
