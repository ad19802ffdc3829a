"""The packed form of a session: nothing is lost in it, and what is not a form is refused."""

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.degrees import NOT_A_NODE
from featurizer.identity import Identity
from featurizer.session import FORM, NEVER, Session, end_of, pack, timers_of, unpack
from featurizer.tallies import MOST_ADDRESSES, TALLIES, UNANSWERED
from tests.old_sessions import first_form

times = st.integers(-(1 << 50), 1 << 50)
counts = st.integers(0, (1 << 32) - 1)
sums = st.integers(0, (1 << 64) - 1)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    session = Session(draw(st.text(max_size=20)), draw(times), draw(st.integers(0, 1 << 60)), 8)
    session.identity = draw(st.sampled_from(["", *Identity]))
    session.ordinal, session.calls, session.scored = draw(counts), draw(counts), draw(counts)
    session.next_vector, session.next_check = draw(counts), draw(counts)
    session.start, session.end, session.arrival = draw(times), draw(times), draw(times)
    session.last_node = draw(st.sampled_from([NOT_A_NODE, 0, 65_534]))
    session.deadline, session.lingers = draw(st.just(NEVER) | times), draw(st.just(NEVER) | times)
    session.alerted_open, session.alerted_closed = draw(st.booleans()), draw(st.booleans())
    session.alerted_rank = draw(st.integers(0, 4))
    session.requests = draw(st.binary(max_size=16).map(lambda own: own[: len(own) // 8 * 8]))
    many = st.sampled_from([1, 2, 255, 256, 70_000])
    session.edges = draw(st.dictionaries(counts, many, max_size=40))
    session.tally = array("I", list(draw(st.binary(min_size=TALLIES, max_size=TALLIES))))
    session.tally[draw(st.integers(0, TALLIES - 1))] = draw(many)
    session.pause_squares = draw(sums)
    session.objects = draw(st.dictionaries(st.integers(0, 65_534), st.integers(1, (1 << 128) - 1), max_size=5))
    session.addresses = draw(st.binary(max_size=4 * MOST_ADDRESSES).map(lambda own: own[: len(own) // 4 * 4]))
    return session


def fields(session: Session) -> dict[str, object]:
    own = {name: getattr(session, name) for name in Session.__slots__ if name not in {"durable", "address"}}
    # Their order counts.
    return own | {"edges": list(session.edges.items()), "objects": list(session.objects.items())}


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
    session.objects = dict.fromkeys(range(5), 1)
    session.addresses = bytes(4)
    assert len(pack(session)) == 130 + 128 + 150 + 5 * 18 + 4


def test_a_session_of_the_first_form_begins_to_count_where_it_is() -> None:
    session = Session("client", 0, 0, 8)
    session.edges, session.calls, session.last_node = {1: 2, 65_536: 1}, 4, 1
    session.requests = bytes(16)
    read = unpack("client", first_form(session))
    session.tally[UNANSWERED] = 4
    assert fields(read) == fields(session)
    assert fields(unpack("client", pack(read))) == fields(session)


def test_a_cut_session_of_the_first_form_is_refused() -> None:
    session = Session("client", 0, 0, 8)
    session.edges = {1: 2}
    with pytest.raises(ValueError, match="92 bytes is cut: it should have 93"):
        unpack("client", first_form(session)[:-1])


def test_a_kind_of_name_that_a_later_version_knows_is_not_known_here() -> None:
    session = Session("client", 0, 0, 8)
    session.identity = "certificate"
    packed = bytearray(pack(session))
    assert unpack("client", bytes(packed)).identity == ""
    packed[1] |= 31 << 3
    assert unpack("client", bytes(packed)).identity == ""


def test_a_session_of_before_there_were_kinds_is_read_as_it_was_written() -> None:
    """Its flags had zeros where the kind is now, and the form has not changed."""
    session = Session("client", 0, 0, 8)
    session.alerted_open = True
    assert pack(session)[:2] == bytes([2, 1])


def test_squares_of_pauses_that_would_not_fit_stay_at_the_greatest_number() -> None:
    session = Session("client", 0, 0, 8)
    session.pause_squares = 1 << 70
    assert unpack("client", pack(session)).pause_squares == (1 << 64) - 1
