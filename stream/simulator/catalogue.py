"""The simulated API: a shop with a wallet, a partner interface and a back office, as a list of operations."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stream.simulator.objects import RESOURCES

UNKNOWN = "unknown"
"""Name of the operation that stands for paths the API does not have."""

_TABLE = """
login                POST    /v1/auth/login                                   200   90
verify_mfa           POST    /v1/auth/mfa                                     200   70
refresh_token        POST    /v1/auth/refresh                                 200   25
issue_token          POST    /v1/auth/token                                   200   30
logout               POST    /v1/auth/logout                                  204   15
request_reset        POST    /v1/auth/password-reset                          202   60
confirm_reset        POST    /v1/auth/password-reset/{reset_token}            200   80
get_me               GET     /v1/me                                           200   12
update_me            PATCH   /v1/me                                           200   30
set_email            PUT     /v1/me/email                                     200   40
set_password         PUT     /v1/me/password                                  204   95
list_notifications   GET     /v1/me/notifications                             200   14
add_device           POST    /v1/me/devices                                   201   35
get_home             GET     /v1/home                                         200   22
list_categories      GET     /v1/categories                                   200   10
list_category        GET     /v1/categories/{category_id}/products            200   35
list_products        GET     /v1/products                                     200   40
get_product          GET     /v1/products/{product_id}                        200   18
peek_product         HEAD    /v1/products/{product_id}                        200    9
list_reviews         GET     /v1/products/{product_id}/reviews                200   24
get_stock            GET     /v1/products/{product_id}/stock                  200   11
search               GET     /v1/search                                       200   80
suggest              GET     /v1/search/suggestions                           200   15
list_recommendations GET     /v1/recommendations                              200   55
get_cart             GET     /v1/cart                                         200   16
allow_cart           OPTIONS /v1/cart/items                                   204    2
add_cart_item        POST    /v1/cart/items                                   201   32
update_cart_item     PATCH   /v1/cart/items/{item_id}                         200   28
remove_cart_item     DELETE  /v1/cart/items/{item_id}                         204   26
add_coupon           POST    /v1/cart/coupons                                 200   30
create_checkout      POST    /v1/checkouts                                    201   60
get_checkout         GET     /v1/checkouts/{checkout_id}                      200   20
set_checkout_address PUT     /v1/checkouts/{checkout_id}/address              200   45
set_checkout_payment PUT     /v1/checkouts/{checkout_id}/payment              200  120
confirm_checkout     POST    /v1/checkouts/{checkout_id}/confirm              200  240
list_orders          GET     /v1/orders                                       200   38
get_order            GET     /v1/orders/{order_id}                            200   21
get_invoice          GET     /v1/orders/{order_id}/invoice                    200  130
list_shipments       GET     /v1/orders/{order_id}/shipments                  200   27
cancel_order         POST    /v1/orders/{order_id}/cancel                     200   70
create_return        POST    /v1/orders/{order_id}/returns                    201   75
list_customers       GET     /v1/customers                                    200   65
get_customer         GET     /v1/customers/{customer_id}                      200   19
list_addresses       GET     /v1/customers/{customer_id}/addresses            200   17
list_customer_orders GET     /v1/customers/{customer_id}/orders               200   36
list_accounts        GET     /v1/accounts                                     200   20
get_account          GET     /v1/accounts/{account_id}                        200   18
list_transactions    GET     /v1/accounts/{account_id}/transactions           200   48
get_statement        GET     /v1/accounts/{account_id}/statements/{day}       200  160
list_payees          GET     /v1/payees                                       200   16
add_payee            POST    /v1/payees                                       201   55
create_transfer      POST    /v1/transfers                                    201  180
get_transfer         GET     /v1/transfers/{transfer_id}                      200   20
list_partner_orders  GET     /v1/partner/orders                               200   70
set_stock            PUT     /v1/partner/stock/{product_id}                   204   24
set_price            PUT     /v1/partner/prices/{product_id}                  204   24
create_export        POST    /v1/partner/exports                              202   90
get_export           GET     /v1/partner/exports/{export_id}                  200   15
list_admin_orders    GET     /v1/admin/orders                                 200   85
update_admin_order   PATCH   /v1/admin/orders/{order_id}                      200   50
create_refund        POST    /v1/admin/refunds                                201  110
get_report           GET     /v1/admin/reports/{day}                          200  350
get_health           GET     /health                                          200    2
get_description      GET     /openapi.json                                    200    6
get_robots           GET     /robots.txt                                      200    1
"""

_UNLISTED = f"""
{UNKNOWN}              GET     /{{word}}                                         404    1
{UNKNOWN}_post         POST    /{{word}}                                         404    1
"""

_PAGES = ("", "", "", "?page=2", "?page=3", "?page=4&size=50", "?sort=price", "?sort=-created&page=2")
_QUERIES = (
    "?q=lamp",
    "?q=desk%20lamp",
    "?q=usb+c+cable&page=2",
    "?q=%C3%A9tag%C3%A8re",
    "?q=chair",
    "?q=mug&sort=price",
)
_OPENS_WITHOUT_ENDING = frozenset({"list_category"})
_KEEPS_ITS_OBJECT = frozenset({"update_admin_order"})


class Operation(msgspec.Struct, frozen=True):
    """One endpoint of the API.

    Attributes:
        name: operation id, unique.
        method: HTTP method.
        path: route template.
        success: status code of a call that went well.
        latency_ms: median time to answer, milliseconds.
        literals: the fixed parts of the path, one more than parameters.
        parameters: positions in RESOURCES of the ids between the literals.
        opens: whether a call asks for another object each time, rather than for more about the one at hand.
        queries: query strings that calls carry; one empty string where there are none.
    """

    name: str
    method: str
    path: str
    success: int
    latency_ms: int
    literals: tuple[str, ...]
    parameters: tuple[int, ...]
    opens: bool
    queries: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        """Method and route template: the endpoint that gatewatch should see."""
        return f"{self.method} {self.path}"


def _queries(name: str) -> tuple[str, ...]:
    if name in {"search", "suggest"}:
        return _QUERIES
    return _PAGES if name.startswith("list_") else ("",)


def _operation(line: str) -> Operation:
    name, method, path, success, latency_ms = line.split()
    positions = {resource.name: position for position, resource in enumerate(RESOURCES)}
    pieces = path.replace("}", "{").split("{")
    return Operation(
        name=name,
        method=method,
        path=path,
        success=int(success),
        latency_ms=int(latency_ms),
        literals=tuple(pieces[::2]),
        parameters=tuple(positions[piece] for piece in pieces[1::2]),
        opens=(path.endswith("}") and name not in _KEEPS_ITS_OBJECT) or name in _OPENS_WITHOUT_ENDING,
        queries=_queries(name),
    )


CATALOGUE: Sequence[Operation] = tuple(_operation(line) for line in _TABLE.strip().splitlines())
"""The operations of the API."""

OPERATIONS: Sequence[Operation] = (*CATALOGUE, *(_operation(line) for line in _UNLISTED.strip().splitlines()))
"""The catalogue and, after it, the operations that stand for paths the API does not have."""

POSITIONS: Mapping[str, int] = {operation.name: position for position, operation in enumerate(OPERATIONS)}
"""Position in OPERATIONS by name."""


def usual_statuses(operation: Operation) -> dict[int, int]:
    """Return how often a benign client gets each status code, in calls per thousand."""
    if operation.name.startswith(UNKNOWN):
        return {404: 990, 403: 10}
    rare = {500: 1, 503: 1}
    if operation.name == "login":
        rare |= {401: 70, 429: 2}
    elif operation.path.startswith(("/v1/auth", "/health", "/robots", "/openapi")):
        rare |= {400: 2}
    else:
        rare |= {401: 4}
    if operation.parameters:
        rare |= {404: 8}
    if operation.method in {"POST", "PUT", "PATCH"}:
        rare |= {422: 14, 409: 4}
    return {operation.success: 1000 - sum(rare.values()), **rare}


def _described(operation: Operation) -> dict[str, Any]:
    return {
        "operationId": operation.name,
        "tags": [next(part for part in operation.path.split("/") if part and part != "v1")],
        "parameters": [
            {"name": RESOURCES[at].name, "in": "path", "required": True, "schema": RESOURCES[at].schema}
            for at in operation.parameters
        ],
        "responses": {str(status): {"description": "see RFC 9110"} for status in sorted(usual_statuses(operation))},
    }


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of the catalogue, for those who want to pin its routes."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in CATALOGUE:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "The shop that gatewatch simulates", "version": "1.0.0"},
        "paths": paths,
    }
