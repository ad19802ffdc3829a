"""The adapters' contract, their limits, and the real log."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.routes import RouteTemplates
from stream.adapters import FORMATS, Decoded, Reject, decoder
from stream.adapters.decoded import MOST_ELEMENTS, record_decoder
from stream.adapters.fields import LONGEST_PATH
from stream.adapters.times import clf_time, rfc3339_time, seconds_time
from stream.dead_letters import Reason, Rejected
from stream.sections.kafka import InputFormat

ROOT = Path(__file__).parents[1]
REAL_LOG = ROOT / "tests/data/elastic_apache_access.log"


def decode(format_name: str, record: bytes | None, *pinned: str) -> Decoded:
    return decoder(format_name, RouteTemplates(pinned))(record)


def gatewatch(**fields: object) -> bytes:
    return msgspec.json.encode({"time": 1_700_000_000_123, "client": "alice", "method": "GET", "path": "/a"} | fields)


def test_an_unknown_format_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no input format 'syslog'; there are gatewatch, api-call, nginx-json, "):
        decoder("syslog", RouteTemplates())


def test_each_format_goes_by_its_name() -> None:
    assert {name: adapter.name for name, adapter in FORMATS.items()} == {name: name for name in FORMATS}
    assert set(FORMATS) == set(get_args(InputFormat))


def test_pinned_routes_reach_every_format() -> None:
    line = b'192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /users/alice HTTP/1.1" 404 5'
    for format_name in ("combined", "auto"):
        assert decode(format_name, line, "/users/{name}").calls[0].endpoint == "GET /users/{name}"
    assert decode("gatewatch", gatewatch(path="/users/alice"), "/users/{name}").calls[0].endpoint == "GET /users/{name}"


class TestLimits:
    @pytest.mark.parametrize("separator", [b"\n", b","])
    def test_a_record_may_hold_ten_thousand_elements(self, separator: bytes) -> None:
        body = separator.join([gatewatch()] * MOST_ELEMENTS)
        record = b"[" + body + b"]" if separator == b"," else body

        decoded = decode("gatewatch", record)

        assert (len(decoded.calls), decoded.rejects) == (MOST_ELEMENTS, [])

    @pytest.mark.parametrize("separator", [b"\n", b","])
    @pytest.mark.parametrize("element", [gatewatch(), b"{}"])
    @pytest.mark.parametrize("times", [MOST_ELEMENTS + 1, 70 * MOST_ELEMENTS])
    def test_a_record_of_more_elements_is_rejected_whole(self, separator: bytes, element: bytes, times: int) -> None:
        body = separator.join([element] * times)
        record = b"[" + body + b"]" if separator == b"," else body

        decoded = decode("gatewatch", record)

        assert decoded.calls == []
        assert [(r.reason, r.original == record, r.index) for r in decoded.rejects] == [
            (Reason.UNDECODABLE, True, None)
        ]
        assert "more than 10000 elements" in decoded.rejects[0].detail

    def test_a_path_may_have_65536_characters(self) -> None:
        longest = "/" + "a" * (LONGEST_PATH - 1)
        assert decode("gatewatch", gatewatch(path=longest)).calls[0].endpoint == "GET /{token}"
        assert (
            decode("gatewatch", gatewatch(path=longest + "a")).rejects[0].detail == "path: longer than 65536 characters"
        )

    @pytest.mark.parametrize("format_name", ["nginx-json", "combined", "aws-apigateway"])
    def test_a_longer_path_is_rejected_in_the_other_formats_too(self, format_name: str) -> None:
        path = "/" + "a" * LONGEST_PATH
        record = {
            "nginx-json": f'{{"msec":1700000000.1,"remote_addr":"::1","request_method":"GET","path":"{path}"}}',
            "aws-apigateway": f'{{"requestTimeEpoch":1700000000123,"ip":"::1","httpMethod":"GET","path":"{path}"}}',
            "combined": f'::1 - - [14/Nov/2023:22:13:20 +0000] "GET {path} HTTP/1.1" 414 0',
        }[format_name]
        assert decode(format_name, record.encode()).rejects[0].detail == "path: longer than 65536 characters"

    def test_a_defect_is_one_elements_internal_error(self) -> None:
        """And its detail names the kind of exception only: a message could hold what the client sent."""

        def broken(element: bytes) -> ApiCall:
            if element == b"2":
                raise KeyError("secret")
            if b" " in element:
                raise Rejected(Reason.UNDECODABLE, "several")
            return ApiCall(int(element), "c", "GET /")

        decoded = record_decoder("x", broken, bytes.split)(b"1 2 3")

        assert [call.time for call in decoded.calls] == [1, 3]
        assert decoded.rejects == [Reject(Reason.INTERNAL_ERROR, "reading x raised KeyError", b"2", 1)]

    def test_a_record_that_is_one_element_is_read_once(self) -> None:
        """Every line in an envelope of a shipper comes this way first."""
        read: list[bytes] = []

        def broken(element: bytes) -> ApiCall:
            read.append(element)
            raise KeyError("secret")

        decoded = record_decoder("x", broken, lambda _: None)(b"1")

        assert read == [b"1"]
        assert decoded.rejects == [Reject(Reason.INTERNAL_ERROR, "reading x raised KeyError", b"1")]


class TestTimes:
    MOMENTS = st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2099, 12, 30))  # noqa: DTZ001 -- hypothesis wants them bare
    OFFSETS = st.integers(min_value=-14 * 60, max_value=14 * 60)

    @settings(deadline=None)
    @given(moment=MOMENTS, offset=OFFSETS)
    def test_rfc3339_is_exact_to_the_millisecond(self, moment: datetime, offset: int) -> None:
        local = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset)))
        assert rfc3339_time(local.isoformat(timespec="microseconds")) == epoch_ms(moment)

    @settings(deadline=None)
    @given(moment=MOMENTS, offset=OFFSETS)
    def test_clf_is_exact_to_the_second(self, moment: datetime, offset: int) -> None:
        local = moment.replace(microsecond=0, tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset)))
        assert clf_time(local.strftime("%d/%b/%Y:%H:%M:%S %z")) == epoch_ms(moment.replace(microsecond=0))

    @settings(deadline=None)
    @given(ms=st.integers(min_value=0, max_value=10**13))
    def test_epoch_seconds_are_exact(self, ms: int) -> None:
        assert seconds_time(f"{ms // 1000}.{ms % 1000:03d}") == ms

    @pytest.mark.parametrize("read", [clf_time, rfc3339_time, seconds_time])
    @settings(deadline=None)
    @given(text=st.text())
    def test_other_text_is_a_value_error(self, read: Callable[[str], int], text: str) -> None:
        try:
            assert isinstance(read(text), int)
        except ValueError:
            return

    @pytest.mark.parametrize(
        ("read", "text"),
        [
            (seconds_time, "\u0661" * 10),
            (clf_time, "14/Nov/2023:22:13:\u0662\u0660 +0000"),
            (rfc3339_time, "2023-11-14T22:13:\u0662\u0660Z"),
            (rfc3339_time, "\u0662\u066023-11-14T22:13:20Z"),
        ],
    )
    def test_digits_of_other_scripts_are_no_digits(self, read: Callable[[str], int], text: str) -> None:
        with pytest.raises(ValueError, match=r"not|no such"):
            read(text)


def epoch_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001 -- both bare, both UTC


class TestNginxLogFormat:
    CONF = (ROOT / "deploy/nginx-log-format.conf").read_text()
    VALUES = {  # noqa: RUF012 -- never changed
        "msec": "1700000000.123",
        "remote_addr": "192.0.2.7",
        "remote_user": "alice",
        "request_method": "GET",
        "gatewatch_path": "/orders/42",
        "status": "200",
        "request_time": "0.005",
        "request_id": "cdae69cd",
    }

    def log_line(self) -> str:
        """Return a line as NGINX would write it with the shipped configuration."""
        body = "".join(re.findall(r"^ +'(.*)';?$", self.CONF, re.MULTILINE))
        return re.sub(r"\$(\w+)", lambda variable: self.VALUES[variable[1]], body)

    @pytest.mark.parametrize("format_name", ["nginx-json", "auto"])
    def test_the_shipped_log_format_is_read(self, format_name: str) -> None:
        decoded = decode(format_name, self.log_line().encode())
        assert decoded == Decoded(
            [
                ApiCall(
                    1_700_000_000_118,
                    "alice",
                    "GET /orders/{id}",
                    200,
                    5.0,
                    "cdae69cd",
                    "user",
                    "192.0.2.7",
                    RouteTemplates().target("GET", "/orders/42", 200).object_id,
                )
            ],
            [],
            "nginx-json",
        )

    def test_the_shipped_log_format_uses_each_variable_once(self) -> None:
        assert all(self.CONF.count(f'"${name}"') == 1 for name in self.VALUES)


class TestRealLog:
    """10,000 lines of a real web server; see tests/data/README.md."""

    LINES = REAL_LOG.read_bytes().splitlines()

    @pytest.mark.parametrize("format_name", ["combined", "auto"])
    def test_every_line_is_a_call(self, format_name: str) -> None:
        read = decoder(format_name, RouteTemplates())
        calls = [call for line in self.LINES for call in read(line).calls]

        assert len(calls) == len(self.LINES) == 10_000
        assert len({call.client for call in calls}) == 1_753
        assert Counter(call.status for call in calls) == {
            200: 9_126,
            304: 445,
            404: 213,
            301: 164,
            206: 45,
            500: 3,
            403: 2,
            416: 2,
        }
        assert (min(c.time for c in calls), max(c.time for c in calls)) == (1_431_857_100_000, 1_432_155_959_000)
        assert all("?" not in call.endpoint for call in calls)

    def test_the_whole_file_is_one_record_too(self) -> None:
        decoded = decode("combined", REAL_LOG.read_bytes())
        one_by_one = decoder("combined", RouteTemplates())
        assert decoded.rejects == []
        assert decoded.calls == [call for line in self.LINES for call in one_by_one(line).calls]

    def test_a_site_of_1387_paths_has_fewer_endpoints(self) -> None:
        """Most paths of this site are words and files, which are endpoints; numbers and scanners' paths are not."""
        read = decoder("combined", RouteTemplates())
        endpoints = {call.endpoint for line in self.LINES for call in read(line).calls}
        assert len(endpoints) == 1_166
        assert not any(re.search(r"/\d{3,}(/|$)", endpoint) for endpoint in endpoints)
