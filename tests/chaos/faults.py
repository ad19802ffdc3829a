"""Faults: carries a schedule out on a fleet and its broker."""

import heapq
import signal
import time
from collections import Counter
from collections.abc import Callable
from threading import Thread

from tests.chaos.fleet import Fleet, Slot
from tests.chaos.schedule import Fault, FaultKind, Schedule
from tests.kafka_broker import Broker

_AGAIN_S = 0.25
"""When nobody is there to be met, a fault waits this long."""


class Chaos:
    """The events of one trial.

    Args:
        schedule: what is to happen.
        fleet: to whom.
        broker: likewise.
        reload: replaces the model bundle and returns when that is done.

    Attributes:
        injected: faults that have happened, by kind.
    """

    def __init__(self, schedule: Schedule, fleet: Fleet, broker: Broker, reload: Callable[[], None]) -> None:
        self.injected: Counter[FaultKind] = Counter()
        self._fleet = fleet
        self._broker = broker
        self._reload = reload
        self._began = time.monotonic()
        self._waiting: list[tuple[float, int, Callable[[], bool]]] = []
        self._number = 0
        self._faults = len(schedule.faults)
        self._restart: Thread | None = None
        for fault in schedule.faults:
            self._at(fault.at, lambda fault=fault: self._inject(fault))  # type: ignore[misc]  # bound early on purpose

    @property
    def left(self) -> int:
        """Faults that are still to come."""
        return self._faults - self.injected.total()

    @property
    def over(self) -> bool:
        """True when everything has happened and is undone again."""
        return not self._waiting and self.broker_is_up

    @property
    def broker_is_up(self) -> bool:
        """False from the broker's end until it answers again."""
        if self._restart is not None and not self._restart.is_alive():
            self._restart = None
        return self._restart is None and self._broker.alive()

    def go_on(self) -> None:
        """Do what is due; to be called all the time."""
        while self._waiting and self._waiting[0][0] <= time.monotonic() - self._began:
            _, _, act = heapq.heappop(self._waiting)
            if not act():
                self._at(time.monotonic() - self._began + _AGAIN_S, act)

    def end(self) -> None:
        """Wait for a restart of the broker that is under way."""
        if self._restart is not None:
            self._restart.join()

    def _at(self, second: float, act: Callable[[], bool]) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (second, self._number, act))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def done() -> bool:
            act()
            return True

        self._at(time.monotonic() - self._began + seconds, done)

    def _inject(self, fault: Fault) -> bool:
        """Let a fault happen; False when it can't yet."""
        if not any(slot.at_work_s >= fault.works for slot in self._fleet.slots):
            return False
        happened = self._on_the_broker(fault) if fault.kind is FaultKind.BROKER else self._on_workers(fault)
        self.injected[fault.kind] += happened
        return happened

    def _on_the_broker(self, fault: Fault) -> bool:
        self._fleet.note("the broker is killed")
        self._broker.kill()
        self._later(fault.lasts, self._start_broker)
        return True

    def _start_broker(self) -> None:
        # Elsewhere: it takes seconds, and the workers go on being met meanwhile.
        self._fleet.note("the broker is started")
        self._restart = Thread(target=self._broker.restart, name="restart the broker")
        self._restart.start()

    def _on_workers(self, fault: Fault) -> bool:
        fleet = self._fleet
        if fault.kind is FaultKind.JOIN:
            fleet.add("all" if any(slot.role == "all" for slot in fleet.slots) else "detect")
            return True
        able = [slot for slot in fleet.able() if slot.at_work_s >= fault.works]
        if fault.kind is FaultKind.LEAVE:
            staying = [slot for slot in fleet.slots if slot.role != "normalise" and slot.wanted]
            able = [slot for slot in able if slot in staying] if len(staying) > 1 else []  # somebody has to go on
        if not able:
            return False
        self._meet(able[fault.pick % len(able)], fault)
        return True

    def _meet(self, slot: Slot, fault: Fault) -> None:
        fleet = self._fleet
        match fault.kind:
            case FaultKind.KILL:
                fleet.end(slot, signal.SIGKILL, fault.lasts)
            case FaultKind.STOP:
                fleet.end(slot, signal.SIGTERM, fault.lasts)
            case FaultKind.LEAVE:
                slot.wanted = False
                fleet.end(slot, signal.SIGTERM, 0.0)
            case FaultKind.FREEZE:
                worker = slot.worker
                fleet.signal(slot, signal.SIGSTOP)
                self._later(fault.lasts, lambda: self._thaw(slot, worker))
            case FaultKind.KILL_ALL:
                fleet.end_all(signal.SIGKILL, fault.lasts)
            case FaultKind.STOP_ALL:
                fleet.end_all(signal.SIGTERM, fault.lasts)
            case FaultKind.RELOAD:
                self._reload()
                fleet.reload()

    def _thaw(self, slot: Slot, worker: object) -> None:
        """Let a frozen process go on, unless it has been killed and the place has another."""
        if slot.worker is worker:
            self._fleet.signal(slot, signal.SIGCONT)
