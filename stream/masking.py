"""Which values are secret, and what is shown in their place."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

MASK = "********"

SECRET_NAME = re.compile(
    r"password|passphrase|secret|private|key[._]pem$|\.key$|jaas|oauthbearer[._]config|token$|authorization",
    re.IGNORECASE,
)
"""Matches the names of values that are never shown: librdkafka's properties and gatewatch's own."""


def masked(value: Any, name: str = "") -> Any:
    """Return the value as plain types, with every secret in it replaced by a mask, tables and lists included."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    return MASK if value is not None and SECRET_NAME.search(name) else value
