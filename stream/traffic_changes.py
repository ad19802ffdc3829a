"""Changes of traffic: the same log with something in it that is no attack, to see whether the detector stays calm.

Every change is made to the calls as they are read, so sessions, degree tables and verdicts follow as in service.
"""

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from featurizer.calls import ApiCall
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from scorer.comparison import half_way
from scorer.examples import Labels
from scorer.recording import Recording
from stream.recorder import Change

RENAMED_SHARE = 0.5
"""Share of the clients that get the new endpoint."""
CROWD = 4
"""Extra clients for each client of the crowd's route."""
WINDOW_SHARE = 0.25
"""Share of the second half that a flash crowd and a load test take."""
VOLUMES = (0.1, 1.0, 10.0)
ADDED = "~evaluate-"
"""Part of the name of every client that a change adds."""


class Scenario(NamedTuple):
    """A change to the log.

    Attributes:
        name: what happens, in a few words.
        what: what is done to the log, in a sentence.
        change: makes the change anew for a run: what it makes of a call may depend on the calls before.
        volume: degrees are read from the table at the end of the log times this; None to read the live tables.
    """

    name: str
    what: str
    change: Callable[[], Change] | None = None
    volume: float | None = None


def scenarios(recording: Recording) -> list[Scenario]:
    """Return the changes that can be made to a log: something happens half way through it.

    Args:
        recording: the log as it is.
    """
    calls, vectors = recording.calls, recording.vectors
    start, last = half_way(recording), int(calls.time.max())
    end = start + round((last - start) * WINDOW_SHARE)
    benign = ~vectors.attacked[calls.session]
    counts = np.bincount(calls.endpoint[benign], minlength=len(calls.endpoints))
    route = int(counts.argmax())
    name = calls.endpoints[route]
    there = benign & (calls.endpoint == route) & (calls.time >= start) & (calls.time < end)
    crowd = {recording.clients[session] for session in np.unique(calls.session[there]).tolist()}
    script = _longest(recording, ~vectors.attacked)
    step = max(round((last - int(calls.time.min())) / len(calls.time)), 1)
    return [
        *(
            Scenario(
                f"volume x {volume:g}",
                f"degrees as of a table of {volume:g} times the log's edges, constant throughout",
                volume=volume,
            )
            for volume in VOLUMES
        ),
        Scenario(
            "new endpoint",
            f"from half way on {100 * RENAMED_SHARE:.0f} % of the clients call {name} by a name never seen before",
            lambda: renamed(name, start),
        ),
        Scenario(
            "flash crowd",
            f"for a quarter of the second half, {CROWD} more clients do what each benign client of {name} does",
            lambda: crowded(crowd, start, end),
        ),
        Scenario(
            "load test",
            f"meanwhile one partner client repeats the longest benign session, {1000 / step:,.0f} calls a second",
            lambda: load_tested(script, start, end, step),
        ),
    ]


def renamed(endpoint: str, start: int) -> Change:
    """Return the change to a new endpoint for a share of the clients, from a moment on."""

    def change(call: ApiCall) -> Iterable[ApiCall]:
        chosen = zlib.crc32(call.client.encode("utf-8", "surrogatepass")) % 100 < 100 * RENAMED_SHARE
        if call.endpoint == endpoint and call.time >= start and chosen:
            return [msgspec.structs.replace(call, endpoint=f"{endpoint}/v2")]
        return [call]

    return change


def crowded(clients: set[str], start: int, end: int) -> Change:
    """Return the change to more clients that do what some clients do, within a window."""

    def change(call: ApiCall) -> Iterable[ApiCall]:
        if call.client not in clients or not start <= call.time < end:
            return [call]
        copies = (msgspec.structs.replace(call, client=f"{call.client}{ADDED}{copy}") for copy in range(CROWD))
        return [call, *copies]

    return change


def load_tested(script: list[str], start: int, end: int, step: int) -> Change:
    """Return the change to one client that calls the endpoints of a script over and over, every ``step`` ms."""
    due = itertools.count(start, step)
    endpoints = itertools.cycle(script)
    waiting = [next(due)]

    def change(call: ApiCall) -> Iterator[ApiCall]:
        while waiting[0] <= call.time and waiting[0] < end:
            yield ApiCall(waiting[0], f"partner{ADDED}load-test", next(endpoints), 200)
            waiting[0] = next(due)
        yield call

    return change


def scaled(table: DegreeSnapshot, volume: float) -> DegreeSnapshot:
    """Return a degree table of another volume of the same traffic; counts are rounded."""

    def times(degrees: EndpointDegrees) -> EndpointDegrees:
        return EndpointDegrees(round(degrees.source * volume), round(degrees.destination * volume))

    endpoints: Mapping[str, EndpointDegrees] = table.endpoints
    return DegreeSnapshot(
        round(table.edges * volume),
        {name: times(own) for name, own in endpoints.items()},
        {
            source: {destination: round(count * volume) for destination, count in following.items()}
            for source, following in table.transitions.items()
        },
    )


def added(recording: Recording) -> Labels:
    """Return the sessions of clients that a change added, shape (sessions,)."""
    return np.array([ADDED in client for client in recording.clients])


def _longest(recording: Recording, sessions: Labels) -> list[str]:
    calls = recording.calls
    counts = np.bincount(calls.session, minlength=len(sessions)) * sessions
    chosen = calls.endpoint[calls.session == int(counts.argmax())]
    return [calls.endpoints[number] for number in chosen.tolist()]
