"""Random schedules of the protocol without Hypothesis: cheap, so that thousands can be run.

``python -m tests.random_schedules 20000`` runs 20,000 and names the seed of one that fails; with ``1 SEED``
that one is run again.
"""

import sys
from random import Random
from typing import Any, cast

from stream.records import TopicPartition
from tests.simulated_workers import PARTITIONS
from tests.test_protocol import LIMITS, Protocol


def random_schedule(seed: int) -> None:
    """Run one schedule and make sure of all that must hold."""
    chance = Random(seed)  # noqa: S311 -- no secret
    own = cast("Any", Protocol())  # rules have no types
    own.begin(
        transactional=chance.random() < 0.5,
        frozen=chance.random() < 0.5,
        cooldown=chance.choice([0, 15, 1000]),
        budget=chance.choice([None, None, 1, 3]),
        judge=chance.randrange(5),
    )
    swaps, limits = chance.random() < 0.5, chance.random() < 0.3

    def pick() -> int:
        return chance.randrange(4)

    def steps() -> int:
        return chance.choice([1, 2, 3, 5, 8, 13, 40])

    def name() -> TopicPartition:
        return chance.choice(PARTITIONS)

    def shape() -> list[tuple[str, int, str, int, int]]:
        moves = [0, 0, 1, 1, 2, 3, -25, -12, 5, 11, 21, 40]
        return [
            (
                chance.choice(["ann", "bob", "cy"]),
                chance.choice(moves),
                chance.choice("aabbc?"),
                chance.choice([0, 0, 0, 4, 9, -3]),
                chance.choice([1, 1, 1, 2]),
            )
            for _ in range(chance.randint(1, 8))
        ]

    actions: list[tuple[int, Any]] = [
        (6, lambda: own.calls_arrive(name(), shape())),
        (1, lambda: own.state_is_compacted(name(), chance.random())),
        (1, lambda: own.degrees_are_compacted(chance.random())),
        (1, lambda: own.a_worker_joins(chance.choice(LIMITS) if limits else own.policy)),
        (6, lambda: own.a_partition_is_assigned(pick(), name(), steps())),
        (4, lambda: own.restoring_goes_on(pick(), steps())),
        (3, lambda: own.a_partition_is_revoked(pick(), chance.choice([None, steps()]))),
        (1, lambda: own.a_worker_crashes(pick())),
        (1, lambda: own.world.transactional and own.a_worker_is_put_out_of_the_group_without_a_word(pick())),
        (1, lambda: own.a_worker_learns_that_it_was_put_out(pick())),
        (8, lambda: own.a_worker_works(pick(), chance.randint(1, 6), chance.choice([0, 0, 1, 11]))),
        (8, lambda: own.a_worker_works_and_delivers(pick(), chance.randint(1, 6), steps())),
        (2, lambda: own.the_wall_clock_moves(pick(), chance.choice([3, 8, 15, 30]))),
        (8, lambda: own.a_delivery_goes_on(pick(), steps())),
        (1, lambda: own.a_transaction_is_repeated(pick())),
        (1, lambda: own.degrees_are_learned(pick())),
        (1, lambda: own.the_model_is_swapped(pick(), chance.randrange(5)) if swaps else None),
    ]
    for _, act in chance.choices(actions, [weight for weight, _ in actions], k=chance.randint(10, 150)):
        act()
    own.teardown()


if __name__ == "__main__":
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for seed in range(first, first + count):
        try:
            random_schedule(seed)
        except Exception:
            sys.stderr.write(f"seed {seed}\n")
            raise
