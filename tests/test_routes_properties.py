"""What holds for the template of any path."""

import base64
import re
import uuid

from hypothesis import assume, example, given
from hypothesis import strategies as st

from featurizer.pins import METHODS
from featurizer.routes import LONGEST_TEMPLATE, MOST_SEGMENTS, RouteTemplates
from featurizer.segments import PLACEHOLDERS, decode_segment, encode_segment

LONGEST = LONGEST_TEMPLATE + len("/{more}")

pieces = st.sampled_from(
    [
        *(
            "/",
            "//",
            "%2F",
            "%2f",
            "%25",
            "%",
            "%zz",
            "%C3%A9",
            "%FF",
            ";",
            "?",
            "#",
            ".",
            "..",
            "{",
            "}",
            "{id}",
            "{uuid}",
        ),
        *(
            "-",
            "_",
            ":",
            ",",
            "(",
            ")",
            "@",
            "=",
            "'",
            "~",
            "+",
            " ",
            "\t",
            "\x00",
            "é",
            "日本",
            "١٢٣",
            "\ud800",
            "x" * 30,
        ),
        *("v1", "v1.2", "me", "api", "users", "42", "2024-01-31", "1.5", "3f2a9c1b", "a@b.c", ".json", ".min.js"),
        *("550e8400-e29b-41d4-a716-446655440000", "eyJhbGciOiJIUzI1NiJ9"),
    ]
)
paths = st.one_of(
    st.lists(pieces, max_size=12).map(lambda parts: "/" + "".join(parts)),
    st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=12).map("".join),
    st.text(max_size=400),
)
NO_PINS = RouteTemplates()
PINNED = ["/api/{a}", "/api/{a}.json", "/users/{b}/{rest+}", "GET /users/me", "/{x}", "/{x}/{y}-{z}", "/v1.2/{w}"]
PINS = RouteTemplates(PINNED)

identifiers = st.one_of(
    st.integers(min_value=100, max_value=10**18).map(str),
    st.uuids().map(str),
    st.uuids().map(lambda value: str(value).upper()),
    st.binary(min_size=12, max_size=32).map(bytes.hex).filter(lambda text: sum(map(str.isdigit, text)) >= 2),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z"),
    st.from_regex(r"[a-z0-9][a-z0-9.+_-]{0,20}@example\.com", fullmatch=True),
    st.integers(min_value=10**9, max_value=10**12).map(lambda number: f"+{number}"),
    st.tuples(st.sampled_from(["order", "user", "INV", "cus"]), st.sampled_from("-_:"), st.integers(min_value=100)).map(
        lambda name: "".join(map(str, name))
    ),
    st.binary(min_size=24, max_size=48).map(
        lambda data: "eyJ" + base64.urlsafe_b64encode(data).decode().strip("=") + ".e30.x"
    ),
)


@given(path=paths)
@example("/{id}.pdf")
@example("/a/%2E%2E")
@example("/usersa@b.ca@b.c")
@example("/x/'{id}'(1)")
def test_a_template_is_a_path_with_itself_as_template(path: str) -> None:
    for routes in (NO_PINS, PINS):
        template = routes.template(path)
        assert routes.template(template) == template


@given(path=paths, method=st.one_of(st.text(max_size=10), st.sampled_from(sorted(METHODS))), status=st.integers(0, 999))
def test_an_endpoint_is_bounded_printable_and_utf8(path: str, method: str, status: int) -> None:
    for routes in (NO_PINS, PINS):
        endpoint = routes.endpoint(method, path, status)
        name, blank, template = endpoint.partition(" ")
        assert blank
        assert name in METHODS | {"_OTHER"}
        assert len(template) <= LONGEST
        assert template.isprintable()
        assert " " not in template
        assert template.count("/") <= MOST_SEGMENTS + 1
        endpoint.encode()


