"""Settings of the web server and the log."""

import ipaddress
from typing import Literal, Self

from pydantic import SecretStr, field_validator, model_validator

from stream.sections.fields import Section, setting


class WebSettings(Section):
    """The web server for health, metrics and single scores."""

    bind: str = setting(
        "127.0.0.1",
        "address",
        "Address to listen on. Loopback by default: opening it to a network is a decision.",
        min_length=1,
    )
    port: int = setting(6066, "port", "TCP port of the web server.", ge=1, le=65_535)
    token: SecretStr | None = setting(
        None,
        "secret",
        "Bearer token for everything but /healthz and /readyz. Required when bind is not loopback.",
    )

    @field_validator("token")
    @classmethod
    def _token_not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("must not be empty")
        return value

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.bind).is_loopback
        except ValueError:
            return self.bind == "localhost"

    @model_validator(mode="after")
    def _token_off_loopback(self) -> Self:
        if not self.loopback and self.token is None:
            raise ValueError(
                f"bind is {self.bind}, not loopback: set web.token (GATEWATCH_WEB__TOKEN), or bind to 127.0.0.1"
            )
        return self


class LogSettings(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "name", "Least level written. info has no line per record."
    )
    format: Literal["console", "json"] = setting(
        "console", "name", "console for people, json (one object a line) for a log collector."
    )
