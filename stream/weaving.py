"""Calls with woven attacks, replayed: vectors by the code that serves, measured as if each attack were the only one."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from featurizer.calls import ApiCall, encode_call
from featurizer.degrees import DESTINATION_MASK, EDGE_BITS
from featurizer.features import FeatureVector, Occasion
from featurizer.sessions import CloseReason, Outcome, Session
from stream import assembly
from stream.batches import PartitionState
from stream.pipeline import Sessionizer
from stream.records import REPLAY, FileRecord, TopicPartition
from stream.replay import Lines, Progress, vectors_of, without_linger
from stream.settings import Settings

_BATCH_CALLS = 10_000


def read_calls(files: Iterable[Path], settings: Settings, log_format: str, progress: Progress) -> list[ApiCall]:
    """Return the calls of logs, in log order; what is no call is passed over.

    Raises:
        OSError: a file cannot be read.
        SettingsError: a pinned route is wrong.
    """
    decode = assembly.log_decoder(settings, log_format)
    calls: list[ApiCall] = []
    for records in Lines().read(files, progress):
        for record in records:
            calls += decode(record.value()).calls
    return calls


def call_vectors(
    calls: Sequence[ApiCall], settings: Settings, woven: frozenset[str] = frozenset()
) -> Iterator[FeatureVector]:
    """Yield every vector of the calls' sessions, in log order.

    Args:
        calls: calls in log order.
        settings: limits; the linger is taken as 0, since calls have no arrival times here.
        woven: clients whose sessions are woven attacks.
    """
    sessionizer = assembly.sessionizer(
        without_linger(settings), {REPLAY.topic: None}, partial(IsolatingSessionizer, isolated=woven)
    )
    firsts = range(0, len(calls), _BATCH_CALLS)
    yield from vectors_of(sessionizer, (_records(first, calls[first : first + _BATCH_CALLS]) for first in firsts))


def _records(first: int, calls: Iterable[ApiCall]) -> list[FileRecord]:
    return [FileRecord(offset, encode_call(call)) for offset, call in enumerate(calls, start=first)]


class IsolatingSessionizer(Sessionizer):
    """A sessionizer in which some clients' sessions are in the degree table only while they are measured themselves.

    In service an alerted session is taken out of the tables at its end, and attacks are few. Woven ones are many and
    at work at the same time, dozens where a real day has one: if they stayed in until their end, endpoints that
    hardly anybody uses would look common whenever an attack is measured, and the model would learn what no worker
    will ever see. So each is measured against the benign traffic and itself, as the only attack of its day would be.

    Args:
        isolated: the clients.
        limits: as for Sessionizer.
    """

    def __init__(self, *arguments: Any, isolated: frozenset[str], **limits: Any) -> None:
        super().__init__(*arguments, **limits)
        self._isolated = isolated
        self._absent: dict[str, tuple[Session, int]] = {}

    def assign(self, name: TopicPartition) -> PartitionState:
        """Start with an empty state for an input partition, as Sessionizer does."""
        state = super().assign(name)
        windows, table, observe = state.windows, state.table, state.observe

        def observe_isolated(call: ApiCall, arrival: int, offset: int) -> Outcome:
            outcome = observe(call, arrival, offset)
            if call.client in self._isolated and (session := windows.open.get(call.client)) is not None:
                # From the end: a call adds an edge at most, and a session may have thousands.
                new = len(session.edges) - self._edges_absent(session)
                table.retract(islice(reversed(session.edges), new))
                self._absent[call.client] = (session, len(session.edges))
            return outcome

        state.observe = observe_isolated
        return state

    def _edges_absent(self, session: Session) -> int:
        """Return how many of a session's edges, its first ones, are not in the degree table."""
        known, edges = self._absent.get(session.client, (None, 0))
        return edges if known is session else 0

    def _take(self, state: PartitionState, session: Session, occasion: Occasion, reason: CloseReason | None) -> None:
        absent = list(islice(session.edges, self._edges_absent(session)))
        for edge in absent:
            state.table.add(edge >> EDGE_BITS, edge & DESTINATION_MASK)
        super()._take(state, session, occasion, reason)
        state.table.retract(absent)
