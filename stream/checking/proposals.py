"""From findings to what a person should look at, and to settings that fit the logs."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from stream.checking.callers import Callers, Copies
from stream.checking.endpoints import Endpoints, RouteProposal
from stream.checking.formats import Detection
from stream.checking.time_order import MINUTE, SECOND, Pauses, TimeOrder
from stream.checking.words import are, count, percent, span
from stream.settings import Settings

MOST_PINS = 40
"""Pins that a proposal of settings holds; with more of them ``gatewatch routes suggest`` is the place to look."""

_LATENESS_S = (60, 120, 300, 600, 1_800, 3_600)
_MANY = 0.05  # share from which something is worth a word


class Weight(StrEnum):
    """How much a note matters."""

    ACT = "act"
    """Detection suffers until something is done."""
    LOOK = "look"
    """Somebody should decide whether it is as it should be."""


class Note(NamedTuple):
    """Something to look at.

    Attributes:
        weight: how much it matters.
        text: what was found.
        next: what to do.
    """

    weight: Weight
    text: str
    next: str


class Proposal(NamedTuple):
    """A setting that fits the logs better than its present value.

    Attributes:
        section: of the settings.
        name: of the setting.
        value: proposed.
        why: a comment beside it.
    """

    section: str
    name: str
    value: float | Sequence[str]
    why: str


class Findings(NamedTuple):
    """What was found in the calls of a sample; ``timed`` is how many have a duration."""

    times: TimeOrder
    pauses: Pauses
    callers: Callers
    copies: Copies
    endpoints: Endpoints
    routes: RouteProposal
    timed: int


def notes_on_formats(detection: Detection) -> Iterator[Note]:
    """Yield what to look at because of the formats."""
    if detection.mixed and not detection.auto_suffices:
        yield Note(
            Weight.ACT,
            f"several formats, and auto reads {detection.by_auto:,} of the {detection.shares.total():,} records that "
            "they read",
            "give each format a topic of its own, and name the format there",
        )


def notes(found: Findings, settings: Settings) -> Iterator[Note]:
    """Yield what to look at in the calls, in the order in which they were looked at."""
    yield from _notes_on_times(found.times, settings)
    yield from _notes_on_callers(found.callers)
    yield from _notes_on_copies(found.copies, found.callers.calls)
    yield from _notes_on_endpoints(found.endpoints, found.routes)


def proposals(found: Findings, settings: Settings) -> Iterator[Proposal]:
    """Yield the settings that fit better than those that there are."""
    times, sessions = found.times, settings.sessions
    if times.most_behind > sessions.lateness_s * SECOND:
        fitting = [seconds for seconds in _LATENESS_S if seconds * SECOND >= times.most_behind]
        if fitting:
            why = f"calls come up to {span(times.most_behind)} out of order"
            yield Proposal("sessions", "lateness_s", fitting[0], why)
    gap = sessions.gap_s * SECOND
    if times.last - times.first >= 8 * gap and 2 * found.pauses.soon > found.pauses.sessions:
        why = f"{percent(found.pauses.soon, found.pauses.sessions)} of the sessions go on within four gaps"
        yield Proposal("sessions", "gap_s", 4 * sessions.gap_s, why)
    if found.routes.pins and len(found.routes.pins) <= MOST_PINS:
        why = f"of {found.routes.before:,} route templates they make {found.routes.after:,}"
        yield Proposal("routes", "pinned", [*settings.routes.pinned, *found.routes.pins], why)


def _notes_on_times(times: TimeOrder, settings: Settings) -> Iterator[Note]:
    if times.ahead:
        zone = ": by whole hours, so it is a local time written as UTC" if times.whole_hours else ""
        yield Note(
            Weight.ACT,
            f"{are(times.ahead, 'call')} in the future, by up to {span(times.most_ahead)}{zone}",
            "correct the gateway's clock or zone: such calls become dead letters (future_timestamp)",
        )
    if times.resolution >= MINUTE:
        yield Note(
            Weight.ACT,
            "times are whole minutes",
            "log finer times: sessions are judged by the order of calls",
        )
    elif times.resolution == SECOND:
        yield Note(
            Weight.LOOK,
            "times are whole seconds: calls of one second keep the order of the lines",
            "log milliseconds if the gateway can",
        )
    if times.most_behind > _LATENESS_S[-1] * SECOND:
        yield Note(
            Weight.ACT,
            f"calls are out of order by up to {span(times.most_behind)}",
            "give rotated files the oldest first; in a topic key the records by client",
        )
    if times.delay is not None and times.delay > settings.sessions.gap_s * SECOND:
        yield Note(
            Weight.LOOK,
            f"half of the calls reach Kafka more than {span(round(times.delay))} after they were made",
            "alerts come as late: does the shipper lag, or is the gateway's time a local one?",
        )


def _notes_on_callers(callers: Callers) -> Iterator[Note]:
    if callers.looks_like_a_proxy:
        inside = "internal " if callers.proxy_is_internal else ""
        yield Note(
            Weight.ACT,
            f"the {inside}address {callers.busiest} makes {percent(callers.busiest_calls, callers.calls)} of the calls",
            "if it is a proxy, have the gateway log the address that the proxy names, or the user",
        )
    if callers.by_address == callers.calls:
        yield Note(
            Weight.LOOK,
            "clients are known by address only: users behind one address are one client, one user on two is two",
            "log who called: user, consumer or token subject",
        )
    elif callers.by_address > _MANY * callers.calls:
        yield Note(
            Weight.LOOK,
            f"{percent(callers.by_address, callers.calls)} of the calls have no identity but an address",
            "fine for calls without login; else log who called",
        )


def _notes_on_copies(copies: Copies, calls: int) -> Iterator[Note]:
    if copies.clashes > 0.001 * calls:
        yield Note(
            Weight.ACT,
            f"{are(copies.clashes, 'call')} under the request id of another call of the same client",
            "log an id that the gateway makes for each request, no trace or session id: copies are dropped by it",
        )
    if copies.copies > 0.001 * calls:
        yield Note(
            Weight.LOOK,
            f"by request id {are(copies.copies, 'call')} copies ({percent(copies.copies, calls)})",
            "nothing: they are dropped and counted",
        )
    if copies.identified < calls and copies.repeated:
        yield Note(
            Weight.LOOK,
            f"{are(copies.repeated, 'record')} equal to an earlier one, and without a request id",
            "log request ids if the shipper sends records twice: without ids copies count as calls",
        )


def _notes_on_endpoints(found: Endpoints, routes: RouteProposal) -> Iterator[Note]:
    if routes.pins:
        swallowing = [row for row in routes.rows if row.template in set(routes.parameters)]
        yield Note(
            Weight.ACT if routes.before - routes.after > _MANY * routes.before else Weight.LOOK,
            f"{are(sum(row.paths for row in swallowing), 'path')} likely to be {count(len(swallowing), 'route')} with "
            "unmerged ids",
            "pin them, or name your OpenAPI file: gatewatch routes suggest shows what each would swallow",
        )
    if found.one_path_calls > _MANY * found.calls:
        yield Note(
            Weight.LOOK,
            f"{percent(found.one_path_calls, found.calls)} of the calls are {found.one_path}: one endpoint for all "
            "operations",
            "log the operation's name as the route if you can",
        )
    if found.unmatched > _MANY * found.calls:
        yield Note(
            Weight.LOOK,
            f"{percent(found.unmatched, found.calls)} of the calls found no route (404)",
            "fine for scanners; routes of yours that answer 404 should be pinned",
        )
    if found.malformed > _MANY * found.calls:
        yield Note(
            Weight.ACT,
            f"{percent(found.malformed, found.calls)} of the calls have no request target",
            "look at how the gateway logs the path",
        )
    if found.excluded > _MANY * found.calls:
        yield Note(
            Weight.LOOK,
            f"{percent(found.excluded, found.calls)} of the calls are probes or preflights",
            "nothing: they are no part of call graphs (sessions.excluded_methods)",
        )
