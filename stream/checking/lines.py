"""Raw lines as they are shown: what was read of them and what is harmless, and nothing else of what they hold.

Query strings, headers and bodies hold secrets, and a terminal is recorded, copied and shared. So a line is not shown
with known secrets taken out, but with known values left in: those that the call was made of, numbers, times. Everything
else is ``…``, under its name.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from featurizer.calls import ApiCall
from featurizer.mining import bare_path
from stream.checking.raw_routes import RawEndpoint
from stream.console import printable

HIDDEN = "…"

_LONGEST_LOOKED_AT = 4_096
_MOST_ITEMS = 50
_SECRET = re.compile(r"query|header|body|cookie|param|args|auth|secret|token|pass|session|jwt|key", re.IGNORECASE)
"""Names of fields of which not even numbers are shown."""
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]{5,18}(?:Z|[+-][0-9:]{4,6})?|[0-9]{2}/[A-Z][a-z]{2}/[0-9:+ -]{14,22}"
)
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,9})?")
_BROKEN_JSON = re.compile(r'\{|\[\s*[\[{"]')
_REQUEST = re.compile(r"([A-Z]{3,10}) (\S+)(?: (HTTP/[0-9.]+))?")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|\[([^\]]*)\]|([^\s"\[]+)')
_WORD = re.compile(r"[A-Za-z]{1,20}[:.,;]?|[-_*#]|HTTP/[0-9.]+")


def shown(value: bytes | None, call: ApiCall | None) -> str:
    """Return a record for people, on one line, without characters that would do something to a terminal.

    Args:
        value: the record's bytes.
        call: the call that was read of it; None when there is none.
    """
    if value is None:
        return "(no value)"
    text = value[:_LONGEST_LOOKED_AT].decode(errors="replace").strip()
    known = _known(call)
    document = _parsed(value)
    if isinstance(document, dict | list):
        text = json.dumps(_masked(document, known, secret=False), ensure_ascii=False, separators=(",", ":"))
    elif _BROKEN_JSON.match(text):
        text = f"{text[0]}{HIDDEN}"  # broken JSON: nobody can tell what is a value in it
    else:
        text = _TOKEN.sub(lambda found: _masked_token(found, known), text)
    return printable(text)


def field_names(value: bytes | None) -> list[str]:
    """Return the names of the fields of a JSON object, or of the first one in an array; they name no person."""
    document = _parsed(value or b"")
    if isinstance(document, list) and document:
        document = document[0]
    return [name for name in document if len(name) <= 64 and name.isprintable()] if isinstance(document, dict) else []


def _known(call: ApiCall | None) -> frozenset[str]:
    """Return the texts that a call was made of."""
    if call is None:
        return frozenset()
    method, _, template = call.endpoint.partition(" ")
    path = call.endpoint.path if isinstance(call.endpoint, RawEndpoint) else ""
    texts = {call.client, method, method.lower(), template, path, call.request_id or "", call.endpoint}
    return frozenset(text for text in texts if text)


def _parsed(value: bytes) -> Any:
    try:
        return json.loads(value.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def _masked(value: Any, known: Collection[str], *, secret: bool) -> Any:
    """Return a JSON value with only what may be shown."""
    if isinstance(value, Mapping):
        named = value.get("key", value.get("name")) if "value" in value else None  # a pair, as OpenTelemetry writes it
        if isinstance(named, str):
            hidden = secret or _SECRET.search(named) is not None
            return {"key": named[:64], "value": _masked(value["value"], known, secret=hidden)}
        return {
            str(name): _masked(item, known, secret=secret or _SECRET.search(str(name)) is not None)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, known, secret=secret) for item in value[:_MOST_ITEMS]]
    if isinstance(value, str):
        return _masked_text(value, known, secret=secret)
    return HIDDEN if secret and not isinstance(value, bool) and value is not None else value


def _masked_text(text: str, known: Collection[str], *, secret: bool) -> str:
    if not text or text == "-" or text in known or text.rpartition(":")[0].strip("[]") in known:
        return text
    if request := _REQUEST.fullmatch(text):
        return _masked_request(request, known)
    bare = bare_path(text)
    if bare in known:
        return bare + HIDDEN
    if secret:
        return HIDDEN
    if _TIME.fullmatch(text) or _NUMBER.fullmatch(text):
        return text
    return _masked_envelope(text, known)


def _masked_envelope(text: str, known: Collection[str]) -> str:
    """Return a text that is an entry itself, as shippers wrap them."""
    inner = _parsed(text.encode(errors="replace")) if text[0] in "{[" else None
    if isinstance(inner, dict | list):
        return json.dumps(_masked(inner, known, secret=False), ensure_ascii=False, separators=(",", ":"))
    if known and " HTTP/" in text:
        return _TOKEN.sub(lambda found: _masked_token(found, known), text.strip())
    return HIDDEN


def _masked_request(request: re.Match[str], known: Collection[str]) -> str:
    """Return a request line; of one that was not read the path is not shown either."""
    method, target, protocol = request.groups()
    bare = bare_path(target)
    path = bare if bare in known else HIDDEN
    cut = HIDDEN if path is bare and bare != target else ""
    return f"{method} {path}{cut}" + (f" {protocol}" if protocol else "")


def _masked_token(token: re.Match[str], known: Collection[str]) -> str:
    """Return a piece of a line of text: a quoted one, one in brackets, or a word."""
    quoted, bracketed, word = token.groups()
    if quoted is not None:
        return f'"{_masked_text(quoted, known, secret=False)}"'
    if bracketed is not None:
        return f"[{bracketed if _TIME.fullmatch(bracketed) or _WORD.fullmatch(bracketed) else HIDDEN}]"
    if word == "-" or word in known or _NUMBER.fullmatch(word) or _TIME.fullmatch(word):
        return word
    # Of a line that was not read its words tell which program wrote it.
    return word if not known and _WORD.fullmatch(word) else HIDDEN
