"""Numbers as people read them."""

from datetime import UTC, datetime

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def percent(part: float, total: float) -> str:
    """Return a share; one that is not 0 or 100 % does not look as if it were."""
    if not total:
        return "0 %"
    share = 100 * part / total
    if 0 < share < 0.1:
        return "under 0.1 %"
    if 99.9 < share < 100:
        return "over 99.9 %"
    return f"{share:.0f} %" if 10 <= share <= 99 or share == int(share) else f"{share:.1f} %"


def span(milliseconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, size in _UNITS:
        if milliseconds >= size:
            count = milliseconds / size
            return f"{count:.0f} {unit}" if count >= 10 or count == int(count) else f"{count:.1f} {unit}"
    return f"{milliseconds:.3g} ms"


def moment(milliseconds: int, *, resolution: int = 1) -> str:
    """Return a time of day and date (UTC), to the millisecond unless the clock is coarser."""
    fine = "milliseconds" if resolution < 1_000 else "seconds"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None).isoformat(" ", fine) + "Z"


def count(number: int, noun: str) -> str:
    """Return a number of things; the noun takes an s."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def are(number: int, noun: str) -> str:
    """Return a number of things with its verb."""
    return f"{count(number, noun)} {'is' if number == 1 else 'are'}"


def cut(text: str, width: int) -> str:
    """Return the beginning of a text that fits a width."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
