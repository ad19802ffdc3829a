"""Attacks: hostile sessions, told from benign ones by where they go next rather than by how fast.

Each kind comes in intensities: a quiet one pauses like a person and stays short, a loud one hurries and stays long.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from stream.simulator.addresses import Roaming
from stream.simulator.behaviours import Behaviour, Spread
from stream.simulator.objects import Reach
from stream.simulator.personas import Identity


class AttackKind(StrEnum):
    """What an attack session is after; the ``attack`` of its label."""

    OBJECT_WALK = "object_walk"
    """Asks for other people's objects by walking through their ids (BOLA)."""
    CREDENTIAL_STUFFING = "credential_stuffing"
    """Tries stolen passwords and looks into the accounts that open."""
    ENDPOINT_SCAN = "endpoint_scan"
    """Looks for endpoints that nobody told it of."""
    SCRAPING = "scraping"
    """Harvests the catalogue, prices and reviews by endpoints that no page uses in that order."""
    LOGIC_PROBE = "logic_probe"
    """Calls the steps of checkout, coupons, returns and transfers out of order."""
    ACCOUNT_TAKEOVER = "account_takeover"
    """Begins as a client's ordinary session and turns hostile half-way."""


class Intensity(msgspec.Struct, frozen=True):
    """How hard an attack goes about it.

    Attributes:
        name: quiet, steady or loud.
        weight: how common it is, relative to the others.
        haste: pauses are divided by this.
        length: numbers of calls are multiplied by this.
    """

    name: str
    weight: float
    haste: float
    length: float


