"""Sessions as earlier versions wrote them."""

from featurizer.session import Session, pack


def first_form(session: Session) -> bytes:
    """Return the form that sessions had when they kept their graph only."""
    packed = bytearray(pack(session))
    requests, edges = len(session.requests), len(session.edges)
    counted = 99 + requests + 4 * edges
    kept = packed[:88] + packed[99 : counted + edges]
    kept[0] = 1
    return bytes(kept)
