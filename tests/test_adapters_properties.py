"""What holds for any record of any format."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall, decode_call, encode_call
from featurizer.routes import RouteTemplates
from stream.adapters import FORMATS, decoder
from stream.adapters.times import EARLIEST, LATEST
from stream.dead_letters import Reason
from tests import fuzz_adapters

DECODERS = {name: decoder(name, RouteTemplates()) for name in FORMATS}

calls = st.builds(
    ApiCall,
    time=st.integers(EARLIEST, LATEST - 1),
    client=st.text(st.characters(codec="utf-8"), min_size=1, max_size=256).filter(
        lambda client: not client.isspace() and client not in {"-", "unix:"}
    ),
    endpoint=st.text(st.characters(codec="utf-8"), min_size=1, max_size=300),
    status=st.integers(0, 999),
    duration_ms=st.none() | st.floats(0, 1e9),
    request_id=st.none() | st.text(st.characters(codec="utf-8"), max_size=64),
)
good_objects = st.builds(
    lambda time, client, path: {"time": time, "client": client, "method": "GET", "path": path},
    st.integers(EARLIEST, LATEST - 1),
    st.sampled_from(["alice", "bob", "2001:db8::1"]),
    st.text(st.characters(codec="utf-8"), max_size=30),
)
bad_values: st.SearchStrategy[Any] = st.one_of(
    st.integers(),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.none(),
    st.builds(
        lambda good, key: {k: v for k, v in good.items() if k != key}, good_objects, st.sampled_from(["time", "client"])
    ),
    st.builds(lambda good: good | {"status": "x"}, good_objects),
)
elements = st.lists(st.tuples(st.booleans(), good_objects, bad_values), min_size=2, max_size=8)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(
    record=st.one_of(
        st.none(), st.binary(max_size=300), st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace"))
    )
)
def test_no_bytes_make_a_decoder_raise(name: str, record: bytes | None) -> None:
    decoded = DECODERS[name](record)
    fuzz_adapters.check(record or b"", decoded)


@settings(deadline=None)
@given(parts=elements)
def test_each_entry_of_an_array_is_one_call_or_one_reject_with_its_own_bytes(
    parts: list[tuple[bool, dict[str, Any], Any]],
) -> None:
    entries = [msgspec.json.encode(good if is_good else bad) for is_good, good, bad in parts]
    record = b"[ " + b" ,\n".join(entries) + b" ]\n"

    decoded = DECODERS["gatewatch"](record)

    assert [call.time for call in decoded.calls] == [good["time"] for is_good, good, _ in parts if is_good]
    assert [(reject.index, reject.original) for reject in decoded.rejects] == [
        (index, entry) for index, (entry, (is_good, *_)) in enumerate(zip(entries, parts, strict=True)) if not is_good
    ]


@settings(deadline=None)
@given(parts=elements, line_break=st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
def test_each_line_is_one_call_or_one_reject_with_its_own_bytes(
    parts: list[tuple[bool, dict[str, Any], Any]], line_break: bytes
) -> None:
    parts[0] = (True, *parts[0][1:])  # lines of which none is an object are no lines of objects
    lines = [msgspec.json.encode(good if is_good else bad) for is_good, good, bad in parts]

    decoded = DECODERS["gatewatch"](line_break.join(lines))

    assert [call.time for call in decoded.calls] == [good["time"] for is_good, good, _ in parts if is_good]
    assert [(reject.index, reject.original) for reject in decoded.rejects] == [
        (index, line) for index, (line, (is_good, *_)) in enumerate(zip(lines, parts, strict=True)) if not is_good
    ]


@settings(deadline=None)
@given(batch=st.lists(calls, min_size=1, max_size=5))
def test_calls_survive_the_wire(batch: list[ApiCall]) -> None:
    for call in batch:
        assert decode_call(encode_call(call)) == call
        assert DECODERS["api-call"](encode_call(call)).calls == [call]
    assert DECODERS["api-call"](b"[" + b",".join(map(encode_call, batch)) + b"]").calls == batch
    assert DECODERS["auto"](b"\n".join(map(encode_call, batch))).calls == batch


@settings(deadline=None)
@given(
    records=st.lists(st.sampled_from(fuzz_adapters.seeds()), max_size=6), last=st.sampled_from(fuzz_adapters.seeds())
)
def test_what_was_read_before_does_not_change_how_a_record_is_read(records: list[bytes], last: bytes) -> None:
    warm = decoder("auto", RouteTemplates())
    for record in records:
        warm(record)
    assert warm(last) == decoder("auto", RouteTemplates())(last)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_slice_of_the_fuzzing(seed: int) -> None:
    seen = fuzz_adapters.run(600, seed)
    # The slice meets what it is meant to meet: calls of every format, and each reason a decoder can give.
    assert all(seen[f"{name} call"] > 0 for name in FORMATS)
    assert {reason for reason in Reason if any(key.endswith(f" {reason}") for key in seen)} == {
        Reason.UNDECODABLE,
        Reason.UNKNOWN_FORMAT,
        Reason.MISSING_FIELD,
        Reason.INVALID_FIELD,
    }
