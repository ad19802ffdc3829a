"""Pinned routes from an OpenAPI file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.routes import RouteTemplates
from stream.openapi import OpenApiError, pinned_routes, read_openapi

SHOP = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers:
  - url: https://shop.example.org/v1/
  - url: /v2
paths:
  /orders/{orderId}:
    parameters: [{name: orderId, in: path, required: true, schema: {type: string}}]
    get: {responses: {"200": {description: found}}}
    delete: {responses: {"204": {description: gone}}}
  /reports/{year}-{month}.csv:
    servers: [{url: https://reports.example.org}]
    get:
      responses: {}
    post:
      servers: [{url: https://upload.example.org/in}]
      responses: {}
  x-internal: {anything: goes}
"""


def shop(tmp_path: Path, text: str, name: str = "openapi.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def document(**paths: object) -> dict[str, object]:
    return {"openapi": "3.0.3", "paths": paths}


def test_each_operation_is_a_route_under_each_of_its_servers(tmp_path: Path) -> None:
    assert read_openapi(shop(tmp_path, SHOP)) == (
        "GET /v1/orders/{orderId}",
        "GET /v2/orders/{orderId}",
        "DELETE /v1/orders/{orderId}",
        "DELETE /v2/orders/{orderId}",
        "GET /reports/{year}-{month}.csv",
        "POST /in/reports/{year}-{month}.csv",
    )


def test_the_routes_pin_endpoints(tmp_path: Path) -> None:
    routes = RouteTemplates(read_openapi(shop(tmp_path, SHOP)))
    assert routes.endpoint("GET", "/v1/orders/latest", 200) == "GET /v1/orders/{orderId}"
    assert routes.endpoint("GET", "/v1/orders/latest", 404) == "GET /v1/orders/{orderId}"
    assert routes.endpoint("GET", "/reports/2024-01.csv", 200) == "GET /reports/{year}-{month}.csv"
    assert routes.endpoint("GET", "/v1/reports/2024-01.csv", 200) == "GET /v1/reports/{date}.csv"


@pytest.mark.parametrize("name", ["openapi.json", "openapi.yaml", "openapi"])
def test_json_is_told_by_its_first_character(tmp_path: Path, name: str) -> None:
    text = '\n {"swagger": "2.0", "basePath": "/api/", "paths": {"/pets/{id}": {"get": {}, "put": {}}}}'
    assert read_openapi(shop(tmp_path, text, name)) == ("GET /api/pets/{id}", "PUT /api/pets/{id}")


def test_yaml_that_begins_with_a_brace_is_yaml(tmp_path: Path) -> None:
    assert read_openapi(shop(tmp_path, "{openapi: 3.0.0, paths: {/a: {get: {}}}}")) == ("GET /a",)


@pytest.mark.parametrize("version", ["2.0", 2.0, "3.0.3", 3.1, "3.2.0", 3])
def test_versions_2_and_3_in_any_spelling(version: object) -> None:
    key = "swagger" if str(version).startswith("2") else "openapi"
    assert pinned_routes({key: version, "paths": {"/a": {"get": {}}}}) == ("GET /a",)


def test_a_swagger_without_base_path_has_none() -> None:
    assert pinned_routes({"swagger": "2.0", "paths": {"/a": {"get": {}}}}) == ("GET /a",)


def test_every_method_and_amazons_any() -> None:
    methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"]
    routes = pinned_routes(document(**{"/a": {m: {} for m in methods}, "/b": {"x-amazon-apigateway-any-method": {}}}))
    assert routes == (*(f"{m.upper()} /a" for m in methods), "/b")
    RouteTemplates(routes)


def test_amazons_greedy_path() -> None:
    routes = pinned_routes(document(**{"/files/{proxy+}": {"get": {}}}))
    assert RouteTemplates(routes).endpoint("GET", "/files/a/b/c", 200) == "GET /files/{proxy+}"


def test_server_variables_take_each_of_their_values() -> None:
    root = document(**{"/a": {"get": {}}})
    root["servers"] = [
        {
            "url": "https://{region}.example.org:{port}/{stage}/{version}",
            "variables": {"stage": {"default": "live", "enum": ["live", "test"]}, "version": {"default": 2}},
        }
    ]
    assert pinned_routes(root) == ("GET /live/2/a", "GET /test/2/a")


@pytest.mark.parametrize("servers", [[], [{"url": "/"}], [{"url": "https://example.org"}], [{"url": "//example.org/"}]])
def test_servers_without_a_base_path(servers: list[object]) -> None:
    assert pinned_routes({**document(**{"/a": {"get": {}}}), "servers": servers}) == ("GET /a",)


def test_a_path_items_reference_is_followed() -> None:
    root = document(**{"/a": {"$ref": "#/components/pathItems/x~1y"}})
    root["components"] = {"pathItems": {"x/y": {"$ref": "#/components/pathItems/z"}, "z": {"get": {}}}}
    assert pinned_routes(root) == ("GET /a",)


def test_no_paths_are_no_routes() -> None:
    assert pinned_routes({"openapi": "3.1.0", "webhooks": {"x": {"post": {}}}}) == ()


def test_the_same_route_twice_is_one() -> None:
    root = {**document(**{"/a": {"get": {}}}), "servers": [{"url": "https://one/v1"}, {"url": "https://two/v1"}]}
    assert pinned_routes(root) == ("GET /v1/a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "document must be a mapping, not NoneType"),
        ("hello", "document must be a mapping, not str"),
        ("- a", "document must be a mapping, not list"),
        ("a: [", r"neither YAML nor JSON \(line \d\): did not find"),
        ("{", "neither YAML nor JSON"),
        ("a: b: c", r"neither YAML nor JSON \(line 1\): mapping values"),
        ("!!python/object/apply:os.getcwd []", "neither YAML nor JSON"),
        ("paths: {}", "neither 'openapi' nor 'swagger'"),
        ("openapi: 4.0.0", "version '4.0.0' is not known"),
        ("swagger: '1.2'", "version '1.2' is not known"),
        ("openapi: 3.0.0\npaths: []", "paths must be a mapping, not list"),
        ("openapi: 3.0.0\npaths: {orders: {get: {}}}", "paths: 'orders' must be text that begins with '/'"),
        ("openapi: 3.0.0\npaths: {1: {get: {}}}", "paths: 1 must be text"),
        ("openapi: 3.0.0\npaths: {/a: 7}", "paths./a must be a mapping, not int"),
        ("openapi: 3.0.0\npaths: {/a: {get: 7}}", "paths./a.get must be a mapping, not int"),
        ("openapi: 3.0.0\npaths: {/a?b: {get: {}}}", r"pinned route 'GET /a\?b': a route has no '\?'"),
        ("openapi: 3.0.0\npaths: {'/a/{b': {get: {}}}", "unbalanced brace"),
        ("openapi: 3.0.0\npaths: {/a: {$ref: './a.yaml'}}", r"paths./a: \$ref to another file; bundle"),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/nowhere'}}", r"\$ref #/nowhere leads nowhere"),
        ("openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}}", "leads back to itself"),
        ("openapi: 3.0.0\nservers: 7\npaths: {/a: {get: {}}}", "servers must be a list"),
        ("openapi: 3.0.0\nservers: [7]\npaths: {/a: {get: {}}}", "servers must be a mapping, not int"),
        ("openapi: 3.0.0\nservers: [{}]\npaths: {/a: {get: {}}}", "a server has no url"),
        ("openapi: 3.0.0\nservers: [{url: '/{b}'}]\npaths: {/a: {get: {}}}", "server variable 'b' has no default"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = shop(tmp_path, text)
    with pytest.raises(OpenApiError, match=message) as caught:
        read_openapi(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OpenApiError, match="cannot be read: No such file"):
        read_openapi(tmp_path / "none.yaml")


def test_servers_of_absurdly_many_base_paths() -> None:
    variable = {"default": "0", "enum": [str(i) for i in range(10)]}
    root = document(**{"/a": {"get": {}}})
    root["servers"] = [{"url": "/{a}/{b}/{c}/{d}/{e}/{f}", "variables": dict.fromkeys("abcdef", variable)}]
    with pytest.raises(OpenApiError, match="more than 64 base paths"):
        pinned_routes(root)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["#/paths", "/", "{a}", "3.0.0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["get", "servers", "url", "$ref", "variables", "default", "enum", "/a", "/{b}"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(paths=values, servers=values)
def test_any_document_gives_routes_or_an_openapi_error(paths: object, servers: object) -> None:
    for root in ({"openapi": "3.0.0", "paths": paths, "servers": servers}, {"swagger": "2.0", "paths": paths}, paths):
        try:
            RouteTemplates(pinned_routes(root))
        except OpenApiError:
            continue
