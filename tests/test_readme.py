"""What README, docs and decision records say is true of the program: commands, settings, metrics, files, snippets."""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
import types
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka import Producer

from featurizer.routes import RouteTemplates
from featurizer.sessions import CloseReason
from scorer.labelling import read_labels
from stream.adapters import FORMATS, aws_apigateway, decoder
from stream.cli import main
from stream.dead_letters import Reason
from stream.errors import ExitCode
from stream.settings import Settings, load_settings
from stream.settings_errors import field_names, unknown_environment
from stream.telemetry import METRICS
from stream.web.models import ScoreRequest
from tests.kafka_fixture import Kafka

CHECKOUT = Path(__file__).parent.parent
DECISIONS = sorted((CHECKOUT / ".github/adr").glob("[0-9]*.md"))
DOCUMENTS = [
    CHECKOUT / "README.md",
    CHECKOUT / "CHANGELOG.md",
    CHECKOUT / ".github/CONTRIBUTING.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
    *DECISIONS,
]
RULES = CHECKOUT / "deploy/prometheus/rules.yml"
TEXTS = {str(path.relative_to(CHECKOUT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README = TEXTS["README.md"]
OPERATIONS = TEXTS["docs/operations.md"]

GENERATED = re.compile(r"<!-- (\w+):begin -->.*?<!-- \1:end -->", re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^ {4,}(\S.*)$", re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELLIPSIS = "…"


def written(text: str) -> str:
    """Return what people wrote: the text without the generated blocks, which have a test of their own."""
    return GENERATED.sub("", text)


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language in all documents."""
    return [found[2] for text in TEXTS.values() for found in BLOCK.finditer(written(text)) if found[1] == language]


def spans() -> Iterator[str]:
    """Yield every piece of inline code."""
    for text in TEXTS.values():
        yield from (found[1].strip() for found in SPAN.finditer(BLOCK.sub("", written(text))))


def command_lines() -> set[str]:
    """Return every line that begins with gatewatch: in shell blocks, indented blocks, inline code and alert rules."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    for text in TEXTS.values():
        lines += INDENTED.findall(BLOCK.sub("", written(text)))
    lines += [*spans(), *SPAN.findall(RULES.read_text(encoding="utf-8"))]
    commands = {line.removeprefix(".venv/bin/").partition("  #")[0].strip() for line in lines}
    return {line for line in commands if re.match(r"gatewatch [a-z]", line)}


def span_names() -> set[str]:
    """Return inline code that is one word."""
    return {span for span in spans() if re.fullmatch(r"\S+", span)}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run in an empty folder, with no setting in the environment."""
    for name in [name for name in os.environ if name.upper().startswith("GATEWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("line", sorted(command_lines()))
def test_every_command_line_has_flags_that_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Values may be made up; names of commands and flags may not."""
    arguments = shlex.split(line)[1:]

    assert main([*arguments, "--help"]) == ExitCode.OK, capsys.readouterr().err
    overrides = [arguments[at + 1] for at, flag in enumerate(arguments) if flag in {"--set", "-s"}]
    for name, equals, _ in (text.partition("=") for text in overrides):
        assert name in field_names(Settings), line
        assert equals, line


def test_there_are_commands_to_check() -> None:
    named = {line.split()[1] for line in command_lines()}

    assert named >= {"config", "replay", "run", "simulate", "topics", "train"}


def test_every_toml_block_is_a_usable_settings_file(elsewhere: Path) -> None:
    examples = blocks("toml")

    for example in examples:
        path = elsewhere / "gatewatch.toml"
        path.write_text(example, encoding="utf-8")
        settings = load_settings(path)
        assert settings.kafka.bootstrap_servers == tomllib.loads(example)["kafka"]["bootstrap_servers"]
    assert len(examples) >= 2


def test_every_setting_named_exists() -> None:
    sections = "|".join(Settings.model_fields)
    dotted = {name for name in span_names() if re.fullmatch(rf"(?:{sections})\.[a-z_.]+", name)}
    settings = set(field_names(Settings))
    tables = {name.rpartition(".")[0] for name in settings}

    assert dotted - settings - tables == set()
    assert len(dotted) > 15


def test_every_environment_variable_named_sets_something() -> None:
    named = {name for text in TEXTS.values() for name in re.findall(r"\bGATEWATCH_[A-Z_]*[A-Z]\b", written(text))}

    assert unknown_environment(named, Settings, "GATEWATCH_", "__", reserved=("GATEWATCH_CONFIG",)) == {}
    assert named


def test_every_metric_named_exists() -> None:
    exposed = {metric.exposed_name for metric in METRICS}
    named = {name for text in TEXTS.values() for name in re.findall(r"\bgatewatch_[a-z_]+\b", written(text))}

    assert named - exposed == set()
    assert len(named) > 8


def test_every_make_target_named_exists() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    lines = [*spans(), *(line for block in blocks("sh") for line in block.splitlines())]
    named = {line.split()[1] for line in lines if re.match(r"make [a-z]", line)}

    assert named - targets == set()
    assert named >= {"demo", "test", "check", "bench", "up"}


@pytest.mark.parametrize("document", TEXTS)
def test_every_link_and_path_leads_somewhere(document: str) -> None:
    text = written(TEXTS[document])
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    ours = {path.name for path in CHECKOUT.iterdir() if path.is_dir()}

    for target in LINK.findall(BLOCK.sub("", text)):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif "://" not in target:
            path = (CHECKOUT / document).parent / target.partition("#")[0]
            assert path.exists(), target
    for span in SPAN.findall(BLOCK.sub("", text)):
        top, slash, _ = span.partition("/")
        if slash and top in ours and not re.search(r"[\s<>*{…]", span):
            assert (CHECKOUT / span).exists(), span


def test_the_tables_of_codes_formats_and_reasons_are_whole() -> None:
    def first_column(text: str, heading: str) -> list[str]:
        table = text[text.index(f"\n| {heading} |") :].lstrip("\n").partition("\n\n")[0]
        return [row.split("|")[1].strip().split(" ")[0].strip("`") for row in table.splitlines()[2:]]

    assert first_column(OPERATIONS, "code") == [str(int(code)) for code in ExitCode]
    assert set(first_column(OPERATIONS, "reason")) == names(Reason)
    assert set(first_column(README, "format")) == set(FORMATS)


def names(kind: type[StrEnum]) -> set[str]:
    """Return the values of an enumeration."""
    return {str(value) for value in kind}


def test_close_reasons_are_called_by_their_names() -> None:
    assert {"evicted"} <= names(CloseReason) & span_names()


def test_the_example_of_the_own_format_is_a_call() -> None:
    (example,) = [block for block in blocks("json") if "path" in block]

    decoded = decoder("auto", RouteTemplates())(example.strip().encode())

    assert (decoded.format, decoded.rejects) == ("gatewatch", [])
    assert [(call.client, call.endpoint, call.status) for call in decoded.calls] == [("alice", "GET /orders/{id}", 200)]


def test_the_example_of_a_label_is_a_label() -> None:
    (example,) = [block for block in blocks("json") if "attack" in block]

    assert [label.attack for label in read_labels(example.encode())] == ["object_walk"]


def test_the_example_of_a_score_request_is_one() -> None:
    (body,) = [found for block in blocks("sh") for found in re.findall(r"-d '(.*)'", block)]

    assert len(ScoreRequest.model_validate_json(body).calls or ()) == 4


def test_envelopes_are_opened_as_the_readme_says() -> None:
    for envelope in ("message", "log"):
        line = json.dumps({envelope: '192.0.2.1 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5'})

        (call,) = decoder("auto", RouteTemplates())(line.encode()).calls

        assert call.client == "192.0.2.1"
        assert f'{{"{envelope}": "{ELLIPSIS}"}}' in README


def test_the_log_formats_of_aws_to_paste_are_read() -> None:
    """Each variable stands for what API Gateway writes in its place."""
    values = {
        "requestTimeEpoch": "1767225600123",
        "httpMethod": "GET",
        "status": "200",
        "identity.sourceIp": "192.0.2.1",
    }
    routes = {"resourcePath": "/pets/{id}", "routeKey": "GET /pets/{id}", "path": "/prod/pets/42", "stage": "prod"}
    written_in = BLOCK.finditer(TEXTS["docs/gateways-cloud.md"])
    formats = [found[2].strip() for found in written_in if found[1] == "text"]

    for template in formats:
        line = re.sub(r"\$context\.([\w.]+)", lambda found: (values | routes).get(found[1], "-"), template)
        (call,) = decoder("auto", RouteTemplates())(line.encode()).calls
        assert (call.time, call.client, call.endpoint) == (1767225600123, "192.0.2.1", "GET /pets/{id}")
        assert all(f"``{key}``" in (aws_apigateway.__doc__ or "") for key in json.loads(template))
    assert len(formats) == 2


# The consumer that the README shows


class FakeMessage:
    def __init__(self, finding: dict[str, Any]) -> None:
        self._value = json.dumps(finding).encode()

    def error(self) -> None:
        return None

    def value(self) -> bytes:
        return self._value


class FakeConsumer:
    """Hands out what it was given, then ends the program as Ctrl-C does."""

    config: dict[str, Any]
    messages: list[FakeMessage | None]

    def __init__(self, config: dict[str, Any]) -> None:
        type(self).config = config

    def subscribe(self, topics: list[str]) -> None:
        assert topics == [load_settings().topics.anomalies]

    def poll(self, _seconds: float) -> FakeMessage | None:
        if not self.messages:
            raise KeyboardInterrupt
        return self.messages.pop(0)

    @classmethod
    def given(cls, *findings: dict[str, Any] | None) -> type[Self]:
        cls.messages = [None if finding is None else FakeMessage(finding) for finding in findings]
        return cls


def finding(uid: str, message: str = "odd", *, is_alert: bool = True) -> dict[str, Any]:
    """Return what the consumer reads of a finding; the whole is held to its schema elsewhere."""
    return {"finding_info": {"uid": uid}, "severity": "High", "message": message, "is_alert": is_alert}


def consumer_source() -> str:
    (source,) = blocks("python")
    return source


@pytest.mark.usefixtures("elsewhere")
def test_the_consumer_prints_each_alert_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library = types.ModuleType("confluent_kafka")
    suppressed = finding("c", is_alert=False)
    library.Consumer = FakeConsumer.given(finding("a"), None, suppressed, finding("b"), finding("a"))  # type: ignore[attr-defined] # a stand-in for the module
    library.KafkaException = RuntimeError  # type: ignore[attr-defined] # same
    monkeypatch.setitem(sys.modules, "confluent_kafka", library)
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed), pytest.raises(KeyboardInterrupt):
        exec(compile(consumer_source(), "README.md", "exec"), {})  # noqa: S102 -- the snippet that people copy

    assert printed.getvalue() == "High odd\nHigh odd\n"
    assert FakeConsumer.config["isolation.level"] == "read_committed"


@pytest.mark.kafka
def test_the_consumer_reads_what_was_committed_from_a_real_kafka(kafka: Kafka, tmp_path: Path) -> None:
    topic = kafka.create_topic("anomalies", partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": f"{kafka.prefix}alerts"})
    producer.init_transactions(20)
    for uid, message, commit in (
        ("a", "first", True),
        ("x", "aborted", False),
        ("a", "again", True),
        ("b", "last", True),
    ):
        producer.begin_transaction()
        producer.produce(topic, json.dumps(finding(uid, message)))
        producer.flush(20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
    source = consumer_source().replace("127.0.0.1:9092", kafka.bootstrap).replace('"anomalies"', f'"{topic}"')
    output = tmp_path / "printed"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", source.replace('"pager"', f'"{kafka.prefix}pager"')], stdout=file
        )
    try:
        deadline = time.monotonic() + 25
        while "last" not in output.read_text() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(10)

    assert output.read_text() == "High first\nHigh last\n"


# Decision records


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_record_has_the_parts_of_the_template(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parts = re.findall(r"^## (.*)$", text, re.MULTILINE)

    assert re.match(rf"# (?:{path.stem[:4]}|NNNN): \S", text)
    assert re.search(r"^Status: .+\. Date: \S+\.$", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Alternatives", "Consequences"]
    assert "- **Do nothing" in text


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(path.stem[:4]) for path in DECISIONS] == list(range(len(DECISIONS)))
