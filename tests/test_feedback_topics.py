"""Records of the topics of features and labels: the latest label of a session holds, foreign records are counted."""

import msgspec
import pytest

from featurizer.features import GATEWAY_V1
from scorer.feedback import Said, SessionLabel
from stream.errors import CommandError
from stream.feedback_topics import JudgedVectors
from stream.label_topic import latest_labels
from stream.wire import vector_record
from tests.labelled_sessions import make_session
from tests.records import Made


def record(session: str, said: Said | None, at: int = 0) -> Made:
    """A label's record; without anything said it takes the label back."""
    label = None if said is None else SessionLabel(session_id=session, verdict=said, time=at)
    return Made(None if label is None else msgspec.json.encode(label), at, name=session.encode())


def test_the_latest_label_of_a_session_holds_and_may_be_taken_back() -> None:
    said = latest_labels(
        [
            record("a", Said.TRUE_POSITIVE, 0),
            record("b", Said.BENIGN, 1),
            record("a", Said.FALSE_POSITIVE, 2),
            record("b", None, 3),
        ],
        "labels",
    )
    assert {name: own.verdict for name, own in said.items()} == {"a": Said.FALSE_POSITIVE}


def test_a_record_that_is_no_label_is_named_until_it_is_taken_back() -> None:
    wrong = Made(b'{"session_id":"a","verdict":"maybe","time":0}', 7, name=b"a")
    with pytest.raises(CommandError, match=r"labels-0@7 is no label: .*maybe") as refused:
        latest_labels([wrong], "labels")
    assert "takes it back" in refused.value.hint
    assert latest_labels([wrong, record("a", None, 8)], "labels") == {}


def test_records_of_other_features_and_other_programs_are_passed_over_and_counted() -> None:
    own = make_session(1, hostile=False, client="a", start=0)[-1]
    foreign = msgspec.structs.replace(own, schema="feedbeef")
    records = [Made(vector_record("features", each, None, GATEWAY_V1).value) for each in (own, foreign)]
    found = JudgedVectors([*records, Made(b"of another program"), Made(None)])
    assert [judged.vector.session_id for judged in found] == [own.session_id]
    assert found.foreign == 3
