"""A few hundred random schedules of the protocol; they are the same ones every time (see ``test_protocol``)."""

import pytest

from tests.random_schedules import random_schedule

BATCH = 50


@pytest.mark.parametrize("first", range(0, 300, BATCH))
def test_nothing_is_lost_repeated_or_different(first: int) -> None:
    for seed in range(first, first + BATCH):
        random_schedule(seed)
