"""RouteTemplates: which endpoint a call went to, ``GET /orders/{id}``, from its method, path and status.

Three sources, the first that answers wins: the route that the gateway itself matched, a pinned route (settings, an
OpenAPI file), and the rules of ``featurizer.segments``. Nothing is learned from traffic: a template learned on one
worker would name another node on the next, and a collapse made later would rename nodes already counted.

What a path goes through, as RFC 3986 and RFC 9110 read a request target: an absolute form loses scheme and authority;
query, fragment and matrix parameters go; empty segments (double and trailing slashes) go; each segment is
percent-decoded exactly once, so that ``%2F`` makes no segment; dot segments are resolved. Templates are written
percent-encoded again, so that a template is a path with itself as template.

What stands in a path where its template has parameters names an object. It goes on as a checksum only, so that
different objects can be counted and none of them be told.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from sys import intern
from typing import NamedTuple

from featurizer.calls import UNMATCHED_ROUTE
from featurizer.pins import ANY, METHODS, Pins
from featurizer.segments import ID, MORE, decode_segment, segment_template

OTHER_METHOD = "_OTHER"
"""OpenTelemetry's name for every method that is not a known one."""

MALFORMED_ROUTE = "{malformed}"
"""Route of a call whose request target is none: empty, bytes of another protocol, a path without its slash."""

AUTHORITY_ROUTE = "{authority}"
"""Route of a CONNECT to a host and port."""

RULES = 1
"""Version of the rules by which calls without a pinned route get their template, here and in ``featurizer.segments``.
Raise it with every change that gives a call another template: durable state tells by it."""

MOST_SEGMENTS = 16
LONGEST_TEMPLATE = 256
"""A template is at most this long, plus ``/{more}``; a route of the gateway's own is cut here."""

ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
"""Scheme and authority of a request target in absolute form."""

END_OF_PATH = re.compile("[?#]")
"""What ends the path of a request target: query or fragment."""

_CACHED_CALLS = 32_768
_CACHED_SEGMENTS = 16_384
_LONGEST_CACHED = 256  # characters: what clients send must not decide how much memory the caches take
_METHOD_NAMES = {method: method for method in METHODS}
_AUTHORITY = re.compile(r"[^/\s?#@]+:[0-9]{1,5}")
_NO_ROUTE = frozenset({"", "-", "$default"})
_PARAMETERS = ("{", ":", "<", "*")
"""How a whole parameter begins: in gatewatch's templates, and in those of common frameworks."""
_THE_REST = ("+}", "*}")
"""How a parameter ends that takes all that follows."""


class Target(NamedTuple):
    """What a call went to.

    Attributes:
        endpoint: method and route template.
        object_id: 32-bit checksum of the path's segments where the template has parameters, of the whole path when
            no route of the API answered; None when there is no parameter.
    """

    endpoint: str
    object_id: int | None


class RouteTemplates:
    """The endpoint of a call: a pure function of the pinned routes and the call, with bounded caches.

    Args:
        pinned: routes that are known, ``/orders/{id}`` or ``GET /orders/{id}``; grammar and precedence in
            ``featurizer.pins``.

    Attributes:
        pinned: these routes.
        version: which templates these are, such as ``1-0f3ac9d2``: RULES, and a checksum of the pinned routes as they
            work. Routes that a gateway names itself are no part of it.

    Raises:
        ValueError: names the pinned route that is wrong, and why.
    """

    def __init__(self, pinned: Sequence[str] = ()) -> None:
        self.pinned = tuple(pinned)
        self._pins = Pins(pinned)
        written = self._pins.written().encode("utf-8", "surrogatepass")
        self.version = f"{RULES}-{blake2b(written, digest_size=4).hexdigest()}"
        self._cached_target = lru_cache(_CACHED_CALLS)(self._target)

    def endpoint(self, method: str, path: str, status: int, route: str | None = None) -> str:
        """Return the endpoint of a call; arguments as for ``target``."""
        return self.target(method, path, status, route).endpoint

    def target(self, method: str, path: str, status: int, route: str | None = None) -> Target:
        """Return what a call went to.

        Args:
            method: HTTP method in any case; one that is not known becomes ``_OTHER``.
            path: request target as the client sent it: origin form, absolute form, authority form or ``*``.
            status: HTTP response status code. A 404 without a pinned or own route goes to ``{unmatched}``, so that a
                scanner mints no endpoints.
            route: the route that the gateway matched; None, empty, ``-`` and ``$default`` mean none.
        """
        name = _METHOD_NAMES.get(method) or _method_name(method)
        if "?" in path:
            path = path[: path.index("?")]
        if len(path) > _LONGEST_CACHED or (route is not None and len(route) > _LONGEST_CACHED):
            return self._target(name, path, status == 404, route)
        return self._cached_target(name, path, status == 404, route)

    def template(self, path: str) -> str:
        """Return the template of a path: its pinned route, of whatever method, or what the rules make of it."""
        segments = _segments(path)
        return self._route(None, segments) or _heuristic(path, segments)

    def _target(self, method: str, path: str, not_found: bool, route: str | None) -> Target:  # noqa: FBT001 -- positional because it is a cache key
        segments = _segments(path)
        template = _own_route(route) or self._route(method, segments)
        if template is None and not_found:
            template = UNMATCHED_ROUTE
        if template is None and method == "CONNECT" and _AUTHORITY.fullmatch(path):
            template = AUTHORITY_ROUTE
        if template is None:
            template = _heuristic(path, segments)
        return Target(intern(f"{method} {template}"), _object_of(template, segments))

    def _route(self, method: str | None, segments: Sequence[str] | None) -> str | None:
        return None if segments is None or not self._pins else self._pins.find(segments, method)


