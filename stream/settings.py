"""Settings: one frozen object from flags, environment, file and defaults, in that order of precedence."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from stream.errors import SettingsError
from stream.sections.dead_letters import DeadLettersSettings
from stream.sections.detection import (
    AlertsSettings,
    DegreesSettings,
    DriftSettings,
    ModelSettings,
    RoutesSettings,
    RulesSettings,
    SessionsSettings,
)
from stream.sections.fields import read_text, setting
from stream.sections.identity import IdentitySettings, PrivacySettings
from stream.sections.kafka import DeliverySettings, InputSettings, KafkaSettings, StateSettings, TopicsSettings
from stream.sections.operation import LogSettings, WebSettings
from stream.settings_errors import problems_of, unknown_environment

__all__ = ["Settings", "SettingsError", "load_settings", "nested", "read_file", "resolve"]

DEFAULT_FILE = Path("gatewatch.toml")
ENV_PREFIX = "GATEWATCH_"
ENV_DELIMITER = "__"
CONFIG_VARIABLE = "GATEWATCH_CONFIG"
"""Names the TOML file when no flag does; not a setting itself."""
PROPERTIES = "kafka.properties"


class Settings(BaseSettings):
    """Everything a user can set. Make one with ``load_settings``."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        env_ignore_empty=True,
        enable_decoding=False,
    )

    kafka: KafkaSettings = setting(KafkaSettings(), "table", "How to reach the brokers.")
    inputs: tuple[InputSettings, ...] = setting((InputSettings(),), "list of tables", "Topics with gateway logs.")
    topics: TopicsSettings = setting(TopicsSettings(), "table", "Names and shapes of gatewatch's own topics.")
    sessions: SessionsSettings = setting(SessionsSettings(), "table", "When a session begins and ends, and its bounds.")
    degrees: DegreesSettings = setting(DegreesSettings(), "table", "The global degree tables.")
    identity: IdentitySettings = setting(
        IdentitySettings(), "table", "Which of the names that a log has of a client is the client's."
    )
    privacy: PrivacySettings = setting(PrivacySettings(), "table", "Pseudonyms in place of clients and addresses.")
    routes: RoutesSettings = setting(RoutesSettings(), "table", "Which paths are one endpoint.")
    model: ModelSettings = setting(ModelSettings(), "table", "The model bundle and its thresholds.")
    rules: RulesSettings = setting(RulesSettings(), "table", "What is alerted before the model's verdicts count.")
    drift: DriftSettings = setting(
        DriftSettings(), "table", "When live vectors count as differently distributed from the training's."
    )
    alerts: AlertsSettings = setting(AlertsSettings(), "table", "What becomes an alert, and what it says.")
    delivery: DeliverySettings = setting(
        DeliverySettings(), "table", "What is guaranteed, and how often it is paid for."
    )
    state: StateSettings = setting(StateSettings(), "table", "How state is made durable.")
    dead_letters: DeadLettersSettings = setting(
        DeadLettersSettings(), "table", "How many records may be unusable before a worker stops."
    )
    web: WebSettings = setting(WebSettings(), "table", "The web server.")
    log: LogSettings = setting(LogSettings(), "table", "The log.")

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, values: Any) -> Any:
        return read_text(cls, values)

    @model_validator(mode="after")
    def _inputs_make_sense(self) -> Self:
        """Refuse to read nothing, or a topic of gatewatch's own: a loop."""
        if not self.inputs:
            raise ValueError("inputs: name at least one topic")
        names = [entry.topic for entry in self.inputs]
        if clash := sorted(self.topics.own.intersection(names)):
            raise ValueError(f"inputs: {', '.join(clash)} is a topic of gatewatch's own (see topics)")
        if len(set(names)) < len(names):
            raise ValueError("inputs: a topic is listed twice")
        return self


def load_settings(config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of flags, environment, file and defaults; the first that names a setting wins.

    Args:
        config: TOML file; without it ``gatewatch.toml`` of the working directory, if there is one.
        overrides: values from flags, dotted (``{"sessions.gap_s": 60}``) or nested; None values are left out.

    Raises:
        SettingsError: all that is wrong: unknown names (with the nearest valid one), values out of range, unreadable
            file.
    """
    return resolve(config, overrides)[0]


def resolve(
    config: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> tuple[Settings, dict[str, Mapping[str, Any]]]:
    """Return the settings, and the layers they came from by name, highest precedence first.

    Raises:
        SettingsError: as ``load_settings``.
    """
    layers: dict[str, Mapping[str, Any]] = {
        "flag": nested(overrides or {}),
        "environment": EnvSettingsSource(Settings)(),
        "file": read_file(config),
    }
    unknown = unknown_environment(os.environ, Settings, ENV_PREFIX, ENV_DELIMITER, reserved=(CONFIG_VARIABLE,))
    try:
        settings = Settings.model_validate(merged(*reversed(layers.values())))
    except ValidationError as error:
        raise SettingsError([*unknown.values(), *problems_of(error, Settings, said=unknown)]) from None
    if unknown:
        raise SettingsError(list(unknown.values()))
    return settings, layers


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested tables for dotted names: ``{"web.port": 1}`` becomes ``{"web": {"port": 1}}``.

    What follows ``kafka.properties.`` stays one name: librdkafka's properties have dots themselves.
    """
    tree: dict[str, Any] = {}
    for name, value in dotted.items():
        if value is None:
            continue
        table, _, rest = name.partition(PROPERTIES + ".")
        parts = [*PROPERTIES.split("."), rest] if rest and not table else name.split(".")
        for part in reversed(parts):
            value = {part: value}  # noqa: PLW2901 -- wrapped from the inside out
        tree = merged(tree, value)
    return tree


def merged(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return one table of several, later ones winning, tables inside merged the same way."""
    result: dict[str, Any] = {}
    for table in tables:
        for name, value in table.items():
            below = result.get(name)
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                result[name] = merged(below, value)
            else:
                result[name] = value
    return result


def read_file(config: Path | None) -> dict[str, Any]:
    """Return the tables of a TOML file; of ``gatewatch.toml`` or nothing when none is named.

    Raises:
        SettingsError: the named file is missing, unreadable or not TOML; says where.
    """
    path = config or DEFAULT_FILE
    if config is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: not valid TOML: {error}"]) from None
