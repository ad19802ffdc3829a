"""Object ids of the simulated API: how each kind of object is named in a path."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

_MASK_64 = (1 << 64) - 1
_EPOCH_YEAR = 2024


class Reach(StrEnum):
    """Which objects a client asks for."""

    OWN = "own"
    """One of the few that belong to the client."""
    POPULAR = "popular"
    """Any, and a few of them far more often than the rest."""
    ANY = "any"
    """Any, evenly."""
    WALK = "walk"
    """One after the other, as somebody who guesses ids does."""


class Resource(msgspec.Struct, frozen=True):
    """A kind of object.

    Attributes:
        name: the name of its path parameter.
        population: how many objects there are.
        spell: the id of object number n, for n from 0 to population - 1.
        schema: JSON Schema of the id, for the API description.
    """

    name: str
    population: int
    spell: Callable[[int], str]
    schema: dict[str, str]


def scramble(number: int) -> int:
    """Return 64 bits that look random, the same for the same number (the finaliser of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK_64
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return number ^ (number >> 31)


def integer(base: int) -> Callable[[int], str]:
    """Name objects by consecutive integers from ``base``, as database sequences do."""

    def spell(number: int) -> str:
        return str(base + number)

    return spell


def uuid(number: int) -> str:
    """Name objects by random-looking UUIDs (version 4)."""
    digits = f"{scramble(number):016x}"
    more = f"{scramble(~number & _MASK_64):016x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:]}-a{more[1:4]}-{more[4:]}"


def object_id(number: int) -> str:
    """Name objects by 24 hex digits, as MongoDB does."""
    return f"{0x65A00000 + number // 64:08x}{scramble(number):016x}"


def token(number: int) -> str:
    """Name objects by a long opaque token, as password-reset links do."""
    return f"rst_{scramble(number):016x}{scramble(number + 1):016x}Zq"


def date(number: int) -> str:
    """Name objects by a day; months have 28 days here."""
    month, day = divmod(number, 28)
    year, month = divmod(month, 12)
    return f"{_EPOCH_YEAR + year}-{month + 1:02d}-{day + 1:02d}"


def choose(resource: Resource, reach: Reach, owner: int, cursor: int, bits: int) -> int:
    """Return the number of the object asked for.

    Args:
        resource: the kind of object.
        reach: which of them the client asks for.
        owner: number of the client, decides what it owns.
        cursor: how far a walk has come; other reaches ignore it.
        bits: at least 32 random bits.
    """
    population = resource.population
    if reach is Reach.OWN:
        return scramble(owner * 4 + (bits & 3)) % population
    if reach is Reach.POPULAR:
        share = (bits & 0xFFFF) / 0x10000
        return int(population * share * share * share)
    if reach is Reach.WALK:
        return (scramble(owner) + cursor) % population
    return bits % population


_COMMON_WORDS = ("favicon.ico", "apple-touch-icon.png", "sitemap.xml", ".well-known/security.txt")
_STEMS = (
    "admin", "api", "backup", "config", "console", "dashboard", "db", "debug", "dev", "dump", "env", "internal",
    "jenkins", "login", "manager", "metrics", "old", "phpmyadmin", "private", "server-status", "setup", "shell",
    "staging", "swagger", "test", "upload", "v0", "v2", "wp-admin", "wp-login",
)  # fmt: skip
_ENDINGS = ("", "/", ".php", ".bak", ".json", ".zip", "/.git/config", "/.env", "/actuator", "/index.jsp")

WORDS: tuple[str, ...] = (*_COMMON_WORDS, *(stem + ending for ending in _ENDINGS for stem in _STEMS))
"""Paths that the API does not have: a browser's and a robot's usual ones first, then a scanner's word list."""

_INTEGER = {"type": "integer"}
_TEXT = {"type": "string"}

RESOURCES: Sequence[Resource] = (
    Resource("product_id", 20_000, integer(10_000), _INTEGER),
    Resource("category_id", 120, integer(100), _INTEGER),
    Resource("item_id", 5_000_000, object_id, _TEXT),
    Resource("checkout_id", 5_000_000, uuid, {"type": "string", "format": "uuid"}),
    Resource("order_id", 2_000_000, integer(4_000_000), _INTEGER),
    Resource("customer_id", 400_000, integer(800_000), _INTEGER),
    Resource("account_id", 500_000, object_id, _TEXT),
    Resource("transfer_id", 9_000_000, uuid, {"type": "string", "format": "uuid"}),
    Resource("export_id", 100_000, uuid, {"type": "string", "format": "uuid"}),
    Resource("reset_token", 1_000_000, token, _TEXT),
    Resource("day", 700, date, {"type": "string", "format": "date"}),
    Resource("word", len(WORDS), WORDS.__getitem__, _TEXT),
)
"""Every kind of object; an operation refers to them by position."""
