"""Pseudonyms: keyed names in place of clients and addresses, from the first stage on.

A pseudonym is ``hmac:KEY:HEX``: the id of the key, and the first 128 bits of HMAC-SHA-256 over the name. Who has the
key can say which pseudonym a known name has; which name a pseudonym has, even they can only find out by trying names.
A plain hash would not do: anybody could try all IPv4 addresses.
"""

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from featurizer.calls import ApiCall
from stream.adapters.decoded import Decode, Decoded
from stream.adapters.own import API_CALL

SHORTEST_SECRET: Final = 32
"""Characters of a key: 128 bits in hexadecimal, which nobody can try through."""
_BYTES: Final = 16
_REMEMBERED: Final = 65_536
_ENTRY: Final = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})\s*=\s*(\S+)")
_PSEUDONYM: Final = re.compile(rf"hmac:([a-z0-9][a-z0-9_-]{{0,31}}):[0-9a-f]{{{2 * _BYTES}}}")


class Pseudonyms:
    """The pseudonyms of names.

    Args:
        keys: secrets by id.
        current: id of the key that names are written with.

    Raises:
        ValueError: there is no such key.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        if current not in keys:
            raise ValueError(f"there is no key {current!r}; there are {', '.join(keys) or 'none'}")
        self.keys = keys
        self.current = current
        self.of = lru_cache(_REMEMBERED)(self._of)

    def _of(self, name: str) -> str:
        return self.under(self.current, name)

    def under(self, key: str, name: str) -> str:
        """Return the pseudonym of a name under one of the keys.

        Raises:
            KeyError: there is no such key.
        """
        digest = hmac.digest(self.keys[key], name.encode("utf-8", "surrogatepass"), "sha256")
        return f"hmac:{key}:{digest[:_BYTES].hex()}"

    def written_like(self, client: str) -> "Pseudonyms":
        """Return the pseudonyms under the key that a client is written with: these, unless that is an older one.

        Raises:
            ValueError: it is none of the keys.
        """
        found = _PSEUDONYM.fullmatch(client)
        return self if found is None or found[1] == self.current else Pseudonyms(self.keys, found[1])

    def call(self, call: ApiCall) -> ApiCall:
        """Return a call with pseudonyms for its client and its address."""
        address = call.address
        return msgspec.structs.replace(
            call, client=self.of(call.client), address=None if address is None else self.of(address)
        )


def is_pseudonym(name: str) -> bool:
    """Return whether a name is a pseudonym, of whatever key."""
    return _PSEUDONYM.fullmatch(name) is not None


def pseudonymising(decode: Decode, pseudonyms: Pseudonyms) -> Decode:
    """Return a decoder whose calls have pseudonyms.

    Calls in wire form that have them already, as on the topic of calls, keep theirs: read again they are the same
    clients. In every other format such a name is one that somebody chose.
    """

    def pseudonymised(value: bytes | None) -> Decoded:
        decoded = decode(value)
        written = decoded.format == API_CALL.name
        decoded.calls = [
            call if written and is_pseudonym(call.client) else pseudonyms.call(call) for call in decoded.calls
        ]
        return decoded

    return pseudonymised


def read_keys(text: str) -> dict[str, bytes]:
    """Return the keys of a text: ``ID=SECRET``, one a line, or separated by commas; a line from ``#`` on is a comment.

    Raises:
        ValueError: what is wrong with which entry, without its secret.
    """
    lines = [line.partition("#")[0] for line in text.splitlines()]
    entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(entries, 1):
        found = _ENTRY.fullmatch(entry)
        if found is None:
            raise ValueError(f"key {number}: not ID=SECRET, where ID is of a to z, 0 to 9, _ and -, at most 32")
        name, secret = found.groups()
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"key {name}: shorter than {SHORTEST_SECRET} characters; openssl rand -hex 32 makes one")
        if name in keys:
            raise ValueError(f"key {name}: it is there twice")
        keys[name] = secret.encode()
    return keys
