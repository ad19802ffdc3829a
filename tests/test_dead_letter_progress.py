"""Each dead letter is fed back once, whatever filters come in whatever order and wherever a replay is ended."""

from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.dead_letter_progress import Kind, PartitionProgress, Selection
from stream.dead_letters import Reason

LATE, FUTURE = Reason.LATE_CALL, Reason.FUTURE_TIMESTAMP
KINDS = [Kind(source, reason) for source in ("a", "b") for reason in (LATE, FUTURE)]

kinds = st.sampled_from(KINDS)
selections = st.builds(
    Selection, st.frozensets(st.sampled_from([LATE, FUTURE])), st.frozensets(st.sampled_from(["a", "b"]))
)


class Pass(NamedTuple):
    """One replay: what it chose, after how many dead letters it was killed, how many it commits at once, and news."""

    selection: Selection
    killed_after: int | None
    at_once: int
    arrived: list[Kind]


passes = st.builds(Pass, selections, st.none() | st.integers(0, 20), st.integers(1, 5), st.lists(kinds, max_size=10))


def reread(progress: PartitionProgress) -> PartitionProgress:
    return PartitionProgress.decoded(progress.next, progress.metadata)


def replay(topic: list[Kind | None], progress: PartitionProgress, own: Pass, fed: Counter[int]) -> PartitionProgress:
    """Read the topic as a replay does, and return the progress that was committed last."""
    committed, taken = reread(progress), []
    for count, offset in enumerate(range(progress.first, len(topic)), 1):
        kind = topic[offset]
        if kind is None:
            progress.skipped(offset)
        else:
            chosen = own.selection.chooses(kind)
            if chosen and progress.due(kind, offset):
                taken.append(offset)
            progress.passed(kind, offset, chosen=chosen)
        if count % own.at_once == 0:
            fed.update(taken)
            committed, taken = reread(progress), []
        if count == own.killed_after:
            return committed
    progress.finished(own.selection)
    fed.update(taken)
    return reread(progress)


@given(st.lists(st.none() | kinds, max_size=20), st.lists(passes, max_size=6))
def test_none_is_fed_back_twice_and_none_is_lost(topic: list[Kind | None], replays: list[Pass]) -> None:
    progress, fed = PartitionProgress(), Counter[int]()
    for own in replays:
        chosen = Counter(fed)
        progress = replay(topic, progress, own, fed)
        assert all(own.selection.chooses(kind) for at in fed - chosen if (kind := topic[at]) is not None)
        topic += own.arrived
    progress = replay(topic, progress, Pass(Selection(), None, 3, []), fed)
    assert fed == Counter({at: 1 for at, kind in enumerate(topic) if kind is not None})
    assert (progress.next, progress.metadata, progress.first) == (len(topic), "", len(topic))


def test_what_is_remembered_of_filters_is_small() -> None:
    """Brokers take 4096 bytes: it grows with the kinds that were left out, not with the dead letters."""
    progress = PartitionProgress()
    for offset in range(10_000):
        progress.passed(KINDS[offset % 4], offset, chosen=False)
    assert progress.metadata == (
        '[["a","future_timestamp",1],["a","late_call",0],["b","future_timestamp",3],["b","late_call",2]]'
    )


def test_without_a_commit_it_begins_at_the_oldest() -> None:
    assert PartitionProgress.decoded(-1001, None).first == 0


@pytest.mark.parametrize("metadata", ["of another program", "[1]", '[["a","no reason",1]]'])
def test_another_program_s_metadata_are_refused(metadata: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PartitionProgress.decoded(5, metadata)
