"""Schedules: what is done to the workers and the broker of one trial, and when; all of it from one integer."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from random import Random
from typing import NamedTuple

LOAD_SECONDS = 10.0
"""How long the input of a trial is written."""
SESSION_TIMEOUT_S = 3.0
"""After this long without a sign of life a worker's partitions go to others."""
_MOST_WORKERS = 4
_FEWEST_FAULTS, _MOST_FAULTS = 4, 7


class FaultKind(StrEnum):
    """What can happen in a trial."""

    KILL = "worker killed"
    """SIGKILL; another is started in its place."""
    STOP = "worker stopped"
    """SIGTERM; another is started in its place."""
    FREEZE = "worker frozen"
    """SIGSTOP for longer than the session timeout, then SIGCONT: it comes back as a zombie."""
    JOIN = "worker joins"
    LEAVE = "worker leaves"
    """SIGTERM, and nobody takes its place."""
    BROKER = "broker killed"
    """SIGKILL, and a start on its data some seconds later."""
    KILL_ALL = "all killed"
    STOP_ALL = "all stopped"
    RELOAD = "model reloaded"
    """The bundle is replaced and every worker gets SIGHUP."""


class Fault(NamedTuple):
    """One event of a schedule.

    Attributes:
        at: seconds after the first record was written; later if nobody can be met then.
        kind: what happens.
        pick: to which of the workers that can be met, modulo their number.
        lasts: seconds until it is undone: until the replacement is started, the process goes on, the broker is back.
        works: seconds that the worker it meets has been at work, at least; at 0 it may also be starting or restoring.
    """

    at: float
    kind: FaultKind
    pick: int
    lasts: float
    works: float


class Schedule(NamedTuple):
    """One trial.

    Attributes:
        seed: of everything here, and of the input.
        frozen: degrees come from a file, so that every score can be compared; else they are counted live.
        roles: of the workers at the start.
        fixed_members: workers keep their place in the group over a restart (``group.instance.id``).
        checkpoint_interval_s: setting ``state.checkpoint_interval_s``.
        commit_interval_ms: setting ``delivery.commit_interval_ms``.
        transaction_timeout_s: setting ``kafka.transaction_timeout_s``; below what a freeze lasts, or above.
        cooldown_s: setting ``alerts.cooldown_s``.
        faults: by time.
        again: flags of ``python -m tests.chaos`` that make the same one.
    """

    seed: int
    frozen: bool
    roles: tuple[str, ...]
    fixed_members: bool
    checkpoint_interval_s: float
    commit_interval_ms: int
    transaction_timeout_s: int
    cooldown_s: int
    faults: tuple[Fault, ...]
    again: str

    @property
    def kinds(self) -> set[FaultKind]:
        """What happens in it."""
        return {fault.kind for fault in self.faults}


_WEIGHTS = {
    FaultKind.KILL: 6,
    FaultKind.STOP: 4,
    FaultKind.FREEZE: 3,
    FaultKind.JOIN: 2,
    FaultKind.LEAVE: 2,
    FaultKind.BROKER: 2,
    FaultKind.KILL_ALL: 1,
    FaultKind.STOP_ALL: 1,
    FaultKind.RELOAD: 3,
}
_ONCE = {FaultKind.BROKER, FaultKind.KILL_ALL, FaultKind.STOP_ALL}
"""They take seconds, and a trial has few."""
_LASTS = {
    FaultKind.KILL: (0.05, 0.8),
    FaultKind.STOP: (0.05, 0.8),
    FaultKind.FREEZE: (SESSION_TIMEOUT_S + 0.6, SESSION_TIMEOUT_S + 2.5),
    FaultKind.BROKER: (1.0, 4.0),
    FaultKind.KILL_ALL: (0.05, 1.5),
    FaultKind.STOP_ALL: (0.05, 1.5),
}


def make_schedule(
    seed: int, *, force: Sequence[FaultKind] = (), without: Collection[FaultKind] = (), faults: int | None = None
) -> Schedule:
    """Return the trial of a seed.

    Args:
        seed: even ones have frozen degrees.
        force: kinds that must be among the faults.
        without: kinds that must not be.
        faults: how many; as the seed has it when left out.
    """
    rng = Random(f"schedule {seed}")  # noqa: S311 -- not secret
    roles = rng.choice([("all", "all"), ("all", "all", "all"), ("normalise", "detect", "detect")])
    number = rng.randint(_FEWEST_FAULTS, _MOST_FAULTS)
    workers = roles.count("all") + roles.count("detect")
    again = [f"--only {seed}", *(f'--force "{kind}"' for kind in force)]
    return Schedule(
        seed=seed,
        frozen=seed % 2 == 0,
        roles=roles,
        fixed_members=rng.random() < 0.5,
        checkpoint_interval_s=round(rng.uniform(0.5, 1.5), 2),
        commit_interval_ms=rng.randint(50, 100),
        transaction_timeout_s=rng.choice([3, 10]),
        cooldown_s=rng.randint(10, 40),
        faults=_faults(rng, workers, number if faults is None else faults, force, without),
        again=" ".join(again if faults is None else [*again, f"--faults {faults}"]),
    )


def _faults(
    rng: Random, workers: int, number: int, force: Sequence[FaultKind], without: Collection[FaultKind]
) -> tuple[Fault, ...]:
    """Draw kinds, shuffle the forced ones among them, and give each a time of its own share of the load."""
    kinds = [kind for kind in force if kind not in without]
    while len(kinds) < number:
        kinds.append(_draw(rng, kinds, without))
    rng.shuffle(kinds)
    kinds = _possible(kinds, workers)
    share = (LOAD_SECONDS - 1.5) / max(len(kinds), 1)
    return tuple(
        Fault(
            at=round(1.0 + share * (place + rng.random()), 3),
            kind=kind,
            pick=rng.randrange(60),
            lasts=round(rng.uniform(*_LASTS.get(kind, (0.0, 0.0))), 3),
            works=round(rng.uniform(0.3, 2.5), 3) if rng.random() < 0.75 else 0.0,
        )
        for place, kind in enumerate(kinds)
    )


def _draw(rng: Random, drawn: Sequence[FaultKind], without: Collection[FaultKind]) -> FaultKind:
    open_kinds = [kind for kind in FaultKind if kind not in without and not (kind in _ONCE and kind in drawn)]
    return rng.choices(open_kinds, [_WEIGHTS[kind] for kind in open_kinds])[0]


def _possible(kinds: Sequence[FaultKind], workers: int) -> list[FaultKind]:
    """Turn a join or a leave around where there would be too many workers, or none."""
    result = []
    for kind in kinds:
        possible = kind
        if kind is FaultKind.JOIN and workers >= _MOST_WORKERS:
            possible = FaultKind.LEAVE
        elif kind is FaultKind.LEAVE and workers <= 1:
            possible = FaultKind.JOIN
        workers += (possible is FaultKind.JOIN) - (possible is FaultKind.LEAVE)
        result.append(possible)
    return result
