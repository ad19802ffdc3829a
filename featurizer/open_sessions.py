"""OpenSessions: the sessions of a partition, at work or parked, and the heaps of their timers."""

import heapq
from collections.abc import Iterable
from itertools import chain

from featurizer.session import NEVER, Session, end_of, pack, timers_of, unpack

DEADLINE, LINGERS = 0, 1
"""Which of a session's two timers."""

_STALE_ENTRIES = 1000

Entries = list[tuple[int, str]]
"""A heap of (time, client); an entry that names no session keeps no closed one in memory."""


class OpenSessions:
    """Holds sessions; what they mean is the business of ``featurizer.sessions``.

    Attributes:
        open: sessions at work, by client: all that changed since the last ``park``.
        parked: the other sessions, packed.
    """

    def __init__(self) -> None:
        self.open: dict[str, Session] = {}
        self.parked: dict[str, bytes] = {}
        self._timers: Entries = []  # by event time, one valid entry a session
        self._lingering: Entries = []  # by record clock: quiet long enough, not yet safe
        self._ended: set[str] = set()  # clients whose session was handed out packed and has ended since

    def __len__(self) -> int:
        """Return how many sessions are open, at work or parked."""
        return len(self.open) + len(self.parked)

    def park(self) -> tuple[dict[str, bytes], set[str]]:
        """Pack all sessions at work; return what has changed since this was last called.

        Returns:
            The packed form of every session that changed, by client; and the clients without a session now for whom an
            earlier call returned one.
        """
        changed = {client: pack(session) for client, session in self.open.items()}
        ended, self._ended = self._ended.difference(changed), set()
        self.open.clear()
        self.parked.update(changed)
        return changed, ended

    def rewrite(self, clients: Iterable[str]) -> None:
        """Let the next ``park`` tell of these clients whatever it told before: what was kept of them is in doubt."""
        for client in clients:
            if client in self.parked:
                self._unpark(client)
            else:
                self._ended.add(client)

    def _crowded(self, entries: list[tuple[int, str]]) -> bool:
        """Return whether stale entries outnumber the sessions: sweeping them out then costs O(1) a push."""
        return len(entries) > 2 * len(self) + _STALE_ENTRIES

    def _refill(self, entries: list[tuple[int, str]], which: int) -> None:
        """Replace a heap's entries by the valid ones: those that the sessions know of."""
        at_work = ((_waits(session)[which], client) for client, session in self.open.items())
        packed = ((timers_of(packed)[which], client) for client, packed in self.parked.items())
        entries[:] = [entry for entry in chain(at_work, packed) if entry[0] != NEVER]
        heapq.heapify(entries)

    def _holder(self, client: str, which: int, due: int) -> Session | None:
        """Return the session whose valid heap entry this is; None for a stale entry, which unparks nothing."""
        session = self.open.get(client)
        if session is not None:
            return session if _waits(session)[which] == due else None
        packed = self.parked.get(client)
        return self._unpark(client) if packed is not None and timers_of(packed)[which] == due else None

    def _unpark(self, client: str) -> Session:
        session = self.open[client] = unpack(client, self.parked.pop(client))
        return session

    def _longest_idle(self, most: int) -> list[str]:
        """Return the clients of so many sessions, the longest idle first."""
        at_work = ((session.end, client) for client, session in self.open.items())
        packed = ((end_of(packed), client) for client, packed in self.parked.items())
        return [client for _, client in heapq.nsmallest(most, chain(at_work, packed))]


def _waits(session: Session) -> tuple[int, int]:
    return session.deadline, session.lingers
