r"""Format ``combined``: the common and combined log formats of NGINX and Apache, one line a call.

    address identity user [17/May/2015:10:05:03 +0000] "GET /orders/42 HTTP/1.1" 200 512 "referer" "agent" 0.005

The last two quoted fields and the time after them may be absent; of what follows the last quoted field only a lone
number is read, other fields of one's own are ignored. That number is

- with a point, NGINX's ``$request_time``: seconds with milliseconds. NGINX stamps a line when the request ENDS, so the
  number is also taken off the time;
- without a point, Apache's ``%D``: MICROSECONDS (Apache's ``%T``, whole seconds, cannot be told from it: log ``%D``).
  Apache stamps a line when the request BEGINS.

There are a user, an agent and an address to name the client by. Quotes and bytes that are escaped (``\"``, ``\x22``)
are read as the server meant them. A request line that is none (``-``, bytes of another protocol) is a call to
``{malformed}``: clients send such things, so they cannot make rejects. A line with a time or a syslog header before it
is a reject: who called could not be told.
"""

import re

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import Adapter, Decode, record_decoder
from stream.adapters.fields import (
    address_of,
    checked_path,
    checked_time,
    invalid,
    split_request,
    status_of,
)
from stream.adapters.identities import IdentityChain
from stream.adapters.times import clf_time, seconds_time
from stream.dead_letters import Reason, Rejected

# A user may hold blanks, brackets and (escaped) quotes: what ends it is a time in brackets and a raw quote. Whatever
# stands before an address would therefore become address and user: lines that begin like an envelope are no lines.
_HEAD = re.compile(
    r"(?![\x00<]|[0-9]{4}-[0-9]{2}-[0-9]{2}T|[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:)"
    r'(\S+) \S+ (-|(?:[^"\\]|\\.)*?) \[([^]"]{26})\] '
    r'"([^"\\]*+(?:\\.[^"\\]*+)*+)" ([0-9]{3}|-)(?: (?:[0-9]+|-))?(?= |$)'
)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_CONTROLS = {"a": "%07", "b": "%08", "f": "%0C", "n": "%0A", "r": "%0D", "t": "%09", "v": "%0B"}
_QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.USER, Identity.ADDRESS_AGENT)
    with_agent = identities.reads(Identity.ADDRESS_AGENT)

    def read_one(value: bytes) -> ApiCall:
        try:
            line = value.decode()
        except UnicodeDecodeError:
            line = value.decode("utf-8", "backslashreplace")  # as the servers themselves write such bytes
        if "\n" in line:
            line = line.strip("\r\n")
        head = _HEAD.match(line)
        if head is None or "\n" in line:
            raise Rejected(Reason.UNDECODABLE, "not a line of the common or combined log format")
        address, user, stamp, request, status_text = head.groups()
        if "\\" in request:
            request = _unescaped_request(request)
        if "\\" in user:
            user = _unescaped_user(user)
        try:
            time = clf_time(stamp)
        except ValueError as error:
            raise invalid("time", str(error)) from None
        status = status_of(status_text)
        duration = None
        if line[-1] != '"':
            duration, late = _duration(line[head.end() :])
            time -= late
        method, path = split_request(request)
        agent = _agent(line[head.end() :]) if with_agent else None
        client, identity = client_of((user, agent), address, status, "address")
        endpoint, object_id = target(method, checked_path(path, "path"), status)
        return ApiCall(
            checked_time(time, "time"),
            client,
            endpoint,
            status,
            duration,
            identity=identity,
            address=address_of(address),
            object_id=object_id,
        )

    return record_decoder(COMBINED.name, read_one, split_lines)


def split_lines(value: bytes) -> list[bytes] | None:
    """Return the lines of a record that has several."""
    lines = [line for line in (line.strip(b"\r") for line in value.split(b"\n")) if line.strip()]
    return lines if len(lines) > 1 else None


def _agent(rest: str) -> str | None:
    """Return the user agent, the second quoted field after the status; None where there is none."""
    quoted = _QUOTED.findall(rest)
    return quoted[1] if len(quoted) > 1 else None


def _duration(rest: str) -> tuple[float | None, int]:
    """Return the milliseconds that the request took, and how many of them lie before the line's time."""
    tail = rest.rpartition('"')[2].strip()
    if not _NUMBER.fullmatch(tail):
        return None, 0
    if "." in tail:
        milliseconds = seconds_time(tail)
        return float(milliseconds), milliseconds
    return int(tail) / 1000, 0


def _unescaped_request(text: str) -> str:
    """Return a request line with escaped bytes percent-encoded, as the path may hold any."""
    return _ESCAPE.sub(lambda m: f"%{m[1].upper()}" if m[1] else _CONTROLS.get(m[2], m[2]), text)


def _unescaped_user(text: str) -> str:
    raw = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text)
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


COMBINED = Adapter("combined", "NGINX or Apache common and combined log lines", _bind)
