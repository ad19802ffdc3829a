"""Logs of simulated traffic, with the labels of its attacks."""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

from stream.cli import main

DEMO_LIMITS = {
    "sessions.gap_s": 60.0,
    "sessions.quiet_s": 3.0,
    "sessions.lateness_s": 1.0,
    "model.minimum_edges": 200,
    "model.bundle": "demo",
}
"""Settings for the demo's model and pauses a thirtieth as long as in life."""


def short_log(folder: Path) -> tuple[Path, Path]:
    """Write a minute of calls, attacks among them; as ``simulated_log``."""
    return simulated_log(folder, seed=5, duration_s=60, rate=120, attack_share=0.15)


def as_flags(limits: Mapping[str, object]) -> list[str]:
    """Return settings as flags of a command."""
    return [part for name, value in limits.items() for part in ("--set", f"{name}={value}")]


def simulated_log(folder: Path, seed: int, duration_s: int, rate: int, attack_share: float) -> tuple[Path, Path]:
    """Write calls that pause a thirtieth as long as in life, and return their file and that of the labels."""
    calls, labels = folder / "calls.jsonl", folder / "labels.jsonl"
    flags = {
        "out": calls,
        "labels": labels,
        "seed": seed,
        "duration": duration_s,
        "rate": rate,
        "attack-share": attack_share,
        "time-scale": 30,
    }
    with redirect_stdout(io.StringIO()):
        assert main(["simulate", *(f"--{name}={value}" for name, value in flags.items())]) == 0
    return calls, labels