def _method_name(method: str) -> str:
    name = method.upper() if method.isascii() else OTHER_METHOD
    return name if name in METHODS else OTHER_METHOD


def _segments(target: str) -> list[str] | None:
    """Return the raw segments of a request target, None when it has no path."""
    path = END_OF_PATH.split(target, maxsplit=1)[0]
    if not path.startswith("/"):
        absolute = ABSOLUTE_FORM.match(path)
        if not absolute:
            return None
        path = path[absolute.end() :]
    segments: list[str] = []
    for piece in path.split("/"):
        raw = piece.partition(";")[0]
        if not raw:
            continue
        if raw[0] in ".%" and (text := decode_segment(raw)) in {".", ".."}:
            del segments[len(segments) - (text == "..") :]
            continue
        segments.append(raw)
    return segments


def _heuristic(target: str, segments: Sequence[str] | None) -> str:
    if target == "*":
        return target
    if segments is None:
        return MALFORMED_ROUTE
    written: list[str] = []
    length = 0
    for depth, raw in enumerate(segments):
        if raw.isdecimal():  # spares the cache the commonest identifiers
            text = ID
        elif len(raw) <= _LONGEST_CACHED:
            text = _cached_template(raw, depth == 0)
        else:
            text = _template(raw, depth == 0)
        length += 1 + len(text)
        if depth == MOST_SEGMENTS or length > LONGEST_TEMPLATE:
            written.append(MORE)
            break
        written.append(text)
    return "/" + "/".join(written)


def _object_of(template: str, segments: Sequence[str] | None) -> int | None:
    """Return the checksum of what a path has at its template's parameters.

    A gateway's own route may be shorter than the path, when it is mounted below others: then the ends are the same.
    """
    if not segments:
        return None
    if template == UNMATCHED_ROUTE:
        return _checksum(segments)
    parts = [part for part in template.split("/") if part]
    if parts and (parts[-1] == MORE or parts[-1].startswith("*") or parts[-1].endswith(_THE_REST)):
        depth = len(parts) - 1
        segments = [*segments[:depth], "/".join(segments[depth:])]
    if len(segments) < len(parts):
        return None
    found = [
        segment
        for part, segment in zip(parts, segments[len(segments) - len(parts) :], strict=True)
        if part.startswith(_PARAMETERS) or "{" in part
    ]
    return _checksum(found) if found else None


def _checksum(segments: Sequence[str]) -> int:
    text = "/".join(segments)
    if "%" in text:  # one object has many spellings
        text = "/".join(map(decode_segment, segments))
    # Bits of it are used by themselves: those of a CRC would hang together for ids that follow each other.
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")


def _own_route(route: str | None) -> str | None:
    """Return the gateway's route as a bounded, printable name; a method before it (AWS ``GET /pets``) is dropped."""
    if route is None:
        return None
    route = route.strip()
    method, space, path = route.partition(" ")
    if space and (method.upper() in METHODS or method.upper() == ANY):
        route = path.strip()
    if route in _NO_ROUTE:
        return None
    return "".join(c if c.isprintable() and c != " " else "_" for c in route[:LONGEST_TEMPLATE])


def _template(raw: str, first: bool) -> str:  # noqa: FBT001 -- positional because it is a cache key
    return segment_template(decode_segment(raw), first=first)


_cached_template = lru_cache(_CACHED_SEGMENTS)(_template)
