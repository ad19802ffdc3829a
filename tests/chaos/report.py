"""Report: the outcomes of a campaign as a table, and what they were measured on."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import confluent_kafka

from tests.chaos.comparing import Comparison
from tests.chaos.schedule import FaultKind
from tests.chaos.trial import Outcome

_COMPARED = ("call", "session", "vector", "alert", "dead letter", "degree")
_HEADS = (
    "fault", "injected", "trials", "calls", "sessions", "vectors", "alerts", "dead letters", "degrees",
    "lost", "duplicated", "different", "restarts after an error", "restored", "replayed", "s a trial",
)  # fmt: skip


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: a row for the trials with each kind of fault, and one for all.

    A trial has several kinds and so counts in several rows. ``restored`` are partitions whose state a worker read from
    its topic, ``replayed`` the records that it then processed again.
    """
    rows = [_HEADS, tuple("---" if at == 0 else "--:" for at in range(len(_HEADS)))]
    for kind in FaultKind:
        own = [outcome for outcome in outcomes if outcome.injected[kind]]
        if own:
            rows.append(_row(str(kind), sum(outcome.injected[kind] for outcome in own), own))
    rows.append(_row("**all**", sum(outcome.injected.total() for outcome in outcomes), outcomes))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def document(outcomes: Sequence[Outcome], command: str, kafka_version: str, remarks: Iterable[str]) -> str:
    """Return the report of a campaign as Markdown."""
    seconds = sum(outcome.seconds for outcome in outcomes)
    facts = [
        f"command: `{command}`",
        f"trials: {len(outcomes)}, seeds {_seeds(outcomes)}; {seconds / 60:.1f} min",
        f"machine: {machine()}",
        f"Python {platform.python_version()}, librdkafka {confluent_kafka.libversion()[0]}, Kafka {kafka_version}",
        *remarks,
    ]
    parts = ["# Chaos campaign", _listed(facts), table(outcomes)]
    if crashes := _reasons(outcomes):
        parts.append(f"## Why workers were started again\n\n{_listed(crashes)}")
    parts += [f"## Seed {own.schedule.seed}\n\n{_listed(wrong(own))}" for own in outcomes if not own.clean]
    return "\n\n".join(parts) + "\n"


def wrong(outcome: Outcome) -> list[str]:
    """Return what is wrong with a trial, a sentence each."""
    return [*outcome.failures, *outcome.comparison.findings]


def machine() -> str:
    """Return cores, memory and kernel."""
    memory = next(
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    return f"{os.cpu_count()} cores, {memory / 2**20:.1f} GiB, {platform.system()} {platform.release()}"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _row(name: str, injected: int, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    total = Comparison()
    for outcome in outcomes:
        total.add(outcome.comparison)
    numbers = [
        injected,
        len(outcomes),
        *(total.compared[what] for what in _COMPARED),
        total.lost.total(),
        total.duplicated.total(),
        total.different.total(),
        sum(len(outcome.crashes) for outcome in outcomes),
        sum(outcome.restored for outcome in outcomes),
        sum(outcome.replayed for outcome in outcomes),
    ]
    mean = sum(outcome.seconds for outcome in outcomes) / max(len(outcomes), 1)
    return (name, *(f"{number:,}" for number in numbers), f"{mean:.1f}")


def _seeds(outcomes: Sequence[Outcome]) -> str:
    seeds = [outcome.schedule.seed for outcome in outcomes]
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds)[1:-1]


def _reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the last words of the workers that ended by themselves, the commonest first, numbers left out."""
    said = Counter(
        "".join("#" if sign.isdigit() else sign for sign in text) for own in outcomes for text in own.crashes
    )
    return [f"{count} times: {text[-200:]}" for text, count in said.most_common(10)]
