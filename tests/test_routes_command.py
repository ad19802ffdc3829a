"""``gatewatch routes suggest``: what it shows, and a pin file that the settings load."""

import json
from pathlib import Path
from typing import Any

import pytest

from featurizer.routes import RouteTemplates
from stream import assembly, console
from stream.cli import main
from stream.settings import load_settings
from tests.traffic_paths import USERS

LINE = '{{"time": 1790000000123, "client": "alice", "method": "GET", "path": "{path}", "status": {status}}}'


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console.stdout, "_width", 120)


def log(*paths: str, status: int = 200) -> str:
    with Path("access.log").open("a") as file:
        file.writelines(LINE.format(path=path, status=status) + "\n" for path in paths)
    return "access.log"


def users(rest: str = "") -> list[str]:
    return [f"/users/{name}{rest}?token=s3cr3t" for name in USERS]


def suggest(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["routes", "suggest", *arguments]) == code, capsys.readouterr().err
    return capsys.readouterr().out


def suggested(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(suggest(capsys, *arguments, "--json"))
    return document


def test_each_template_is_shown_with_the_paths_it_swallows(capsys: pytest.CaptureFixture[str]) -> None:
    printed = suggest(capsys, log(*users(), "/users/me", "/health", "/health"))

    assert "26 calls; 0 with a route of their own, 0 refused (4xx), 26 to 25 paths" in printed
    assert "25 templates, 3 with 2 pins" in printed
    assert "/users/{name}\n    23 calls, 23 paths: /users/alice  /users/bob  /users/carol  …\n" in printed
    assert "Pinned too, because the pins above would take them\n/users/me  1 call\n" in printed
    assert "Other templates, 1 in all\n/health\n    2 calls, 1 path: /health\n" in printed
    assert 'pinned = [\n  "/users/me",\n  "/users/{name}",\n]' in printed
    assert "s3cr3t" not in printed


def test_the_pin_file_written_gives_the_endpoints_shown(capsys: pytest.CaptureFixture[str]) -> None:
    document = suggested(capsys, log(*users(), *users("/orders"), "/users/me"), "--write", "routes.toml")

    routes = assembly.route_templates(load_settings(Path("routes.toml")))
    for row in document["rows"]:
        assert {routes.template(path) for path in row["examples"]} == {row["template"]}
    assert {row["template"] for row in document["rows"]} == {"/users/{name}", "/users/{name}/orders", "/users/me"}
    assert list(load_settings(Path("routes.toml")).routes.pinned) == document["pins"]


def test_pins_are_added_to_a_settings_file_and_the_rest_of_it_stays(capsys: pytest.CaptureFixture[str]) -> None:
    own = '# ours\n[log]\nlevel = "info" # quiet\n\n[routes]\npinned = ["/a/{b}"]\n'
    Path("gatewatch.toml").write_text(own)

    printed = suggest(capsys, log(*users()), "--write", "gatewatch.toml")
    again = suggest(capsys, "access.log", "--write", "gatewatch.toml")

    assert load_settings().routes.pinned == ("/a/{b}", "/users/{name}")
    assert Path("gatewatch.toml").read_text().startswith('# ours\n[log]\nlevel = "info" # quiet\n')
    assert "written to gatewatch.toml" in printed
    assert "no pin is needed" in again


def test_a_broken_settings_file_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.toml").write_text("[routes\n")

    assert main(["routes", "suggest", log(*users()), "--write", "own.toml"]) == 1
    assert "own.toml is not changed" in capsys.readouterr().err
    assert Path("own.toml").read_text() == "[routes\n"


def test_a_scanner_makes_no_routes(capsys: pytest.CaptureFixture[str]) -> None:
    log(*users(), status=404)
    log(*users("/x"), status=403)

    document = suggested(capsys, log("/orders/42"))

    assert (document["pins"], document["refused_calls"]) == ([], 2 * len(USERS))
    assert [row["template"] for row in document["rows"]] == ["/orders/{id}"]


def test_routes_that_the_gateway_names_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    line = LINE.format(path="/users/{0}", status=200).replace('"path"', '"route": "/users/:user", "path"')
    Path("access.log").write_text("".join(line.replace("{0}", name) + "\n" for name in USERS))

    printed = suggest(capsys, "access.log")

    assert f"{len(USERS)} with a route of their own" in printed
    assert "no pin is needed" in printed


def test_calls_in_wire_form_have_no_paths_left(capsys: pytest.CaptureFixture[str]) -> None:
    Path("calls").write_text('[1700000000123,"alice","GET /users/bob",200]\n')

    assert "1 call; 1 with a route of their own" in suggest(capsys, "calls")


def test_the_number_of_words_that_make_a_parameter_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    log(*users()[:5])

    assert suggested(capsys, "access.log")["pins"] == []
    assert suggested(capsys, "access.log", "--siblings", "4")["pins"] == ["/users/{name}"]


def test_what_is_no_log_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("access.log").write_text("hello\n")

    assert main(["routes", "suggest", "access.log"]) == 1
    assert "gatewatch check says why" in capsys.readouterr().err


def test_mined_pins_of_the_real_log_load_and_halve_its_templates(capsys: pytest.CaptureFixture[str]) -> None:
    document = suggested(capsys, str(Path(__file__).parent / "data/elastic_apache_access.log"))

    routes = RouteTemplates(document["pins"])
    assert document["after"] * 1.5 < document["before"]
    assert routes.template("/blog/tags/puppet") == "/blog/tags/{name}"
    assert routes.template("/favicon.ico") == "/favicon.ico"
    assert sum(row["calls"] for row in document["rows"]) + document["refused_calls"] == 10_000
