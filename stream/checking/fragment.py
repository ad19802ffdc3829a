"""The settings that an examination leads to, as a TOML file that can be used as it is."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import tomlkit

from stream.checking.examination import Examination
from stream.checking.words import percent
from stream.settings import Settings


def settings_fragment(found: Examination, settings: Settings) -> str:
    """Return the fragment: the brokers, the input with its format, and what fits better than the defaults."""
    return "\n".join(_lines(found, settings)) + "\n"


def toml_value(value: float | str | Sequence[str]) -> str:
    """Return a value as TOML writes it; lists of more than one with a line for each item."""
    if isinstance(value, str | int | float):
        return tomlkit.item(value).as_string()
    items = [tomlkit.item(item).as_string() for item in value]
    return f"[{items[0]}]" if len(items) == 1 else "[\n" + "".join(f"  {item},\n" for item in items) + "]"


def _lines(found: Examination, settings: Settings) -> Iterator[str]:
    sample, total = found.sample, len(found.calls) + found.rejected
    yield f"# gatewatch check {sample.name}: {len(found.calls):,} of {total:,} understood, {formats_in_words(found)}."
    yield "[kafka]"
    yield f"bootstrap_servers = {toml_value(settings.kafka.bootstrap_servers)}"
    yield ""
    yield "[[inputs]]"
    topic = sample.topic or settings.inputs[0].topic
    yield f"topic = {toml_value(topic)}" + ("" if sample.topic else "  # the topic that these lines will come by")
    yield f"format = {toml_value(found.detection.format)}" + ("  # several formats" if found.detection.mixed else "")
    for section, own in groupby(found.proposals, lambda proposal: proposal.section):
        yield ""
        yield f"[{section}]"
        for proposal in own:
            yield f"# {proposal.why}"
            yield f"{proposal.name} = {toml_value(proposal.value)}"


def formats_in_words(found: Examination) -> str:
    """Return the formats of a sample in words."""
    shares = found.detection.shares
    if not shares:
        return "no format known"
    if len(shares) == 1:
        return f"all {next(iter(shares))}"
    total = shares.total()
    return "MIXED: " + ", ".join(f"{percent(share, total)} {name}" for name, share in shares.most_common())
