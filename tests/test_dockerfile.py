"""The image is small, pinned, unprivileged, and built from what the build context lets through."""

import fnmatch
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from stream.settings import load_settings

CHECKOUT = Path(__file__).parent.parent
DOCKERFILE = CHECKOUT / "deploy/Dockerfile"


class Instruction(NamedTuple):
    stage: int
    keyword: str
    value: str


def instructions() -> list[Instruction]:
    """Return the instructions, continued lines joined, comments left out; stage -1 is before the first FROM."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    found, stage = [], -1
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            keyword, value = line.split(maxsplit=1)
            stage += keyword == "FROM"
            found.append(Instruction(stage, keyword, value))
    return found


ALL = instructions()
FINAL = [entry for entry in ALL if entry.stage == ALL[-1].stage]


def values(keyword: str, entries: list[Instruction]) -> list[str]:
    return [entry.value for entry in entries if entry.keyword == keyword]


def test_the_base_image_is_pinned_by_release_and_digest() -> None:
    (argument,) = [value for value in values("ARG", ALL) if value.startswith("PYTHON_IMAGE=")]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", argument)
    assert {value.split()[0] for value in values("FROM", ALL)} == {"${PYTHON_IMAGE}"}


def test_built_in_one_stage_and_run_in_another() -> None:
    assert FINAL[0].stage == 1
    assert not any(re.search(r"\b(pip|apt-get|curl|wget|gcc)\b", value) for value in values("RUN", FINAL))


def test_installs_exact_versions() -> None:
    installs = [part for value in values("RUN", ALL) for part in value.split("&&") if "pip install" in part]
    assert installs
    assert all("--constraint constraints.txt" in part for part in installs)


def test_a_worker_carries_no_training_extra() -> None:
    assert "[train]" not in DOCKERFILE.read_text()


def test_runs_as_an_unprivileged_user_by_number() -> None:
    """By number, so that an orchestrator can see that it is not root."""
    assert FINAL[-1].keyword == "CMD"
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", values("USER", FINAL)[-1])


@pytest.mark.parametrize("keyword", ["ENTRYPOINT", "CMD"])
def test_starts_without_a_shell(keyword: str) -> None:
    """A shell would swallow SIGTERM, and the last batch would not be committed."""
    (command,) = values(keyword, FINAL)
    assert isinstance(json.loads(command), list)


def test_has_a_health_check_without_a_shell() -> None:
    (check,) = values("HEALTHCHECK", FINAL)
    assert json.loads(check.partition(" CMD ")[2])[0] == "python"


def test_has_labels() -> None:
    (labels,) = values("LABEL", FINAL)
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_holds_no_secret() -> None:
    named = [value for keyword in ("ARG", "ENV") for value in values(keyword, ALL)]
    assert not [value for value in named if re.search("PASSWORD|TOKEN|SECRET|CREDENTIAL", value, re.IGNORECASE)]
    assert values("ADD", ALL) == []


def test_its_variables_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.findall(r"\b(GATEWATCH_\w+)=(\S+)", " ".join(values("ENV", ALL)))
    assert found
    for name, value in found:
        monkeypatch.setenv(name, value)
    assert load_settings().log.format == "json"


def test_everything_copied_is_in_the_build_context() -> None:
    """.dockerignore excludes all but a few, so that no log, key or cache can get into a layer."""
    ignore = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignore[0] == "*"
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    sources = [
        source for value in values("COPY", ALL) if not value.startswith("--from=") for source in value.split()[:-1]
    ]
    assert set(sources) == allowed
    assert all((CHECKOUT / source).exists() for source in sources)
    hidden = [line for line in ignore[1:] if not line.startswith("!")]
    assert any(fnmatch.fnmatch("stream/__pycache__", pattern) for pattern in hidden)
