"""What gatewatch writes to its own topics comes back as it was."""

import json
import math
from typing import Any, NoReturn

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.calls import ApiCall, decode_call, encode_call
from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector, Occasion
from scorer.verdicts import Readiness, Verdict
from stream.dead_letters import MAX_ORIGINAL_BYTES, MAX_RECORD_BYTES, DeadLetter, Reason
from stream.wire import (
    FeatureRecord,
    Outgoing,
    call_record,
    client_key,
    dead_letter_record,
    decode_dead_letter,
    decode_features,
    product_version,
    vector_record,
)
from tests.alerting import VECTOR, VERDICT, vector

SCHEMA = ACCESS_BEHAVIOUR_V1
NOW = 1_700_000_000_000

text = st.text(st.characters(exclude_categories=["Cs"]))
times = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
calls = st.builds(
    ApiCall,
    time=times,
    client=text,
    endpoint=text,
    status=st.integers(0, 999),
    duration_ms=st.none() | finite,
    request_id=st.none() | text,
)
vectors = st.builds(
    FeatureVector,
    session_id=text,
    client=text,
    occasion=st.sampled_from(list(Occasion)),
    start=times,
    end=times,
    calls=st.integers(0, 2**40),
    schema=st.just(SCHEMA.fingerprint),
    values=st.tuples(*[finite | st.just(math.nan)] * len(SCHEMA.features)),
    total_edges=st.integers(0, 2**40),
    close_reason=st.none() | text,
)
verdicts = st.builds(
    Verdict,
    session_id=text,
    occasion=text,
    model=text,
    score=st.floats(0, 1),
    threshold=st.floats(0, 1),
    readiness=st.sampled_from(list(Readiness)),
    total_edges=st.integers(0),
    minimum_edges=st.integers(0),
)


