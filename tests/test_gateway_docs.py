"""What the README says to paste at each gateway."""

import re
import tomllib
from pathlib import Path

import pytest

from stream import gateway_docs
from stream.adapters import FORMATS
from stream.errors import CommandError
from stream.gateway_docs import SECTIONS, gateways_block

ROOT = Path(__file__).parents[1]
BLOCK = gateways_block()


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_gateway_has_something_to_paste() -> None:
    folded = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", BLOCK, re.DOTALL)
    assert [title for title, _ in folded] == list(SECTIONS)
    assert all("\n```" in text for _, text in folded)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]*))?\)", BLOCK)
    assert len(links) >= len(SECTIONS)
    for path, anchor in links:
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in anchors(ROOT / path), anchor


def test_the_settings_to_paste_name_formats_that_there_are() -> None:
    pasted = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", BLOCK, re.DOTALL)]
    assert len(pasted) >= 7
    assert {given["format"] for settings in pasted for given in settings["inputs"]} < set(FORMATS)


def test_a_section_without_anything_to_paste_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gateway_docs.SECTIONS, "Tyk", "gateways.md")
    with pytest.raises(CommandError, match=r"docs/gateways\.md has nothing to paste under Tyk"):
        gateways_block()
