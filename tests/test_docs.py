import subprocess
import sys
from pathlib import Path

import pytest
import typer

from stream import docs, markdown
from stream.cli import COMMANDS
from stream.errors import CommandError, ExitCode
from stream.settings import Settings
from stream.settings_errors import field_names
from stream.telemetry import METRICS

README = Path(__file__).parent.parent / "README.md"


def test_the_readme_s_tables_are_up_to_date() -> None:
    command = [sys.executable, "-m", "stream.docs", str(README), "--check"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=README.parent)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_tables_hold_every_setting_metric_and_command() -> None:
    settings, metrics, commands = docs.settings_block(), docs.metrics_block(), docs.commands_block()

    for name in field_names(Settings):
        assert f"| `{name}` |" in settings or name == "inputs", name
    assert "`inputs[].keyed`" in settings
    assert "`GATEWATCH_ALERTS__SEVERITY__HIGH`" in settings
    for metric in METRICS:
        assert f"`{metric.exposed_name}`" in metrics
    for command in COMMANDS:
        assert f"Usage: gatewatch {command}" in commands


@pytest.mark.parametrize("columns", ["40", "300"])
def test_the_terminal_does_not_change_the_text(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    before = docs.commands_block()

    monkeypatch.setenv("COLUMNS", columns)

    assert docs.commands_block() == before


def test_an_outdated_document_is_found_and_put_right(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    markers = "\n".join(f"<!-- {name}:begin -->\nOUTDATED\n<!-- {name}:end -->" for name in docs.BLOCKS)
    document.write_text(f"before\n{markers}\nafter\n")

    with pytest.raises(typer.Exit) as outdated:
        docs.main(document, check=True)
    assert (outdated.value.exit_code, "OUTDATED" in document.read_text()) == (ExitCode.DIFFERENT, True)
    docs.main(document)
    docs.main(document, check=True)

    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "OUTDATED" not in text


def test_a_document_without_markers_says_which_are_missing() -> None:
    with pytest.raises(CommandError, match="no block settings"):
        docs.rewritten("# Nothing")


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown.table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |"