INTENSITIES: Sequence[Intensity] = (
    Intensity("quiet", 3, 0.5, 0.6),
    Intensity("steady", 4, 2.0, 1.0),
    Intensity("loud", 3, 12.0, 2.5),
)
"""Every attack kind occurs in each of these."""


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of attack.

    Attributes:
        kind: the label.
        behaviour: how its hostile part goes at the intensity 1.
        identity: what the gateway knows the attacker by; a takeover is known by its victim.
        weight: its share of the attack sessions, relative to the others.
    """

    kind: AttackKind
    behaviour: Behaviour
    identity: Identity
    weight: float


def at_intensity(behaviour: Behaviour, intensity: Intensity) -> Behaviour:
    """Return the behaviour with its pauses and its length changed."""
    pause, calls = behaviour.pause_s, behaviour.calls
    return msgspec.structs.replace(
        behaviour,
        name=f"{behaviour.name}_{intensity.name}",
        pause_s=msgspec.structs.replace(
            pause, median=pause.median / intensity.haste, least=pause.least / intensity.haste
        ),
        calls=msgspec.structs.replace(
            calls, median=calls.median * intensity.length, most=calls.most * intensity.length
        ),
    )


_WALK = Behaviour(
    name="object_walk",
    entry={"login": 4, "get_me": 2, "get_order": 2, "get_customer": 2, "get_account": 2},
    moves={
        "login": {"get_me": 2, "get_order": 2, "get_account": 2, "get_customer": 2},
        "get_me": {"get_customer": 2, "get_order": 2, "get_account": 1},
        "get_order": {"get_order": 5, "get_invoice": 3, "list_shipments": 1, "get_customer": 2},
        "get_invoice": {"get_order": 4, "get_invoice": 3, "get_customer": 0.5},
        "list_shipments": {"get_order": 1, "get_invoice": 1},
        "get_customer": {"get_customer": 4, "list_addresses": 3, "list_customer_orders": 2, "get_account": 1},
        "list_addresses": {"get_customer": 4, "list_addresses": 2},
        "list_customer_orders": {"get_customer": 3, "get_invoice": 1, "list_customer_orders": 1},
        "get_account": {"get_account": 4, "list_transactions": 3, "get_statement": 2, "get_transfer": 0.7},
        "list_transactions": {"get_account": 4, "get_statement": 1, "list_transactions": 1},
        "get_statement": {"get_account": 3, "get_statement": 2, "get_order": 0.5},
        "get_transfer": {"get_transfer": 3, "get_account": 1},
    },
    calls=Spread(60, 0.7, 8, 1200),
    pause_s=Spread(1.5, 0.7, 0.05, 60),
    reach=dict.fromkeys(("order_id", "customer_id", "account_id", "transfer_id", "day"), Reach.WALK),
    statuses={
        name: {200: 620, 403: 300, 404: 80}
        for name in (
            "get_order", "get_invoice", "list_shipments", "get_customer", "list_addresses", "list_customer_orders",
            "get_account", "list_transactions", "get_statement", "get_transfer",
        )
    },
    roaming=Roaming(share=0.3, change=0.3, places=16),
)  # fmt: skip

_STUFFING = Behaviour(
    name="credential_stuffing",
    entry={"login": 6, "get_home": 1, "request_reset": 1},
    moves={
        "login": {"login": 40, "request_reset": 3, "verify_mfa": 2, "get_me": 1.5, "list_accounts": 1, "logout": 1},
        "request_reset": {"login": 3, "request_reset": 2, "confirm_reset": 1},
        "confirm_reset": {"confirm_reset": 1, "login": 2},
        "verify_mfa": {"verify_mfa": 2, "login": 4},
        "get_me": {"list_accounts": 2, "logout": 2, "login": 2, "list_addresses": 1},
        "list_addresses": {"logout": 1, "login": 1},
        "list_accounts": {"logout": 2, "login": 2},
        "logout": {"login": 1},
        "get_home": {"login": 1},
    },
    calls=Spread(70, 0.8, 8, 1500),
    pause_s=Spread(1.2, 0.6, 0.04, 60),
    statuses={
        "login": {401: 930, 200: 20, 429: 50},
        "verify_mfa": {401: 900, 200: 100},
        "confirm_reset": {400: 950, 200: 50},
        "request_reset": {202: 900, 429: 100},
    },
)

_GUESSED = (
    "get_description", "get_health", "get_robots", "list_admin_orders", "get_report", "create_refund", "list_customers",
    "get_customer", "list_partner_orders", "create_export", "set_price", "get_me", "list_accounts", "list_orders",
    "list_products", "get_cart", "add_device", "issue_token", "confirm_reset", "update_admin_order", "peek_product",
    "allow_cart", "search", "get_export",
)  # fmt: skip
_GUESSES = dict.fromkeys(_GUESSED, 1.0)

_SCAN = Behaviour(
    name="endpoint_scan",
    entry={"unknown": 4, "get_robots": 1, "get_description": 2, "get_home": 1},
    moves={
        "unknown": {"unknown": 30, "unknown_post": 8, **_GUESSES},
        "unknown_post": {"unknown": 14, "unknown_post": 5, **_GUESSES},
        "get_home": {"unknown": 1},
        **{name: {"unknown": 8, "unknown_post": 3, **_GUESSES} for name in _GUESSED},
    },
    calls=Spread(80, 0.8, 8, 1500),
    pause_s=Spread(0.8, 0.7, 0.02, 30),
    stray=0.05,
    reach={"word": Reach.ANY, "customer_id": Reach.ANY, "order_id": Reach.ANY, "product_id": Reach.ANY},
    statuses={
        **{name: {401: 600, 403: 300, 404: 60, 200: 40} for name in _GUESSED if not name.startswith("get_")},
        **{name: {401: 500, 403: 400, 404: 100} for name in ("get_report", "get_customer", "get_export", "get_me")},
        **{name: {200: 900, 429: 100} for name in ("list_products", "search", "peek_product")},
    },
)

_SCRAPE = Behaviour(
    name="scraping",
    entry={"list_products": 3, "get_stock": 2, "list_category": 2, "suggest": 2, "get_product": 1},
    moves={
        "list_products": {"get_stock": 4, "list_products": 4, "list_reviews": 2, "get_product": 2},
        "get_product": {"get_stock": 5, "list_reviews": 3, "get_product": 1},
        "get_stock": {
            "get_stock": 6,
            "list_reviews": 3,
            "get_product": 2,
            "list_recommendations": 1,
            "list_products": 1,
        },
        "list_reviews": {"list_reviews": 6, "get_stock": 4, "list_products": 1},
        "list_category": {"get_stock": 4, "list_category": 2, "list_reviews": 2},
        "suggest": {"suggest": 5, "get_stock": 2, "list_reviews": 1, "list_category": 1},
        "list_recommendations": {"get_stock": 3, "list_recommendations": 2},
    },
    calls=Spread(120, 0.8, 10, 2500),
    pause_s=Spread(0.8, 0.6, 0.03, 30),
    reach={"product_id": Reach.WALK, "category_id": Reach.WALK},
    statuses={"get_stock": {200: 940, 404: 40, 429: 20}, "list_reviews": {200: 960, 404: 20, 429: 20}},
)

_PROBED = (
    "add_coupon", "confirm_checkout", "create_checkout", "set_checkout_payment", "update_cart_item", "create_return",
    "cancel_order", "create_transfer", "add_payee", "verify_mfa", "set_email", "create_refund", "get_transfer",
    "get_checkout", "get_order",
)  # fmt: skip

_PROBE = Behaviour(
    name="logic_probe",
    entry={"login": 3, "get_cart": 2, "create_checkout": 1, "list_payees": 1},
    moves={
        "login": {"get_me": 1, "get_cart": 1, "list_accounts": 1},
        "get_me": dict.fromkeys(_PROBED, 1),
        "get_cart": {"add_coupon": 4, "confirm_checkout": 2, "create_checkout": 2, "update_cart_item": 2},
        "list_accounts": {"create_transfer": 2, "add_payee": 1},
        "list_payees": {"create_transfer": 2, "verify_mfa": 1},
        **{name: {**dict.fromkeys(_PROBED, 1), name: 4, "get_cart": 1} for name in _PROBED},
        "add_coupon": {"add_coupon": 4, "confirm_checkout": 2, "get_checkout": 1, "create_return": 1, "get_cart": 1},
        "confirm_checkout": {"confirm_checkout": 2, "cancel_order": 2, "create_return": 2, "add_coupon": 2},
        "create_return": {"cancel_order": 2, "create_refund": 2, "create_return": 2, "get_order": 1},
    },
    calls=Spread(35, 0.7, 8, 500),
    pause_s=Spread(4, 0.8, 0.2, 120),
    reach={"order_id": Reach.OWN, "checkout_id": Reach.OWN, "item_id": Reach.OWN, "transfer_id": Reach.OWN},
    statuses={name: {200: 250, 400: 250, 409: 200, 422: 250, 403: 50} for name in _PROBED},
)

_TAKEOVER = Behaviour(
    name="account_takeover",
    entry={"set_email": 3, "update_me": 2, "add_device": 2, "set_password": 2, "list_payees": 1},
    moves={
        "update_me": {"set_email": 3, "set_password": 2},
        "set_email": {"set_password": 4, "verify_mfa": 2, "add_device": 1},
        "set_password": {"add_device": 2, "list_payees": 2, "list_addresses": 1, "set_email": 0.5},
        "add_device": {"verify_mfa": 2, "list_payees": 2, "set_password": 1},
        "verify_mfa": {"add_payee": 3, "create_transfer": 2, "set_email": 1},
        "list_payees": {"add_payee": 4, "list_accounts": 1},
        "add_payee": {"create_transfer": 4, "add_payee": 2, "verify_mfa": 1},
        "create_transfer": {"create_transfer": 3, "get_transfer": 1, "add_payee": 1, "get_statement": 1},
        "get_transfer": {"create_transfer": 2, "list_accounts": 1},
        "list_accounts": {"get_statement": 2, "create_transfer": 2},
        "get_statement": {"get_statement": 2, "list_addresses": 1, "get_invoice": 1, "create_transfer": 1},
        "list_addresses": {"get_invoice": 2, "set_email": 1, "get_statement": 1},
        "get_invoice": {"get_invoice": 2, "get_statement": 1, "list_payees": 1},
    },
    calls=Spread(22, 0.6, 8, 200),
    pause_s=Spread(3, 0.8, 0.2, 60),
    reach={"account_id": Reach.OWN, "order_id": Reach.OWN, "customer_id": Reach.OWN, "transfer_id": Reach.OWN},
    statuses={"create_transfer": {201: 700, 422: 200, 403: 100}, "verify_mfa": {200: 500, 401: 500}},
    roaming=Roaming(share=0.1, change=0.1, places=2, elsewhere=0.85),
)

ATTACKS: Sequence[Attack] = (
    Attack(kind=AttackKind.OBJECT_WALK, behaviour=_WALK, identity=Identity.ACCOUNT, weight=4),
    Attack(kind=AttackKind.CREDENTIAL_STUFFING, behaviour=_STUFFING, identity=Identity.ADDRESS, weight=4),
    Attack(kind=AttackKind.ENDPOINT_SCAN, behaviour=_SCAN, identity=Identity.ADDRESS, weight=3),
    Attack(kind=AttackKind.SCRAPING, behaviour=_SCRAPE, identity=Identity.ADDRESS, weight=3),
    Attack(kind=AttackKind.LOGIC_PROBE, behaviour=_PROBE, identity=Identity.ACCOUNT, weight=3),
    Attack(kind=AttackKind.ACCOUNT_TAKEOVER, behaviour=_TAKEOVER, identity=Identity.ACCOUNT, weight=3),
)
"""Every kind of attack."""
