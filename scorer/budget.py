"""Budget: how many alerts an hour may have, so that an incident, or a bad model, cannot bury whoever reads them.

Counted for one partition, in event time: hours are those of the log's clock, which never goes back, so a replay of the
log holds back the same alerts. What is held back is counted, and told by the next alert.
"""

import msgspec

HOUR_MS = 3_600_000


class Overflow(msgspec.Struct, frozen=True):
    """What an alert tells of the budget.

    Attributes:
        held_back: anomalous verdicts that the budget has held back since the alert before.
        spent_until: the budget is spent until this time, epoch milliseconds; None while there is some left.
    """

    held_back: int
    spent_until: int | None

    def sentences(self) -> list[str]:
        """Return it for a person; nothing when there is nothing to tell."""
        told = []
        if self.held_back:
            verdicts = "anomalous verdict was" if self.held_back == 1 else "anomalous verdicts were"
            told.append(f"Since the alert before {self.held_back:,} {verdicts} held back by the alert budget.")
        if self.spent_until is not None:
            told.append("The alert budget of this hour is spent.")
        return told


class Spending(msgspec.Struct, frozen=True, array_like=True):
    """What has been spent of a partition's budget.

    Attributes:
        hour: hour that is counted, in hours since the epoch.
        spent: alerts in it.
        held_back: anomalous verdicts held back since the last alert, whatever the hour.
    """

    hour: int = 0
    spent: int = 0
    held_back: int = 0

    def in_hour(self, now: int) -> int:
        """Return how many alerts the hour of ``now``, the log's clock in epoch milliseconds, has had."""
        return self.spent if now // HOUR_MS == self.hour else 0

    def left(self, now: int, budget: int) -> int:
        """Return how many alerts the hour still has; negative when exempt ones have gone beyond.

        Args:
            now: the log's clock, epoch milliseconds.
            budget: alerts an hour.
        """
        return budget - self.in_hour(now)

    def overflow(self, now: int, budget: int) -> Overflow:
        """Return what an alert at ``now`` has to tell; arguments as for ``left``."""
        last = self.left(now, budget) <= 1
        return Overflow(self.held_back, (now // HOUR_MS + 1) * HOUR_MS if last else None)

    def after_alert(self, now: int) -> "Spending":
        """Return what is spent after an alert, which tells of all that was held back."""
        return Spending(now // HOUR_MS, self.in_hour(now) + 1)

    def after_holding_back(self) -> "Spending":
        """Return what is spent after an anomalous verdict without an alert."""
        return Spending(self.hour, self.spent, self.held_back + 1)
