"""Pinned routes: templates that an operator or an OpenAPI file states, found for a path by walking a tree.

Grammar: ``[METHOD ]/literal/{name}/report-{name}.csv/{rest+}``. ``{name}`` stands for one segment or a part of one,
``{rest+}`` (last only) for all that follows. No method, or ``ANY``, means every method.
"""

import re
from collections.abc import Sequence

from featurizer.segments import decode_segment, encode_segment

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
"""The HTTP methods that OpenTelemetry calls known: RFC 9110, PATCH (RFC 5789) and QUERY."""

ANY = "ANY"
LONGEST_PIN = 256
_PARAMETER = re.compile(r"(\{[^{}]*\})")
_NAME = re.compile(r"[^\s{}:*+/]+")
_LONGEST_PARTIAL = 256  # characters of a segment that is still tried against a pattern with text around a parameter


class _Node:
    """Where a walk stands: the ways on, the most specific first, and the pins that end here, by method."""

    __slots__ = ("here", "literals", "parameter", "partials", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.partials: dict[str, tuple[re.Pattern[str], _Node]] = {}
        self.parameter: _Node | None = None
        self.here: dict[str, str] = {}
        self.rest: dict[str, str] = {}

    def partial(self, parts: list[str]) -> "_Node":
        shape = "".join(".+" if part.startswith("{") else re.escape(part) for part in parts)
        node = self.partials.setdefault(shape, (re.compile(shape, re.DOTALL), _Node()))[1]
        # More text around the parameter is more specific.
        self.partials = dict(sorted(self.partials.items(), key=lambda item: (-len(item[0].replace(".+", "")), item[0])))
        return node


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
            segments: the path's segments, each as ``encode_segment(decode_segment(raw))`` writes it.
            method: the call's method, upper-case. A path that only pins of other methods fit takes their template:
                a method that the API does not offer must not mint endpoints. None: whatever method.

        Returns:
            The pin's path, or None.
        """
        found = _walk(self._root, segments, 0, method) if method else None
        return found or _walk(self._root, segments, 0, None)

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
            text = "".join(part if part.startswith("{") else encode_segment(decode_segment(part)) for part in parts)
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
        literal = [part if part.startswith("{") else encode_segment(decode_segment(part)) for part in parts]
        return node.partial(literal)
    if node.parameter is None:
        node.parameter = _Node()
    return node.parameter


def _walk(node: _Node, segments: Sequence[str], at: int, method: str | None) -> str | None:
    """Depth first, most specific way first; a way that ends without a pin for the method is left again."""
    if at == len(segments):
        return _choose(node.here, method)
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None and (found := _walk(literal, segments, at + 1, method)):
        return found
    if node.partials and len(segment) <= _LONGEST_PARTIAL:
        for pattern, onward in node.partials.values():
            if pattern.fullmatch(segment) and (found := _walk(onward, segments, at + 1, method)):
                return found
    if node.parameter is not None and (found := _walk(node.parameter, segments, at + 1, method)):
        return found
    return _choose(node.rest, method)


def _choose(pins: dict[str, str], method: str | None) -> str | None:
    if not pins:
        return None
    if method is None:
        return pins.get(ANY) or next(iter(pins.values()))
    return pins.get(method) or pins.get(ANY)
