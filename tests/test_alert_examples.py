"""The examples for consumers of alerts: the Python one runs, the SQL ones name fields and types of the schema."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from featurizer.features import Occasion
from scorer.alerts import Alert
from stream.demo import EmbeddedBroker
from stream.encodings.records import alert_record
from stream.schemas import schema_of
from tests.alerting import alert_of, vector

EXAMPLES = Path(__file__).parent.parent / "docs/examples"
EARLY = alert_of()
CLOSING = alert_of(vector(occasion=Occasion.CLOSED), follows=True)
OTHER = alert_of(vector(client="bob", session_id="0b0b"))
TYPES: Mapping[str, set[str]] = {
    "VARCHAR": {"string"},
    "STRING": {"string"},
    "BIGINT": {"integer"},
    "INTEGER": {"integer"},
    "INT": {"integer"},
    "DOUBLE": {"number", "integer"},
}
TOKEN = re.compile(r"`(\w+)`|(\w+|[<>,()])")


def test_the_consumer_handles_each_alert_once_whatever_comes_twice(tmp_path: Path) -> None:
    broker = EmbeddedBroker()
    broker.make_topics(["anomalies"])
    write(broker, EARLY, EARLY, CLOSING, EARLY, CLOSING, OTHER)
    output = tmp_path / "printed"
    command = [sys.executable, str(EXAMPLES / "alerts.py"), broker.bootstrap_servers, "anomalies"]
    with output.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT) as process:
        for _ in range(1200):
            if len(output.read_text().splitlines()) >= 3 or process.poll() is not None:
                break
            time.sleep(0.05)
        write(broker, OTHER, alert_of(vector(client="bob", session_id="1b1b")))  # the last one is the end
        for _ in range(1200):
            if "1b1b" in output.read_text() or process.poll() is not None:
                break
            time.sleep(0.05)
        process.terminate()

    lines = output.read_text().splitlines()
    assert [line for line in lines if EARLY.session_id in line] == [
        f"Create High {EARLY.session_id} {EARLY.message}",
        f"Update High {CLOSING.session_id} {CLOSING.message}",
    ]
    assert [line.split()[2] for line in lines if "bob" in line] == ["0b0b", "1b1b"]
    assert len(lines) == 4


def write(broker: EmbeddedBroker, *alerts: Alert) -> None:
    """Write alerts as a worker does, in order."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 3})
    for alert in alerts:
        record = alert_record("anomalies", alert, 1_700_000_050_000)
        producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
    assert producer.flush(30) == 0


def columns(example: str, struct: str) -> dict[str, Any]:
    """Return the columns of the first CREATE statement with their types; nested ones as dicts, lists as lists."""
    text = re.sub(r"--.*", "", (EXAMPLES / example).read_text(encoding="utf-8"))
    body = text[text.index("(") + 1 : text.index(") WITH")].partition("made_at")[0].replace(" KEY", "").rstrip(" ,\n")
    found: dict[str, Any] = parsed(
        struct, iter(quoted or plain for quoted, plain in TOKEN.findall(f"<{body}>")), struct
    )
    return found


def parsed(kind: str, tokens: Iterator[str], struct: str) -> Any:
    """Read a type of SQL; ``struct`` is the word for a row in it."""
    if kind == "ARRAY":
        assert next(tokens) == "<"
        item = parsed(next(tokens), tokens, struct)
        assert next(tokens) == ">"
        return [item]
    if kind != struct:
        return TYPES[kind]
    assert next(tokens) == "<"
    fields, mark = {}, ","
    while mark == ",":
        name = next(tokens)
        fields[name] = parsed(next(tokens), tokens, struct)
        mark = next(tokens)
    assert mark == ">"
    return fields


def assert_fits(wanted: Any, node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> None:
    """Check that a schema has the columns and types."""
    own = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    if isinstance(wanted, dict):
        for name, kind in wanted.items():
            assert name in own["properties"], f"{path}.{name}"
            assert_fits(kind, own["properties"][name], definitions, f"{path}.{name}")
    elif isinstance(wanted, list):
        assert own["type"] == "array", path
        assert_fits(wanted[0], own["items"], definitions, f"{path}[]")
    else:
        kinds = {"string" if isinstance(value, str) else "integer" for value in own.get("enum", ())}
        assert (kinds or {own["type"]}) <= wanted, path


@pytest.mark.parametrize(("example", "struct"), [("ksqldb.sql", "STRUCT"), ("flink.sql", "ROW")])
def test_every_column_of_a_table_is_a_field_of_a_finding_with_its_type(example: str, struct: str) -> None:
    found = columns(example, struct)
    assert found.pop("client") == {"string"}, "the key"
    assert len(found) == 11
    assert_fits(found, schema_of("alert-ocsf"), schema_of("alert-ocsf")["$defs"], "")


@pytest.mark.parametrize("example", ["ksqldb.sql", "flink.sql"])
def test_a_query_names_columns_of_its_table(example: str) -> None:
    text = (EXAMPLES / example).read_text(encoding="utf-8")
    paths = re.findall(r"\b(finding_info|unmapped)(?:->|\.)(\w+)", text)
    assert set(paths) == {("finding_info", "uid"), ("unmapped", "score")}


def test_a_wrong_type_or_name_is_noticed() -> None:
    """The tests of columns mean something."""
    schema = schema_of("alert-ocsf")
    for wrong in ({"time": {"string"}}, {"tyme": {"integer"}}, {"metadata": {"uuid": {"string"}}}):
        with pytest.raises(AssertionError):
            assert_fits(wrong, schema, schema["$defs"], "")
