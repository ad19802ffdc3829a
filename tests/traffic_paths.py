"""Words for made-up paths: names of users, which an API has ever more of, and of resources, which are few."""

from collections.abc import Iterable

USERS = [
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj"),
    *("olivia", "peggy", "quentin", "rupert", "sybil", "trent", "ulrich", "victor", "walter", "xavier", "yvonne"),
]
WORDS = [
    *("cart", "orders", "items", "offers", "reviews", "shops", "stock", "invoices", "addresses", "carriers"),
    *("prices", "taxes", "returns", "claims", "refunds"),
]


def once(paths: Iterable[str]) -> dict[str, int]:
    """Return paths that were called once each."""
    return dict.fromkeys(paths, 1)
