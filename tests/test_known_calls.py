"""One client's calls in a log, and how their paths became endpoints."""

import json
from functools import partial

from featurizer.calls import encode_call
from stream.adapters import decoder
from stream.known_calls import ClientCalls, Decision, decisions, walked

PINNED = ["GET /users/{name}"]
NOON = 1_700_000_000_000


def line(at: int, path: str, client: str = "ann", **more: object) -> bytes:
    return json.dumps({"time": NOON + at, "client": client, "method": "GET", "path": path, **more}).encode()


def calls_of(*lines: bytes, log_format: str = "gatewatch") -> ClientCalls:
    own = ClientCalls("ann", partial(decoder, log_format), PINNED)
    for each in lines:
        own.decode(each)
    return own


def test_a_path_is_told_without_its_query_and_with_what_made_its_endpoint() -> None:
    own = calls_of(
        line(0, "/orders/42?token=secret"),
        line(1, "/users/kim"),
        line(2, "/x/y", route="/x/{own}"),
        line(3, "/admin", status=404),
    )
    assert [each.decision for each in own.calls] == [
        Decision("/orders/42", "GET /orders/{id}", "the rules"),
        Decision("/users/kim", "GET /users/{name}", "a pinned route"),
        Decision("/x/y", "GET /x/{own}", "the gateway's route"),
        Decision("/admin", "GET {unmatched}", "status 404"),
    ]


def test_only_the_client_s_calls_are_kept_whatever_else_a_record_holds() -> None:
    many = line(0, "/a") + b"\n" + line(1, "/b", "bob") + b"\n{}\n" + line(2, "/c")
    own = ClientCalls("ann", partial(decoder, "gatewatch"), ())
    decoded = own.decode(many)
    assert (len(decoded.calls), len(decoded.rejects)) == (3, 1)
    assert [each.decision.path for each in own.calls if each.decision] == ["/a", "/c"]


def test_a_log_of_endpoints_has_no_paths() -> None:
    call = calls_of(line(0, "/orders/42")).calls[0].call
    (known,) = calls_of(encode_call(call), log_format="api-call").calls
    assert (known.call, known.decision) == (call, None)


def test_calls_of_a_session_are_its_first_ones_between_its_ends() -> None:
    own = calls_of(*(line(at, f"/{at}") for at in (0, 10, 30, 20, 40)))
    assert [each.call.time - NOON for each in own.between(NOON + 10, NOON + 40, 3)] == [10, 30, 20]


def test_transitions_are_counted_and_excluded_methods_are_none() -> None:
    paths = ["/a", "/b", "/a", "/b"]
    own = calls_of(*(line(at, path) for at, path in enumerate(paths)), line(9, "/b", method="OPTIONS"))
    assert walked(own.calls, ["HEAD", "OPTIONS"]) == {("GET /a", "GET /b"): 2, ("GET /b", "GET /a"): 1}


def test_decisions_of_one_endpoint_come_together() -> None:
    own = calls_of(*(line(at, path) for at, path in enumerate(["/orders/1", "/a", "/orders/2", "/orders/1"])))
    assert [(each.path, count) for each, count in decisions(own.calls)] == [
        ("/orders/1", 2),
        ("/orders/2", 1),
        ("/a", 1),
    ]
