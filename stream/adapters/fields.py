"""What the formats share about single fields: limits, and what stands for nothing.

One rule runs through all of them: what a client can choose (method, path, user agent, request id) never makes a reject.
Rejects stop a worker when they are too many, and no client may be able to bring that about.
"""

from functools import lru_cache

from stream.adapters.times import EARLIEST, LATEST
from stream.dead_letters import Reason, Rejected

LONGEST_CLIENT = 256
LONGEST_PATH = 65_536
"""Characters of a request target; gateways refuse longer ones themselves (NGINX 8 KiB, Envoy 60 KiB)."""
LONGEST_REQUEST_ID = 256
_NOTHING = frozenset({"", "-"})
_NOBODY = frozenset({"", "-", "unix:"})
"""What servers write for an address that is none; ``unix:`` is a proxy on the same machine."""


def checked_time(time: int, field: str) -> int:
    """Return the time if a log entry can be of it.

    Raises:
        Rejected: before the year 2000 or after 2099; says which unit it looks like.
    """
    if EARLIEST <= time < LATEST:
        return time
    unit = ""
    for name, factor in (("seconds", 0.001), ("microseconds", 1_000), ("nanoseconds", 1_000_000)):
        if EARLIEST * factor <= time < LATEST * factor:  # this way round, as a time of any size must not overflow
            unit = f"; the number looks like {name}"
    raise invalid(field, f"not a time of the years 2000 to 2099{unit}")


def checked_client(client: str, field: str) -> str:
    """Return the client.

    Raises:
        Rejected: nobody (empty, ``-``), or longer than ``LONGEST_CLIENT``.
    """
    if client in _NOBODY or client.isspace():
        raise missing(field)
    if len(client) > LONGEST_CLIENT:
        raise invalid(field, f"longer than {LONGEST_CLIENT} characters")
    return client


def address_of(text: str | None) -> str | None:
    """Return the address that a call came from, None when there is none or it is too long to be one."""
    return None if text is None or text in _NOBODY or len(text) > LONGEST_CLIENT else text


def checked_path(path: str, field: str) -> str:
    """Return the path.

    Raises:
        Rejected: longer than ``LONGEST_PATH``.
    """
    if len(path) > LONGEST_PATH:
        raise invalid(field, f"longer than {LONGEST_PATH} characters")
    return path


def request_id_of(text: str | None) -> str | None:
    """Return the request id, None when there is none or it is too long to be one."""
    return None if not text or text == "-" or len(text) > LONGEST_REQUEST_ID else text


def split_request(line: str) -> tuple[str, str]:
    """Return method and request target of a request line; the target is empty where there is none.

    A line without protocol is HTTP/0.9 or was cut off; blanks inside the target stay in it.
    """
    method, _, rest = line.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    return method, (target if protocol.startswith("HTTP/") else rest).strip(" ")


@lru_cache(1_024)
def status_of(text: str) -> int:
    """Return a status code as text; ``-``, empty and ``000`` are 0, none recorded.

    Raises:
        Rejected: no number of up to three digits.
    """
    if text in _NOTHING:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise invalid("status", "not a number from 0 to 999")
    return int(text)


def missing(field: str) -> Rejected:
    """Return the rejection for a field that is absent or empty."""
    return Rejected(Reason.MISSING_FIELD, f"{field} is missing")


def invalid(field: str, what: str) -> Rejected:
    """Return the rejection for a field that is there but wrong."""
    return Rejected(Reason.INVALID_FIELD, f"{field}: {what}")
