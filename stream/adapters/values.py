"""Single values as gateways write them: numbers or text by version, and addresses with ports or in lists."""

import ipaddress
from functools import lru_cache

from stream.adapters.fields import invalid, status_of

Number = str | int | float | None
"""A number, or its digits as text; None, empty and ``-`` where a gateway has none."""

_LONGEST_ADDRESS = 64  # characters; an IPv6 address with a zone is shorter
_MOST_MILLISECONDS = 1e12
_MOST_DIGITS = 15


def status_number(value: Number) -> int:
    """Return a status code of 0 to 999; 0 where there is none.

    Raises:
        Rejected: it is no such number.
    """
    if type(value) is int and 0 <= value <= 999:
        return value
    if value is None:
        return 0
    if isinstance(value, str):
        return status_of(value)
    if 0 <= value <= 999 and value == int(value):  # Envoy once sorted keys by way of floats: 200.0
        return int(value)
    raise invalid("status", "not a number from 0 to 999")


def whole_milliseconds(value: float) -> int:
    """Return a time to the millisecond; a number with a fraction is a product of seconds, and off by less than one."""
    return value if type(value) is int else round(value)


def duration_of(value: Number, field: str) -> float | None:
    """Return milliseconds, None where there are none.

    A negative number is none: the gateway's clock was set back while it worked.

    Raises:
        Rejected: neither a number nor digits, or more than 31 years.
    """
    if value is None:
        return None
    if isinstance(value, str):
        if value in {"", "-"}:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
            raise invalid(field, "not milliseconds")
        value = int(value)
    if value < 0:
        return None
    if value >= _MOST_MILLISECONDS:
        raise invalid(field, "not milliseconds")
    return float(value)


def host_of(text: str | None) -> str:
    """Return an address without port and brackets, ``192.0.2.7:4711`` or ``[2001:db8::7]:4711``; empty when none."""
    if not text or text == "-":
        return ""
    if text[0] == "[":
        return text[1:].partition("]")[0]
    host, _, port = text.rpartition(":")
    return host if port.isdecimal() and ":" not in host else text


def forwarded_address(forwarded: str, hops: int) -> str:
    """Return the address of whom trusted proxies forwarded for, of a list of forwarded ones; empty if it is none.

    Each proxy adds whom it was asked by, so the last address is what the proxy next to the gateway saw. Those before
    the last ``hops`` are what others say, the first one the client. A list that is shorter came past one of the
    proxies: its first address is still one that a trusted proxy wrote.

    Args:
        forwarded: addresses, separated by commas.
        hops: how many proxies are trusted, at least 1.
    """
    return _checked_address(forwarded.rsplit(",", hops)[-hops:][0].strip()[: _LONGEST_ADDRESS + 1])


@lru_cache(16_384)
def _checked_address(text: str) -> str:
    address = host_of(text)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return ""
    return address if len(address) <= _LONGEST_ADDRESS else ""
