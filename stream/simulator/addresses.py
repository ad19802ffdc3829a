"""Addresses: where simulated clients call from, and how that changes.

Nothing here draws from the simulation's own random numbers: it is decided by numbers made of the client and the visit,
so that clients do the same whatever their addresses.
"""

import msgspec

from stream.simulator.objects import scramble

_PLACES = 64
_ODDS = 1 << 16


class Roaming(msgspec.Struct, frozen=True):
    """How the addresses of one kind of client change. A client that is known by its address has no other.

    Attributes:
        share: share of the sessions in which it roams.
        change: probability that a call of those comes from another place than the call before.
        places: how many it roams over.
        elsewhere: share of the sessions that do not begin where the client usually is.
    """

    share: float = 0.0
    change: float = 0.0
    places: int = 1
    elsewhere: float = 0.0


STEADY = Roaming()
"""One address, always."""


def address(owner: int, place: int) -> str:
    """Return the address that a client has at one of its places: of 198.18.0.0/15, reserved by RFC 2544."""
    low = scramble(owner * _PLACES + place) & 0x1FFFF
    return f"198.{18 + (low >> 16)}.{low >> 8 & 0xFF}.{low & 0xFF}"


class Whereabouts:
    """The addresses of a client's calls, one after the other.

    Args:
        owner: number of the client.
        visit: number that tells its visits, or their parts, from each other.
        roaming: how they change.
    """

    def __init__(self, owner: int, visit: int, roaming: Roaming) -> None:
        self._owner = owner
        self._state = scramble(owner ^ scramble(visit))
        self._change = roaming.change if self._chance(roaming.share) else 0.0
        self._places = roaming.places
        self._place = _PLACES - 1 if self._chance(roaming.elsewhere) else 0
        self._address = address(owner, self._place)

    def next(self) -> str:
        """Return where the next call comes from."""
        if self._change and self._chance(self._change):
            self._place = (self._place + 1 + self._state % max(1, self._places - 1)) % self._places
            self._address = address(self._owner, self._place)
        return self._address

    def _chance(self, probability: float) -> bool:
        self._state = scramble(self._state)
        return (self._state >> 32) % _ODDS < probability * _ODDS
