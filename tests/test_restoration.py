"""What the records of a state partition amount to: what has been replaced or deleted counts for nothing."""

import msgspec
import pytest

from featurizer.session import SessionPolicy
from stream.checkpoints import VERSION, Meta, Restoration, Snapshot, StateTopics
from stream.errors import ExitCode, StateError
from stream.records import TopicPartition
from stream.resume import Log, resume
from stream.state_report import read_durable, report
from stream.state_reset import reset_position, reset_records
from tests.records import Made

NAME = TopicPartition("calls", 3)
TOPICS = StateTopics("state", "degrees")
LOG = Log(low=5, high=50, committed=20, partitions=4)


def made(key: bytes, value: bytes | None) -> Made:
    return Made(value, name=b"calls\0" + key)


def restored(*records: Made) -> Snapshot:
    restoration = Restoration(NAME)
    restoration.feed(records)
    return restoration.finish()


def reset_of(*records: Made, log: Log = LOG) -> list[Made]:
    """Return the records and those that give them up."""
    keys = read_durable(NAME, [records]).sizes
    given_up = reset_records(NAME, keys, log, TOPICS, SessionPolicy())
    return [*records, *(Made(own.value, name=own.key) for own in given_up if own.topic == TOPICS.state)]


BROKEN = {
    "another version": made(b"m", msgspec.msgpack.encode([99, {"all": "new"}])),
    "a session of nobody": made(b"s\xff\xff", b"x"),
    "an unknown kind": made(b"?what", b"x"),
    "a mark that is none": made(b"amark", b"\xc1"),
    "a Meta that is none": made(b"m", b"\xc1"),
    "an empty Meta": made(b"m", b"\x90"),
}


@pytest.mark.parametrize("record", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_an_error_until_it_is_given_up(record: Made) -> None:
    with pytest.raises(StateError) as caught:
        restored(record)
    assert caught.value.exit_code == ExitCode.STATE
    assert "gatewatch state reset" in caught.value.hint

    kept = restored(*reset_of(record))
    assert kept.meta is not None
    assert (kept.meta.position, kept.meta.partitions, kept.sessions, kept.cooldowns, kept.marks) == (20, 4, {}, {}, {})
    assert resume(NAME, kept.meta, LOG, transactional=True, accept_loss=False) == (20, 20, 0, "")


def test_of_a_degree_table_that_is_gone_the_error_says_so() -> None:
    whole = reset_of()
    with pytest.raises(StateError, match="had 1 degree table, and 0 are there"):
        restored(*(record for record in whole if record.key() != b"calls\0t"))


def test_records_of_another_input_are_left_alone() -> None:
    foreign = Made(b"x", name=b"other\0sann")
    assert read_durable(NAME, [[foreign, made(b"sann", b"x")]]).sizes == {b"calls\0sann": 11}


@pytest.mark.parametrize(("committed", "position"), [(20, 20), (None, 5), (3, 5), (51, 5), (50, 50), (5, 5)])
def test_after_a_reset_a_partition_goes_on_at_its_committed_offset_if_that_is_there(
    committed: int | None, position: int
) -> None:
    assert reset_position(LOG._replace(committed=committed)) == position


@pytest.mark.parametrize(
    ("log", "before", "said"),
    [
        (LOG, {4}, ""),
        (LOG, {2, 4}, "had 2 at a checkpoint"),
        (LOG._replace(committed=None), {4}, "no committed offset"),
        (LOG._replace(committed=10), {4}, "before its checkpoint"),
        (LOG._replace(low=30), {4}, "were deleted"),
        (LOG._replace(high=19), {4}, "made anew, or cut"),
    ],
)
def test_a_report_says_why_a_worker_would_stop(log: Log, before: set[int], said: str) -> None:
    found = report(NAME, read_durable(NAME, [reset_of()]), log, before, transactional=True)
    assert said in found.problem
    assert bool(found.problem) == bool(found.advice) == bool(said)
    assert (found.replay is None) == bool(said)
    assert (found.version, found.checkpoint, found.sessions) == (VERSION, 20, 0)


@pytest.mark.parametrize(("templates", "reported"), [("1-abc", "1-abc"), ("", None)])
def test_a_report_says_under_which_templates_the_state_was_made(templates: str, reported: str | None) -> None:
    meta = Meta(VERSION, 20, 0, 0, 0, 0, 4, SessionPolicy(), templates=templates)
    (*others, _) = reset_of()
    records = [*others, made(b"m", msgspec.msgpack.encode(meta))]
    assert report(NAME, read_durable(NAME, [records]), LOG, {4}, transactional=True).templates == reported


@pytest.mark.parametrize(
    ("low", "committed", "expected"),
    [(0, 30, (10, 30, 0)), (15, 30, (15, 30, 5)), (30, 30, (30, 30, 20)), (40, 30, (40, 40, 30)), (0, 10, (10, 10, 0))],
)
def test_only_what_is_there_is_replayed(low: int, committed: int, expected: tuple[int, int, int]) -> None:
    """The replay begins at the checkpoint at 10; what lies before ``low`` has expired."""
    kept = restored(*reset_of(log=Log(0, 50, 10, 4)))
    plan = resume(NAME, kept.meta, Log(low, 50, committed, 4), transactional=True, accept_loss=True)
    assert (plan.replay_from, plan.start, plan.lost) == expected
