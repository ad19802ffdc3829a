"""Fleet: the workers of a trial as processes, and the supervisor that starts another where one has ended."""

import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stream.clock import now_ms
from stream.errors import ExitCode
from tests.kafka_broker import free_port
from tests.kafka_workers import PARTITIONS, Gatewatch, Worker
from tests.programs import ProgramError

_RESTART_AFTER_S = 0.5
_FAILED = "error: the worker stopped on an error"
"""In the log of a worker that ended by an error it may meet: the broker was away, or another has its partitions."""
_STOP_SECONDS = 60.0
"""More than the 40 s after which a worker that cannot stop in good order ends at once, which loses nothing."""
_AT_ONCE = "stopped at once; the next start goes on"
_LISTENS = "partitions assigned"
"""In the log of a worker that has joined its group; from then on it listens to signals."""
_AT_WORK = {"normalise": _LISTENS, "detect": "partition restored", "all": "partition restored"}
"""In the log of a worker that processes records, by its role."""


@dataclass(eq=False)
class Slot:
    """A place for one worker: its successor has the same role, port and name in the group.

    Attributes:
        role: of its workers.
        port: of their web server; the transactional id has it, so that a successor ends what was left open.
        member: name in the group when members are fixed.
        worker: the process, None while there is none.
        wanted: a successor is to be started.
        due: when, monotonic seconds.
        pause: seconds between the end of the present process and the start of the next.
        ending: the signal that the present process was told to end by.
        frozen: it has got SIGSTOP.
        began: when the process was first seen at work, monotonic seconds; 0 before.
    """

    role: str
    port: int
    member: str
    worker: Worker | None = None
    wanted: bool = True
    due: float = 0.0
    pause: float = _RESTART_AFTER_S
    ending: signal.Signals | None = None
    frozen: bool = False
    began: float = 0.0

    @property
    def alive(self) -> bool:
        """True when a process is there that nobody has told to end."""
        return self.worker is not None and self.ending is None

    @property
    def settled(self) -> bool:
        """True when nobody is missing: the process is at work, or none is wanted."""
        return self.at_work_s > 0 if self.wanted else self.worker is None

    @property
    def at_work_s(self) -> float:
        """Seconds since the process began to process records; 0 when it has not."""
        return time.monotonic() - self.began if self.alive and self.began else 0.0

    def note_beginning(self) -> None:
        """Look whether the process is at work by now."""
        if self.worker is not None and self.began == 0.0 and _AT_WORK[self.role] in log_of(self.worker):
            self.began = time.monotonic()


