"""Memory of open sessions: ``python -m tests.benchmarks.memory [--sessions 100000] [--json]``.

Each figure is the growth of a fresh process's resident memory, so that everything counts: strings, dicts, timers and
what the allocator does not give back. Sessions have 30 calls over 30 distinct transitions, and remember 16 request ids.
Packing is timed in the same process.
"""

import argparse
import gc
import json
import random
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from featurizer.degrees import DegreeTable, GlobalDegrees
from featurizer.session import Session, SessionPolicy, pack, unpack
from featurizer.sessions import SessionWindows
from featurizer.tallies import TALLIES

CALLS = 30
ENDPOINTS = 200
STATES = {"at work": 1.0, "parked": 0.0, "one in ten at work": 0.1}


def resident() -> int:
    """Return this process's resident memory, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def windows_of(table: DegreeTable) -> SessionWindows:
    """Return windows whose vectors go nowhere."""
    return SessionWindows("calls-0", SessionPolicy(max_open=10**9), table, lambda *_: None)


def session_of(client: str, rng: random.Random) -> Session:
    """Return a session of CALLS calls."""
    session = Session(client, 1_767_225_600_000 + rng.randrange(600_000), rng.randrange(1 << 40), 8)
    session.calls = session.scored = CALLS
    session.deadline = session.end + 1_800_001
    session.edges = {rng.randrange(ENDPOINTS) << 16 | rng.randrange(ENDPOINTS): 1 for _ in range(CALLS)}
    session.requests = rng.randbytes(128)
    session.objects = {rng.randrange(ENDPOINTS): 1 << rng.randrange(128) for _ in range(5)}
    session.addresses = rng.randbytes(4)
    session.tally = array("I", [rng.randrange(5) for _ in range(TALLIES)])
    session.pause_squares = 10**11
    return session


def measure(sessions: int, share: float) -> dict[str, float]:
    """Open so many sessions, leave a share of them at work, and return bytes a session and packing times."""
    rng = random.Random(7)  # noqa: S311 -- not a secret
    windows = windows_of(DegreeTable(GlobalDegrees(), 1000))
    gc.collect()
    before = resident()
    at_work, parked = {}, {}
    for number in range(sessions):
        client = f"client-{number:08d}"
        if number < sessions * share:
            at_work[client] = session_of(client, rng)
        else:
            parked[client] = pack(session_of(client, rng))
    windows.open = at_work
    windows.restore(parked, 0, 0)
    gc.collect()
    return {"bytes": (resident() - before) / sessions} | packing(rng)


def packing(rng: random.Random) -> dict[str, float]:
    """Return microseconds to pack and unpack a session, and its packed bytes."""
    session = session_of("client-00000000", rng)
    packed, rounds = pack(session), 20_000
    begin = time.perf_counter()
    for _ in range(rounds):
        pack(session)
    middle = time.perf_counter()
    for _ in range(rounds):
        unpack("client-00000000", packed)
    end = time.perf_counter()
    return {
        "packed_bytes": len(packed),
        "pack_us": (middle - begin) / rounds * 1e6,
        "unpack_us": (end - middle) / rounds * 1e6,
    }


def main() -> None:
    """Measure every state in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--share", type=float, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.share is not None:
        print(json.dumps(measure(flags.sessions, flags.share)))  # noqa: T201 -- read by the parent
        return
    found: dict[str, dict[str, Any]] = {}
    for name, share in STATES.items():
        command = [sys.executable, "-m", "tests.benchmarks.memory", "--sessions", str(flags.sessions)]
        done = subprocess.run([*command, "--share", str(share)], check=True, capture_output=True, text=True)
        found[name] = json.loads(done.stdout)
    if flags.json:
        print(json.dumps(found))  # noqa: T201 -- for another program
        return
    table = Table(
        "sessions", "bytes each, all in", "MB in all", title=f"{flags.sessions:,} open sessions of {CALLS} calls"
    )
    for name, figures in found.items():
        table.add_row(name, f"{figures['bytes']:,.0f}", f"{figures['bytes'] * flags.sessions / 1e6:,.0f}")
    console = Console()
    console.print(table)
    last = found["parked"]
    console.print(
        f"packed: {last['packed_bytes']:.0f} bytes; {last['pack_us']:.1f} µs to pack, {last['unpack_us']:.1f} back"
    )


if __name__ == "__main__":
    main()
