"""Times as logs write them, to exact epoch milliseconds.

The minute's beginning is cached: log lines come in the order of their times, so that nearly all share their minute
with the line before.
"""

import re
from datetime import date
from functools import lru_cache

EARLIEST = 946_684_800_000
"""2000-01-01T00:00:00Z; earlier times are no log times (a clock not set, seconds taken for milliseconds)."""

LATEST = 4_102_444_800_000
"""2100-01-01T00:00:00Z; times from here on are no log times (microseconds taken for milliseconds)."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MONTHS = {name: i for i, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)}  # noqa: SIM905 -- reads better
_CLF_MINUTE = re.compile(r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([+-])([0-9]{2})([0-9]{2})")
_RFC3339_MINUTE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):")
_RFC3339_REST = re.compile(r"([0-9]{2})(?:[.,]([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))")


@lru_cache(4_096)
def clf_time(text: str) -> int:
    """Return the time of a CLF timestamp, ``17/May/2015:10:05:03 +0000``, 26 characters.

    Raises:
        ValueError: the text is no such timestamp.
    """
    if len(text) != 26 or text[17] != ":" or text[20] != " ":
        raise ValueError("not dd/Mon/yyyy:hh:mm:ss +hhmm")
    return _clf_minute(text[:18] + text[21:]) + _second(text[18:20])


def rfc3339_time(text: str) -> int:
    """Return the time of an RFC 3339 timestamp; what is below a millisecond is cut off.

    A blank for the ``T``, a comma for the point and an offset without colon (ISO 8601) are read too.

    Raises:
        ValueError: the text is no such timestamp, or has no offset.
    """
    if text[-1:] == "Z" and text[19:20] == "." and (fraction := text[20:-1]).isdigit() and fraction.isascii():
        return _rfc3339_second(text[:19]) + int(fraction[:3].ljust(3, "0"))  # as nearly all are
    rest = _RFC3339_REST.fullmatch(text, 17)
    if rest is None:
        raise ValueError("not yyyy-mm-ddThh:mm:ss with Z or an offset")
    seconds, digits, sign, hours, minutes = rest.groups()
    time = _rfc3339_minute(text[:17]) + _second(seconds)
    if digits:
        time += int(digits[:3].ljust(3, "0"))
    return time - _offset(sign, hours, minutes) if sign else time


def seconds_time(text: str) -> int:
    """Return the time of epoch seconds with an optional fraction, ``1700000000.123``; exact, never through a float.

    Raises:
        ValueError: the text is no such number.
    """
    whole, point, fraction = text.partition(".")
    if len(fraction) != 3 and point:
        if not (fraction.isascii() and fraction.isdigit()):
            raise ValueError("not epoch seconds")
        fraction = fraction[:3].ljust(3, "0")
    digits = whole + (fraction or "000")
    if not (digits.isdigit() and digits.isascii() and 0 < len(whole) <= 12):
        raise ValueError("not epoch seconds")
    return int(digits)


@lru_cache(1_024)
def _clf_minute(text: str) -> int:
    match = _CLF_MINUTE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        raise ValueError("not dd/Mon/yyyy:hh:mm:ss +hhmm")
    day, month, year, hour, minute, sign, hours, minutes = match.groups()
    return _minute(int(year), _MONTHS[month], int(day), int(hour), int(minute)) - _offset(sign, hours, minutes)


@lru_cache(4_096)
def _rfc3339_second(text: str) -> int:
    return _rfc3339_minute(text[:17]) + _second(text[17:])


@lru_cache(1_024)
def _rfc3339_minute(text: str) -> int:
    match = _RFC3339_MINUTE.fullmatch(text)
    if match is None:
        raise ValueError("not yyyy-mm-ddThh:mm:ss")
    year, month, day, hour, minute = map(int, match.groups())
    return _minute(year, month, day, hour, minute)


def _minute(year: int, month: int, day: int, hour: int, minute: int) -> int:
    if hour > 23 or minute > 59:
        raise ValueError("no such time of day")
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    return ((days * 24 + hour) * 60 + minute) * 60_000


def _second(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 60:  # 60 is a leap second
        raise ValueError("no such second")
    return int(text) * 1000


def _offset(sign: str, hours: str, minutes: str) -> int:
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("no such offset")
    offset = (int(hours) * 60 + int(minutes)) * 60_000
    return -offset if sign == "-" else offset
