"""How many records are taken at once."""

import hypothesis.strategies as st
from hypothesis import given

from stream.batch_size import BatchSize


def run(size: BatchSize, batches: int, cost_s: float) -> float:
    """Let batches of as many records as may be taken cost so much a record; return what the last one took."""
    seconds = 0.0
    for _ in range(batches):
        records = size.present
        seconds = records * cost_s
        size.took(records, seconds)
    return seconds


@given(cost_s=st.floats(1e-6, 4e-3))
def test_a_batch_takes_no_longer_than_its_aim_once_one_has_told_what_records_cost(cost_s: float) -> None:
    size = BatchSize(10_000, 0.25)
    run(size, 1, cost_s)
    assert run(size, 1, cost_s) <= 0.25 * 1.0001
    assert size.present <= 10_000


@given(cost_s=st.floats(1e-6, 4e-3))
def test_batches_use_their_time_or_are_as_large_as_they_may_be(cost_s: float) -> None:
    size = BatchSize(10_000, 0.25)
    run(size, 1, 4e-3)
    run(size, 20, cost_s)
    assert size.present == 10_000 or size.present * cost_s >= 0.25 / 2 - cost_s


def test_small_batches_do_not_make_it_larger() -> None:
    size = BatchSize(10_000, 0.25)
    size.took(1000, 2.5)
    assert size.present == 100
    size.took(10, 0.001)
    assert size.present == 100


def test_records_that_cost_a_second_each_are_still_taken() -> None:
    size = BatchSize(10_000, 0.25)
    run(size, 5, 1.0)
    assert size.present == 50
    assert BatchSize(10, 0.25).present == 10
