"""Findings and their vectors, looked up on the topics of anomalies and of features without joining a group."""

import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector
from stream.errors import CommandError, ExitCode
from stream.findings import Finding, by_uid, read_finding, read_findings
from stream.settings import Settings
from stream.whole_topic import WholeTopic
from stream.wire import client_key, decode_features

GROUP = "triage"
"""Suffix of the group that the consumers name; they do not join it."""

_READ_AT_ONCE = 1000
_UID = re.compile(r"[0-9a-f]{32}")
_AROUND_MS = 120_000
"""A finding and its vector are one transaction; clocks of its client and of its maker differ by less than this."""


def named_findings(settings: Settings, names: Collection[str]) -> list[Finding]:
    """Return the findings that a command names: uids of the topic of anomalies, files, or ``-`` for standard input.

    Raises:
        CommandError: one is neither, or is not there.
    """
    uids = [name for name in names if _UID.fullmatch(name) and not Path(name).exists()]
    there = findings_on_topic(settings, uids) if uids else {}
    found: list[Finding] = []
    for name in names:
        if name in there:
            found.append(there[name])
        elif name not in uids:
            found += _of_file(name)
    if missing := [uid for uid in uids if uid not in there]:
        raise _not_there(settings, missing)
    return found


def findings_on_topic(settings: Settings, uids: Collection[str]) -> dict[str, Finding]:
    """Return those findings of the topic of anomalies that have one of the uids, by uid.

    Raises:
        CommandError: no broker answers, or the topic is missing or can't be read.
    """
    wanted = [uid.encode() for uid in uids]
    return by_uid(
        own for own in all_findings(settings, lambda value: any(uid in value for uid in wanted)) if own.uid in uids
    )


def all_findings(settings: Settings, wanted: Callable[[bytes], bool] = bool) -> Iterator[Finding]:
    """Yield the findings of the topic of anomalies; what is no finding is passed over.

    Args:
        settings: how to reach the brokers, and the topic's name.
        wanted: tells of a record's value, before it is decoded, whether it can be one that is wanted.

    Raises:
        CommandError: no broker answers, or the topic is missing or can't be read.
    """
    with WholeTopic(settings, settings.topics.anomalies, GROUP) as topic:
        for message in topic.messages(topic.since(None), _READ_AT_ONCE):
            value = message.value() or b""
            if not wanted(value):
                continue
            try:
                yield read_finding(msgspec.json.decode(value))
            except (ValueError, msgspec.DecodeError):
                continue


def vector_of(settings: Settings, finding: Finding) -> FeatureVector | None:
    """Return the vector that raised a finding; None when the topic of features does not hold it any more.

    Raises:
        CommandError: no broker answers, or the topic can't be read.
    """
    key = client_key(finding.client)
    with WholeTopic(settings, settings.topics.features, GROUP) as topic:
        starts = topic.since(finding.created - _AROUND_MS)
        for number, end in topic.since(finding.created + _AROUND_MS).items():
            topic.bounds[number] = (topic.bounds[number][0], end)
        for message in topic.messages(starts, _READ_AT_ONCE):
            if message.key() != key:
                continue
            try:
                vector, _ = decode_features(message.value() or b"", ACCESS_BEHAVIOUR_V1)  # or one that has more
            except (ValueError, msgspec.DecodeError):
                continue
            if (vector.session_id, vector.occasion, vector.calls) == (
                finding.session_id,
                finding.occasion,
                finding.calls,
            ):
                return vector
    return None


def _not_there(settings: Settings, uids: Sequence[str]) -> CommandError:
    """Return the error of uids that no finding on the topic has; alerts in other encodings than OCSF are not read."""
    encoding, hint = settings.alerts.encoding, "its retention may have passed; give a file with the finding instead"
    if encoding != "ocsf":
        hint = (
            f"alerts.encoding is {encoding}, and only alerts written as OCSF are read back; give a file with the "
            "finding as OCSF: gatewatch replay --json writes it from the logs, whatever alerts.encoding is"
        )
    return CommandError(f"no OCSF finding {', '.join(uids)} on the topic {settings.topics.anomalies}", hint)


def _of_file(name: str) -> list[Finding]:
    try:
        return read_findings(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except FileNotFoundError:
        raise CommandError(
            f"{name} is no uid of a finding, and no file",
            "give finding_info.uid of the alert (32 characters), a file, or - for standard input",
            ExitCode.USAGE,
        ) from None
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}", exit_code=ExitCode.USAGE) from error
    except ValueError as error:
        raise CommandError(f"{name}: {error}", "give OCSF findings, as JSON", ExitCode.USAGE) from error
