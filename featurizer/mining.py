"""Mining: routes to pin, from the raw paths of a log; done offline, and read by a person before it is used.

The rules of ``featurizer.segments`` look at one segment and cannot know that ``/users/alice`` names one of many. Over
many paths it shows: a place where ever new words turn up is a parameter. What is decided, place by place:

- words become ``{name}`` where more than ``siblings`` of them share a place, go on alike (``/users/alice`` and
  ``/users/bob`` both lead to ``/orders``), and of a tenth of them nothing was called twice: a fixed set of words is
  soon seen whole. Where ten times as many words share a place they become ``{name}`` whatever follows;
- identifiers of several kinds at one place (numbers and UUIDs) become one ``{id}``, if nine of ten calls there are to
  them;
- the first segment is never a parameter, nor is what follows ``/api`` or a version: resources are named there;
- words such as ``me``, ``search``, ``health`` and versions stay, and so does what is below ``graphql``;
- paths that were only ever refused (4xx) decide nothing: a scanner must not make routes.

A pin takes every segment at its place, so that what else is there and goes on as it does, ``/users/me``, is pinned too.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from featurizer.pins import Pins
from featurizer.routes import ABSOLUTE_FORM, END_OF_PATH, RouteTemplates
from featurizer.segments import ID, MORE

SIBLINGS = 20
"""Words that may share a place before it looks like a parameter."""

MANY = 10
"""Times ``SIBLINGS`` from which words are a parameter without going on alike."""

NAME, REST = "{name}", "{more+}"

_PREFIXES = frozenset({"api", "apis", "rest", "public", "internal", "private", "services"})
_WORDS = frozenset(
    "about active all auth batch bulk callback config count current default export feed filter "  # noqa: SIM905 -- reads better
    "health healthz help history import index info latest list live livez login logout me metrics mine my new "
    "openapi.json ping popular "
    "preview public query ready readyz recent refresh register self session settings signup stats status summary "
    "search swagger.json token top upload validate verify version".split()
)
_VERSION = re.compile(r"[vV][0-9]{1,3}(?:[._a-zA-Z0-9]{0,12})|[0-9]{1,3}(?:\.[0-9]{1,3}){1,2}")
_PARAMETER = re.compile(r"\{[^{}]*\}")
_EXTENSION = re.compile(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{0,4}$")
_MATRIX = re.compile(r";[^/]*")
_END = ""
"""Stands among the segments that follow a place for a path that ends there."""


class RawPaths:
    """How often each raw path was called, apart for calls that the API refused.

    Attributes:
        answered: calls by path, status below 400, from 500 on, or unknown.
        refused: calls by path, status 400 to 499.
    """

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def add(self, path: str, status: int, calls: int = 1) -> None:
        """Count calls to a path without query (see ``bare_path``)."""
        (self.refused if 400 <= status <= 499 else self.answered)[path] += calls


class Swallowed(NamedTuple):
    """A template and what goes to it.

    Attributes:
        template: the route template.
        paths: distinct raw paths.
        calls: calls to them.
        examples: some of the paths, the most called first.
    """

    template: str
    paths: int
    calls: int
    examples: tuple[str, ...]


def bare_path(target: str) -> str:
    """Return a request target without scheme, authority, query, fragment and matrix parameters: they hold secrets."""
    absolute = ABSOLUTE_FORM.match(target)
    path = END_OF_PATH.split(target[absolute.end() :] if absolute else target, maxsplit=1)[0]
    return _MATRIX.sub("", path) or ("/" if absolute else "")


def mine(paths: Mapping[str, int], siblings: int = SIBLINGS) -> tuple[str, ...]:
    """Return the routes to pin, sorted; the same whatever the order of the paths.

    Args:
        paths: calls by raw path (``RawPaths.answered``), without those that are pinned already.
        siblings: words that may share a place before it looks like a parameter.
    """
    root, rules = _Place(), RouteTemplates()
    for path, calls in paths.items():
        template = rules.template(path)
        if template.startswith("/"):
            root.add(template.strip("/").split("/"), calls)
    found: dict[bool, list[str]] = {True: [], False: []}
    for first, place in root.below.items():
        if not _PARAMETER.search(first):
            for pin, new in _pins(place, [first], siblings, below=False, new=False):
                if _can_be_pinned(pin):
                    found[new].append(pin)
    parameters = Pins(found[True])
    taken = [pin for pin in found[False] if parameters.find(pin.strip("/").split("/"), None)]
    return tuple(sorted([*found[True], *taken]))


def swallowed(paths: Mapping[str, int], routes: RouteTemplates, examples: int = 3) -> list[Swallowed]:
    """Return the templates of paths, the most called first; each path goes to exactly one."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        found[routes.template(path)].append(path)
    rows = [
        Swallowed(
            template,
            len(own),
            sum(paths[path] for path in own),
            tuple(sorted(own, key=lambda path: (-paths[path], path))[:examples]),
        )
        for template, own in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.calls, row.template))


