"""Campaign: trial after trial on one broker, a line for each, and the report."""

import argparse
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from tests.chaos import report
from tests.chaos.schedule import FaultKind, Schedule, make_schedule
from tests.chaos.trial import CALLS, Outcome, run_trial
from tests.kafka_broker import CHECKOUT, KAFKA_VERSION, Broker, broker_starter

_TRIALS_A_BROKER = 10
_SEEDS_A_CAMPAIGN = 1_000
_KEPT = CHECKOUT / ".cache/chaos"


def main() -> int:
    """Run a campaign; return 1 if anything was lost, doubled or changed."""
    flags = _flags()
    console = Console(soft_wrap=True)
    seed = secrets.randbelow(1_000_000) if flags.seed is None else flags.seed
    seeds = [flags.only] if flags.only is not None else trial_seeds(seed, flags.trials)
    plan = Plan(flags.calls, flags.faults, tuple(flags.force))
    given = "KAFKA_BOOTSTRAP" in os.environ
    remarks = ["the broker was given, so that it was not broken"] if given else []
    console.print(*remarks, f"campaign {seed}: {len(seeds)} trials of about {flags.calls:,} calls", sep="; ")
    outcomes: list[Outcome] = []
    text = ""
    with ProcessPoolExecutor(flags.jobs, mp_context=get_context("spawn")) as processes:
        for trial in as_completed([processes.submit(run_seed, plan, own) for own in seeds]):
            outcomes.append(trial.result())
            console.print(f"{len(outcomes):4d}/{len(seeds)}  {line_of(trial.result())}", markup=False, highlight=False)
            outcomes.sort(key=lambda own: own.schedule.seed)
            kafka = "of KAFKA_BOOTSTRAP" if given else KAFKA_VERSION
            text = report.document(outcomes, _command(flags, seed), kafka, remarks)
            if flags.out:  # after each: a campaign that is cut short has its report
                flags.out.write_text(text)
    console.print(text, markup=False, highlight=False)
    return 0 if all(outcome.clean for outcome in outcomes) else 1


def trial_seeds(seed: int, trials: int) -> list[int]:
    """Return the seeds of a campaign's trials: frozen and live degrees in turn."""
    return [seed * _SEEDS_A_CAMPAIGN + number for number in range(trials)]


class Plan(NamedTuple):
    """What all trials of a campaign have in common.

    Attributes:
        calls: size of a trial's input.
        faults: faults of a trial; as its seed has it when None.
        force: faults that every trial must have.
    """

    calls: int
    faults: int | None
    force: tuple[FaultKind, ...]


class Brokers:
    """The broker of one process, replaced now and then."""

    def __init__(self) -> None:
        self._starter = broker_starter()
        self._broker: Broker | None = None
        self._trials = 0
        Finalize(None, self.stop, exitpriority=1)  # a process of a pool ends without atexit

    def next(self) -> Broker:
        """Return a broker for a trial, at times a fresh one: with the remains of many trials it gets slower."""
        if self._broker is None or self._trials % _TRIALS_A_BROKER == 0:
            self.stop()
            self._broker = self._starter()
        self._trials += 1
        return self._broker

    def stop(self) -> None:
        """End the broker."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None


@cache
def brokers() -> Brokers:
    """Return the brokers of this process."""
    return Brokers()


def run_seed(plan: Plan, seed: int) -> Outcome:
    """Run the trial of a seed, in a process of a campaign."""
    without = {FaultKind.BROKER} if "KAFKA_BOOTSTRAP" in os.environ else set[FaultKind]()
    schedule = make_schedule(seed, force=plan.force, without=without, faults=plan.faults)
    try:
        return one_trial(schedule, brokers().next(), plan.calls)
    except Exception as error:  # noqa: BLE001 -- a broker that does not start fails one trial; the others go on
        brokers().stop()
        return Outcome(schedule, plan.calls, failures=[f"{type(error).__name__}: {error}"])


def one_trial(schedule: Schedule, broker: Broker, calls: int = CALLS) -> Outcome:
    """Run a trial in a folder of its own, which is kept when something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"gatewatch-chaos-{schedule.seed}-"))
    try:
        outcome = run_trial(schedule, broker, folder, calls)
        if not outcome.clean:
            kept = _KEPT / str(schedule.seed)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept)
        return outcome
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def line_of(outcome: Outcome) -> str:
    """Return a line on a trial; several when something was wrong."""
    compared, own = outcome.comparison, outcome.schedule
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.injected.items())) or "no faults"
    line = (
        f"seed {own.seed}  {'frozen' if own.frozen else 'live  '}  {outcome.seconds:5.1f} s  "
        f"{compared.compared['call']:,} calls, {compared.compared['session']:,} sessions, "
        f"{compared.compared['alert']:,} alerts  {'equal' if outcome.clean else 'NOT EQUAL'}  "
        f"({faults}; {len(outcome.crashes)} crashes, {outcome.restored} restored, {outcome.replayed:,} replayed)"
    )
    if outcome.clean:
        return line
    counts = (("lost", compared.lost), ("duplicated", compared.duplicated), ("different", compared.different))
    sums = "; ".join(f"{word}: {dict(counter)}" for word, counter in counts if counter)
    size = "" if outcome.calls == CALLS else f" --calls {outcome.calls}"
    again = f"again: python -m tests.chaos {own.again}{size}; logs: {(_KEPT / str(own.seed)).relative_to(CHECKOUT)}"
    return "\n      ".join([line, sums, *report.wrong(outcome), again])


def _command(flags: argparse.Namespace, seed: int) -> str:
    """Return the command that runs the same campaign."""
    which = f"--trials {flags.trials} --seed {seed}" if flags.only is None else f"--only {flags.only}"
    parts = [which, *(f'--force "{kind}"' for kind in flags.force)]
    parts += [
        f"--{name} {value}" for name, value in (("calls", flags.calls), ("faults", flags.faults)) if value is not None
    ]
    return f"python -m tests.chaos {' '.join(parts)}"


def _flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, help="of the campaign; any when left out")
    parser.add_argument("--only", type=int, metavar="SEED", help="run the one trial of this seed")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time, each on a broker of its own")
    parser.add_argument("--out", type=Path, help="file for the report")
    parser.add_argument("--calls", type=int, default=CALLS, help="size of a trial's input")
    parser.add_argument("--faults", type=int, help="faults of a trial; as the seed has it when left out")
    parser.add_argument(
        "--force", type=FaultKind, action="append", default=[], metavar="KIND",
        help=f"a fault that every trial must have: {', '.join(FaultKind)}",
    )  # fmt: skip
    return parser.parse_args(arguments)
