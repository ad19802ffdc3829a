"""Simulation: many visits at once, merged into one stream of calls ordered by event time."""

import contextlib
import heapq
import random
from collections import Counter, deque
from collections.abc import Generator, Iterator
from itertools import count

import msgspec

from stream.simulator.attacks import AttackKind
from stream.simulator.clients import Population
from stream.simulator.personas import PERSONAS, Identity
from stream.simulator.scripts import Mixture, Script, attack_scripts, benign_scripts
from stream.simulator.visits import SimulatedCall, Visit

DEFAULT_START = 1_767_225_600_000
"""2026-01-01T00:00:00Z: a fixed start, so that the same options give the same bytes on any day."""

_CATCH_UP_S = 10.0
"""Arrivals make up for a chance surplus or lack of calls within about this long."""


class SimulationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate. The same options give the same calls.

    Attributes:
        seed: varies everything that is random.
        start: event time at which the stream begins, epoch milliseconds.
        duration_s: event time to simulate, seconds; None never ends.
        rate: calls per second of event time, on average.
        attack_share: share of the sessions that are attacks, 0 to 1.
        time_scale: pauses are divided by this. 1 is life-like; 30 lets sessions be told apart by a gap of 10 s instead
            of half an hour.
        clients: benign clients; None for as many as the rate keeps busy when each stays away for an hour or two
            (divided by time_scale) between its sessions.
        attacks_from_s: seconds of event time before the first attack begins.
        by_address: know every client by an address, as web servers do, instead of most by an id.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    seed: int = 0
    start: int = DEFAULT_START
    duration_s: float | None = 600.0
    rate: float = 200.0
    attack_share: float = 0.03
    time_scale: float = 1.0
    clients: int | None = None
    attacks_from_s: float = 0.0
    by_address: bool = False

    def __post_init__(self) -> None:
        positive = {
            "rate": self.rate,
            "time_scale": self.time_scale,
            "duration_s": self.duration_s,
            "clients": self.clients,
        }
        for field, value in positive.items():
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{field} must be a positive number, got {value}")
        if not 0 <= self.attack_share <= 1:
            raise ValueError(f"attack_share must be between 0 and 1, got {self.attack_share}")
        if self.start < 0:
            raise ValueError(f"start must not be before 1970, got {self.start}")
        if not 0 <= self.attacks_from_s < float("inf"):
            raise ValueError(f"attacks_from_s must be 0 or more, got {self.attacks_from_s}")


class AttackLabel(msgspec.Struct, frozen=True):
    """The hostile calls of one attack session: all calls of ``client`` from ``start`` to ``end``.

    Attributes:
        client: who made them: an attacker with no other session, or the victim of a takeover.
        attack: the kind of attack.
        start: event time of the first hostile call, epoch milliseconds.
        end: event time of the last hostile call, epoch milliseconds.
        calls: number of hostile calls.
    """

    client: str
    attack: AttackKind
    start: int
    end: int
    calls: int


