"""The limit of dead letters: after a bad deploy a worker stops instead of turning all traffic into dead letters."""

from collections import Counter, deque
from typing import NamedTuple

import msgspec

from featurizer.sessions import Outcome
from stream.batches import Batch
from stream.dead_letters import Reason
from stream.errors import CommandError


class DeadLetterPolicy(msgspec.Struct, frozen=True):
    """When dead letters are too many. Meaning and defaults: settings ``dead_letters``."""

    share: float = 0.05
    window: int = 10_000
    minimum: int = 100


class TooManyDeadLettersError(CommandError):
    """More dead letters than the policy allows; what crossed the limit must not be committed."""


class _Counted(NamedTuple):
    """What one batch adds to the window; a record of several entries counts by its entries."""

    entries: int
    reasons: Counter[Reason]


class DeadLetterWindow:
    """Counts dead letters among the last records of a role; the mutable half of the policy.

    Late calls do not count: they say that logs came late, and a worker that stopped would make more of them. The window
    slides by whole batches and holds as few of them as have the policy's number of records. A worker that has read
    fewer since its start, or since ``clear``, goes by what it has read.

    Args:
        policy: the limit.
        role: named in the error.
    """

    def __init__(self, policy: DeadLetterPolicy, role: str) -> None:
        self.policy = policy
        self.role = role
        self._batches: deque[_Counted] = deque()
        self._entries = 0
        self._reasons: Counter[Reason] = Counter()
        self._examples: dict[Reason, str] = {}

    @property
    def share(self) -> float:
        """Dead letters among the records in the window; 0 before the first."""
        return self._reasons.total() / self._entries if self._entries else 0.0

    @property
    def exceeded(self) -> bool:
        """True when there are too many."""
        return self._reasons.total() >= self.policy.minimum and self.share > self.policy.share

    def add(self, batch: Batch) -> None:
        """Count a batch whose records have been read to their end; what is counted stays counted when this raises.

        Raises:
            TooManyDeadLettersError: with it there are too many; says of which kinds, and what to do.
        """
        entries = entries_of(batch)
        if not entries:  # an idle worker makes batches of nothing several times a second
            return
        letters = [letter for letter in batch.dead_letters if letter.reason is not Reason.LATE_CALL]
        reasons = Counter(letter.reason for letter in letters)
        for letter in letters:
            where = f"{letter.topic}-{letter.partition}@{letter.offset}"
            self._examples[letter.reason] = f"{where}: {letter.detail}"
        self._batches.append(_Counted(entries, reasons))
        self._entries += entries
        self._reasons += reasons
        while self._entries - self._batches[0].entries >= self.policy.window:
            oldest = self._batches.popleft()
            self._entries -= oldest.entries
            self._reasons -= oldest.reasons
        if self.exceeded:
            raise self._error()

    def clear(self) -> None:
        """Start over: records of partitions that were lost may come once more, and must not count twice."""
        self._batches.clear()
        self._entries = 0
        self._reasons.clear()

    def _error(self) -> TooManyDeadLettersError:
        commonest = self._reasons.most_common()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in commonest)
        return TooManyDeadLettersError(
            f"{100 * self.share:.3g} % of the last {self._entries:,} records of the role {self.role} are dead letters, "
            f"and the limit is {100 * self.policy.share:g} % (dead_letters.limit_share): {reasons}; "
            f"for example {self._examples[commonest[0][0]]}",
            "correct the gateway's log format or the settings that read it (inputs, sessions), or raise "
            "dead_letters.limit_share (1 turns the limit off), then restart: nothing is lost, the worker resumes from "
            "the last commit, before the records that crossed the limit",
        )


def entries_of(batch: Batch) -> int:
    """Return how many calls and dead letters a batch's records held; a call that became a dead letter counts once."""
    calls = len(batch.calls) or batch.accepted + batch.outcomes[Outcome.DUPLICATE]
    return calls + len(batch.dead_letters)