class Fleet:
    """The workers of one installation.

    Args:
        gatewatch: the installation.
        fixed_members: give each place a name in the group.

    Attributes:
        slots: the places.
        crashes: processes that ended by themselves as they may, each with its last words.
        misdeeds: what no worker may do.
        events: what happened when, in UTC as in the workers' logs.
    """

    def __init__(self, gatewatch: Gatewatch, *, fixed_members: bool) -> None:
        self.slots: list[Slot] = []
        self.crashes: list[str] = []
        self.misdeeds: list[str] = []
        self.events: list[str] = []
        self._gatewatch = gatewatch
        self._fixed_members = fixed_members
        self._empty_for: float | None = None

    def add(self, role: str) -> None:
        """Make a place for another worker, who is started at the next look."""
        self.slots.append(Slot(role, free_port(), f"place-{len(self.slots)}"))

    def note(self, event: str) -> None:
        """Remember that something has happened."""
        self.events.append(f"{datetime.fromtimestamp(now_ms() / 1000, UTC).isoformat(timespec='milliseconds')} {event}")

    def look_after(self, *, broker_is_up: bool) -> None:
        """Notice processes that have ended, and start those that are due; to be called all the time."""
        for slot in self.slots:
            if slot.worker is not None and slot.worker.process.poll() is not None:
                self._ended(slot, slot.worker)
            slot.note_beginning()
        now = time.monotonic()
        if self._empty_for is not None and not any(slot.worker for slot in self.slots):
            for slot in self.slots:
                slot.due = now + self._empty_for
            self._empty_for = None
        if broker_is_up and self._empty_for is None:
            for slot in self.slots:
                if slot.worker is None and slot.wanted and slot.due <= now:
                    self._start(slot)

    def able(self, *, frozen: bool = False) -> list[Slot]:
        """Return the places whose process can be met; not frozen ones unless told so."""
        return [slot for slot in self.slots if slot.alive and (frozen or not slot.frozen)]

    def end(self, slot: Slot, how: signal.Signals, pause: float) -> None:
        """Send a process the signal to end by; its successor comes so many seconds after its end."""
        if slot.worker is not None:
            self.note(f"{how.name} to {slot.worker.name}")
            slot.ending, slot.pause = how, pause
            slot.worker.process.send_signal(how)

    def end_all(self, how: signal.Signals, pause: float) -> None:
        """End every process; none is started before all have ended."""
        self._empty_for = pause
        for slot in self.slots:
            if slot.alive:
                self.end(slot, how, pause)

    def reload(self) -> None:
        """Send SIGHUP to every process that listens to it; the others read the model when they start."""
        for slot in self.able(frozen=True):
            if slot.worker is not None and _LISTENS in log_of(slot.worker):
                self.note(f"SIGHUP to {slot.worker.name}")
                slot.worker.process.send_signal(signal.SIGHUP)

    def signal(self, slot: Slot, what: signal.Signals) -> None:
        """Send a process any other signal."""
        if slot.worker is not None:
            self.note(f"{what.name} to {slot.worker.name}")
            slot.worker.process.send_signal(what)
            slot.frozen = what is signal.SIGSTOP

    def stop(self) -> None:
        """Stop all workers for good, one after the other, each when the rest have all partitions.

        Of two that leave at once the second can find the group changing while it makes its last checkpoint, which is
        then refused. That loses nothing, but the comparison looks at what the last checkpoints say.
        """
        slots = [slot for slot in self.slots if slot.worker is not None]
        for slot in slots:
            slot.wanted = False
        for number, slot in enumerate(slots, start=1):
            self.end(slot, signal.SIGTERM, 0.0)
            if slot.worker is not None:
                with suppress(subprocess.TimeoutExpired):
                    slot.worker.process.wait(_STOP_SECONDS)
                self._judge(slot, slot.worker)
            self._wait_for_partitions([own.worker for own in slots[number:] if own.worker and own.role != "normalise"])

    @staticmethod
    def _wait_for_partitions(workers: list[Worker]) -> None:
        """Return when workers have all partitions of their role, or after a while, since one may have failed."""
        deadline = time.monotonic() + _STOP_SECONDS
        with suppress(ProgramError):
            while workers and sum(own.partitions("detect") for own in workers) < PARTITIONS:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.1)

    def kill(self) -> None:
        """End every process at once: the trial is over."""
        for slot in self.slots:
            slot.wanted = False
            if slot.worker is not None:
                slot.worker.kill()

    def _start(self, slot: Slot) -> None:
        more: dict[str, Any] = {}
        if self._fixed_members:
            more["kafka__properties__group__instance__id"] = slot.member
        slot.worker = self._gatewatch.worker(slot.role, slot.port, **more)
        slot.ending, slot.frozen, slot.pause, slot.began = None, False, _RESTART_AFTER_S, 0.0
        self.note(f"{slot.worker.name} starts as {slot.role} at port {slot.port}")

    def _ended(self, slot: Slot, worker: Worker) -> None:
        self.note(f"{worker.name} has ended with {worker.process.returncode}")
        self._judge(slot, worker)
        slot.worker = None
        slot.due = time.monotonic() + slot.pause

    def _judge(self, slot: Slot, worker: Worker) -> None:
        """Note a worker that has not ended well: on an error that it says, or as none may."""
        code, ending = worker.process.returncode, slot.ending
        # One that is told to end before it listens to signals ends by them.
        listened = ending is signal.SIGTERM and _LISTENS in log_of(worker)
        if code == 0 or (not listened and ending is not None and code == -ending):
            return
        said = code == ExitCode.UNREACHABLE or (
            code == ExitCode.FAILURE and any(words in log_of(worker) for words in (_FAILED, _AT_ONCE))
        )
        (self.crashes if said else self.misdeeds).append(f"{worker.name} ended with {code}: {last_words(worker)}")


def last_words(worker: Worker) -> str:
    """Return the line of a worker's log that says why it ended."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log_of(worker)).strip().splitlines()
    errors = [line for line in lines if re.search(r"\berror\b", line)]
    reasons = [line for line in errors if "the worker stops" in line]
    return (reasons or errors or lines or [""])[-1].strip()[-300:]


def log_of(worker: Worker) -> str:
    """Return all that a worker has written."""
    return worker.log.read_text(errors="replace")