class Simulation:
    """A stream of calls, and the labels of the attacks in it.

    Iterate over it once. The stream begins in the middle of things: some sessions are already under way, so that the
    rate is right from the first second. Memory grows with the sessions that are under way, not with the duration.

    Attributes:
        options: what is simulated.
        sessions: sessions begun so far (those under way at the start included), by persona or attack kind.
    """

    def __init__(self, options: SimulationOptions) -> None:
        self.options = options
        self.sessions: Counter[str] = Counter()
        self._rng = random.Random(options.seed)  # noqa: S311 -- a simulation, nothing is kept secret with it
        self._benign = Mixture(benign_scripts())
        self._attacks = Mixture(attack_scripts())
        self._populations = self._people()
        self._serial = count()
        self._visits: list[tuple[float, int, Visit]] = []
        self._labels: deque[AttackLabel] = deque()
        self._begun_calls = 0.0
        self._stream = self._run()

    @property
    def active(self) -> int:
        """Sessions under way."""
        return len(self._visits)

    def __iter__(self) -> Iterator[SimulatedCall]:
        """Return the calls, ordered by time; every iterator goes on with the same stream."""
        return self._stream

    def __next__(self) -> SimulatedCall:
        """Return the next call."""
        return next(self._stream)

    def calls(self) -> Iterator[SimulatedCall]:
        """Return the calls, ordered by time: the same as iterating."""
        return self._stream

    def labels(self) -> list[AttackLabel]:
        """Return the labels that became final since the last time this was asked.

        A label is final with the last call of its session, or when the stream ends. Another thread than the one that
        reads the calls may ask.
        """
        final: list[AttackLabel] = []
        with contextlib.suppress(IndexError):
            while True:
                final.append(self._labels.popleft())
        return final

    def finish(self) -> None:
        """End every session where it is, so that all labels are final: for those who stop reading early."""
        self._stream.close()
        self._end_all()

    def _end_all(self) -> None:
        for _, _, visit in sorted(self._visits, key=lambda entry: entry[:2]):
            self._end(visit)
        self._visits.clear()

    def _end(self, visit: Visit) -> None:
        """Let the client go, and label what it did if that was hostile."""
        script = visit.script
        self._population(script).release(visit.number)
        if script.attack is not None and visit.hostile_start is not None:
            label = AttackLabel(
                visit.client, script.attack, visit.hostile_start, visit.hostile_end, visit.hostile_calls
            )
            self._labels.append(label)

    def _population(self, script: Script) -> Population:
        return self._populations[script.persona or script.identity.value]

    def _admit(self, script: Script, due: float) -> Visit:
        """Let a client begin the script; the visit still has to be queued."""
        population = self._population(script)
        number = population.take(self._rng.getrandbits(32))
        self.sessions[script.attack or script.name] += 1
        return Visit(
            script=script,
            client=population.name(number),
            number=number,
            owner=population.owner(number),
            due=due,
            time_scale=self.options.time_scale,
            by_address=population.identity is Identity.ADDRESS,
            rng=self._rng,
        )

    def _arrive(self, script: Script, due: float) -> Visit:
        """Let a client begin the script, and remember how many calls that will make.

        It begins in the next millisecond: the client's last session may have ended in this one, and a label says which
        calls are hostile by their time.
        """
        visit = self._admit(script, int(due) + 1)
        self._begun_calls += visit.left + sum(chain.mean_calls for chain in script.chains[1:])
        return visit

    def _wait_ms(self, attack_share: float, now: float) -> float:
        """Return the time to the next arrival: random, and shorter while fewer calls have begun than the rate asks."""
        behind_s = (now - self.options.start) / 1000 - self._begun_calls / self.options.rate
        pressure = min(max(1 + behind_s / _CATCH_UP_S, 0.25), 4.0)
        return self._rng.expovariate(self._arrivals_s(attack_share) * pressure) * 1000

    def _queue(self, visit: Visit) -> None:
        heapq.heappush(self._visits, (visit.due, next(self._serial), visit))

    def _join(self, mixture: Mixture, arrivals_s: float) -> None:
        """Queue the visits that are under way when the stream starts.

        Benign ones are somewhere in their middle. Attacks begin there and then, as many as would be under way, so
        that no label is of an attack whose greater part nobody saw.
        """
        rng, options = self._rng, self.options
        for script, share in zip(mixture.scripts, mixture.shares, strict=True):
            durations = script.mean_durations_s()
            under_way = arrivals_s * share * sum(durations) / options.time_scale
            for part in rng.choices(range(len(durations)), weights=durations, k=int(under_way + rng.random())):
                visit = self._admit(script, options.start)
                if script.attack is None:
                    visit.resume(part, rng)
                else:
                    visit.due += rng.random() * 1000
                self._queue(visit)

    def _people(self) -> dict[str, Population]:
        """Make one population per persona and one per identity of attackers."""
        options, salt = self.options, self._rng.getrandbits(32)
        sessions_s = self._arrivals_s(options.attack_share)
        wanted = {
            persona.behaviour.name: sessions_s * share * persona.away_s / options.time_scale
            for persona, share in zip(PERSONAS, self._benign.shares, strict=True)
        }
        factor = 1.0 if options.clients is None else options.clients / sum(wanted.values())

        def who(identity: Identity) -> Identity:
            return Identity.ADDRESS if options.by_address else identity

        people: dict[str, Population] = {}
        for persona in PERSONAS:
            name = persona.behaviour.name
            people[name] = Population(len(people), max(1, round(wanted[name] * factor)), who(persona.identity), salt)
        for identity in Identity:
            people[identity.value] = Population(len(people), 0, who(identity), salt)
        return people

    def _arrivals_s(self, attack_share: float) -> float:
        """Return how many sessions must begin per second to make the rate."""
        mean_calls = self._benign.mean_calls * (1 - attack_share) + self._attacks.mean_calls * attack_share
        return self.options.rate / mean_calls

    def _run(self) -> Generator[SimulatedCall, None, None]:
        options, rng, visits = self.options, self._rng, self._visits
        end = float("inf") if options.duration_s is None else options.start + options.duration_s * 1000
        attacks_from = options.start + options.attacks_from_s * 1000
        share = options.attack_share if options.attacks_from_s == 0 else 0.0
        self._join(self._attacks, self._arrivals_s(share) * share)
        self._join(self._benign, self._arrivals_s(share) * (1 - share))
        arrival = options.start + self._wait_ms(share, options.start)
        while True:
            if visits and visits[0][0] <= arrival:
                due, serial, visit = visits[0]
                if due >= end:
                    break
                call = visit.call(rng)
                if visit.left:
                    heapq.heapreplace(visits, (visit.due, serial, visit))
                else:
                    heapq.heappop(visits)
                    self._end(visit)
                yield call
            elif arrival >= end:
                break
            else:
                share = options.attack_share if arrival >= attacks_from else 0.0
                mixture = self._attacks if rng.random() < share else self._benign
                self._queue(self._arrive(mixture.choose(rng), arrival))
                arrival += self._wait_ms(share, arrival)
        self._end_all()
