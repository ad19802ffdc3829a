"""Simulated calls survive the formats that they are written in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.routes import RouteTemplates
from stream.adapters import decoder
from stream.simulator import SimulatedCall, SimulationOptions, simulate
from stream.simulator.encoders import TrafficFormat, encoder

ROUTES = RouteTemplates()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CLIENTS = TEXT.filter(lambda text: text.strip() not in {"", "-"} and not text.isspace())
CALLS = st.builds(
    SimulatedCall,
    time=st.integers(1_000_000_000_000, 4_000_000_000_000),
    client=CLIENTS,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=TEXT.map(lambda text: "/" + text),
    status=st.sampled_from([200, 204, 403, 500]),
    duration_ms=st.floats(0, 100_000),
    request_id=st.text("0123456789abcdef", min_size=32, max_size=32),
    address=st.sampled_from(["192.0.2.1", "2001:db8::1"]),
)


def decoded(format_: TrafficFormat, input_format: str, call: SimulatedCall) -> ApiCall:
    """Return the one call that a detector reads from a line."""
    line = encoder(format_)(call)
    found = decoder(input_format, ROUTES)(line)
    assert b"\n" not in line
    assert not found.rejects
    assert len(found.calls) == 1
    return found.calls[0]


@pytest.mark.parametrize("input_format", ["own name", "auto"])
@pytest.mark.parametrize("format_", TrafficFormat)
def test_every_simulated_call_is_read_back(format_: TrafficFormat, input_format: str) -> None:
    options = SimulationOptions(duration_s=10, rate=300, attack_share=0.3, time_scale=30, by_address=format_.by_address)
    name = format_.value if input_format == "own name" else input_format

    for call in simulate(options):
        read = decoded(format_, name, call)
        assert (read.client, read.address) == (call.client, call.address)
        assert read.status == call.status
        assert read.endpoint == ROUTES.endpoint(call.method, call.path, call.status)
        if format_ is TrafficFormat.COMBINED:
            assert 0 <= call.time - read.time < 1_000
            assert read.request_id is None
        else:
            assert read.time == call.time
            assert read.request_id == call.request_id
        assert read.duration_ms == pytest.approx(call.duration_ms, abs=0.5)


@pytest.mark.parametrize("format_", TrafficFormat)
@given(call=CALLS)
def test_no_client_or_path_can_break_a_line(format_: TrafficFormat, call: SimulatedCall) -> None:
    """Quotes, backslashes, control characters and other scripts are escaped as the servers do it."""
    read = decoded(format_, format_.value, call)

    assert read.client == call.client
    assert read.status == call.status


def test_a_combined_line_is_as_nginx_writes_it() -> None:
    call = SimulatedCall(1_767_225_600_990, "2001:db8::1", "GET", '/a"b?q=é', 200, 20.4, "0" * 32, "2001:db8::1")

    line = encoder(TrafficFormat.COMBINED)(call).decode("ascii")

    assert re.fullmatch(
        r'2001:db8::1 - - \[01/Jan/2026:00:00:01 \+0000\] "GET /a\\x22b\?q=\\xC3\\xA9 HTTP/1\.1" '
        r'200 \d+ "-" "[^"]+" 0\.020',
        line,
    )


def test_an_nginx_json_line_has_the_fields_of_the_shipped_log_format() -> None:
    call = SimulatedCall(1_767_225_600_990, "usr_1", "GET", "/v1/search?q=lamp", 200, 20.4, "ab" * 16, "198.18.0.7")

    line = encoder(TrafficFormat.NGINX_JSON)(call).decode()

    assert re.fullmatch(
        r'\{"msec":"1767225601\.010","remote_addr":"198\.18\.0\.7","remote_user":"usr_1","request_method":"GET",'
        r'"path":"/v1/search","status":"200","request_time":"0\.020","request_id":"(ab){16}"\}',
        line,
    )
