"""Scripts: what may happen in one simulated session, and how often each happens."""

import functools
import math
import random
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import fmean

from stream.simulator.attacks import ATTACKS, INTENSITIES, Attack, AttackKind, Intensity, at_intensity
from stream.simulator.behaviours import TABLE_SIZE, Behaviour, Chain
from stream.simulator.personas import MOBILE_APP, PERSONAS, WEB_SHOPPER, Identity

_SAMPLE_STEPS = 400
_SAMPLE_SESSION = 20


class Script:
    """One kind of session: a behaviour, or an ordinary one followed by a hostile one.

    Attributes:
        name: persona, or attack kind and intensity.
        attack: what its label says; None for a benign session.
        chains: behaviours in order; the last one of an attack is the hostile part.
        identity: what the gateway knows the client by.
        persona: name of the persona whose clients it uses; None for attackers of their own.
        weight: how common it is among the benign sessions, or among the attacks.
        mean_calls: expected number of calls.
    """

    def __init__(  # noqa: PLR0913 -- keyword-only value object
        self,
        *,
        name: str,
        attack: AttackKind | None,
        chains: Sequence[Chain],
        identity: Identity,
        persona: str | None,
        weight: float,
    ) -> None:
        self.name = name
        self.attack = attack
        self.chains = tuple(chains)
        self.identity = identity
        self.persona = persona
        self.weight = weight
        self.mean_calls = sum(chain.mean_calls for chain in chains)

    def mean_durations_s(self) -> tuple[float, ...]:
        """Return the expected duration of each part in seconds, at time scale 1."""
        return tuple(max(chain.mean_calls - 1, 0) * mean_pause_s(chain) for chain in self.chains)


@functools.cache
def mean_pause_s(chain: Chain) -> float:
    """Return the expected pause between two calls, measured on a sample walk that is always the same."""
    rng = random.Random(0)  # noqa: S311 -- a simulation, nothing is kept secret with it
    at = 0
    pauses: list[float] = []
    for step in range(_SAMPLE_STEPS):
        following = chain.following[at] if step % _SAMPLE_SESSION else chain.entry
        at = (following or chain.entry)[rng.randrange(TABLE_SIZE)]
        if step % _SAMPLE_SESSION:
            pauses.append(chain.mean_pauses[at])
    return fmean(pauses) * math.exp(chain.behaviour.pace**2 / 2)


@functools.cache
def _chain(behaviour_name: str) -> Chain:
    return Chain(_behaviours()[behaviour_name])


@functools.cache
def _behaviours() -> dict[str, Behaviour]:
    benign = [persona.behaviour for persona in PERSONAS]
    hostile = [at_intensity(attack.behaviour, intensity) for attack in ATTACKS for intensity in INTENSITIES]
    return {behaviour.name: behaviour for behaviour in (*benign, *hostile)}


def benign_scripts() -> list[Script]:
    """Return one script per persona."""
    return [
        Script(
            name=persona.behaviour.name,
            attack=None,
            chains=[_chain(persona.behaviour.name)],
            identity=persona.identity,
            persona=persona.behaviour.name,
            weight=persona.weight,
        )
        for persona in PERSONAS
    ]


def attack_scripts() -> list[Script]:
    """Return one script per attack kind and intensity; a takeover has one per kind of victim too."""
    scripts: list[Script] = []
    for attack in ATTACKS:
        takeover = attack.kind is AttackKind.ACCOUNT_TAKEOVER
        victims: Sequence[str | None] = (WEB_SHOPPER.name, MOBILE_APP.name) if takeover else (None,)
        for intensity in INTENSITIES:
            scripts.extend(_attack_script(attack, intensity, victim, 1 / len(victims)) for victim in victims)
    return scripts


def _attack_script(attack: Attack, intensity: Intensity, victim: str | None, share: float) -> Script:
    hostile = _chain(f"{attack.behaviour.name}_{intensity.name}")
    return Script(
        name=f"{attack.kind}_{intensity.name}",
        attack=attack.kind,
        chains=[_chain(victim), hostile] if victim else [hostile],
        identity=attack.identity,
        persona=victim,
        weight=attack.weight * intensity.weight * share,
    )


class Mixture:
    """Scripts to choose among by weight.

    Attributes:
        scripts: the candidates.
        shares: the probability of each.
        mean_calls: expected number of calls of a session.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        total = sum(script.weight for script in scripts)
        self.scripts = tuple(scripts)
        self.shares = tuple(script.weight / total for script in scripts)
        self.mean_calls = sum(s.mean_calls * share for s, share in zip(self.scripts, self.shares, strict=True))
        ends = [round(TABLE_SIZE * passed) for passed in accumulate(self.shares, initial=0.0)]
        counts = [end - begin for begin, end in pairwise(ends)]
        self._table = [script for script, count in zip(self.scripts, counts, strict=True) for _ in range(count)]

    def choose(self, rng: random.Random) -> Script:
        """Return one of the scripts."""
        return self._table[rng.randrange(len(self._table))]
