"""Personas: the benign clients of the simulated API.

They are meant to be hard to tell from attackers by any one measure: some sessions are a single call, partners and
crawlers are faster than most attacks, robots ask for pages that do not exist, people mistype passwords and leave the
house with their phones.
"""

from enum import StrEnum

import msgspec

from stream.simulator.addresses import Roaming
from stream.simulator.behaviours import Behaviour, Spread
from stream.simulator.objects import Reach


class Identity(StrEnum):
    """What the gateway knows a client by."""

    ACCOUNT = "usr"
    STAFF = "staff"
    KEY = "key"
    ADDRESS = "address"


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of benign client.

    Attributes:
        behaviour: how one session goes.
        identity: what the gateway knows it by.
        weight: its share of the benign sessions, relative to the others.
        away_s: how long a client usually stays away between two sessions, seconds; decides how many clients there are.
    """

    behaviour: Behaviour
    identity: Identity
    weight: float
    away_s: float


_OWN = dict.fromkeys(
    ("order_id", "customer_id", "account_id", "transfer_id", "checkout_id", "item_id", "export_id"), Reach.OWN
)

WEB_SHOPPER = Behaviour(
    name="web_shopper",
    entry={"get_home": 5, "list_products": 2, "search": 2, "get_product": 4, "list_category": 2, "unknown": 0.1},
    moves={
        "get_home": {"list_categories": 3, "suggest": 2, "list_recommendations": 3, "get_product": 2, "login": 1.5},
        "list_categories": {"list_category": 6, "get_home": 1},
        "list_category": {"get_product": 5, "list_category": 3, "search": 0.5},
        "suggest": {"suggest": 4, "search": 5},
        "search": {"get_product": 5, "search": 2, "list_products": 1, "suggest": 1},
        "list_products": {"get_product": 5, "list_products": 3, "list_category": 1},
        "list_recommendations": {"get_product": 4, "get_home": 1, "list_categories": 1, "get_cart": 0.5},
        "get_product": {
            "list_reviews": 4,
            "get_stock": 4,
            "list_recommendations": 3,
            "get_product": 2,
            "list_category": 2,
            "suggest": 1,
            "allow_cart": 0.5,
            "add_cart_item": 1.5,
            "list_products": 1,
        },
        "list_reviews": {"get_product": 3, "list_reviews": 1.5, "add_cart_item": 1, "list_category": 1},
        "get_stock": {"add_cart_item": 2, "get_product": 2, "list_reviews": 1, "get_stock": 0.5},
        "allow_cart": {"add_cart_item": 1},
        "add_cart_item": {"get_cart": 5, "list_recommendations": 2, "get_product": 1},
        "get_cart": {
            "update_cart_item": 2,
            "remove_cart_item": 1,
            "add_coupon": 0.7,
            "login": 2,
            "create_checkout": 3,
            "list_products": 1,
            "get_product": 1,
        },
        "update_cart_item": {"get_cart": 1},
        "remove_cart_item": {"get_cart": 3, "list_products": 1},
        "add_coupon": {"get_cart": 3, "add_coupon": 0.5},
        "login": {"get_me": 8, "verify_mfa": 1, "request_reset": 0.4},
        "verify_mfa": {"get_me": 1},
        "request_reset": {"confirm_reset": 3, "request_reset": 0.3, "get_home": 0.5},
        "confirm_reset": {"login": 1},
        "get_me": {"list_orders": 3, "get_home": 2, "get_cart": 3, "update_me": 0.6, "list_addresses": 0.8},
        "update_me": {"get_me": 2, "set_email": 0.3, "set_password": 0.3},
        "set_email": {"get_me": 1},
        "set_password": {"get_me": 2, "logout": 1, "login": 1},
        "list_addresses": {"get_me": 1, "create_checkout": 1},
        "create_checkout": {"get_checkout": 1},
        "get_checkout": {"set_checkout_address": 4, "set_checkout_payment": 2, "get_cart": 0.6},
        "set_checkout_address": {"set_checkout_payment": 4, "get_checkout": 1},
        "set_checkout_payment": {"confirm_checkout": 5, "get_checkout": 1, "set_checkout_payment": 0.3},
        "confirm_checkout": {"get_order": 4, "list_orders": 2, "logout": 0.5},
        "list_orders": {"get_order": 5, "list_orders": 0.6, "get_home": 1},
        "get_order": {
            "list_shipments": 3,
            "get_invoice": 1,
            "list_orders": 2,
            "create_return": 0.4,
            "cancel_order": 0.3,
            "get_product": 1,
            "get_order": 0.7,
        },
        "list_shipments": {"get_order": 1, "list_orders": 2, "get_home": 1},
        "get_invoice": {"get_order": 2, "list_orders": 2, "get_invoice": 0.5},
        "create_return": {"get_order": 2, "list_orders": 1},
        "cancel_order": {"get_order": 1, "list_orders": 1},
        "logout": {"get_home": 1},
    },
    calls=Spread(14, 1.0, 1, 300),
    pause_s=Spread(7, 1.1, 0.4, 300),
    automatic=frozenset({"list_recommendations", "get_stock", "suggest", "allow_cart", "get_checkout", "get_me"}),
    burst_s=Spread(0.25, 0.8, 0.02, 3),
    stray=0.05,
    renewal="login",
    reach=_OWN,
    roaming=Roaming(share=0.06, change=0.1, places=2, elsewhere=0.05),
)

MOBILE_APP = Behaviour(
    name="mobile_app",
    entry={"refresh_token": 6, "get_me": 3, "get_home": 2, "list_accounts": 2, "list_notifications": 1},
    moves={
        "refresh_token": {"get_me": 4, "list_accounts": 2, "list_notifications": 2, "get_home": 2},
        "get_me": {"list_notifications": 4, "list_accounts": 3, "get_home": 3, "get_cart": 1, "add_device": 0.15},
        "list_notifications": {"get_home": 3, "list_accounts": 3, "get_cart": 1, "list_orders": 1.5},
        "get_home": {"list_recommendations": 3, "list_accounts": 2, "get_cart": 1, "get_product": 2, "suggest": 1},
        "list_recommendations": {"get_product": 4, "get_cart": 1, "get_home": 1},
        "list_accounts": {"get_account": 5, "list_transactions": 3, "list_payees": 1},
        "get_account": {
            "list_transactions": 5,
            "get_statement": 0.5,
            "list_payees": 1,
            "list_accounts": 1,
            "get_account": 0.6,
        },
        "list_transactions": {"list_transactions": 3, "get_account": 1, "list_accounts": 2, "get_home": 1},
        "get_statement": {"get_statement": 1, "list_transactions": 1},
        "list_payees": {"create_transfer": 4, "add_payee": 0.8, "list_accounts": 1},
        "add_payee": {"verify_mfa": 3, "list_payees": 1},
        "verify_mfa": {"create_transfer": 2, "list_payees": 1, "get_me": 1},
        "create_transfer": {"get_transfer": 5, "verify_mfa": 1},
        "get_transfer": {"get_transfer": 1, "list_transactions": 2, "list_accounts": 2},
        "get_product": {"get_stock": 3, "list_reviews": 2, "get_product": 2, "add_cart_item": 1, "get_home": 1},
        "get_stock": {"add_cart_item": 1, "get_product": 2},
        "list_reviews": {"get_product": 2, "list_reviews": 1},
        "suggest": {"suggest": 3, "search": 4},
        "search": {"get_product": 4, "search": 1},
        "add_cart_item": {"get_cart": 1},
        "get_cart": {"create_checkout": 2, "get_home": 2, "remove_cart_item": 0.5, "get_product": 1},
        "remove_cart_item": {"get_cart": 1},
        "create_checkout": {"set_checkout_payment": 1},
        "set_checkout_payment": {"confirm_checkout": 1},
        "confirm_checkout": {"get_order": 3, "list_notifications": 1},
        "list_orders": {"get_order": 4, "get_home": 1},
        "get_order": {"list_shipments": 4, "list_orders": 1, "get_home": 1},
        "list_shipments": {"list_shipments": 1, "get_home": 2, "list_orders": 1},
        "add_device": {"get_me": 1},
        "login": {"get_me": 3, "add_device": 1, "verify_mfa": 1},
    },
    calls=Spread(9, 0.9, 1, 150),
    pause_s=Spread(4, 1.0, 0.3, 200),
    automatic=frozenset({"get_me", "list_notifications", "get_home", "list_recommendations", "get_stock", "suggest"}),
    burst_s=Spread(0.06, 0.7, 0.01, 1),
    stray=0.05,
    renewal="refresh_token",
    reach=_OWN,
    statuses={"login": {200: 900, 401: 100}, "refresh_token": {200: 985, 401: 15}},
    roaming=Roaming(share=0.25, change=0.1, places=3, elsewhere=0.2),
)

PARTNER = Behaviour(
    name="partner",
    entry={"issue_token": 9, "list_partner_orders": 1},
    moves={
        "issue_token": {"list_partner_orders": 5, "set_stock": 3, "create_export": 1, "set_price": 1},
        "list_partner_orders": {"get_order": 8, "list_partner_orders": 2, "set_stock": 1},
        "get_order": {"list_shipments": 3, "get_order": 5, "list_partner_orders": 1.5, "get_invoice": 0.5},
        "list_shipments": {"get_order": 6, "list_partner_orders": 1},
        "get_invoice": {"get_order": 3, "get_invoice": 0.5},
        "set_stock": {"set_stock": 30, "set_price": 1, "list_partner_orders": 0.5},
        "set_price": {"set_price": 20, "set_stock": 1, "list_partner_orders": 0.5},
        "create_export": {"get_export": 1},
        "get_export": {"get_export": 6, "list_partner_orders": 1, "create_export": 0.3},
    },
    calls=Spread(90, 1.0, 2, 1500),
    pause_s=Spread(0.4, 0.7, 0.03, 30),
    automatic=frozenset(),
    pace=0.5,
    stray=0.02,
    renewal="issue_token",
    reach={"product_id": Reach.ANY, "order_id": Reach.ANY, "export_id": Reach.OWN},
    roaming=Roaming(share=0.5, change=0.4, places=4),
)

BACK_OFFICE = Behaviour(
    name="back_office",
    entry={"login": 4, "list_admin_orders": 4, "list_customers": 3, "get_report": 1},
    moves={
        "login": {"verify_mfa": 6, "get_me": 1},
        "verify_mfa": {"list_admin_orders": 4, "list_customers": 2, "get_report": 1, "get_me": 1},
        "get_me": {"list_admin_orders": 2, "list_customers": 1},
        "list_admin_orders": {"get_order": 6, "list_admin_orders": 3, "list_customers": 1},
        "get_order": {
            "update_admin_order": 3,
            "get_customer": 3,
            "list_shipments": 3,
            "get_invoice": 1,
            "create_refund": 0.7,
            "list_admin_orders": 3,
            "get_order": 0.5,
        },
        "update_admin_order": {"get_order": 2, "list_admin_orders": 3},
        "list_shipments": {"get_order": 1, "list_admin_orders": 1},
        "get_invoice": {"get_order": 1, "create_refund": 0.5},
        "create_refund": {"get_order": 2, "list_admin_orders": 2},
        "list_customers": {"get_customer": 6, "list_customers": 2},
        "get_customer": {"list_customer_orders": 4, "list_addresses": 2, "list_customers": 2, "get_customer": 0.5},
        "list_customer_orders": {"get_order": 4, "get_customer": 2},
        "list_addresses": {"get_customer": 2, "list_customer_orders": 1},
        "get_report": {"get_report": 3, "list_admin_orders": 1},
    },
    calls=Spread(35, 1.0, 1, 500),
    pause_s=Spread(9, 1.1, 0.5, 300),
    stray=0.05,
    renewal="login",
    reach={"order_id": Reach.ANY, "customer_id": Reach.ANY},
)

MONITOR = Behaviour(
    name="monitor",
    entry={"get_health": 1},
    moves={
        "get_health": {"get_health": 6, "list_products": 1, "login": 0.5, "get_home": 1, "get_description": 0.2},
        "list_products": {"get_health": 3, "get_product": 1},
        "get_product": {"get_health": 1},
        "get_home": {"get_health": 1},
        "get_description": {"get_health": 1},
        "login": {"get_me": 1},
        "get_me": {"logout": 3, "get_health": 1},
        "logout": {"get_health": 1},
    },
    calls=Spread(30, 0.9, 1, 400),
    pause_s=Spread(25, 0.4, 5, 120),
    automatic=frozenset({"get_product", "get_me", "logout"}),
    stray=0.01,
    statuses={"login": {200: 998, 503: 2}},
)

CRAWLER = Behaviour(
    name="crawler",
    entry={"get_robots": 6, "get_product": 2, "list_category": 2, "unknown": 1},
    moves={
        "get_robots": {"unknown": 1, "list_categories": 3, "get_home": 2, "get_product": 3},
        "unknown": {"list_categories": 2, "get_product": 3, "get_robots": 1, "unknown": 0.3},
        "get_home": {"list_categories": 2, "get_product": 2},
        "list_categories": {"list_category": 1},
        "list_category": {"get_product": 6, "list_category": 4, "peek_product": 1},
        "get_product": {"get_product": 6, "list_reviews": 2, "list_category": 3, "peek_product": 1, "unknown": 0.1},
        "peek_product": {"get_product": 2, "peek_product": 2, "list_category": 1},
        "list_reviews": {"get_product": 3, "list_reviews": 2},
    },
    calls=Spread(40, 1.2, 1, 800),
    pause_s=Spread(2, 0.8, 0.2, 60),
    pace=0.6,
    stray=0.03,
    reach={"product_id": Reach.ANY, "category_id": Reach.ANY},
)

PERSONAS: tuple[Persona, ...] = (
    Persona(behaviour=WEB_SHOPPER, identity=Identity.ACCOUNT, weight=40, away_s=7200),
    Persona(behaviour=MOBILE_APP, identity=Identity.ACCOUNT, weight=40, away_s=7200),
    Persona(behaviour=PARTNER, identity=Identity.KEY, weight=4, away_s=5400),
    Persona(behaviour=BACK_OFFICE, identity=Identity.STAFF, weight=7, away_s=5400),
    Persona(behaviour=MONITOR, identity=Identity.ADDRESS, weight=4, away_s=5400),
    Persona(behaviour=CRAWLER, identity=Identity.ADDRESS, weight=5, away_s=5400),
)
"""Every benign persona."""