class _Place:
    """A place in the tree of paths: the calls that pass, whether a path ends here, and what follows."""

    __slots__ = ("below", "calls", "ends")

    def __init__(self) -> None:
        self.calls = 0
        self.ends = False
        self.below: dict[str, _Place] = {}

    @property
    def follows(self) -> list[str]:
        """The segments that follow."""
        return [*self.below, _END] if self.ends else [*self.below]

    @property
    def templates(self) -> int:
        """How many templates end here or below."""
        return self.ends + sum(own.templates for own in self.below.values())

    def add(self, segments: Sequence[str], calls: int) -> None:
        """Add the calls to a path."""
        place = self
        place.calls += calls
        for segment in segments:
            place = place.below.setdefault(segment, _Place())
            place.calls += calls
        place.ends = True

    def absorb(self, other: "_Place") -> None:
        """Add another place's calls to this one's; the other stays as it is."""
        self.calls += other.calls
        self.ends |= other.ends
        for segment, own in other.below.items():
            self.below.setdefault(segment, _Place()).absorb(own)


def _pins(place: _Place, before: list[str], siblings: int, *, below: bool, new: bool) -> Iterator[tuple[str, bool]]:
    """Yield the routes that pins concern, at and below a place, and whether they hold a parameter new to the rules.

    Args:
        place: where.
        before: the template up to here.
        siblings: as for ``mine``.
        below: a place above has a parameter that only a pin can know.
        new: this is that parameter, or below it; else it is a word beside it.
    """
    if below and place.ends:
        yield "/" + "/".join([*before[:-1], REST if before[-1] == MORE else before[-1]]), new
    labels = {} if _names_resources(before) else _labels(place, siblings, pinned=below)
    made = frozenset(labels.values())
    for segment, own in _relabelled(place, labels).items():
        yield from _pins(own, [*before, segment], siblings, below=below or bool(labels), new=new or segment in made)


def _names_resources(before: Sequence[str]) -> bool:
    """Return whether what follows names resources, or is none of mining's business."""
    if before[-1].lower() == "graphql":
        return True
    return all(segment.lower() in _PREFIXES or _VERSION.fullmatch(segment) for segment in before)


def _labels(place: _Place, siblings: int, *, pinned: bool) -> dict[str, str]:
    """Return what stands for each segment of a place that is a parameter; none where nothing changes."""
    words: dict[str, _Place] = {}
    shapes: defaultdict[str, list[str]] = defaultdict(list)  # "{}.pdf" -> {uuid}.pdf, {id}.pdf
    for segment, own in place.below.items():
        if _PARAMETER.search(segment):
            if segment != MORE:
                shapes[_PARAMETER.sub("{}", segment)].append(segment)
        elif segment.lower() not in _WORDS and not _VERSION.fullmatch(segment):
            words[segment] = own
    labels = _labels_of_words(_names(words, siblings), shapes, siblings)
    if not (pinned or labels) and (len(words) > siblings or not _holds_mixed_identifiers(place, shapes.values())):
        return {}
    named = {_PARAMETER.sub("{}", label) for label in labels.values()}
    for shape, segments in shapes.items():
        if shape in named or len(segments) > 1:  # to pins all of one shape are the same
            labels |= dict.fromkeys(segments, shape.replace("{}", NAME if shape in named else ID))
    return labels


def _holds_mixed_identifiers(place: _Place, shapes: Iterable[Sequence[str]]) -> bool:
    """Return whether nearly all calls below are to identifiers, a twentieth of those of one shape to a rarer kind."""
    calls = [[place.below[segment].calls for segment in segments] for segments in shapes]
    below = sum(own.calls for own in place.below.values())
    return 10 * sum(map(sum, calls)) >= 9 * below and any(20 * (sum(own) - max(own)) >= sum(own) for own in calls)


def _names(words: Mapping[str, _Place], siblings: int) -> Collection[str]:
    """Return the words that name one of many things."""
    if len(words) > MANY * siblings:
        return words
    followers = Counter(segment for own in words.values() for segment in own.follows)
    alike = [word for word, own in words.items() if _goes_on_like_others(own.follows, followers)]
    once = sum(words[word].calls == words[word].templates for word in alike)
    return alike if len(alike) > siblings and 10 * once >= len(alike) else ()


def _goes_on_like_others(follows: Sequence[str], followers: Mapping[str, int]) -> bool:
    """Return whether most of what follows a word also follows at least two others."""
    return 2 * sum(followers[segment] >= 3 for segment in follows) > len(follows)


def _labels_of_words(names: Collection[str], shapes: Collection[str], siblings: int) -> dict[str, str]:
    """Return the label of each name; files of a kind that is frequent, or that the rules know, keep their extension."""
    extensions = {name: _extension(name) for name in names}
    counts = Counter(extensions.values())
    return {
        name: NAME + (own if counts[own] > siblings or "{}" + own in shapes else "") for name, own in extensions.items()
    }


def _extension(name: str) -> str:
    found = _EXTENSION.search(name)
    return found[0] if found else ""


def _relabelled(place: _Place, labels: Mapping[str, str]) -> dict[str, _Place]:
    """Return what follows a place, with parameters in place of the segments that they stand for."""
    if not labels:
        return place.below
    below: dict[str, _Place] = {}
    for segment, own in place.below.items():
        below.setdefault(labels.get(segment, segment), _Place()).absorb(own)
    return below


def _can_be_pinned(route: str) -> bool:
    """Return whether a route is within the grammar of pins; one that is not stays with the rules."""
    try:
        Pins((route,))
    except ValueError:
        return False
    return True
