"""Parts of an alert that all encodings say alike."""

import ipaddress
from datetime import UTC, datetime
from typing import Final

from scorer.alerts import Alert

TITLE: Final = "Anomalous API call behaviour"


def address_of(client: str) -> str | None:
    """Return a client that is an IP address in its usual form; None for any other."""
    try:
        return str(ipaddress.ip_address(client))
    except ValueError:
        return None


def place_of(alert: Alert) -> str:
    """Return the record at which the score was taken, ``topic-partition@offset``."""
    position = alert.position
    return f"{position.topic}-{position.partition}@{position.offset}"


def endpoints_of(alert: Alert) -> list[str]:
    """Return the endpoints of the rarest transitions, each once, in order."""
    named = (end for item in alert.transitions for end in (item.source, item.destination))
    return list(dict.fromkeys(named))


def time_of(milliseconds: int) -> str:
    """Return epoch milliseconds as a date and time of RFC 3339, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
