"""Pinned routes from an OpenAPI 2 or 3 description, in YAML or JSON.

Each operation becomes one route, ``GET /v1/orders/{id}``: the base path of each server (OpenAPI 3: the operation's
servers, else the path item's, else the document's; OpenAPI 2: ``basePath``) before the path. Scheme and host are
dropped: a gateway's log has paths. A server variable in the path is filled with its default and every value of its
enum. ``x-amazon-apigateway-any-method`` stands for every method.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from featurizer.pins import ANY, Pins

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_ANY_METHOD = "x-amazon-apigateway-any-method"
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_SCHEME_AND_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*")
_MOST_BASE_PATHS = 64

# libyaml reads a large description some ten times faster; not every build of PyYAML has it.
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class OpenApiError(ValueError):
    """An OpenAPI description cannot be used; the message names the place in it and what is wrong there."""


def read_openapi(path: Path) -> tuple[str, ...]:
    """Read a file and return its routes as pinned patterns, in the order of the file, without repeats.

    Raises:
        OpenApiError: the file cannot be read, is no YAML or JSON, or is no OpenAPI description.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise OpenApiError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return pinned_routes(_parse(text))
    except OpenApiError as error:
        raise OpenApiError(f"{path}: {error}") from error


def pinned_routes(document: object) -> tuple[str, ...]:
    """Return the routes of a parsed description as pinned patterns for ``RouteTemplates``.

    Raises:
        OpenApiError: the document is no OpenAPI 2 or 3 description.
    """
    root = _mapping(document, "the document")
    _check_version(root)
    paths = _mapping(root.get("paths", {}), "paths")
    routes: dict[str, None] = {}
    for path, item in paths.items():
        if isinstance(path, str) and path.startswith("x-"):
            continue
        if not isinstance(path, str) or not path.startswith("/"):
            raise OpenApiError(f"paths: {path!r} must be text that begins with '/'")
        where = f"paths.{path}"
        for route in _routes_of(root, path, _resolve(root, _mapping(item, where), where), where):
            routes[route] = None
    _check_routes(routes)
    return tuple(routes)


def _parse(text: bytes) -> object:
    if text.lstrip().startswith(b"{"):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            pass  # YAML's flow style begins with a brace as well
    try:
        return yaml.load(text, Loader=_YamlLoader)  # noqa: S506 -- one of the two safe loaders
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" (line {place.line + 1})" if place else ""
        raise OpenApiError(f"neither YAML nor JSON{line}: {getattr(error, 'problem', None) or error}") from error


def _check_version(root: Mapping[Any, Any]) -> None:
    version = root.get("openapi", root.get("swagger"))
    if version is None:
        raise OpenApiError("neither 'openapi' nor 'swagger' names a version: is this an OpenAPI description?")
    if not str(version).startswith(("2.", "3.")) and version not in {2, 3}:
        raise OpenApiError(f"version {version!r} is not known; OpenAPI 2 and 3 are")


def _routes_of(root: Mapping[Any, Any], path: str, item: Mapping[Any, Any], where: str) -> Iterator[str]:
    for name, operation in _operations(item, where):
        holder = operation if "servers" in operation else item if "servers" in item else root
        prefix = "" if name == ANY else f"{name} "
        for base in _base_paths(holder, root, where):
            yield f"{prefix}{base}{path}"


def _operations(item: Mapping[Any, Any], where: str) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    for method in _METHODS:
        if method in item:
            yield method.upper(), _mapping(item[method], f"{where}.{method}")
    if _ANY_METHOD in item:
        yield ANY, _mapping(item[_ANY_METHOD], f"{where}.{_ANY_METHOD}")


def _base_paths(holder: Mapping[Any, Any], root: Mapping[Any, Any], where: str) -> list[str]:
    if "swagger" in root:
        return [_bare(str(root.get("basePath") or ""))]
    servers = holder.get("servers") or [{"url": "/"}]
    if not isinstance(servers, list):
        raise OpenApiError(f"{where}: servers must be a list")
    bases: dict[str, None] = {}
    for server in servers:
        url = _mapping(server, f"{where}: servers").get("url")
        if not isinstance(url, str):
            raise OpenApiError(f"{where}: a server has no url")
        for filled in _filled(_SCHEME_AND_HOST.sub("", url, count=1), server.get("variables"), where):
            bases[_bare(filled)] = None
    if len(bases) > _MOST_BASE_PATHS:
        raise OpenApiError(f"{where}: servers give more than {_MOST_BASE_PATHS} base paths")
    return list(bases)


def _filled(path: str, variables: object, where: str) -> Iterator[str]:
    """Fill the variables of a server's path with every value that they may take."""
    names = _VARIABLE.findall(path)
    known = _mapping(variables or {}, f"{where}: servers.variables")
    choices: list[list[str]] = []
    for name in names:
        variable = known.get(name)
        if not isinstance(variable, Mapping) or "default" not in variable:
            raise OpenApiError(f"{where}: server variable {name!r} has no default")
        choices.append([str(value) for value in dict.fromkeys([variable["default"], *(variable.get("enum") or [])])])
    for values in itertools.islice(itertools.product(*choices), _MOST_BASE_PATHS + 1):
        fill = iter(values)
        yield _VARIABLE.sub(lambda _: next(fill), path)  # noqa: B023 -- used up within this turn of the loop


def _bare(base: str) -> str:
    base = base.strip("/")
    return f"/{base}" if base else ""


def _resolve(root: Mapping[Any, Any], item: Mapping[Any, Any], where: str) -> Mapping[Any, Any]:
    """Follow a path item's ``$ref`` within the document."""
    seen: set[str] = set()
    while "$ref" in item:
        reference = item["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise OpenApiError(f"{where}: $ref to another file; bundle the description into one file first")
        if reference in seen:
            raise OpenApiError(f"{where}: $ref {reference} leads back to itself")
        seen.add(reference)
        found: Any = root
        for key in reference[2:].split("/"):
            name = key.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise OpenApiError(f"{where}: $ref {reference} leads nowhere")
            found = found[name]
        item = _mapping(found, reference)
    return item


def _check_routes(routes: Mapping[str, None]) -> None:
    try:
        Pins(tuple(routes))
    except ValueError as error:
        raise OpenApiError(str(error)) from error


def _mapping(value: object, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise OpenApiError(f"{where} must be a mapping, not {type(value).__name__}")
    return value
