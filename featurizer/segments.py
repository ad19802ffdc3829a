"""One path segment: which placeholder stands for it, or how its own text is written.

A placeholder replaces what identifies one thing; words stay. There are few, because every kind that one parameter's
values can fall into becomes an endpoint of its own:

==========  ==========================================================================================
``{id}``    numbers, phone numbers, IPv4 addresses, numbered names (``42``, ``order-42``, ``INV-2024-0001``)
``{uuid}``  UUIDs, in braces or not
``{hex}``   hexadecimal: ObjectIds, digests, short commits, MAC and IPv6 addresses
``{email}`` e-mail addresses
``{date}``  dates and date-times with separators (eight digits are an ``{id}``)
``{token}`` opaque text: base64, JWT, random letters and digits, anything longer than 64 characters
``{slug}``  several words with an identifying number or token among them, or too many words
==========  ==========================================================================================

A file name keeps its extension (``{uuid}.pdf``), a custom verb its verb (``{id}:cancel``), an OData key its set
(``Orders({id})``). The rules look at one segment only, never at other calls, so that every worker gives the same
answer; what they cannot know (``/users/alice``) is for pinned routes.
"""

import re
from urllib.parse import unquote_to_bytes

LONGEST_SEGMENT = 64
"""Characters of a segment that stays as it is; beyond, it is a ``{token}`` or ``{slug}``."""

_LONGEST_EXAMINED = 4 * LONGEST_SEGMENT  # what a client sends must not decide how long a look at it takes

ID, UUID, HEX, EMAIL, DATE, TOKEN, SLUG = "{id}", "{uuid}", "{hex}", "{email}", "{date}", "{token}", "{slug}"
MORE = "{more}"
"""Stands for the rest of a path that is too deep or too long."""
PLACEHOLDERS = frozenset({ID, UUID, HEX, EMAIL, DATE, TOKEN, SLUG, MORE})

_HEX_DIGITS = "[0-9A-Fa-f]"
_UUID = re.compile(rf"(?:urn:uuid:)?\{{?{_HEX_DIGITS}{{8}}(?:-{_HEX_DIGITS}{{4}}){{3}}-{_HEX_DIGITS}{{12}}\}}?")
_HEX = re.compile(rf"(?:0[xX])?{_HEX_DIGITS}+")
_MAC_OR_IPV6 = re.compile(
    rf"{_HEX_DIGITS}{{2}}(?:[:-]{_HEX_DIGITS}{{2}}){{5,7}}"
    rf"|{_HEX_DIGITS}{{0,4}}(?::{_HEX_DIGITS}{{0,4}}){{2,8}}"
)
_NUMBER = re.compile(r"[-+(~*_.]*[0-9][0-9.,:()+*~ _-]*")
_DATE = re.compile(
    r"[0-9]{4}([-._])[0-9]{2}\1[0-9]{2}(?:[T _][0-9]{2}.*)?"
    r"|[0-9]{2}([-._])[0-9]{2}\2[0-9]{4}"
    r"|[0-9]{8}[Tt][0-9]{4,9}[Zz]?"
    r"|(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2]|[Ww][0-5][0-9]|[Qq][1-4])"
)
_EMAIL = re.compile(r"[^@]+@[^\W\d].*", re.DOTALL)
_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*){1,3}", re.ASCII)
_PADDED_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={1,2}")
_EXACT = (
    (_UUID, UUID),
    (_DATE, DATE),
    (_NUMBER, ID),
    (_EMAIL, EMAIL),
    (_JWT, TOKEN),
    (_PADDED_BASE64, TOKEN),
    (_MAC_OR_IPV6, HEX),
)
_VERSION = re.compile(
    r"[vV][0-9]{1,3}(?:[._][0-9]{1,3}){0,3}(?:[-_.]?(?:alpha|beta|preview|rc|p)[0-9]{0,3}){0,2}", re.IGNORECASE
)
_BARE_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,2}")
_NUMBERED_WORD = re.compile(r"[A-Za-z]+[0-9]{3,}")
_NUMBERED_NAME = re.compile(r"[A-Za-z]+[-_:.#][0-9]+")
_STANDARD = re.compile(
    r"sha(?:1|224|256|384|512)|aes(?:128|192|256)|[hrep]s(?:256|384|512)|p(?:256|384|521)|h26[1-6]|x509|iso8601|rfc3339",
    re.IGNORECASE,
)
_EXTENSION = re.compile(r"[A-Za-z]{1,5}[0-9]?|m4[av]|m3u8|7z|3gp")
_VERB = re.compile(r"[A-Za-z]{2,32}")
_ODATA_KEY = re.compile(r"([A-Za-z_][A-Za-z_.]*)\((.+)\)")
_SEPARATOR = re.compile(r"[-_~+. ,:!$&'()*=@/]+")
_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]*")
_PLACEHOLDER_OR_CHARACTER = re.compile("|".join(map(re.escape, sorted(PLACEHOLDERS))) + "|.", re.DOTALL)
_NO_DIGITS = str.maketrans("", "", "0123456789")


