"""Pinned routes: templates that an operator or an OpenAPI file states, found for a path by walking a tree.

Grammar: ``[METHOD ]/literal/{name}/report-{name}.csv/{rest+}``. ``{name}`` stands for one segment or a part of one,
``{rest+}`` (last only) for all that follows. No method, or ``ANY``, means every method.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from featurizer.segments import decode_segment, encode_segment

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
"""The HTTP methods that OpenTelemetry calls known: RFC 9110, PATCH (RFC 5789) and QUERY."""

ANY = "ANY"
LONGEST_PIN = 256
_PARAMETER = re.compile(r"(\{[^{}]*\})")
_NAME = re.compile(r"[^\s{}:*+/]+")
_LONGEST_COMPARED = 1_024  # characters of a raw segment; a longer one is only ever a whole parameter


class _Partial(NamedTuple):
    """A segment with text around its parameters: the text before, between and after them."""

    texts: tuple[str, ...]
    onward: "_Node"

    def fits(self, segment: str) -> bool:
        """True when each parameter finds at least one character; leftmost places leave the most room, so no retries."""
        first, *between, last = self.texts
        at, end = len(first), len(segment) - len(last)
        if not (segment.startswith(first) and segment.endswith(last)):
            return False
        for text in between:
            found = segment.find(text, at + 1, end)
            if found < 0:
                return False
            at = found + len(text)
        return at < end


class _Node:
    """Where a walk stands: the ways on, the most specific first, and the pins that end here, by method."""

    __slots__ = ("here", "literals", "parameter", "partials", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.partials: list[_Partial] = []
        self.parameter: _Node | None = None
        self.here: dict[str, str] = {}
        self.rest: dict[str, str] = {}

    def partial(self, texts: tuple[str, ...]) -> "_Node":
        for known in self.partials:
            if known.texts == texts:
                return known.onward
        self.partials.append(_Partial(texts, _Node()))
        # More text around the parameters is more specific.
        self.partials.sort(key=lambda partial: (-len("".join(partial.texts)), partial.texts))
        return next(partial.onward for partial in self.partials if partial.texts == texts)

    def ends(self) -> Iterator[dict[str, str]]:
        """Yield the pins that end here or further on: together those that the same paths fit."""
        yield from (pins for pins in (self.here, self.rest) if pins)
        onward = [*self.literals.values(), *(partial.onward for partial in self.partials)]
        for node in onward if self.parameter is None else [*onward, self.parameter]:
            yield from node.ends()


class Pins:
    """A tree of pinned routes.

    Of several that fit, the most specific wins: reading from the left, literal text before text with a parameter in
    it, before a whole parameter, before ``{rest+}``. Of two that differ in the names of parameters only, the first
    given stays.

    Args:
        pinned: the routes.

    Raises:
        ValueError: names the route that is wrong, and why.
    """

    def __init__(self, pinned: Sequence[str] = ()) -> None:
        self._root = _Node()
        self._any = bool(pinned)
        for pin in pinned:
            try:
                self._add(pin)
            except ValueError as error:
                raise ValueError(f"pinned route {pin!r}: {error}") from None

    def __bool__(self) -> bool:
        """True when there is at least one."""
        return self._any

    def find(self, segments: Sequence[str], method: str | None) -> str | None:
        """Return the template of the most specific pin.

        Args:
            segments: the path's segments, as they came.
            method: the call's method, upper-case. A path that only pins of other methods fit takes their template:
                a method that the API does not offer must not mint endpoints. None: whatever method.

        Returns:
            The pin's path, or None.
        """
        found = _walk(self._root, segments, 0, method) if method else None
        return found or _walk(self._root, segments, 0, None)

    def written(self) -> str:
        """Return the pins as they work: the same text for pins that give every call the same template.

        In order only where that decides: among pins of several methods that the same paths fit.
        """
        return "\n".join(
            sorted(", ".join(f"{method} {path}" for method, path in pins.items()) for pins in self._root.ends())
        )

    def _add(self, pin: str) -> None:
        method, path = _method_and_path(pin.strip())
        if not path.startswith("/"):
            raise ValueError("the path must begin with '/'")
        if method != ANY and method not in METHODS:
            raise ValueError(f"{method!r} is no HTTP method that gatewatch tells apart")
        if len(path) > LONGEST_PIN:
            raise ValueError(f"longer than {LONGEST_PIN} characters")
        if unwanted := re.search(r"[?#;]", path):
            raise ValueError(f"a route has no {unwanted[0]!r}: query, fragment and matrix parameters are no part of it")
        node, written = self._root, []
        segments = [segment for segment in path.split("/") if segment]
        for position, segment in enumerate(segments):
            parts = _parts(segment)
            text = "".join(part if part.startswith("{") else _canonical(part) for part in parts)
            written.append(text)
            if parts[0].endswith("+}") and len(parts) == 1:
                if position != len(segments) - 1:
                    raise ValueError(f"{segment} takes all that follows, so it must come last")
                node.rest.setdefault(method, "/" + "/".join(written))
                return
            node = _step(node, parts, text)
        node.here.setdefault(method, "/" + "/".join(written))


def _method_and_path(pin: str) -> tuple[str, str]:
    if pin.startswith("/"):
        return ANY, pin
    method, _, path = pin.partition(" ")
    return method.upper(), path.strip()


def _parts(segment: str) -> list[str]:
    """Split a pin's segment into literal text and ``{name}`` parts."""
    parts = [part for part in _PARAMETER.split(segment) if part]
    for part in parts:
        if not _PARAMETER.fullmatch(part):
            if "{" in part or "}" in part:
                raise ValueError(f"unbalanced brace in {segment!r}")
            if part.startswith((":", "<", "*")) and len(parts) == 1:
                raise ValueError(f"write {segment!r} as '{{name}}' (or '{{name+}}' for all that follows)")
            continue
        name = part[1:-1].removesuffix("+") if len(parts) == 1 else part[1:-1]
        if not _NAME.fullmatch(name):
            raise ValueError(f"{part!r} must hold a name and nothing else")
    return parts


