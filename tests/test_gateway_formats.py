"""What holds for the formats of gateways, whatever their clients send."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters import IdentityChain, decoder
from stream.adapters.fields import LONGEST_PATH
from stream.adapters.values import duration_of, forwarded_address, host_of, status_number, whole_milliseconds
from stream.dead_letters import Rejected
from tests import fuzz_adapters
from tests.identity_records import ALL

FORMATS = ("kong", "apisix", "traefik", "envoy")
DECODERS = {name: decoder(name, RouteTemplates()) for name in (*FORMATS, "auto")}
WITH_ALL_NAMES = {name: decoder(name, RouteTemplates(), IdentityChain(ALL, 2)) for name in FORMATS}
START = 1_700_000_000_123
START_TEXT = "2023-11-14T22:13:20.123Z"
PEER = "192.0.2.7"
MARK = "\x7fclient's bytes\x7f"
"""Stands for raw bytes of a client: a gateway may write what is no UTF-8 as it came."""

GATEWAYS_MD = (Path(__file__).parents[1] / "docs/gateways.md").read_text(encoding="utf-8")

texts = st.text(st.characters(codec="utf-8"), max_size=40)
headers = st.dictionaries(
    texts | st.sampled_from(["client", "remote_addr", "started_at", "start_time", "RequestPath", "time", "msec"]),
    texts | st.lists(texts, max_size=3) | st.booleans(),
    max_size=4,
)


def expected(duration: float | None = None, request_id: str | None = None) -> ApiCall:
    """Return the call that ``GET /orders/42`` is in each format."""
    endpoint, object_id = RouteTemplates().target("GET", "/orders/42", 200)
    return ApiCall(START, PEER, endpoint, 200, duration, request_id, Identity.ADDRESS, PEER, object_id)


def entries(name: str, method: str, target: str, sent: Mapping[str, Any], forwarded: str) -> list[dict[str, Any]]:
    """Return what a gateway may write of a request, given all that a client can choose."""
    if name in {"kong", "apisix"}:
        request = {"method": method, "uri": target, "headers": sent, "querystring": sent, "id": "r"}
        time = {"kong": "started_at", "apisix": "start_time"}[name]
        return [{time: START, "request": request, "client_ip": PEER, "response": {"status": 200, "headers": sent}}]
    if name == "traefik":
        line = {"StartUTC": START_TEXT, "RequestMethod": method, "RequestPath": target, "DownstreamStatus": 200}
        line |= {f"request_{header}": text for header, text in sent.items()}
        return [
            line | {"ClientHost": PEER, "ClientAddr": f"{PEER}:4711"},
            line | {"ClientHost": forwarded, "ClientAddr": f"{PEER}:4711"},
            line | {"ClientHost": forwarded or "x"},  # Traefik takes an empty header for none
            line | {"ClientHost": PEER, "ClientUsername": forwarded},
        ]
    line = {"start_time": START_TEXT, "method": method, "path": target, "response_code": 200, "request_id": forwarded}
    line |= {"downstream_remote_address": f"{PEER}:4711", "x_forwarded_for": forwarded, "user_agent": forwarded}
    return [line, line | {"method": None, "path": None}, {k: v for k, v in line.items() if k not in {"method", "path"}}]


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(line=st.tuples(texts, texts), raw=st.binary(max_size=20), sent=headers, forwarded=texts)
def test_nothing_that_a_client_can_choose_makes_a_reject(
    name: str, line: tuple[str, str], raw: bytes, sent: dict[str, Any], forwarded: str
) -> None:
    method, target = line
    bytes_of_client = re.sub(rb'[\x00-\x1f"\\]', b"?", raw)  # gateways escape these
    for entry in entries(name, method, target + MARK, sent, forwarded):
        record = msgspec.json.encode(entry).replace(msgspec.json.encode(MARK)[1:-1], bytes_of_client)

        decoded = DECODERS[name](record)

        assert (len(decoded.calls), decoded.rejects) == (1, [])
        fuzz_adapters.check(record, decoded)
        assert DECODERS["auto"](record) == decoded
        chained = WITH_ALL_NAMES[name](record)
        assert (len(chained.calls), chained.rejects) == (1, [])


@pytest.mark.parametrize("name", FORMATS)
def test_a_path_may_have_65536_characters_in_each(name: str) -> None:
    longest = "/" + "a" * (LONGEST_PATH - 1)
    (fits, *_), (too_long, *_) = (entries(name, "GET", path, {}, PEER) for path in (longest, longest + "a"))

    assert DECODERS[name](msgspec.json.encode(fits)).calls[0].endpoint == "GET /{token}"
    assert DECODERS[name](msgspec.json.encode(too_long)).rejects[0].detail.endswith("longer than 65536 characters")


@pytest.mark.parametrize("name", FORMATS)
def test_all_four_read_the_same_call_alike(name: str) -> None:
    entry = entries(name, "GET", "/orders/42?token=secret", {}, "-")[0]

    (call,) = DECODERS[name](msgspec.json.encode(entry)).calls

    assert call == expected(request_id={"kong": "r"}.get(name))


class TestAddresses:
    @settings(deadline=None)
    @given(address=st.ip_addresses(), port=st.integers(0, 65_535))
    def test_a_port_is_taken_off(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
        bare = f"[{address}]" if address.version == 6 else str(address)

        assert host_of(f"{bare}:{port}") == host_of(bare) == host_of(str(address)) == str(address)

    @pytest.mark.parametrize("text", [None, "", "-", "[]:80"])
    def test_no_address_is_empty(self, text: str | None) -> None:
        assert host_of(text) == ""

    @pytest.mark.parametrize("text", ["@", "/run/envoy.sock", "envoy://internal_client_address/", "fe80::1%eth0"])
    def test_what_has_no_port_stays(self, text: str) -> None:
        assert host_of(text) == text

    @settings(deadline=None)
    @given(said=st.lists(texts, max_size=4), written=st.lists(st.ip_addresses().map(str), min_size=1, max_size=4))
    def test_what_clients_say_before_the_addresses_of_trusted_proxies_counts_for_nothing(
        self, said: list[str], written: list[str]
    ) -> None:
        assert forwarded_address(", ".join([*said, *written]), len(written)) == written[0]

    @settings(deadline=None)
    @given(written=st.lists(st.ip_addresses().map(str), min_size=1, max_size=4), more=st.integers(1, 10))
    def test_of_a_list_that_came_past_a_proxy_the_first_address_counts(self, written: list[str], more: int) -> None:
        assert forwarded_address(",".join(written), len(written) + more) == written[0]

    @settings(deadline=None)
    @given(text=st.text(st.characters(codec="utf-8", exclude_characters="0123456789abcdef:")))
    def test_what_is_no_address_counts_as_none(self, text: str) -> None:
        assert forwarded_address(f"192.0.2.1, {text}", 1) == ""


class TestNumbers:
    @settings(deadline=None)
    @given(status=st.integers(0, 999))
    def test_a_status_is_the_same_as_number_text_and_with_decimals(self, status: int) -> None:
        assert status_number(status) == status_number(str(status)) == status_number(float(status)) == status

    @pytest.mark.parametrize("nothing", [None, "", "-"])
    def test_no_value_is_no_value(self, nothing: str | None) -> None:
        assert (status_number(nothing), duration_of(nothing, "duration")) == (0, None)

    @pytest.mark.parametrize("value", [-1, 1_000, 200.5, 10**400, "1000", "-1", "2e2", "\u0662"])
    def test_what_is_no_status_is_rejected(self, value: float | str) -> None:
        with pytest.raises(Rejected, match="status: not a number from 0 to 999"):
            status_number(value)

    @pytest.mark.parametrize("value", ["12ms", "1.5", "-1", "9" * 16, 1e12, 10**400])
    def test_what_is_no_duration_is_rejected(self, value: float | str) -> None:
        with pytest.raises(Rejected, match="duration: not milliseconds"):
            duration_of(value, "duration")

    @settings(deadline=None)
    @given(ms=st.integers(946_684_800_000, 4_102_444_799_999))
    def test_milliseconds_made_of_seconds_are_exact(self, ms: int) -> None:
        assert whole_milliseconds(ms / 1000 * 1000) == whole_milliseconds(ms) == ms


class TestGatewaysPage:
    """docs/gateways.md says what to paste; the adapters read what comes of it."""

    def test_the_fields_that_envoy_is_told_to_log_are_those_that_are_read(self) -> None:
        block = GATEWAYS_MD[GATEWAYS_MD.index("json_format:") :].partition("```")[0]
        logged = dict(re.findall(r'^ +(\w+): "%(.+)%"$', block, re.MULTILINE))
        values = {"START_TIME": START_TEXT, "RESPONSE_CODE": 200, "DURATION": 12, "REQ(:METHOD)": "GET"}
        values |= {"REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "/orders/42", "REQ(X-REQUEST-ID)": "r1"}
        values |= {"DOWNSTREAM_REMOTE_ADDRESS": f"{PEER}:4711"}
        record = msgspec.json.encode({key: values[operator] for key, operator in logged.items()})

        assert DECODERS["auto"](record).calls == [expected(12.0, "r1")]
        assert len(logged) == len(values)

    def test_the_fields_that_traefik_must_keep_are_enough(self) -> None:
        kept = re.findall(r"`(\w+)`", GATEWAYS_MD[GATEWAYS_MD.index("`defaultMode: drop`") :].partition("\n-")[0])[:7]
        values = {"StartUTC": START_TEXT, "RequestMethod": "GET", "RequestPath": "/orders/42", "DownstreamStatus": 200}
        values |= {"Duration": 12_000_000, "ClientHost": PEER, "ClientAddr": f"{PEER}:4711"}
        record = msgspec.json.encode({key: values[key] for key in kept})

        assert DECODERS["auto"](record).calls == [expected(12.0)]

    def test_the_configuration_of_apisix_is_json_and_adds_the_request_id_that_is_read(self) -> None:
        (block,) = re.findall(r"```json\n(.*?)```", GATEWAYS_MD, re.DOTALL)
        plugin = msgspec.json.decode(block)["plugins"]["kafka-logger"]
        entry = entries("apisix", "GET", "/orders/42", {}, "")[0] | dict.fromkeys(plugin["log_format_extra"], "r1")

        assert DECODERS["apisix"](msgspec.json.encode([entry])).calls[0].request_id == "r1"
        assert plugin["meta_format"] == "default"
