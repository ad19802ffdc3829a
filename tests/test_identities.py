"""Who a client is: the chain of names, in every format that has them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters import IdentityChain, decoder
from stream.adapters.fields import LONGEST_CLIENT
from stream.dead_letters import Rejected
from tests.identity_records import AGENT, ALL, CLIENT, COOKIE, NAMES, NGINX, PEER, PROXY, RECORDS


def call_of(name: str, record: bytes, **chain: Any) -> ApiCall:
    (call,) = decoder(name, RouteTemplates(), IdentityChain(**chain))(record).calls
    return call


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("kind", Identity)
def test_each_kind_names_the_client_where_the_format_has_it_and_else_the_address_does(
    name: str, kind: Identity
) -> None:
    call = call_of(name, RECORDS[name], order=(kind, Identity.ADDRESS))

    named = kind in NAMES[name]
    assert call.identity == (kind if named else Identity.ADDRESS)
    assert call.client == (NAMES[name][kind] if named else call.address)


@pytest.mark.parametrize("name", RECORDS)
def test_the_first_kind_of_the_order_that_a_call_has_wins(name: str) -> None:
    for order in (ALL, (*tuple(sorted(ALL[:-1])), Identity.ADDRESS)):
        first = next(kind for kind in order if kind in NAMES[name])
        assert call_of(name, RECORDS[name], order=order).identity == first


@pytest.mark.parametrize("name", RECORDS)
def test_neither_cookie_nor_agent_is_in_a_call(name: str) -> None:
    for kind in Identity:
        call = repr(call_of(name, RECORDS[name], order=(kind, Identity.ADDRESS)))
        assert COOKIE not in call
        assert AGENT not in call


REFUSED = {
    "nginx-json": (b'"200"', b'"401"'),
    "combined": (b'" 200 ', b'" 401 '),
    "aws-apigateway": (b'"200"', b'"401"'),
    "otlp-json": (b'"200"', b'"401"'),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_refused_call_counts_for_the_address_whoever_it_was_said_to_be_of(name: str) -> None:
    old, new = REFUSED.get(name, (b": 200", b": 401"))
    assert RECORDS[name].count(old) == 1

    refused = RECORDS[name].replace(old, new)

    call = call_of(name, refused, order=(*(kind for kind in ALL if kind is not Identity.ADDRESS_AGENT),))
    assert (call.status, call.identity, call.client) == (401, Identity.ADDRESS, call.address)
    if Identity.ADDRESS_AGENT in NAMES[name]:
        assert call_of(name, refused, order=ALL).identity == Identity.ADDRESS_AGENT


@pytest.mark.parametrize(
    ("name", "hops", "address"),
    [
        ("nginx-json", 0, PEER),
        ("nginx-json", 1, PROXY),
        ("nginx-json", 2, CLIENT),
        ("traefik", 0, PROXY),
        ("traefik", 1, PROXY),
        ("traefik", 2, CLIENT),
        ("envoy", 0, PEER),
        ("envoy", 1, PROXY),
        ("envoy", 2, CLIENT),
        ("otlp-json", 0, PEER),
        ("otlp-json", 2, CLIENT),
        ("ocsf", 0, PEER),
        ("ocsf", 2, CLIENT),
        ("ocsf", 3, CLIENT),
    ],
)
def test_so_many_proxies_as_are_trusted_are_believed(name: str, hops: int, address: str) -> None:
    call = call_of(name, RECORDS[name], order=(Identity.ADDRESS,), trusted_hops=hops)

    assert (call.client, call.address) == (address, address)


def test_a_forwarded_address_that_is_none_is_passed_over_for_the_peer() -> None:
    record = json.dumps(NGINX | {"http_x_forwarded_for": "6.6.6.6, unknown"}).encode()

    assert call_of("nginx-json", record, trusted_hops=1).address == PEER


names = st.none() | st.text(max_size=8) | st.sampled_from(["-", " ", "x" * (LONGEST_CLIENT + 1)])


@settings(deadline=None)
@given(
    found=st.tuples(*[names] * 6),
    order=st.permutations(ALL[:-1]).map(lambda kinds: (*kinds, Identity.ADDRESS)),
    status=st.sampled_from([200, 401, 0]),
)
def test_whatever_names_there_are_a_client_with_an_address_is_named(
    found: tuple[str | None, ...], order: tuple[Identity, ...], status: int
) -> None:
    client, kind = IdentityChain(order).client_of(*ALL[:-1])(found, PEER, status, "address")

    assert kind in order
    assert 0 < len(client) <= LONGEST_CLIENT
    assert client not in {"-", " "}
    assert (client == PEER) or kind is not Identity.ADDRESS
    assert status != 401 or kind in {Identity.ADDRESS, Identity.ADDRESS_AGENT}


def test_without_any_name_the_missing_address_is_said() -> None:
    with pytest.raises(Rejected, match="missing_field: ip is missing"):
        IdentityChain().client_of(Identity.USER)((None,), "-", 200, "ip")