def strict_json(data: bytes) -> Any:
    """Parse JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(data, parse_constant=refuse)


class TestCalls:
    @given(calls)
    def test_a_call_comes_back(self, call: ApiCall) -> None:
        assert decode_call(encode_call(call)) == call

    def test_the_wire_form_is_an_array_in_the_order_of_the_fields(self) -> None:
        call = ApiCall(NOW, "user:ann", "GET /orders/{id}", 200, 12.5, "r1", "user", "192.0.2.1", 7)
        assert encode_call(call) == (
            b'[1700000000000,"user:ann","GET /orders/{id}",200,12.5,"r1","user","192.0.2.1",7]'
        )

    def test_fields_with_a_default_may_be_left_out(self) -> None:
        assert decode_call(b'[1,"ann","GET /"]') == ApiCall(1, "ann", "GET /")

    def test_fields_that_later_versions_add_are_passed_over(self) -> None:
        assert decode_call(b'[1,"ann","GET /",200,null,null,"",null,null,"new"]') == ApiCall(1, "ann", "GET /", 200)

    @pytest.mark.parametrize(
        ("data", "place"),
        [(b'["noon","ann","GET /"]', r"\$\[0\]"), (b'[1,2,"GET /"]', r"\$\[1\]"), (b'[1,"ann"]', "length 3")],
    )
    def test_an_error_names_the_field(self, data: bytes, place: str) -> None:
        with pytest.raises(msgspec.ValidationError, match=place):
            decode_call(data)

    @pytest.mark.parametrize("data", [b"", b"[", b"GET / HTTP/1.1"])
    def test_bytes_that_are_no_json_are_told_from_wrong_fields(self, data: bytes) -> None:
        with pytest.raises(msgspec.DecodeError) as error:
            decode_call(data)
        assert not isinstance(error.value, msgspec.ValidationError)

    def test_a_record_is_keyed_by_client_and_stamped_with_its_arrival(self) -> None:
        call = ApiCall(NOW - 5, "user:ann", "GET /")
        assert call_record("api-calls", call, NOW, NOW - 1000) == Outgoing(
            "api-calls", b"user:ann", encode_call(call), NOW, ()
        )

    def test_a_backlog_is_stamped_with_the_oldest_time_that_retention_keeps(self) -> None:
        call = ApiCall(NOW - 90_000_000, "ann", "GET /")
        assert call_record("api-calls", call, NOW - 90_000_000, NOW - 1000).timestamp == NOW - 1000

    @pytest.mark.parametrize("arrival", [-1, 0, 12])
    def test_a_call_whose_record_had_no_time_gets_the_present_one(self, arrival: int) -> None:
        """Any older stamp would make the call look as if it came from the future."""
        assert call_record("api-calls", ApiCall(NOW, "ann", "GET /"), arrival, NOW - 1000).timestamp == -1

    @given(st.text())
    def test_every_client_has_a_key_of_its_own(self, client: str) -> None:
        assert client_key(client).decode("utf-8", "surrogatepass") == client


class TestVectors:
    @given(own=vectors, verdict=st.none() | verdicts)
    def test_a_vector_comes_back(self, own: FeatureVector, verdict: Verdict | None) -> None:
        outgoing = vector_record("features", own, verdict, SCHEMA)
        back = decode_features(outgoing.value or b"", SCHEMA)
        assert repr(back.vector) == repr(own)  # NaN is not equal to itself, its name is
        assert back.verdict == verdict
        assert outgoing.key == own.client.encode()

    def test_a_missing_value_is_null(self) -> None:
        content = strict_json(vector_record("features", VECTOR, VERDICT, SCHEMA).value or b"")
        assert content["features"]["std_local_dest_degrees"] is None
        at = SCHEMA.names.index("std_local_dest_degrees")
        assert math.isnan(decode_features(json.dumps(content).encode(), SCHEMA).vector.values[at])

    def test_features_are_told_by_name(self) -> None:
        content = strict_json(vector_record("features", VECTOR, VERDICT, SCHEMA).value or b"")
        assert list(content["features"]) == list(SCHEMA.names)
        assert (content["features"]["n_connections"], content["occasion"]) == (12.0, "growing")
        assert content["verdict"]["readiness"] == "ready"

    def test_a_challenger_s_verdict_is_a_field_of_its_own(self) -> None:
        trial = msgspec.structs.replace(VERDICT, model="trial-0123456789ab", score=0.25)
        record = vector_record("features", VECTOR, VERDICT, SCHEMA, trial)
        content = strict_json(record.value or b"")
        assert (content["challenger"]["model"], content["challenger"]["score"]) == ("trial-0123456789ab", 0.25)
        assert (
            content["verdict"]
            == strict_json(vector_record("features", VECTOR, VERDICT, SCHEMA).value or b"")["verdict"]
        )
        assert msgspec.json.decode(record.value or b"", type=FeatureRecord).challenger == trial
        assert repr(decode_features(record.value or b"", SCHEMA).vector) == repr(VECTOR)

    def test_without_a_challenger_the_field_is_absent(self) -> None:
        record = vector_record("features", VECTOR, VERDICT, SCHEMA)
        assert "challenger" not in strict_json(record.value or b"")
        assert msgspec.json.decode(record.value or b"", type=FeatureRecord).challenger is msgspec.UNSET

    def test_a_reader_is_told_that_it_is_json(self) -> None:
        assert ("content-type", "application/json") in vector_record("features", VECTOR, None, SCHEMA).headers

    def test_a_vector_of_another_schema_is_refused(self) -> None:
        foreign = vector_record("features", vector(schema="feedbeef"), None, SCHEMA).value
        with pytest.raises(ValueError, match="vector of schema feedbeef, expected access-behaviour"):
            decode_features(foreign or b"", SCHEMA)

    @pytest.mark.parametrize("change", ["drop", "rename", "reorder"])
    def test_a_vector_with_other_features_is_refused(self, change: str) -> None:
        content = strict_json(vector_record("features", VECTOR, None, SCHEMA).value or b"")
        features = list(content["features"].items())
        if change == "drop":
            features.pop()
        elif change == "rename":
            features[0] = ("connections", features[0][1])
        else:
            features.reverse()
        content["features"] = dict(features)
        with pytest.raises(ValueError, match="expected access-behaviour"):
            decode_features(json.dumps(content).encode(), SCHEMA)

    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"session_id": 1}'])
    def test_other_bytes_are_refused(self, data: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            decode_features(data, SCHEMA)


class TestDeadLetters:
    LETTER = DeadLetter(Reason.MISSING_FIELD, "no field 'path'", "logs", 3, 4711, NOW, b"\xff\x00{", b"key", 2)

    def test_the_value_is_the_original_bytes_under_the_original_key(self) -> None:
        outgoing = dead_letter_record("dead-letters", self.LETTER)
        assert (outgoing.topic, outgoing.key, outgoing.value) == ("dead-letters", b"key", b"\xff\x00{")

    def test_the_headers_say_where_it_came_from_and_what_is_wrong(self) -> None:
        assert dict(dead_letter_record("dead-letters", self.LETTER).headers) == {
            "gatewatch.reason": "missing_field",
            "gatewatch.detail": "no field 'path'",
            "gatewatch.topic": "logs",
            "gatewatch.partition": "3",
            "gatewatch.offset": "4711",
            "gatewatch.timestamp": str(NOW),
            "gatewatch.index": "2",
        }

    def test_a_whole_record_has_no_index(self) -> None:
        whole = msgspec.structs.replace(self.LETTER, index=None, key=None)
        outgoing = dead_letter_record("dead-letters", whole)
        assert outgoing.key is None
        assert "gatewatch.index" not in dict(outgoing.headers)

    @pytest.mark.parametrize("reason", list(Reason))
    def test_every_reason_can_be_told(self, reason: Reason) -> None:
        headers = dict(dead_letter_record("d", msgspec.structs.replace(self.LETTER, reason=reason)).headers)
        assert headers["gatewatch.reason"] == reason.value

    def test_without_originals_it_holds_neither_the_bytes_nor_the_key_but_their_size(self) -> None:
        record = dead_letter_record("dead-letters", self.LETTER, originals=False)
        assert (record.key, record.value) == (None, b"")
        stored = decode_dead_letter(record.key, record.value, record.headers)
        assert stored.truncated_from == 3  # so that it is never fed back
        assert stored.letter == msgspec.structs.replace(self.LETTER, key=None, original=b"")

    def test_without_originals_an_exception_is_told_by_its_name_alone(self) -> None:
        letter = msgspec.structs.replace(self.LETTER, reason=Reason.INTERNAL_ERROR, detail="KeyError('a secret')")
        said = dict(dead_letter_record("d", letter, originals=False).headers)["gatewatch.detail"]
        assert said == "KeyError"


def test_the_product_knows_its_version() -> None:
    assert product_version()[0].isdigit()


def test_a_dead_letter_too_large_for_its_topic_is_cut_and_says_so() -> None:
    """Or the worker would stop at it, and at every start again."""
    letter = DeadLetter(Reason.UNDECODABLE, "not JSON", "logs", 3, 17, NOW, b"x" * 5_000_000, b"k" * 100_000)
    record = dead_letter_record("dead-letters", letter)
    assert len(record.value or b"") == MAX_ORIGINAL_BYTES
    assert record.key is None
    assert ("gatewatch.truncated-from", "5000000") in record.headers
    assert len(record.value or b"") + sum(len(name) + len(value) for name, value in record.headers) < MAX_RECORD_BYTES


def test_a_dead_letter_that_fits_is_whole() -> None:
    letter = DeadLetter(Reason.UNDECODABLE, "not JSON", "logs", 3, 17, NOW, b"x" * MAX_ORIGINAL_BYTES, b"k")
    record = dead_letter_record("dead-letters", letter)
    assert (record.value, record.key) == (letter.original, b"k")
    assert "gatewatch.truncated-from" not in dict(record.headers)


letters = st.builds(
    DeadLetter,
    reason=st.sampled_from(Reason),
    detail=text,
    topic=text,
    partition=st.integers(0, 1000),
    offset=st.integers(0, 2**63 - 1),
    timestamp=times,
    original=st.binary(max_size=100),
    key=st.none() | st.binary(max_size=100),
    index=st.none() | st.integers(0, 1000),
)


@given(letters)
def test_a_dead_letter_comes_back_as_it_was(letter: DeadLetter) -> None:
    record = dead_letter_record("dead-letters", letter)
    headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in record.headers]
    assert decode_dead_letter(record.key, record.value, headers) == (letter, None)


def test_a_cut_dead_letter_comes_back_with_its_size() -> None:
    letter = DeadLetter(Reason.UNDECODABLE, "", "t", 0, 0, -1, b"x" * (MAX_ORIGINAL_BYTES + 1))
    record = dead_letter_record("dead-letters", letter)
    stored = decode_dead_letter(record.key, record.value, record.headers)
    assert (len(stored.letter.original), stored.truncated_from) == (MAX_ORIGINAL_BYTES, MAX_ORIGINAL_BYTES + 1)


@pytest.mark.parametrize(
    "change", [{"gatewatch.reason": "of a later version"}, {"gatewatch.offset": b"\xff"}, {"gatewatch.topic": None}]
)
def test_a_record_of_another_program_is_no_dead_letter(change: dict[str, Any]) -> None:
    headers: dict[str, Any] = dict(
        dead_letter_record("d", DeadLetter(Reason.UNDECODABLE, "", "t", 0, 0, -1, b"")).headers
    )
    with pytest.raises(ValueError, match=r"."):
        decode_dead_letter(None, b"", list((headers | change).items()))
    with pytest.raises(ValueError, match=r"no header 'gatewatch\.reason'"):
        decode_dead_letter(None, None, None)
