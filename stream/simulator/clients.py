"""Clients of the simulated API: who comes next, and what the gateway calls them."""

from stream.simulator.personas import Identity

_GROUPS = 16
_EARLY_RETURN = 16
_ATTEMPTS = 64


class Population:
    """The clients of one kind.

    They come in turn, so that a client stays away about as long as the others need, but one in sixteen comes when
    it likes. A client is never in two sessions at once; when all are busy a new one joins.

    Args:
        group: number of the population, 0 to 15: clients of different groups never share a name.
        size: how many clients there are at first; 0 makes every client a new one that does not come back.
        identity: what the gateway knows them by.
        salt: varies the names, 32 bits.
    """

    def __init__(self, group: int, size: int, identity: Identity, salt: int) -> None:
        self.identity = identity
        self._group = group
        self._salt = salt
        self._reused = size > 0
        self._size = size
        self._turn = 0
        self._busy: set[int] = set()

    def take(self, bits: int) -> int:
        """Return the number of a client that is free, and mark it busy.

        Args:
            bits: at least 32 random bits.
        """
        if self._reused:
            if bits % _EARLY_RETURN == 0:
                number = (bits // _EARLY_RETURN) % self._size
                if number not in self._busy:
                    self._busy.add(number)
                    return number
            for _ in range(_ATTEMPTS):
                number = self._turn % self._size
                self._turn += 1
                if number not in self._busy:
                    self._busy.add(number)
                    return number
        number = self._size
        self._size += 1
        if self._reused:
            self._busy.add(number)
        return number

    def release(self, number: int) -> None:
        """Let the client have another session later."""
        self._busy.discard(number)

    def owner(self, number: int) -> int:
        """Return a number that no client of any group shares."""
        return number * _GROUPS + self._group

    def name(self, number: int) -> str:
        """Return what the gateway calls the client: an id with a prefix, or an address of a documentation range."""
        serial = self.owner(number)
        if self.identity is not Identity.ADDRESS:
            return f"{self.identity.value}_{(serial * 2654435761 + self._salt) & 0xFFFFFFFF:08x}"
        if serial < 1 << 17:  # 198.18.0.0/15, reserved by RFC 2544
            low = (serial * 40503 + self._salt) & 0x1FFFF
            return f"198.{18 + (low >> 16)}.{low >> 8 & 0xFF}.{low & 0xFF}"
        low = (serial * 40503 + self._salt) & 0xFFFFFFF  # 2001:db8::/32, reserved by RFC 3849
        return f"2001:db8::{0x1000 + (low >> 16):x}:{low & 0xFFFF:x}:1"
