"""What to configure at each gateway, for the README: taken from the docs, so that it is told in one place."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from stream.errors import CommandError

DOCS = Path(__file__).parent.parent / "docs"
SECTIONS: Mapping[str, str] = {
    "NGINX": "gateways.md",
    "Apache": "gateways.md",
    "Kong": "gateways.md",
    "Apache APISIX": "gateways.md",
    "Traefik": "gateways.md",
    "Envoy": "gateways.md",
    "Istio": "gateways.md",
    "AWS API Gateway": "gateways-cloud.md",
    "OpenTelemetry collector": "gateways-cloud.md",
    "OCSF, Amazon Security Lake": "gateways-cloud.md",
    "Log shippers": "gateways-cloud.md",
}
"""Headings, each with the file in ``docs`` that has it."""

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LOCAL_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")


def gateways_block() -> str:
    """Return each gateway's configuration, folded away, with what introduces it and where more is said.

    Raises:
        CommandError: the docs lack a gateway's section, or it has nothing to paste.
    """
    return "\n\n".join(_folded(title, file) for title, file in SECTIONS.items())


def _folded(title: str, file: str) -> str:
    text = (DOCS / file).read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    parts = list(_parts(section[1], file)) if section else []
    if not parts:
        raise CommandError(f"docs/{file} has nothing to paste under {title}", "write it there")
    anchor = re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
    more = f"[What to know about it](docs/{file}#{anchor})"
    return "\n\n".join([f"<details><summary>{title}</summary>", *parts, more, "</details>"])


def _parts(section: str, file: str) -> Iterator[str]:
    """Yield every fenced block, after the paragraph before it if that is no item of a list."""
    begin = 0
    for fence in _FENCE.finditer(section):
        said = section[begin : fence.start()].strip().split("\n\n")[-1]
        if said and not said.startswith("- "):
            yield _LOCAL_LINK.sub(lambda link: f"]({_target(link, file)})", said)
        yield fence[0]
        begin = fence.end()


def _target(link: re.Match[str], file: str) -> str:
    """Return where a link of a file in ``docs`` leads, seen from the README."""
    path, anchor = link[1] or file, link[2] or ""
    return path.removeprefix("../") + anchor if path.startswith("../") else f"docs/{path}{anchor}"
