"""Examination: everything that a sample tells, as one value."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from featurizer.calls import ApiCall
from stream import assembly
from stream.checking import proposals
from stream.checking.callers import callers, copies
from stream.checking.endpoints import endpoints, propose_routes, raw_paths
from stream.checking.formats import Detection, Reading, detect, why_not
from stream.checking.proposals import Findings, Note, Proposal, Weight
from stream.checking.raw_routes import RawRoutes
from stream.checking.rejects import RejectGroup, reject_groups
from stream.checking.sample import Sample
from stream.checking.time_order import SECOND, pauses, time_order
from stream.checking.words import percent
from stream.errors import SettingsError
from stream.settings import Settings


class Examination(NamedTuple):
    """What a sample tells.

    Attributes:
        sample: the records.
        detection: how they read.
        calls: calls in them.
        rejected: elements that are no call.
        rejects: these by kind, the most frequent first.
        findings: about the calls; None when there are none.
        notes: what to look at.
        proposals: settings that fit better.
        why_not: why each format does not read the first record; only when no record was read.
    """

    sample: Sample
    detection: Detection
    calls: list[ApiCall]
    rejected: int
    rejects: list[RejectGroup]
    findings: Findings | None
    notes: list[Note]
    proposals: list[Proposal]
    why_not: dict[str, str]

    @property
    def understood(self) -> bool:
        """At least half of what there is are calls."""
        return bool(self.calls) and self.rejected <= len(self.calls)


def raw_routes(settings: Settings) -> RawRoutes:
    """Return the route templates of the settings, such that raw paths can be seen.

    Raises:
        SettingsError: a pin or the file is wrong.
    """
    try:
        return RawRoutes(assembly.pinned_routes(settings))
    except (ValueError, OSError) as error:
        raise SettingsError([f"routes: {error}"]) from error


def examine(sample: Sample, settings: Settings, now: int) -> Examination:
    """Return what a sample tells.

    Args:
        sample: the records.
        settings: pins, limits, and what there is to improve on.
        now: the wall clock, epoch milliseconds.

    Raises:
        SettingsError: a pin or the OpenAPI file of the settings is wrong.
    """
    routes = raw_routes(settings)
    detection = detect(sample.records, routes, assembly.identity_chain(settings))
    calls = [call for reading in detection.readings for call in reading.decoded.calls]
    rejected = sum(len(reading.decoded.rejects) for reading in detection.readings)
    found = _findings(detection.readings, calls, routes, settings, now)
    own_notes = [*proposals.notes_on_formats(detection), *_notes_on_rejects(rejected, len(calls), settings)]
    first = next((record.value for record in sample.records if record.value), None)
    return Examination(
        sample=sample,
        detection=detection,
        calls=calls,
        rejected=rejected,
        rejects=reject_groups(detection.readings),
        findings=found,
        notes=own_notes if found is None else [*own_notes, *proposals.notes(found, settings)],
        proposals=[] if found is None else list(proposals.proposals(found, settings)),
        why_not={} if calls or first is None else why_not(first, routes),
    )


def examples(readings: Iterable[Reading], most: int) -> list[Reading]:
    """Return records that were read whole and show the most: of every format, of different endpoints."""
    read = [reading for reading in readings if reading.decoded.calls and not reading.decoded.rejects]
    chosen: dict[str, Reading] = {}
    for reading in read:
        chosen.setdefault(reading.decoded.format, reading)
    seen = {str(reading.decoded.calls[0].endpoint) for reading in chosen.values()}
    kept = list(chosen.values())
    # Evenly over the sample: its beginning is often one client's.
    for at in range(0, len(read), max(1, len(read) // (8 * most))):
        if len(kept) >= most:
            break
        endpoint = str(read[at].decoded.calls[0].endpoint)
        if endpoint not in seen:
            seen.add(endpoint)
            kept.append(read[at])
    return kept[:most]


def _findings(
    readings: Sequence[Reading], calls: Sequence[ApiCall], routes: RawRoutes, settings: Settings, now: int
) -> Findings | None:
    sessions = settings.sessions
    times = time_order(readings, now, round(sessions.future_tolerance_s * SECOND))
    if times is None:
        return None
    return Findings(
        times=times,
        pauses=pauses(calls, round(sessions.gap_s * SECOND), sessions.first_vector_calls),
        callers=callers(calls),
        copies=copies(readings),
        endpoints=endpoints(calls, sessions.excluded_methods),
        routes=propose_routes(raw_paths(calls), routes),
        timed=sum(call.duration_ms is not None for call in calls),
    )


def _notes_on_rejects(rejected: int, calls: int, settings: Settings) -> Iterable[Note]:
    limit = settings.dead_letters.limit_share
    if rejected > limit * (rejected + calls):
        yield Note(
            Weight.ACT,
            f"{percent(rejected, rejected + calls)} is no call, and a worker stops above {percent(limit, 1)}",
            "mend the causes below, or raise dead_letters.limit_share",
        )
