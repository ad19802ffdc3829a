"""Visit: one client going through its script, call by call."""

import math
import random

import msgspec

from stream.simulator.addresses import Whereabouts
from stream.simulator.behaviours import TABLE_BITS, TABLE_SIZE, Chain, Spread
from stream.simulator.catalogue import OPERATIONS, Operation
from stream.simulator.objects import RESOURCES, choose
from stream.simulator.scripts import Script

_MASK = TABLE_SIZE - 1
_LATENCY = Spread(1.0, 0.5, 0.2, 20.0).table()
_PARTS = 4
"""Draws of TABLE_BITS that one call uses."""

_STEPS_TO_RESUME = 16
_UNKNOWN_OBJECT = ""


class SimulatedCall(msgspec.Struct, frozen=True, gc=False):
    """One call as a gateway logs it; the fields are those of gatewatch's own JSON.

    Attributes:
        time: start of the call, epoch milliseconds.
        client: what the gateway knows the caller by.
        method: HTTP method.
        path: path as requested, with its query string.
        status: HTTP response status code.
        duration_ms: time to answer, milliseconds.
        request_id: the gateway's id of the request, 32 hex digits.
        address: where it came from.
    """

    time: int
    client: str
    method: str
    path: str
    status: int
    duration_ms: float
    request_id: str
    address: str

    @property
    def user(self) -> str:
        """The client's name; empty when it is known by its address alone."""
        return "" if self.client == self.address else self.client


class Visit:
    """One client's session while it goes on.

    Attributes:
        script: what it does.
        number: number of the client in its population.
        due: event time of its next call, epoch milliseconds with a fraction.
        left: calls to come in this part of the script.
        hostile_start: event time of the first hostile call; None before it.
        hostile_end: event time of the last hostile call so far.
        hostile_calls: hostile calls so far.
    """

    __slots__ = (
        "_at", "_by_address", "_chain", "_cursor", "_objects", "_owner", "_pace_ms", "_part", "_time_scale",
        "_where",
        "client", "due", "hostile_calls", "hostile_end", "hostile_start", "left", "number", "script",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 -- what a visit is made of
        self,
        *,
        script: Script,
        client: str,
        number: int,
        owner: int,
        due: float,
        time_scale: float,
        by_address: bool,
        rng: random.Random,
    ) -> None:
        self.script = script
        self.client = client
        self.number = number
        self.due = due
        self.hostile_start: int | None = None
        self.hostile_end = 0
        self.hostile_calls = 0
        self._owner = owner
        self._cursor = 0
        self._objects = [_UNKNOWN_OBJECT] * len(RESOURCES)
        self._time_scale = time_scale
        self._where: Whereabouts | None = None
        self.left = 0
        self._by_address = by_address
        self._enter(0, rng)

    def _enter(self, part: int, rng: random.Random) -> None:
        """Begin a part of the script."""
        chain = self.script.chains[part]
        self._part = part
        self._chain: Chain = chain
        self._at = chain.entry[rng.getrandbits(TABLE_BITS)]
        self._where = None if self._by_address else Whereabouts(self._owner, int(self.due), chain.behaviour.roaming)
        self._pace_ms = rng.lognormvariate(0.0, chain.behaviour.pace) * 1000.0 / self._time_scale
        self.left = chain.calls[rng.getrandbits(TABLE_BITS)]

    def resume(self, part: int, rng: random.Random) -> None:
        """Put the visit where it would be if it had begun some time ago and were in this part of the script now.

        Whoever looks in at a random moment meets long sessions, slow clients and long pauses more often than
        their share: each is drawn by its length here.
        """
        self._enter(part, rng)
        chain = self._chain
        planned = rng.choices(chain.calls, cum_weights=chain.calls_passed)[0]
        self.left = rng.randrange(1, planned)
        self._pace_ms *= math.exp(chain.behaviour.pace**2)
        longest = max(chain.mean_pauses)
        for _ in range(_STEPS_TO_RESUME):
            self._at = self._next(200, rng.getrandbits(TABLE_BITS), TABLE_SIZE)
            if rng.random() * longest < chain.mean_pauses[self._at]:
                break
        pause_s = rng.choices(chain.pauses[self._at], cum_weights=chain.pauses_passed[self._at])[0]
        self.due += rng.random() * pause_s * self._pace_ms

    def call(self, rng: random.Random) -> SimulatedCall:
        """Make the call that is due and decide on the next one.

        When no call is left afterwards (``left == 0``) the visit is over.
        """
        bits = rng.getrandbits(TABLE_BITS * _PARTS)
        chain, at = self._chain, self._at
        operation = OPERATIONS[at]
        status = chain.statuses[at][bits & _MASK]
        path = self._path(operation, rng)
        now = int(self.due)
        if self.script.attack is not None and self._part == len(self.script.chains) - 1:
            self._note_hostile(now)
        call = SimulatedCall(
            now,
            self.client,
            operation.method,
            path,
            status,
            round(operation.latency_ms * _LATENCY[bits >> TABLE_BITS & _MASK], 1),
            rng.randbytes(16).hex(),
            self.client if self._where is None else self._where.next(),
        )
        self.left -= 1
        if self.left:
            following = self._next(status, bits >> 2 * TABLE_BITS & _MASK, rng.getrandbits(TABLE_BITS))
            if following == at:
                self._forget(operation)
            self._at = following
        elif self._part + 1 < len(self.script.chains):
            self._enter(self._part + 1, rng)
            self.due = now + 1.0  # the parts must not share a millisecond: a label says which calls are hostile by time
        self.due += self._pause_ms(bits >> 3 * TABLE_BITS)
        return call

    def _next(self, status: int, bits: int, stray: int) -> int:
        chain = self._chain
        if status == 401 and chain.renewal is not None:
            return chain.renewal
        if stray < chain.stray_below:
            return chain.strays[bits]
        return (chain.following[self._at] or chain.entry)[bits]

    def _pause_ms(self, bits: int) -> float:
        return self._chain.pauses[self._at][bits] * self._pace_ms

    def _note_hostile(self, now: int) -> None:
        if self.hostile_start is None:
            self.hostile_start = now
        self.hostile_end = now
        self.hostile_calls += 1

    def _forget(self, operation: Operation) -> None:
        """Have the same operation ask for another object when it is repeated."""
        if operation.parameters:
            self._objects[operation.parameters[-1]] = _UNKNOWN_OBJECT

    def _path(self, operation: Operation, rng: random.Random) -> str:
        path = operation.literals[0]
        last = len(operation.parameters) - 1
        for i, at in enumerate(operation.parameters):
            if (operation.opens and i == last) or not self._objects[at]:
                self._objects[at] = self._object(at, rng)
            path += self._objects[at] + operation.literals[i + 1]
        queries = operation.queries
        return path + queries[rng.randrange(len(queries))] if len(queries) > 1 else path

    def _object(self, at: int, rng: random.Random) -> str:
        resource = RESOURCES[at]
        self._cursor += 1
        number = choose(resource, self._chain.reach[at], self._owner, self._cursor, rng.getrandbits(32))
        return resource.spell(number)
