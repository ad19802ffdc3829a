"""What is wrong with the settings, said so that the reader can put it right: all problems at once."""

import difflib
import typing
from collections.abc import Collection, Container, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field, or the items of a field, must be; None for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in typing.get_args(annotation) if (model := section_of(argument))), None)


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield dotted name and field of every setting, sections before their fields; list items are not entered."""
    for name, field in model.model_fields.items():
        yield prefix + name, field
        if is_section(field):
            yield from fields(typing.cast("type[BaseModel]", field.annotation), f"{prefix}{name}.")


def is_section(field: FieldInfo) -> bool:
    """Return whether a field is a group of settings rather than a setting."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def field_names(model: type[BaseModel]) -> list[str]:
    """Return the dotted names of every plain setting under a model."""
    return [name for name, field in fields(model) if not is_section(field)]


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that looks most like ``name``."""
    return next(iter(difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)), None)


def problems_of(error: ValidationError, model: type[BaseModel], said: Container[str] = ()) -> list[str]:
    """Return one sentence per problem of a failed validation, except for the names already ``said``."""
    items = error.errors(include_url=False, include_input=False, include_context=False)
    named = [(_dotted(item["loc"]), item) for item in items]
    return [_sentence(name, item, model) for name, item in named if name not in said]


def _sentence(name: str, item: ErrorDetails, model: type[BaseModel]) -> str:
    if item["type"] == "extra_forbidden":
        return unknown_name(name, model)
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{name}: {message}" if name else message


def _dotted(location: Iterable[str | int]) -> str:
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def unknown_name(name: str, model: type[BaseModel]) -> str:
    """Return the sentence for a setting that does not exist, with the nearest one that does."""
    parent, _, leaf = name.rpartition(".")
    section = _descend(model, parent)
    names = field_names(model)
    if section is None:
        guess = nearest(name, names)
    else:
        siblings = {sibling: f"{parent}.{sibling}" if parent else sibling for sibling in section.model_fields}
        close = nearest(leaf, siblings)
        guess = siblings[close] if close else nearest(name, names)
    guess = guess or next((full for full in names if full.rpartition(".")[2] == leaf), None)
    return f"{name}: no such setting" + (f"; did you mean {guess}?" if guess else "")


def _descend(model: type[BaseModel], path: str) -> type[BaseModel] | None:
    """Return the section at a dotted path such as ``inputs[0]``; None where there is none."""
    current: type[BaseModel] | None = model
    for part in path.split(".") if path else []:
        if current is None or (field := current.model_fields.get(part.partition("[")[0])) is None:
            return None
        current = section_of(field.annotation)
    return current


def unknown_environment(
    names: Iterable[str], model: type[BaseModel], prefix: str, delimiter: str, reserved: Collection[str] = ()
) -> dict[str, str]:
    """Return dotted name and sentence of each environment variable that has the prefix and sets nothing.

    Args:
        names: names of all environment variables.
        model: the settings.
        prefix: of the variables that belong to the settings.
        delimiter: between a section and its field.
        reserved: variables with the prefix that have another use.
    """
    variables = {prefix + name.replace(".", delimiter).upper(): field for name, field in fields(model)}
    tables = tuple(name + delimiter for name, field in variables.items() if typing.get_origin(field.annotation) is dict)
    valid = {*variables, *reserved}
    plain = [name for name in valid if name in reserved or not is_section(variables[name])]
    problems: dict[str, str] = {}
    for name in sorted(names):
        upper = name.upper()
        if not upper.startswith(prefix) or upper in valid or upper.startswith(tables):
            continue
        guess = nearest(upper, plain)
        dotted = upper.removeprefix(prefix).lower().replace(delimiter, ".")
        problems[dotted] = f"{name}: no such setting" + (f"; did you mean {guess}?" if guess else "")
    return problems
