import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import structlog

from stream import cli
from stream.cli import COMMANDS, load_command, main
from stream.errors import CommandError, ExitCode, SettingsError
from stream.logs import configure_logs
from stream.masking import MASK, masked
from stream.sections.operation import LogSettings
from stream.settings import load_settings


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a command."""
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_help_lists_every_command_without_loading_what_commands_need() -> None:
    """``gatewatch --help`` answers at once: neither the broker client, Faust, numpy nor training is imported."""
    program = (
        "import sys; from stream.cli import main; code = main(['--help']);"
        "heavy = {'confluent_kafka', 'faust', 'sklearn', 'numpy', 'pydantic', 'rich', 'matplotlib'} & set(sys.modules);"
        "print('HEAVY', sorted(heavy)); sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "HEAVY []" in done.stdout
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_the_installed_program_says_its_version() -> None:
    program = Path(sys.executable).with_name("gatewatch")

    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("gatewatch 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_help(name: str) -> None:
    command = load_command(name)

    assert command.name == name
    assert command.help


def test_a_command_whose_module_is_not_there_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "COMMANDS", {"gone": cli.Entry("stream.commands.gone", "gone", "Gone.")})

    assert run(capsys, "gone") == (1, "", "error: gatewatch gone is not part of this installation\n")


def plant(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Register a command ``fail`` that raises."""

    def fail() -> None:
        raise error

    module = ModuleType("stream.commands.fail")
    module.fail = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "COMMANDS", {"fail": cli.Entry(module.__name__, "fail", "Fail.")})


@pytest.mark.parametrize("code", [ExitCode.FAILURE, ExitCode.UNREACHABLE, ExitCode.DIFFERENT])
def test_a_failing_command_says_what_is_wrong_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: ExitCode
) -> None:
    plant(monkeypatch, CommandError("no [broker]", "start one", code))

    assert run(capsys, "fail") == (code, "", "error: no [broker]\nnext: start one\n")


def test_wrong_settings_are_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    plant(monkeypatch, SettingsError(["first", "second"]))

    code, _, err = run(capsys, "fail")

    assert code == ExitCode.USAGE
    assert err.startswith("error: first\nerror: second\nnext: ")


@pytest.mark.parametrize(
    ("package", "extra"), [("sklearn.ensemble", "train"), ("river", "evaluate"), ("catboost", "catboost")]
)
def test_a_missing_package_names_the_extra_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str, extra: str
) -> None:
    plant(monkeypatch, ModuleNotFoundError(f"no {package}", name=package))

    code, _, err = run(capsys, "fail")

    assert (code, f"extra: {extra}" in err) == (1, True)


@pytest.mark.parametrize("error", [ModuleNotFoundError("defect", name="strem"), RuntimeError("defect")])
def test_a_defect_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    plant(monkeypatch, error)

    with pytest.raises(type(error)):
        main(["fail"])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(["conf"], "Did you mean 'config'?"), (["config", "show", "--jsn"], "--jsn"), (["config"], "Usage")],
)
def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str], part: str) -> None:
    code, out, err = run(capsys, *arguments)

    assert code == ExitCode.USAGE
    assert part in out + err


# gatewatch config


