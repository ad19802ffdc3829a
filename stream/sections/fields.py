"""How a section of the settings is written."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

T = TypeVar("T")


def setting(default: T, unit: str, why: str, **constraints: Any) -> T:
    """Return the field of a setting.

    Args:
        default: the value when no source names another.
        unit: what the number counts, or what the text is; shown in the README's table.
        why: what the setting does and why that default.
        constraints: further arguments of pydantic's Field, such as ``gt``.
    """
    field: T = Field(default, description=why, json_schema_extra={"unit": unit}, **constraints)
    return field


class Section(BaseModel):
    """A frozen group of settings that refuses unknown names and reads lists and tables from text too."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, values: Any) -> Any:
        """Read lists and tables given as text, as environment variables and flags give them."""
        return read_text(cls, values)


def read_text(model: type[BaseModel], values: Any) -> Any:
    """Replace text by the list or table it stands for, where the model's field is one: JSON, or ``a,b,c`` for a list.

    Raises:
        ValueError: the text looks like JSON and is not; names the field.
    """
    if not isinstance(values, Mapping):
        return values
    read = dict(values)
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None or not isinstance(value, str):
            continue
        default = field.get_default(call_default_factory=True)
        if not isinstance(default, tuple | dict | BaseModel):
            continue
        text = value.strip()
        if text[:1] in {"[", "{"}:
            try:
                read[name] = json.loads(text)
            except ValueError as error:
                raise ValueError(f"{name}: not valid JSON: {error}") from None
        elif isinstance(default, tuple):
            read[name] = [part.strip() for part in text.split(",") if part.strip()]
    return read