def _step(node: _Node, parts: list[str], text: str) -> _Node:
    if not any(part.startswith("{") for part in parts):
        return node.literals.setdefault(text, _Node())
    if len(parts) > 1:
        # Parameters side by side count as one: what goes to which does not matter here.
        joined = "".join("{" if part.startswith("{") else _canonical(part) for part in parts)
        return node.partial(tuple(re.split(r"\{+", joined)))
    if node.parameter is None:
        node.parameter = _Node()
    return node.parameter


def _walk(node: _Node, segments: Sequence[str], at: int, method: str | None) -> str | None:
    """Depth first, most specific way first; a way that ends without a pin for the method is left again."""
    if at == len(segments):
        return _choose(node.here, method)
    raw = segments[at]
    if (node.literals or node.partials) and len(raw) <= _LONGEST_COMPARED:
        segment = _cached_canonical(raw)
        literal = node.literals.get(segment)
        if literal is not None and (found := _walk(literal, segments, at + 1, method)):
            return found
        for partial in node.partials:
            if partial.fits(segment) and (found := _walk(partial.onward, segments, at + 1, method)):
                return found
    if node.parameter is not None and (found := _walk(node.parameter, segments, at + 1, method)):
        return found
    return _choose(node.rest, method)


def _canonical(raw: str) -> str:
    return encode_segment(decode_segment(raw))


_cached_canonical = lru_cache(4_096)(_canonical)


def _choose(pins: dict[str, str], method: str | None) -> str | None:
    if not pins:
        return None
    if method is None:
        return pins.get(ANY) or next(iter(pins.values()))
    return pins.get(method) or pins.get(ANY)
