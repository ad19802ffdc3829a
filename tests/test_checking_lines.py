"""Raw lines as they are shown: nothing that was not read, whatever the line."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream.adapters import decoder
from stream.checking.lines import field_names, shown
from stream.checking.raw_routes import RawEndpoint, RawRoutes

SECRET = "s3cr3t"  # noqa: S105 -- planted, to be looked for
CALL = {"time": 1_790_000_000_123, "client": "alice", "method": "GET", "path": "/orders/42", "status": 200}

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(SECRET),
    st.text(max_size=8).map(lambda text: text + SECRET),
    st.sampled_from(
        [f"GET /x?{SECRET} HTTP/1.1", f"/orders/42?{SECRET}", f"/orders/42;{SECRET}", f'{{"a": "{SECRET}"}}']
    ),
)
documents = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_size=5,
)
lines = st.lists(
    st.one_of(
        st.text(max_size=6).map(lambda text: text + SECRET),
        st.sampled_from(
            [
                '"',
                "[",
                "]",
                "-",
                "GET",
                f"/x?{SECRET}",
                "HTTP/1.1",
                "200",
                "\\",
                "\x1b[2J",
                "[17/May/2015:10:05:03 +0000]",
            ]
        ),
    )
).map(" ".join)


@given(document=documents)
def test_of_an_entry_that_was_read_only_what_was_read_is_shown(document: dict[str, Any]) -> None:
    record = json.dumps({**document, **CALL}).encode()
    (call,) = decoder("gatewatch", RawRoutes())(record).calls

    text = shown(record, call)

    assert SECRET not in text
    assert text.isprintable()
    assert '"client":"alice"' in text
    assert '"path":"/orders/42"' in text


@given(document=documents)
def test_of_an_entry_that_was_not_read_no_text_is_shown(document: dict[str, Any]) -> None:
    text = shown(json.dumps(document).encode(), None)

    assert SECRET not in text
    assert text.isprintable()


@given(line=lines)
def test_of_a_line_that_was_not_read_no_more_than_words_is_shown(line: str) -> None:
    for value in (line, f"{{{line}", f"[{line}"):
        text = shown(value.encode("utf-8", "replace"), None)
        assert SECRET not in text
        assert text.isprintable()


@given(value=st.binary(max_size=60))
def test_any_bytes_can_be_shown(value: bytes) -> None:
    assert shown(value, None).isprintable()
    assert all(name.isprintable() for name in field_names(value))


def test_a_tombstone_is_named() -> None:
    assert shown(None, None) == "(no value)"


def test_an_entry_in_an_envelope_is_shown_as_far_as_it_was_read() -> None:
    inner = json.dumps(CALL | {"password": SECRET})
    (call,) = decoder("gatewatch", RawRoutes())(json.dumps(CALL).encode()).calls
    line = '192.0.2.7 - alice [14/Nov/2023:22:13:20 +0000] "GET /orders/42?a=b HTTP/1.1" 200 5 "-" "agent"\n'

    assert '"password\\":\\"…\\"' in shown(json.dumps({"log": inner}).encode(), call)
    assert shown(json.dumps({"log": line}).encode(), call) == json.dumps(
        {"log": '… - alice [14/Nov/2023:22:13:20 +0000] "GET /orders/42… HTTP/1.1" 200 5 "-" "…"'},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def test_an_endpoint_remembers_its_path_and_who_named_its_route() -> None:
    routes = RawRoutes(["/users/{name}"])

    plain = routes.endpoint("GET", "/users/bob?q", 200)
    own = routes.endpoint("GET", "/users/bob", 200, "/users/:id")
    none = routes.endpoint("GET", "/users/bob", 200, "$default")

    assert [str(endpoint) for endpoint in (plain, own, none)] == [
        "GET /users/{name}",
        "GET /users/:id",
        "GET /users/{name}",
    ]
    assert all(isinstance(endpoint, RawEndpoint) for endpoint in (plain, own, none))
    assert [(e.path, e.own) for e in (plain, own, none) if isinstance(e, RawEndpoint)] == [
        ("/users/bob", False),
        ("/users/bob", True),
        ("/users/bob", False),
    ]