def test_config_show_says_where_each_value_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gatewatch.toml").write_text("[sessions]\ngap_s = 60\nquiet_s = 5\n")
    monkeypatch.setenv("GATEWATCH_SESSIONS__LINGER_S", "7")

    code, out, _ = run(capsys, "config", "show", "--set", "sessions.gap_s=90", "-s", 'alerts.severity={"medium": 0.1}')
    rows = {cells[0]: cells[1:] for line in out.splitlines() if len(cells := line.split()) == 3}

    assert code == 0
    assert rows["sessions.gap_s"] == ["90", "flag"]
    assert rows["sessions.linger_s"] == ["7", "environment"]
    assert rows["sessions.quiet_s"] == ["5", "file"]
    assert rows["sessions.max_calls"] == ["10000", "default"]
    assert rows["alerts.severity.medium"] == ["0.1", "flag"]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_config_show_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    monkeypatch.setenv("GATEWATCH_WEB__TOKEN", "s3cret")
    monkeypatch.setenv("GATEWATCH_PRIVACY__HMAC_KEYS", f"2026a={'s3cret' * 8}")
    monkeypatch.setenv("GATEWATCH_KAFKA__PROPERTIES__SASL_PASSWORD", "s3cret")
    monkeypatch.setenv("GATEWATCH_KAFKA__PROPERTIES__SSL_KEY_PASSWORD", "s3cret")
    monkeypatch.setenv("GATEWATCH_KAFKA__PROPERTIES__SASL_USERNAME", "visible")

    code, out, err = run(capsys, "config", "show", *flags)

    assert code == 0
    assert "s3cret" not in out + err
    assert "visible" in out
    assert MASK in out
    assert "<Identity" not in out  # members of enumerations are shown by their values


def test_config_show_json_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "config", "show", "--json", "--set", "web.port=7000")
    values = json.loads(out)

    assert load_settings(overrides=values).web.port == 7000


def test_config_check_lists_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gatewatch.toml").write_text(
        "[kafka.properties]\n'no.such' = 1\n[degrees]\nfrozen = 'gone.json'\n"
        "[routes]\npinned = ['no slash']\n[model]\nbundle = 'nowhere'\n"
    )

    code, out, _ = run(capsys, "config", "check", "--json")
    answer = json.loads(out)

    assert code == ExitCode.USAGE
    assert answer["valid"] is False
    for part in ("no.such", "no slash", "gone.json", "nowhere"):
        assert part in " ".join(answer["problems"])
    assert len(answer["problems"]) == 4


def test_config_check_is_content_with_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "config", "check") == (0, "The settings can be used.\n", "")


def test_set_wants_name_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "config", "show", "--set", "sessions.gap_s")

    assert code == ExitCode.USAGE
    assert "write NAME=VALUE" in err


# The log


@pytest.fixture
def logs() -> Iterator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


@pytest.mark.usefixtures("logs")
def test_json_logs_are_one_object_a_line_whoever_writes(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(format="json"))

    structlog.get_logger("gatewatch").info("started", partitions=4, password="s3cret")  # noqa: S106 -- to be masked
    logging.getLogger("librdkafka").warning("broker %s is down", "b1")
    structlog.get_logger("gatewatch").debug("not shown")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [(line["event"], line["level"]) for line in lines] == [("started", "info"), ("broker b1 is down", "warning")]
    assert (lines[0]["partitions"], lines[0]["password"]) == (4, MASK)


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize(("level", "shown"), [("info", 1), ("debug", 2)])
def test_the_start_of_each_service_is_for_debugging(
    capsys: pytest.CaptureFixture[str], level: Literal["info", "debug"], shown: int
) -> None:
    """Mode reports each of its services under the name of the module that defines it."""
    configure_logs(LogSettings(level=level))

    logging.getLogger("stream.intake").info("[^--Intake]: Starting...")
    logging.getLogger("stream.intake").error("[^--Intake]: Crashed")

    assert len(capsys.readouterr().err.splitlines()) == shown


@pytest.mark.usefixtures("logs")
def test_an_exception_is_in_the_log_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings(format="json"))
    try:
        int("boom")
    except ValueError:
        structlog.get_logger("gatewatch").exception("failed")

    line = json.loads(capsys.readouterr().err)

    assert line["exception"][0]["exc_value"].endswith("'boom'")


@pytest.mark.usefixtures("logs")
def test_console_logs_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSettings())

    structlog.get_logger("gatewatch").info("started", partitions=4)

    assert "partitions=4" in capsys.readouterr().err


def test_masking_reaches_into_tables_and_lists() -> None:
    assert masked({"a": [{"sasl.password": "x", "topic": "t"}], "ssl.key.location": "k"}) == {
        "a": [{"sasl.password": MASK, "topic": "t"}],
        "ssl.key.location": "k",
    }
