"""Identity: what the name of a client is; the kinds of names, and what they have in common."""

from enum import StrEnum
from typing import Final


class Identity(StrEnum):
    """What the name of a client is. Settings, alerts and rules use these words."""

    CONSUMER = "consumer"
    """Whom the gateway's own configuration calls a consumer: Kong, APISIX."""
    SUBJECT = "subject"
    """Whom a token was issued to, after the gateway has checked the token: the claim ``sub``, the principal of an
    authorizer."""
    USER = "user"
    """A user whom the gateway authenticated."""
    CREDENTIAL = "credential"
    """The id of an API key or of another credential, never the key itself."""
    SESSION = "session"
    """A short hash of a session's id or cookie. Nobody has checked it: a client can take another with every call."""
    ADDRESS_AGENT = "address_agent"
    """A network address and a short hash of the user agent, which a client can choose too."""
    ADDRESS = "address"
    """A network address: nothing better was logged."""


NAMED: Final = frozenset({"", Identity.CONSUMER, Identity.SUBJECT, Identity.USER})
"""Kinds of names by which people or programs are called; empty is a name of unknown kind."""
AGENT_MARK: Final = "+"
"""Stands between address and hash; no address has it."""
_ADDRESSES: Final = frozenset({"", Identity.ADDRESS, Identity.ADDRESS_AGENT})


def address_part(client: str, identity: str) -> str | None:
    """Return the part of a client's name that may be its address; None for kinds that have none.

    Args:
        client: the name.
        identity: what it is; empty when not known.
    """
    if identity not in _ADDRESSES:
        return None  # a user may be called like an address
    return client.partition(AGENT_MARK)[0] if identity == Identity.ADDRESS_AGENT else client
