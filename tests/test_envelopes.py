"""What shippers put around a line changes nothing; what cannot be opened is a reject with a reason."""

import gzip
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurizer.routes import RouteTemplates
from stream.adapters import FORMATS, Decoded, decoder
from stream.adapters.decoded import MOST_ELEMENTS
from stream.adapters.envelopes import MOST_LAYERS
from stream.adapters.unwrapping import MOST_INFLATED
from stream.dead_letters import Reason
from tests.fuzz_adapters import ENVELOPES

CALLS = {
    "gatewatch": b'{"time":1700000000123,"client":"alice","method":"GET","path":"/orders/42","status":200}',
    "api-call": b'[1700000000123,"alice","GET /orders/{id}",200]',
    "nginx-json": b'{"msec":"1700000000.123","remote_addr":"192.0.2.7","request_method":"GET","path":"/"}',
    "combined": b'192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /orders/42 HTTP/1.1" 200 512',
    "aws-apigateway": b'{"requestTimeEpoch":"1700000000123","ip":"::1","httpMethod":"GET","routeKey":"GET /pets/{id}"}',
    "otlp-json": b'{"kind":2,"startTimeUnixNano":"1700000000123000000","attributes":[{"key":"http.request.method",'
    b'"value":{"stringValue":"GET"}},{"key":"url.path","value":{"stringValue":"/"}},{"key":"client.address",'
    b'"value":{"stringValue":"::1"}}]}',
    "ocsf": b'{"class_uid":4002,"time":1700000000123,"src_endpoint":{"ip":"::1"},"http_request":{"url":{"path":"/"}}}',
}
DECODERS = {name: decoder(name, RouteTemplates()) for name in FORMATS}
SINGLE = ENVELOPES[:-2]
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def put_in(record: bytes, envelopes: Sequence[Callable[[bytes], bytes]]) -> bytes:
    for envelope in envelopes:
        record = envelope(record)
    return record


def reject_of(decoded: Decoded) -> tuple[Reason, str, bytes]:
    (reject,) = decoded.rejects
    assert (decoded.calls, reject.index) == ([], None)
    return reject.reason, reject.detail, reject.original


@pytest.mark.parametrize("auto", [False, True])
@UNHURRIED
@given(
    name=st.sampled_from(sorted(CALLS)),
    envelopes=st.lists(st.sampled_from(SINGLE), max_size=MOST_LAYERS),
)
def test_a_record_is_read_as_without_its_envelopes(
    name: str, envelopes: list[Callable[[bytes], bytes]], *, auto: bool
) -> None:
    record = CALLS[name]
    bare = DECODERS[name](record)

    assert len(bare.calls) == 1
    assert DECODERS["auto" if auto else name](put_in(record, envelopes)) == bare


@UNHURRIED
@given(line=st.binary(min_size=1, max_size=60), envelopes=st.lists(st.sampled_from(SINGLE), min_size=1, max_size=6))
def test_a_dead_letter_holds_the_record_as_it_came(line: bytes, envelopes: list[Callable[[bytes], bytes]]) -> None:
    line = b"x" + line.translate(None, b"\r\n")
    record = put_in(line, envelopes)

    _, _, original = reject_of(DECODERS["gatewatch"](record))

    assert original == record


@pytest.mark.parametrize("envelope", SINGLE)
def test_one_layer_more_is_a_reject(envelope: Callable[[bytes], bytes]) -> None:
    record = put_in(CALLS["gatewatch"], [envelope] * (MOST_LAYERS + 1))

    reason, detail, _ = reject_of(DECODERS["gatewatch"](record))

    assert reason is Reason.UNDECODABLE
    assert detail.endswith("more than 4 envelopes in one another")


def test_a_record_may_unpack_to_sixteen_mebibytes() -> None:
    line = CALLS["gatewatch"]
    largest = gzip.compress(line.ljust(MOST_INFLATED), 1)

    assert len(DECODERS["gatewatch"](largest).calls) == 1
    assert reject_of(DECODERS["gatewatch"](gzip.compress(line.ljust(MOST_INFLATED + 1), 1)))[:2] == (
        Reason.UNDECODABLE,
        "gzip holds more than the 16 MiB that a record may",
    )


def test_compressed_parts_of_one_record_share_that_room() -> None:
    part = ENVELOPES[4](CALLS["gatewatch"].ljust(MOST_INFLATED // 2 + 1)).decode()
    record = "\n".join(f'{{"message":"{part}"}}' for _ in range(2)).encode()

    decoded = DECODERS["gatewatch"](record)

    assert len(decoded.calls) == 1
    assert [(reject.index, reject.detail) for reject in decoded.rejects] == [
        (1, "in message: gzip holds more than the 16 MiB that a record may")
    ]


@pytest.mark.parametrize("events", [MOST_ELEMENTS, MOST_ELEMENTS + 1])
def test_an_envelope_may_hold_ten_thousand_elements(events: int) -> None:
    record = b'{"messageType":"DATA_MESSAGE","logEvents":[' + b",".join([b'{"message":"x"}'] * events) + b"]}"

    decoded = DECODERS["gatewatch"](gzip.compress(record, 1))

    assert [reject.detail for reject in decoded.rejects[:1]] == (
        ["in a CloudWatch event: no JSON: JSON is malformed: invalid character (byte 0)"]
        if events == MOST_ELEMENTS
        else ["the record holds more than 10000 elements"]
    )
    assert len(decoded.rejects) == (events if events == MOST_ELEMENTS else 1)


def test_gzip_of_nothing_but_commas_is_not_taken_apart() -> None:
    assert reject_of(DECODERS["auto"](gzip.compress(b"{}," * 700_000, 1)))[1] == "gzip holds more than 10000 elements"


def test_what_is_fed_back_of_an_envelope_of_several_is_read() -> None:
    """A dead letter of one event is itself an envelope, so that mending its cause and feeding it back is enough."""
    good, bad = CALLS["combined"].decode().replace('"', '\\"'), "hello"
    record = f'{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":"{good}"}},{{"message":"{bad}"}}]}}'

    (reject,) = DECODERS["combined"](record.encode()).rejects
    mended = reject.original.replace(b"hello", good.encode())

    assert reject.original == b'{"message":"hello"}'
    assert len(DECODERS["combined"](mended).calls) == 1
