"""Encoders: simulated calls as the log lines of the formats that gatewatch reads (``stream.adapters``)."""

import datetime as dt
import re
import zlib
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

import msgspec

from stream.simulator.visits import SimulatedCall

Encoder = Callable[[SimulatedCall], bytes]
"""Makes one line, without its end."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_AGENT = "Mozilla/5.0 (compatible; gatewatch-simulator)"
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
_json = msgspec.json.Encoder()


class TrafficFormat(StrEnum):
    """Formats that simulated calls can be written in; names as in settings."""

    GATEWATCH = "gatewatch"
    """gatewatch's own JSON: whole milliseconds, the client by name."""
    NGINX_JSON = "nginx-json"
    """NGINX with the log format of ``deploy/nginx-log-format.conf``; durations in whole milliseconds."""
    COMBINED = "combined"
    """NGINX's and Apache's combined lines with the request time at the end: whole seconds, no request id."""

    @property
    def by_address(self) -> bool:
        """Whether clients should be known by their address: web servers see no names before a login."""
        return self is not TrafficFormat.GATEWATCH


class _NginxLine(msgspec.Struct):
    """The fields of ``deploy/nginx-log-format.conf`` in its order."""

    msec: str
    remote_addr: str
    remote_user: str
    request_method: str
    path: str
    status: str
    request_time: str
    request_id: str


def encoder(format: TrafficFormat) -> Encoder:  # noqa: A002 -- the word that settings use
    """Return the encoder of a format."""
    return _ENCODERS[format]


def encode_nginx_json(call: SimulatedCall) -> bytes:
    """Return a call as a line of NGINX's JSON log: stamped at its end, without its query."""
    took_ms = round(call.duration_ms)
    end = call.time + took_ms
    line = _NginxLine(
        msec=f"{end // 1000}.{end % 1000:03d}",
        remote_addr=call.address,
        remote_user=call.user,
        request_method=call.method,
        path=call.path.partition("?")[0],
        status=f"{call.status:03d}",
        request_time=f"{took_ms // 1000}.{took_ms % 1000:03d}",
        request_id=call.request_id,
    )
    return _json.encode(line)


def encode_combined(call: SimulatedCall) -> bytes:
    """Return a call as a combined line: stamped at its end, followed by the request time."""
    took_ms = round(call.duration_ms)
    stamp = _clf((call.time + took_ms) // 1000)
    request = escaped(f"{call.method} {call.path} HTTP/1.1")
    sent = 0 if call.status == 204 or call.method == "HEAD" else 120 + (zlib.crc32(call.path.encode()) & 0xFFF)
    line = (
        f'{call.address} - {escaped(call.user) or "-"} [{stamp}] "{request}" {call.status:03d} {sent} "-" "{_AGENT}" '
        f"{took_ms // 1000}.{took_ms % 1000:03d}"
    )
    return line.encode("ascii")


def escaped(text: str) -> str:
    r"""Return text as NGINX writes it into a log: quotes, backslashes and all but printable ASCII as ``\xHH``."""
    return _UNSAFE.sub(_hex, text)


def _hex(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


@lru_cache(16)
def _clf(second: int) -> str:
    """Return a CLF timestamp in UTC."""
    minutes, seconds = divmod(second, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    date = dt.date.fromordinal(_EPOCH_DAY + days)
    return f"{date.day:02d}/{_MONTHS[date.month - 1]}/{date.year}:{hour:02d}:{minute:02d}:{seconds:02d} +0000"


_ENCODERS: dict[TrafficFormat, Encoder] = {
    TrafficFormat.GATEWATCH: _json.encode,
    TrafficFormat.NGINX_JSON: encode_nginx_json,
    TrafficFormat.COMBINED: encode_combined,
}