@given(path=paths, method=st.text(max_size=10), status=st.integers(0, 999), route=st.none() | st.text(max_size=300))
def test_the_caches_change_nothing(path: str, method: str, status: int, route: str | None) -> None:
    """Neither what was asked before nor which worker is asked matters."""
    warm = PINS.endpoint(method, path, status, route)
    assert PINS.endpoint(method, path, status, route) == warm
    assert RouteTemplates(PINNED[::-1]).endpoint(method, path, status, route) == warm


@given(
    first=st.sampled_from(["api", "orders", "v1"]),
    identifier=identifiers,
    rest=st.sampled_from(["", "/lines"]),
)
def test_no_template_contains_the_raw_identifier(first: str, identifier: str, rest: str) -> None:
    template = NO_PINS.template(f"/{first}/{identifier}{rest}")
    assert template.startswith(f"/{first}/{{")
    assert template.endswith("}" + rest)
    assert identifier not in template
    assert template[len(first) + 2 : len(template) - len(rest)] in PLACEHOLDERS


@given(identifier=identifiers, extension=st.sampled_from([".json", ".pdf", ".tar"]))
def test_a_file_named_by_an_identifier_keeps_its_extension(identifier: str, extension: str) -> None:
    assume(not identifier.startswith("eyJ") and not set(identifier) & set("@T"))  # whose own form has points at its end
    template = NO_PINS.template(f"/files/{identifier}{extension}")
    assert template.startswith("/files/{")
    assert template.endswith("}" + extension)
    assert identifier not in template


@given(identifiers=st.lists(identifiers, min_size=1, max_size=5))
def test_every_identifier_of_a_path_is_replaced(identifiers: list[str]) -> None:
    path = "".join(f"/part/{identifier}" for identifier in identifiers)
    template = NO_PINS.template(path)
    assert not any(identifier in template for identifier in identifiers)
    assert template.count("/part") == len(identifiers)


@given(segment=st.text(min_size=1, max_size=30), query=st.text(max_size=30))
def test_query_fragment_and_slashes_change_nothing(segment: str, query: str) -> None:
    assume(not set(segment) & set("?#;/"))
    plain = NO_PINS.template(f"/a/{segment}")
    for path in (
        f"/a/{segment}?{query}",
        f"/a/{segment}#{query}",
        f"//a///{segment}/",
        f"/a;v=1/{segment};{query.partition('/')[0]}",
    ):
        assert NO_PINS.template(path) == plain
    assert NO_PINS.template(f"https://example.org:1{path}") == plain


@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_encoding_is_undone_by_decoding(text: str) -> None:
    assume(not any(placeholder in text for placeholder in PLACEHOLDERS))
    encoded = encode_segment(text)
    assert decode_segment(encoded) == text
    assert not set(encoded) & set("/?#; {}")


@given(number=st.integers(min_value=0))
def test_the_values_of_one_parameter_are_one_endpoint(number: int) -> None:
    """Every number, every UUID, every e-mail address: one template each."""
    assert NO_PINS.template(f"/orders/{number}") == "/orders/{id}"
    assert NO_PINS.template(f"/orders/{uuid.UUID(int=number % 2**128)}") == "/orders/{uuid}"
    assert NO_PINS.template(f"/orders/u{number}@example.com") == "/orders/{email}"


@given(
    texts=st.lists(st.text("ab-", max_size=3), min_size=2, max_size=5).filter(
        lambda texts: all(texts[1:-1]) and any(texts)
    ),
    segment=st.text("ab-", min_size=1, max_size=14),
)
def test_a_parameter_within_a_segment_stands_for_any_text(texts: list[str], segment: str) -> None:
    """The same as a regular expression with ``.+`` for each parameter says, without its retries."""
    pin = "/r/" + "{x}".join(texts)
    expected = re.fullmatch(".+".join(map(re.escape, texts)), segment) is not None
    assert (RouteTemplates([pin]).endpoint("GET", f"/r/{segment}", 404) == f"GET {pin}") is expected
