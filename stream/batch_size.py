"""BatchSize: how many records to take at once, so that a batch is over soon whatever its records cost.

While a batch is worked on, nothing else is: no probe is answered, no partition handed over, no signal heard. A record
that leads to an alert costs twenty times as much as one that does not, so no fixed number of records is right for both
a backlog of quiet traffic and an attack.
"""

_FIRST = 1000
_LEAST = 50
_GROWTH = 2.0


class BatchSize:
    """Follows what batches have taken.

    Args:
        most: records that are never exceeded.
        aim_s: seconds that a batch should take at the most.

    Attributes:
        present: records to take next.
    """

    def __init__(self, most: int, aim_s: float) -> None:
        self._most = most
        self._aim_s = aim_s
        self.present = min(most, _FIRST)

    def took(self, records: int, seconds: float) -> None:
        """Learn how long a batch has taken.

        Args:
            records: how many it had.
            seconds: how long it took.
        """
        if seconds > self._aim_s:
            fitting = int(records * self._aim_s / seconds)
            self.present = min(self._most, self.present, max(_LEAST, fitting))
        elif records >= self.present:
            room = self._aim_s / max(seconds, self._aim_s / _GROWTH)
            self.present = min(self._most, max(self.present, int(self.present * room)))
