"""An Alert as a line of ArcSight's Common Event Format.

Keys, lengths and escaping are those of "Implementing ArcSight Common Event Format (CEF)", version 0 of the format. A
value that is too long is cut: the whole alert is in no key.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from scorer.alerts import Alert
from scorer.severity import Severity
from stream.encodings.parts import TITLE, account_of, address_of, is_address, is_named
from stream.encodings.signs import risks_of, techniques_of
from stream.wire import product_version

SIGNATURE: Final = "api-call-behaviour"
"""Device Event Class ID: kind of the event."""

_SEVERITY: Final = {Severity.LOW: 3, Severity.MEDIUM: 6, Severity.HIGH: 8, Severity.CRITICAL: 10}
"""0 to 3 low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high."""
_LONG: Final = 4000
_MEDIUM: Final = 1023
_LINE_ENDS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
"""What a reader of lines, or of syslog, could take for the end of one."""


def encode_cef(alert: Alert, created: int) -> bytes:
    """Return the line, without an end, as UTF-8.

    Args:
        alert: the alert.
        created: when the alert is made, epoch milliseconds.
    """
    header = ("gatewatch", "gatewatch", product_version(), SIGNATURE, TITLE, str(_SEVERITY[alert.severity]))
    extension = " ".join(f"{key}={_escaped(value)}" for key, value in _extension(alert, created) if value)
    return "|".join(("CEF:0", *map(_header, header), extension)).encode("utf-8", "replace")


def _extension(alert: Alert, created: int) -> Iterator[tuple[str, str]]:
    yield "rt", str(created)
    yield "start", str(alert.start)
    yield "end", str(alert.end)
    yield "cnt", str(alert.calls)
    yield "cat", "API behaviour"
    yield "act", "finding updated" if alert.follows else "finding created"
    yield "externalId", alert.uid
    yield from _client(alert)
    yield "msg", _cut(alert.message, _MEDIUM)
    yield from _labelled("cfp1", "score", f"{alert.score:.6f}")
    yield from _labelled("cfp2", "threshold", f"{alert.threshold:.6f}")
    yield from _labelled("cs1", "finding", alert.session_id)
    yield from _labelled("cs2", "model", alert.model)
    yield from _labelled("cs3", "kind", f"{alert.kind}, {alert.occasion}")
    yield from _labelled("cs4", "features", ", ".join(item.feature for item in alert.contributions))
    yield from _labelled(
        "cs5", "rare transitions", ", ".join(f"{item.source} > {item.destination}" for item in alert.transitions)
    )
    named = [risk.uid for risk in risks_of(alert)]
    named += [(item.sub_technique or item.technique).uid for item in techniques_of(alert)]
    yield from _labelled("cs6", "signs", ", ".join(named))
    yield from _labelled("flexString1", "identity", alert.identity)
    if alert.suppression is not None:
        yield from _labelled("flexString2", "suppressed", _cut(account_of(alert.suppression), _MEDIUM))


def _client(alert: Alert) -> Iterator[tuple[str, str]]:
    if not is_address(alert):
        yield "suid", _cut(alert.client, _MEDIUM)
    if is_named(alert):
        yield "suser", _cut(alert.client, _MEDIUM)
    address = address_of(alert)
    if address is None:
        return
    if isinstance(ipaddress.ip_address(address), ipaddress.IPv4Address):
        yield "src", address
    else:
        yield from _labelled("c6a2", "Source IPv6 Address", address)


def _labelled(key: str, label: str, value: str) -> Iterator[tuple[str, str]]:
    if value:
        yield f"{key}Label", label
        yield key, _cut(value, _LONG)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _header(text: str) -> str:
    return _LINE_ENDS.sub(" ", text).replace("\\", "\\\\").replace("|", "\\|")


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")
    return _LINE_ENDS.sub(" ", text)
