"""The packed form of a session: nothing is lost in it, and what is not a form is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.degrees import NOT_A_NODE
from featurizer.session import FORM, NEVER, Session, end_of, pack, timers_of, unpack

times = st.integers(-(1 << 50), 1 << 50)
counts = st.integers(0, (1 << 32) - 1)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    session = Session(draw(st.text(max_size=20)), draw(times), draw(st.integers(0, 1 << 60)), 8)
    session.ordinal, session.calls, session.scored = draw(counts), draw(counts), draw(counts)
    session.next_vector, session.next_check = draw(counts), draw(counts)
    session.start, session.end, session.arrival = draw(times), draw(times), draw(times)
    session.last_node = draw(st.sampled_from([NOT_A_NODE, 0, 65_534]))
    session.deadline, session.lingers = draw(st.just(NEVER) | times), draw(st.just(NEVER) | times)
    session.alerted_open, session.alerted_closed = draw(st.booleans()), draw(st.booleans())
    session.requests = draw(st.binary(max_size=16).map(lambda own: own[: len(own) // 8 * 8]))
    session.edges = draw(st.dictionaries(counts, st.sampled_from([1, 2, 255, 256, 70_000]), max_size=40))
    return session


def fields(session: Session) -> dict[str, object]:
    own = {name: getattr(session, name) for name in Session.__slots__ if name != "durable"}
    return own | {"edges": list(session.edges.items())}  # their order counts


@given(session=sessions())
def test_a_session_comes_back_as_it_was(session: Session) -> None:
    packed = pack(session)
    assert fields(unpack(session.client, packed)) == fields(session)
    assert timers_of(packed) == (session.deadline, session.lingers)
    assert end_of(packed) == session.end


@given(session=sessions(), cut=st.integers(1, 400))
def test_a_cut_form_is_refused(session: Session, cut: int) -> None:
    packed = pack(session)
    with pytest.raises((ValueError, struct.error)):
        unpack("ann", packed[: max(0, len(packed) - cut)])


@pytest.mark.parametrize("packed", [b"", bytes([FORM + 1]) * 200])
def test_another_form_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="form"):
        unpack("ann", packed)


def test_a_session_of_thirty_calls_takes_a_few_hundred_bytes() -> None:
    session = Session("client", 0, 0, 8)
    session.edges = dict.fromkeys(range(30), 1)
    session.requests = bytes(16 * 8)
    assert len(pack(session)) == 88 + 128 + 150
