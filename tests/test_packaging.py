"""The project's own metadata: versions pinned, packages named, nothing meant for a public index."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
CONSTRAINTS = [
    Requirement(line)
    for line in (CHECKOUT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["project"]["dependencies"], *EXTRAS.values(), PROJECT["build-system"]["requires"])
    for text in texts
]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_every_requirement_is_pinned_to_a_version_it_allows(requirement: Requirement) -> None:
    if requirement.name == PROJECT["project"]["name"]:
        return  # dev takes in train
    pins = [pin for pin in CONSTRAINTS if canonical(pin.name) == canonical(requirement.name)]
    assert pins, "run `make lock`"
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert requirement.specifier.contains(specifier.version, prereleases=True)


def test_constraints_name_no_address() -> None:
    assert all(pin.url is None for pin in CONSTRAINTS)
    assert "://" not in (CHECKOUT / "constraints.txt").read_text()


def test_not_for_a_public_index() -> None:
    """The three import names are too general to give to others."""
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def test_no_test_folder_shadows_a_package() -> None:
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    folders = {path.name for path in (CHECKOUT / "tests").iterdir() if path.is_dir()}
    assert not folders & (packages | {"deploy"})


def test_training_libraries_are_an_extra() -> None:
    names = {Requirement(text).name for text in PROJECT["project"]["dependencies"]}
    assert not names & {"scikit-learn", "joblib", "matplotlib", "networkx"}


def test_actions_are_pinned_and_have_no_permissions_by_default() -> None:
    for file in (CHECKOUT / ".github/workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert job["timeout-minutes"] <= 30
            for step in job["steps"]:
                assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40))
