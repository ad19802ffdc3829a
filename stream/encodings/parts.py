"""Parts of an alert that all encodings say alike."""

import ipaddress
from datetime import UTC, datetime
from typing import Final

from featurizer.identity import NAMED, Identity, address_part
from scorer.alerts import Alert
from scorer.suppression import Suppression

TITLE: Final = "Anomalous API call behaviour"


def address_of(alert: Alert) -> str | None:
    """Return the IP address by which a client is known, in its usual form; None where there is none.

    There is none in a pseudonym, nor in the name of a user, be it one of digits and points.
    """
    try:
        return str(ipaddress.ip_address(address_part(alert.client, alert.identity) or ""))
    except ValueError:
        return None


def is_address(alert: Alert) -> bool:
    """Return whether a client is an IP address and nothing else."""
    return alert.identity != Identity.ADDRESS_AGENT and address_of(alert) is not None


def is_named(alert: Alert) -> bool:
    """Return whether a client is known by a name that people use, not by an address, a session or a credential."""
    return alert.identity in NAMED and address_of(alert) is None


def place_of(alert: Alert) -> str:
    """Return the record at which the score was taken, ``topic-partition@offset``."""
    position = alert.position
    return f"{position.topic}-{position.partition}@{position.offset}"


def endpoints_of(alert: Alert) -> list[str]:
    """Return the endpoints of the rarest transitions, each once, in order."""
    named = (end for item in alert.transitions for end in (item.source, item.destination))
    return list(dict.fromkeys(named))


def account_of(suppression: Suppression) -> str:
    """Return why an alert is suppressed, by which rule and for how long."""
    ends = datetime.fromtimestamp(suppression.expires / 1000, UTC).isoformat(timespec="seconds")
    return f"{suppression.reason} (rule {suppression.rule}, expires {ends})"


def time_of(milliseconds: int) -> str:
    """Return epoch milliseconds as a date and time of RFC 3339, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
