"""Settings are written into the user's file, and nothing else in it changes."""

import tomllib
from pathlib import Path

import pytest

from stream.config_file import fragment, with_values, write_values
from stream.errors import CommandError
from stream.settings import merged

VALUES = {"threshold_open": 0.973124, "threshold_closed": 0.000001}

DOCUMENTS = {
    "empty": "",
    "another section": '[kafka]\nbootstrap_servers = "b:9092"\n',
    "no line end": '[model]\nbundle = "x"',
    "values to replace": "[model]\nthreshold_open = 1  # strict\nthreshold_closed = 0.5\n",
    "tables after it": '[model]\nbundle = "x"\n\n# where from\n[[inputs]]\ntopic = "a"\n\n[[inputs]]\ntopic = "b"\n',
    "comments only": "[model] # ours\n# nothing yet\n\n[log]\nlevel = 'info'\n",
    "dotted": 'model.bundle = "x"\nlog.level = "info"\n',
    "inline": 'model = { bundle = "x" }\n',
    "subtable first": '[alerts.severity]\nmedium = 0.5\n\n[model]\nbundle = "x"\n',
    "Greek": '# Ω\n[model]\nbundle = "Ω"\n',
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_only_the_values_change(text: str) -> None:
    written = with_values(text, "model", VALUES)

    assert tomllib.loads(written) == merged(tomllib.loads(text), {"model": VALUES})
    assert with_values(written, "model", VALUES) == written


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_comment_stays_with_what_it_is_about(text: str) -> None:
    lines = with_values(text, "model", VALUES).splitlines()

    before = text.splitlines()
    for number, line in enumerate(before):
        if line.startswith("#") and number + 1 < len(before):
            at = lines.index(line)
            assert lines[at + 1] == before[number + 1]
    assert [line.partition("#")[2] for line in lines if "#" in line] == [
        line.partition("#")[2] for line in before if "#" in line
    ]


def test_a_fragment_is_the_section_alone() -> None:
    assert fragment("model", {"threshold_open": 0.9, "threshold_closed": 0.5}) == (
        "[model]\nthreshold_open = 0.9\nthreshold_closed = 0.5\n"
    )


def test_a_file_that_cannot_be_changed_is_named_and_the_lines_are_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"is not changed: Is a directory") as raised:
        write_values(tmp_path, "model", {"threshold_open": 0.9})

    assert raised.value.hint == "write into it yourself: [model]; threshold_open = 0.9"


def test_a_change_that_would_change_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gatewatch.toml"
    path.write_text('[model]\nbundle = "x"\n')
    monkeypatch.setattr("stream.config_file.tomlkit.dumps", lambda _: "[model]\nthreshold_open = 0.9\n")

    with pytest.raises(CommandError, match="cannot be changed without changing more"):
        write_values(path, "model", {"threshold_open": 0.9})

    assert path.read_text() == '[model]\nbundle = "x"\n'
