"""Made-up calls of a library's API, which has an endpoint for every role that woven attacks need."""

import random
from collections.abc import Collection

from featurizer.calls import ApiCall

MINUTE = 60_000
START = 1_700_000_000_000
GAP = 30 * MINUTE

_VISITS = (
    ("POST /session", "GET /books", "GET /books/{id}", "GET /books/{id}/pages", "GET /books/{id}"),
    ("GET /books", "GET /books/{id}", "GET /books", "GET /books/{id}", "GET /books/{id}/pages", "GET /books"),
    ("POST /session", "GET /loans", "GET /loans/{id}", "POST /loans", "PATCH /loans/{id}", "GET /loans"),
    ("POST /session", "GET /loans", "DELETE /loans/{id}", "GET /loans/{id}"),
    ("GET /news", "GET /books", "GET /archive/{date}"),
    ("POST /session", "PUT /reader/address", "PUT /reader/password"),
    ("GET /staff/log", "GET /news"),
)
_SLOW = {"GET /archive/{date}": 900.0}
_REFUSED = {"POST /session": 401, "GET /staff/log": 403}


def library_calls(sessions: int = 120, seed: int = 0, without: Collection[str] = ()) -> list[ApiCall]:
    """Return calls of readers who come back every few hours, in order of time.

    Args:
        sessions: how many visits.
        seed: of every random choice.
        without: endpoints that the API does not have.
    """
    rng = random.Random(seed)  # noqa: S311 -- made-up data
    calls: list[ApiCall] = []
    for number in range(sessions):
        time = START + number * 5 * MINUTE
        visit = [step for step in _VISITS[number % len(_VISITS)] if step not in without]
        for _ in range(rng.randint(1, 4)):
            for endpoint in visit:
                status = _REFUSED.get(endpoint, 200) if rng.random() < 0.3 else 200
                calls.append(
                    ApiCall(
                        time,
                        f"reader{number % 40}",
                        endpoint,
                        status,
                        _SLOW.get(endpoint, 20.0),
                        identity="user",
                        address=f"192.0.2.{number % 40}",
                        object_id=number * 1000 + len(calls) % 2 if "{" in endpoint else None,
                    )
                )
                time += rng.randint(500, 90_000)
    return sorted(calls, key=lambda call: call.time)
