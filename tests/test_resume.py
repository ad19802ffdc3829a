"""From where a partition goes on, for every combination of checkpoint, committed offset and what is left of the log."""

import pytest

from featurizer.session import SessionPolicy
from stream.checkpoints import VERSION, Meta
from stream.errors import ExitCode, StateError
from stream.records import TopicPartition
from stream.resume import Log, Resume, require_partitions, resume

NAME = TopicPartition("calls", 3)
Seen = tuple[int, int, int | None]
"""First offset, end and committed offset."""


def at(position: int | None) -> Meta | None:
    """Return the end of a checkpoint at a position."""
    return None if position is None else Meta(VERSION, position, 0, 0, 0, 0, 4, SessionPolicy())


def plan(position: int | None, log: Seen, *, transactional: bool = True, accept: bool = False) -> Resume:
    return resume(NAME, at(position), Log(*log, partitions=4), transactional=transactional, accept_loss=accept)


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize(
    ("position", "log", "wanted"),
    [
        pytest.param(None, (0, 0, None), Resume(0, 0), id="an empty topic"),
        pytest.param(None, (0, 90, None), Resume(0, 0), id="a topic that nobody has read"),
        pytest.param(
            None, (40, 90, None), Resume(40, 40), id="a topic that nobody has read and that lost its beginning"
        ),
        pytest.param(None, (0, 90, 0), Resume(0, 0), id="an offset that says that nothing was read"),
        pytest.param(
            None, (40, 90, 0), Resume(40, 40), id="the same, and the beginning is gone: nothing was promised of it"
        ),
        pytest.param(50, (0, 90, 50), Resume(50, 50), id="a checkpoint at the offset: nothing to replay"),
        pytest.param(50, (0, 90, 70), Resume(50, 70), id="an offset after the checkpoint: a replay between them"),
        pytest.param(50, (0, 70, 70), Resume(50, 70), id="the same at the end of the topic"),
        pytest.param(50, (50, 90, 70), Resume(50, 70), id="the log begins at the checkpoint"),
        pytest.param(50, (50, 50, 50), Resume(50, 50), id="all records were deleted after they had been processed"),
        pytest.param(0, (0, 90, 0), Resume(0, 0), id="a checkpoint before the first record"),
    ],
)
def test_a_partition_goes_on_without_a_loss(
    position: int | None, log: Seen, wanted: Resume, *, transactional: bool
) -> None:
    assert plan(position, log, transactional=transactional) == wanted


@pytest.mark.parametrize("committed", [None, 0, 20, 49])
def test_at_least_once_goes_on_from_a_checkpoint_whose_offset_was_not_committed_any_more(committed: int | None) -> None:
    """Checkpoints are flushed before the offsets are committed, the first one too."""
    assert plan(50, (0, 90, committed), transactional=False) == Resume(50, 50)


@pytest.mark.parametrize(
    ("position", "log", "wanted", "why", "hint"),
    [
        pytest.param(
            50, (0, 49, 50), Resume(0, 0), "ends at 49, before its checkpoint at 50", "state reset", id="made anew"
        ),
        pytest.param(50, (7, 60, 61), Resume(7, 7), "made anew, or cut", "keep it and start once", id="cut"),
        pytest.param(50, (0, 20, None), Resume(0, 0), "made anew", "state reset", id="made anew, offset gone"),
        pytest.param(
            50, (0, 90, None), Resume(50, 50), "no committed offset", "go on from the checkpoint", id="offset expired"
        ),
        pytest.param(50, (65, 90, None), Resume(65, 65, 15), "expired", "published again", id="records gone too"),
        pytest.param(50, (0, 90, 20), Resume(50, 50), "somebody has reset it", "state reset", id="offset reset"),
        pytest.param(50, (65, 90, 20), Resume(65, 65, 15), "reset it", "state reset", id="offset reset, records gone"),
        pytest.param(
            50, (60, 90, 70), Resume(60, 70, 10), "up to 10 records were deleted", "longer retention", id="replay cut"
        ),
        pytest.param(50, (70, 90, 70), Resume(70, 70, 20), "begins at 70", "accept_loss", id="all of the replay gone"),
        pytest.param(
            50, (80, 90, 70), Resume(80, 80, 30), "up to 30 records", "accept_loss", id="records never read gone too"
        ),
        pytest.param(
            50, (80, 90, 50), Resume(80, 80, 30), "retention", "accept_loss", id="records after the checkpoint gone"
        ),
        pytest.param(
            None, (0, 90, 70), Resume(70, 70), "no checkpoint", "begin with empty sessions", id="state deleted"
        ),
        pytest.param(None, (80, 90, 70), Resume(80, 80, 10), "no checkpoint", "restore", id="and records too"),
        pytest.param(None, (0, 60, 70), Resume(60, 60), "no checkpoint", "restore", id="and the topic made anew"),
    ],
)
def test_a_loss_stops_the_worker_unless_it_is_accepted(
    position: int | None, log: Seen, wanted: Resume, why: str, hint: str
) -> None:
    with pytest.raises(StateError, match=why) as caught:
        plan(position, log)
    assert str(NAME) in str(caught.value)
    assert hint in caught.value.hint
    assert "state.accept_loss=true" in caught.value.hint
    assert caught.value.exit_code is ExitCode.STATE
    accepted = plan(position, log, accept=True)
    assert accepted == wanted._replace(why=str(caught.value))


@pytest.mark.parametrize("committed", [None, 20, 50])
def test_at_least_once_counts_the_records_deleted_after_a_checkpoint(committed: int | None) -> None:
    with pytest.raises(StateError, match="up to 15 records were deleted"):
        plan(50, (65, 90, committed), transactional=False)
    accepted = plan(50, (65, 90, committed), transactional=False, accept=True)
    assert (accepted.replay_from, accepted.start, accepted.lost) == (65, 65, 15)


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("position", [None, 0, 3, 5])
@pytest.mark.parametrize("committed", [None, 0, 3, 4, 9])
@pytest.mark.parametrize("low", [0, 2, 4, 6])
def test_nothing_is_read_that_is_not_there(
    position: int | None, committed: int | None, low: int, *, transactional: bool
) -> None:
    found = plan(position, (low, 6, committed), transactional=transactional, accept=True)
    assert low <= found.replay_from <= found.start <= 6
    assert found.lost >= 0


def test_as_many_partitions_as_at_the_checkpoint_are_fine() -> None:
    require_partitions(NAME, 4, 4, accept_loss=False)


@pytest.mark.parametrize("found", [1, 8])
def test_another_number_of_partitions_stops_the_worker_unless_torn_sessions_are_accepted(found: int) -> None:
    with pytest.raises(StateError, match=f"has {found} partitions now and had 4") as caught:
        require_partitions(NAME, found, 4, accept_loss=False)
    assert "gatewatch state migrate" in caught.value.hint
    require_partitions(NAME, found, 4, accept_loss=True)