def decode_segment(raw: str) -> str:
    """Percent-decode once; bytes that are no UTF-8 become lone surrogates, which ``encode_segment`` turns back."""
    if "%" not in raw and raw.isascii():
        return raw
    return unquote_to_bytes(raw.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogateescape")


def encode_segment(text: str) -> str:
    """Percent-encode what would change a path's meaning or its look; placeholders stay.

    The inverse of ``decode_segment``, so that a template is also a path with that template.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(map(_encode_piece, _PLACEHOLDER_OR_CHARACTER.findall(text)))


def segment_template(text: str, *, first: bool) -> str:
    """Return what stands for a decoded segment in a template.

    Args:
        text: the segment, percent-decoded.
        first: it is the first of its path. A first segment names a part of the API, so that only what can be nothing
            but an identifier is replaced there.
    """
    if text.isdecimal():
        return ID
    if len(text) > _LONGEST_EXAMINED:
        return TOKEN
    if text.isalpha() and len(text) < 20:
        return encode_segment(text)
    written = _compound(text, first=first) or _kind(text, first=first) or encode_segment(text)
    return written if len(written) <= LONGEST_SEGMENT else TOKEN


def _compound(text: str, *, first: bool) -> str | None:
    """Return the template of a segment of which only a part can be an identifier: OData key, custom verb, file name."""
    if key := _ODATA_KEY.fullmatch(text):
        return f"{key[1]}({ID})"
    stem, colon, verb = text.rpartition(":")
    if colon and _VERB.fullmatch(verb) and (found := _kind(stem, first=first)):
        return f"{found}:{verb}"
    stem, dot, extension = text.rpartition(".")
    if stem and dot and _EXTENSION.fullmatch(extension) and not _exact_kind(text, first=first):
        return f"{_stem_template(stem, first=first)}.{extension}"
    return None


def _encode_piece(piece: str) -> str:
    if len(piece) > 1 or _PLAIN.fullmatch(piece) or (piece > "\x7f" and piece.isprintable()):
        return piece
    data = piece.encode("utf-8", "surrogateescape" if "\udc80" <= piece <= "\udcff" else "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in data)


def _kind(text: str, *, first: bool, file: bool = False) -> str | None:
    """Return the placeholder for a whole text, None when it stays."""
    if found := _exact_kind(text, first=first):
        return found
    if _VERSION.fullmatch(text) or _STANDARD.fullmatch(text) or (first and _BARE_VERSION.fullmatch(text)):
        return None
    if "{" in text or "}" in text:
        return _braced_kind(text, first=first)
    if text.isascii() and text.isalnum():
        return _word_kind(text, first=first)
    return _kind_of_words(text, first=first, file=file)


def _exact_kind(text: str, *, first: bool) -> str | None:
    """Return the placeholder of a text that has the form of one kind of identifier."""
    if text in PLACEHOLDERS:
        return text
    for pattern, placeholder in _EXACT:
        if pattern.fullmatch(text):
            return None if first and _BARE_VERSION.fullmatch(text) else placeholder
    return ID if text.isdecimal() else None


def _braced_kind(text: str, *, first: bool) -> str | None:
    """Braces come from a template written into a path, or from a client playing; only digits make it identifying."""
    inner = text[1:-1] if text[0] == "{" and text[-1] == "}" else ""
    if inner and "{" not in inner and "}" not in inner:
        return _kind(inner, first=first)
    bare = re.sub("|".join(map(re.escape, PLACEHOLDERS)), "", text)
    return TOKEN if len(bare) > LONGEST_SEGMENT or _digits(bare) >= 3 else None


def _kind_of_words(text: str, *, first: bool, file: bool) -> str | None:
    words = [word for word in _SEPARATOR.split(text) if word]
    if len(text) > LONGEST_SEGMENT:
        return SLUG if len(words) > 3 else TOKEN
    if first:
        return None
    if "," in text and words and all(_kind(word, first=first) for word in words):
        return _kind(words[0], first=first)
    if _NUMBERED_NAME.fullmatch(text) and (not file or _digits(text) >= 3):
        return ID
    return _slug_kind(text, words, file=file)


def _slug_kind(text: str, words: list[str], *, file: bool) -> str | None:
    """Words joined by separators: an identifying part makes the whole a parameter."""
    numbers = [word for word in words if word.isdecimal()]
    opaque = any(_word_kind(word, first=False) for word in words if word.isascii() and not word.isdecimal())
    if not opaque and not any(len(number) >= 3 for number in numbers) and (file or _digits(text) < 4):
        return None
    letters = sum(word.isalpha() for word in words)
    if letters >= 2:
        return SLUG
    return ID if len(numbers) + letters == len(words) else TOKEN


def _word_kind(word: str, *, first: bool) -> str | None:
    """Return the placeholder for ASCII letters and digits without a separator."""
    digits = _digits(word)
    length = len(word)
    if _HEX.fullmatch(word) and (digits >= 2 and length >= (16 if first else 7)):
        return HEX
    if length > LONGEST_SEGMENT or (length >= 24 and digits >= 4):
        return TOKEN
    if first or _STANDARD.fullmatch(word) or _VERSION.fullmatch(word):
        return None
    if _NUMBERED_WORD.fullmatch(word):
        return ID
    upper = sum(map(str.isupper, word)) / length if length >= 10 else 0.0
    mixed = (0.35 <= upper <= 0.65 and length >= 20) or (0.3 <= upper <= 0.7 and digits > 0)  # getOrderById is 0.25
    return TOKEN if mixed or digits >= 5 or (digits >= 3 and length >= 8) else None


def _stem_template(stem: str, *, first: bool) -> str:
    """Return a file's name without its extension; of ``app.3f2a9c1b`` only the digest is replaced."""
    if "." not in stem:
        return _kind(stem, first=first, file=True) or encode_segment(stem)
    return _exact_kind(stem, first=first) or ".".join(map(_part_template, stem.split(".")))


def _part_template(part: str) -> str:
    """One part between dots; short ones are words and version numbers (``jquery-1.9.1.min``)."""
    identifying = len(part) >= 7 or (len(part) >= 3 and part.isdecimal())
    return (identifying and _kind(part, first=False, file=True)) or encode_segment(part)


def _digits(text: str) -> int:
    return len(text) - len(text.translate(_NO_DIGITS))
