"""Flags that several commands take, and the settings they make.

def run(config: ConfigFlag = None, assign: AssignFlag = None, bootstrap: BootstrapFlag = None) -> None:
    settings = settings_of(config, assign, {"kafka.bootstrap_servers": bootstrap})
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.errors import SettingsError
from stream.settings import Settings, load_settings

ConfigFlag = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="GATEWATCH_CONFIG",
        help="TOML file with settings; otherwise gatewatch.toml of the working directory, if there is one.",
        show_default=False,
    ),
]
AssignFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="NAME=VALUE",
        help="Any setting, for example sessions.gap_s=600; may be repeated.",
        show_default=False,
    ),
]
BootstrapFlag = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        "-b",
        metavar="HOST:PORT",
        help="Kafka brokers; short for --set kafka.bootstrap_servers=…",
        show_default=False,
    ),
]
BundleFlag = Annotated[
    str | None,
    typer.Option(
        "--bundle", metavar="NAME|PATH", help="Model bundle; short for --set model.bundle=…", show_default=False
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Write JSON for another program.")]


def overrides_of(assign: Sequence[str] | None, flags: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings that flags name; flags of their own win over ``--set``.

    Raises:
        SettingsError: a ``--set`` is not NAME=VALUE.
    """
    overrides: dict[str, Any] = {}
    for text in assign or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingsError([f"--set {text}: write NAME=VALUE, for example --set sessions.gap_s=600"])
        overrides[name.strip()] = _value(value)
    return overrides | {name: value for name, value in (flags or {}).items() if value is not None}


def settings_of(
    config: Path | None, assign: Sequence[str] | None = None, flags: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings for a command.

    Args:
        config: value of ConfigFlag.
        assign: value of AssignFlag.
        flags: settings that have a flag of their own, by dotted name; None values are left out.

    Raises:
        SettingsError: what is wrong with them.
    """
    return load_settings(config, overrides_of(assign, flags))


def _value(text: str) -> Any:
    """Return a list or table given as JSON; other text as it is: the setting's type decides how to read it."""
    try:
        return json.loads(text) if text[:1] in {"[", "{"} else text
    except ValueError as error:
        raise SettingsError([f"--set …={text}: not valid JSON: {error}"]) from None
