"""Logs of simulated traffic, with the labels of its attacks."""

import io
from contextlib import redirect_stdout
from pathlib import Path

from stream.cli import main


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
