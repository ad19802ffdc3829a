"""Weaving: hostile call sequences among benign ones, merged by time, with their labels."""

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from featurizer.calls import ApiCall
from scorer.attacks.kinds import RULES, Kind, missing
from scorer.attacks.manners import Addresses, Conduct, Manner
from scorer.attacks.observed import Observed
from scorer.attacks.plans import walk
from scorer.attacks.roles import Roles, roles_of
from scorer.labelling import AttackLabel

_LONGEST_PAUSE = 0.9
"""Of the gap: what is woven stays one session."""
_SLOW_FROM = 0.9
"""Quantile of the observed pauses from which a slow attack draws."""
_FEWEST_HOST_CALLS = 4
_SPLICED_SHARE = 1 / 3
_RESUMED_SHARE = 0.5
_SCRIPTED_SHARE = 0.5
_MOST_UNEVEN = 1.5
"""Standard deviation of the logarithm of a script's pauses, at most."""


class Intensity(StrEnum):
    """How hard an attack goes about it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Force(msgspec.Struct, frozen=True):
    """What an intensity means.

    Attributes:
        fewest: hostile calls at least.
        most: hostile calls at most; in between they are drawn so that their logarithm is uniform.
        haste: observed pauses are divided by this.
        cover: probability that a call is the next one of a benign session instead of a hostile one.
    """

    fewest: int
    most: int
    haste: float
    cover: float


FORCES: Mapping[Intensity, Force] = {
    Intensity.LOW: Force(8, 24, 1.0, 0.25),
    Intensity.MEDIUM: Force(16, 80, 3.0, 0.1),
    Intensity.HIGH: Force(40, 400, 20.0, 0.0),
}


@dataclass(frozen=True, eq=False)
class Woven:
    """Benign calls with attacks among them.

    Attributes:
        calls: all calls; the benign ones as they were given, in their order, each woven one before the first benign
            call that is later.
        labels: one for each attack, every one of a client of its own.
        left_out: kinds that this API offers no endpoints for, with what it lacks.
    """

    calls: Sequence[ApiCall]
    labels: Sequence[AttackLabel]
    left_out: Mapping[Kind, str]

    @property
    def kinds(self) -> Mapping[str, int]:
        """Number of attacks by kind."""
        return Counter(label.attack for label in self.labels)


def weave(calls: Sequence[ApiCall], observed: Observed, *, attacks: int, seed: int) -> Woven:
    """Weave attacks into benign calls: kinds and intensities in turn, a third of them spliced.

    A whole attack is a session of a new client. A spliced one is a copy of a benign session, under a client of its own,
    with the hostile calls in place of its rest or before it. The benign calls stay as they are, so the benign side of
    the training data is the user's own and complete. Woven calls have statuses, objects and addresses where benign ones
    have (``manners``), and no duration or request id.

    Args:
        calls: calls taken to be benign, in log order.
        observed: what these calls show.
        attacks: how many to weave.
        seed: of every random choice; the same calls and seed give the same attacks.

    Raises:
        ValueError: the API offers endpoints for no kind of attack.
    """
    roles = roles_of(observed)
    left_out = {kind: reason for kind in Kind if (reason := missing(kind, roles)) is not None}
    kinds = [kind for kind in Kind if kind not in left_out]
    if not kinds:
        raise ValueError("no attack can be woven: " + "; ".join(dict.fromkeys(left_out.values())))
    loom = _Loom(observed, roles)
    prefix = _unused_prefix(calls)
    cases = [(kind, intensity) for intensity in Intensity for kind in kinds]
    made: list[ApiCall] = []
    labels = []
    for number in range(attacks):
        kind, intensity = cases[number % len(cases)]
        rng = np.random.default_rng([seed, number])
        own, label = loom.attack(kind, intensity, f"{prefix}{number}", rng)
        made += own
        labels.append(label)
    return Woven(_merged(calls, made), labels, left_out)


class _Loom:
    """Makes single attacks of what was observed."""

    def __init__(self, observed: Observed, roles: Roles) -> None:
        self._observed = observed
        self._roles = roles
        self._longest = max(1, int(_LONGEST_PAUSE * observed.gap_ms))
        self._end = observed.end
        self._hosts = [own for own in observed.sessions if len(own) >= _FEWEST_HOST_CALLS]
        self._slow = observed.pauses[int(_SLOW_FROM * (len(observed.pauses) - 1)) :]

    def attack(
        self, kind: Kind, intensity: Intensity, client: str, rng: np.random.Generator
    ) -> tuple[list[ApiCall], AttackLabel]:
        """Return the calls of one attack, in order, and its label."""
        rule, force = RULES[kind], FORCES[intensity]
        length = round(np.exp(rng.uniform(np.log(force.fewest), np.log(force.most))))
        endpoints = walk(rule.plan(self._roles, self._observed, rng), length, self._observed, rng)
        steps = self._covered(endpoints, force.cover, rng)
        pool, haste = self._slow if rule.slow else self._observed.pauses, force.haste
        drawn = rng.choice(pool, len(steps)).astype(np.float64)
        pauses = np.clip(drawn if rule.slow else _rhythm(drawn, rng) / haste, 1, self._longest).astype(np.int64)
        before: Sequence[ApiCall] = ()
        after: Sequence[ApiCall] = ()
        if self._hosts and (rule.always_spliced or rng.random() < _SPLICED_SHARE):
            host = self._pick(self._hosts, int(pauses.sum()), rng)
            cut = int(rng.integers(len(host) // 4, len(host) * 3 // 4 + 1)) or 1
            before = host[:cut]
            if not rule.always_spliced and rng.random() < _RESUMED_SHARE:
                after = host[cut:]
            like, start = before[-1], before[-1].time + int(pauses[0])
        else:
            like = self._pick(self._observed.sessions, int(pauses.sum()), rng)[0]
            start = like.time
        like, by_address = structs.replace(like, client=client), like.address == like.client
        if by_address:  # then the new client is one, too
            like = structs.replace(like, address=client)
        times = np.minimum(self._told(start + np.concatenate(([0], np.cumsum(pauses[1:])))), self._end).tolist()
        hostile = self._hostile(rule.manner, steps, times, like, rng, within=bool(before))
        label = AttackLabel(client, kind.value, hostile[0].time, hostile[-1].time)
        delay = self._told(hostile[-1].time + int(pauses[-1])) - after[0].time if after else 0

        def again(call: ApiCall, time: int) -> ApiCall:
            address = client if by_address and call.address is not None else call.address
            return structs.replace(call, time=time, client=client, address=address, duration_ms=None, request_id=None)

        rest = [again(call, min(call.time + delay, self._end)) for call in after]
        return [*(again(call, call.time) for call in before), *hostile, *rest], label

    def _told(self, time: Any) -> Any:
        """Return times as the log would tell them: were they any finer, a model would know woven calls by that."""
        return time // self._observed.grain_ms * self._observed.grain_ms

    def _hostile(  # noqa: PLR0913 -- the parts of an attack
        self,
        manner: Manner,
        steps: Sequence[tuple[str, ApiCall | None]],
        times: Sequence[int],
        like: ApiCall,
        rng: np.random.Generator,
        *,
        within: bool,
    ) -> list[ApiCall]:
        """Return the calls of the hostile part, benign ones among them as they were but for who makes them and when."""
        conduct = Conduct(manner, self._observed, rng, misses_keep_route=self._roles.misses_keep_route)
        addresses = Addresses(like, rng, within=within)
        made = []
        for (endpoint, benign), time in zip(steps, times, strict=True):
            address = addresses.next()
            if benign is None:
                made.append(conduct.call(time, like, endpoint, address))
            else:
                who = {"client": like.client, "identity": like.identity, "address": address}
                made.append(structs.replace(benign, time=time, duration_ms=None, request_id=None, **who))
        return made

    def _pick(
        self, sessions: Sequence[Sequence[ApiCall]], duration: int, rng: np.random.Generator
    ) -> Sequence[ApiCall]:
        """Return a benign session that leaves an attack enough time before the recording ends; else the first one."""
        fitting = bisect_right(sessions, self._end - duration, key=lambda session: session[-1].time)
        return sessions[int(rng.integers(max(1, fitting)))]

    def _covered(
        self, endpoints: Sequence[str], cover: float, rng: np.random.Generator
    ) -> list[tuple[str, ApiCall | None]]:
        """Return the endpoints with calls of a benign session among them, the first and the last one hostile."""
        benign = self._observed.sessions[int(rng.integers(len(self._observed.sessions)))]
        at = int(rng.integers(len(benign)))
        mixed: list[tuple[str, ApiCall | None]] = [(endpoints[0], None)]
        for endpoint in endpoints[1:]:
            while rng.random() < cover:
                call = benign[at % len(benign)]
                mixed.append((call.endpoint, call))
                at += 1
            mixed.append((endpoint, None))
        return mixed


def _rhythm(pauses: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return pauses of the same pace as some that were drawn: these, or as regular as a script's may be.

    Pauses drawn one by one from those of all clients are more uneven than any single client's. Were all woven attacks
    so, a model would learn that whoever keeps an even pace is benign, and scripts keep it.
    """
    if rng.random() >= _SCRIPTED_SHARE:
        return pauses
    pace = float(np.exp(np.log(np.maximum(pauses, 1)).mean()))
    uneven: NDArray[np.float64] = np.exp(rng.uniform(0, _MOST_UNEVEN) * rng.standard_normal(len(pauses)))
    return pace * uneven


def _unused_prefix(calls: Iterable[ApiCall]) -> str:
    """Return how the names of woven clients begin: as no client's name does."""
    clients = {call.client for call in calls}
    prefix = "woven-"
    while any(client.startswith(prefix) for client in clients):
        prefix += "-"
    return prefix


def _merged(calls: Sequence[ApiCall], woven: Iterable[ApiCall]) -> list[ApiCall]:
    """Return all calls; the benign ones keep their order even where their times do not."""
    latest = list(np.maximum.accumulate([call.time for call in calls]))
    first = ((int(time), 1, at, call) for at, (time, call) in enumerate(zip(latest, calls, strict=True)))
    second = ((call.time, 0, at, call) for at, call in enumerate(sorted(woven, key=lambda call: call.time)))
    return [entry[-1] for entry in heapq.merge(first, second, key=lambda entry: entry[:3])]
