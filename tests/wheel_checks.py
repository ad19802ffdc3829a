"""What must hold of the installed wheel: run away from the checkout, in a virtual environment that has only the wheel.

``.ci/run`` copies this file there; ``make test`` does not collect it, since an editable install cannot show any of it.
"""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from featurizer.features import GATEWAY_V1
from stream.bundles import read_bundle

SITE = Path(sys.prefix).resolve()
COMMAND = Path(sys.executable).parent / "gatewatch"
PACKAGES = ("stream", "scorer", "featurizer")


def gatewatch(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_brings_a_package_of_the_same_name(package: str) -> None:
    """These import names are general; whoever installs beside us must not replace our files unseen."""
    assert importlib.metadata.packages_distributions()[package] == ["gatewatch"]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_come_from_the_wheel(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).resolve().is_relative_to(SITE)


def test_only_the_three_packages_are_installed() -> None:
    files = importlib.metadata.files("gatewatch") or []
    tops = {file.parts[0] for file in files if not file.parts[0].startswith(("gatewatch-", ".."))}
    assert tops == set(PACKAGES)


@pytest.mark.parametrize("library", ["sklearn", "matplotlib", "networkx", "joblib"])
def test_a_worker_has_no_training_library(library: str) -> None:
    assert importlib.util.find_spec(library) is None


def test_the_command_works_beside_modules_of_the_same_names(tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / f"{package}.py").write_text("raise SystemExit('the wrong module')\n")
    shown = gatewatch("--version", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == f"gatewatch {importlib.metadata.version('gatewatch')}\n"


@pytest.mark.parametrize("name", ["access-behaviour", "demo"])
def test_shipped_bundles_load(name: str) -> None:
    bundle = read_bundle(name, GATEWAY_V1)
    assert bundle.manifest.name == name
    assert resources.files("scorer").joinpath("bundles", name, "MODEL_CARD.md").is_file()


def test_licences_are_shipped() -> None:
    files = {str(file) for file in importlib.metadata.files("gatewatch") or []}
    info = f"gatewatch-{importlib.metadata.version('gatewatch')}.dist-info/licenses/"
    assert f"{info}LICENSE" in files
    assert any(file.startswith(f"{info}scorer/data/") for file in files), "the data set's own licence"


def test_simulated_calls_replay_to_sessions(tmp_path: Path) -> None:
    """The whole path without Kafka, with what is in the wheel only."""
    calls = tmp_path / "calls.jsonl"
    simulated = gatewatch("simulate", "--out", str(calls), "--duration", "60", "--seed", "7", cwd=tmp_path)
    assert simulated.returncode == 0, simulated.stderr
    replayed = gatewatch("replay", str(calls), "--json", cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    summary = json.loads(replayed.stdout.splitlines()[-1])
    assert summary["type"] == "summary"
    assert summary["lines"] == len(calls.read_text().splitlines())
    assert sum(summary["sessions"].values()) > 0
    assert summary["dead_letters"] == {}
