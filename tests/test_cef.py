"""Alerts as lines of ArcSight's Common Event Format: keys, lengths and escaping of its documentation."""

import re
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import Occasion
from scorer.alerts import Alert, Transition
from scorer.reasons import Explanation
from scorer.severity import Severity
from scorer.suppression import Suppression
from stream.encodings.cef import encode_cef
from tests.alerting import alert_of, vector

CREATED = 1_700_000_050_000
LONGEST: Final = {
    "act": 63,
    "cat": 1023,
    "externalId": 40,
    "msg": 1023,
    "suid": 1023,
    "suser": 1023,
    "flexString2": 1023,
    **{f"cs{number}": 4000 for number in range(1, 7)},
}
"""Most characters of a text, by key, of the extension dictionary in "Implementing ArcSight Common Event Format"."""
NUMBERS: Final = {"rt", "start", "end", "cnt", "cfp1", "cfp2"}
ADDRESSES: Final = {"src", "c6a2"}
LABELLED: Final = {"cfp1", "cfp2", "c6a2", "flexString2", *(f"cs{number}" for number in range(1, 7))}
_PAIR = re.compile(r"(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)")
_ESCAPED = re.compile(r"\\(.)")


def parsed(line: bytes) -> tuple[list[str], dict[str, str]]:
    """Read a line as a consumer does: seven fields of the header, and the extension by key."""
    text = line.decode()
    *header, extension = re.split(r"(?<!\\)\|", text, maxsplit=7)
    pairs = _PAIR.findall(extension)
    assert " ".join(f"{key}={value}" for key, value in pairs) == extension
    assert len({key for key, _ in pairs}) == len(pairs)
    line_ends = {"n": "\n", "r": "\r"}
    read = {key: _ESCAPED.sub(lambda found: line_ends.get(found[1], found[1]), value) for key, value in pairs}
    return [_ESCAPED.sub(r"\1", field) for field in header], read


def fields(alert: Alert) -> dict[str, str]:
    """Return the extension of an alert's line."""
    return parsed(encode_cef(alert, CREATED))[1]


readable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], include_characters="\r\n"))
awkward = st.text(st.sampled_from("ab |=\\\n\r n")) | readable
"""What a client can be called, most of all what has to be escaped."""


@settings(deadline=None)
@given(client=awkward.filter(bool), source=awkward, destination=awkward)
def test_whatever_is_in_a_value_is_read_back_as_it_was(client: str, source: str, destination: str) -> None:
    own = vector(client=client)
    line = encode_cef(alert_of(own, transitions=[Transition(source, destination, 0.1)]), CREATED)
    header, found = parsed(line)
    assert found.get("suid", found.get("src", found.get("c6a2"))) == client
    assert found["cs5"] == f"{source} > {destination}"
    assert found["msg"].startswith(f"Client {client} has made 16 calls")
    assert (header[0], header[5]) == ("CEF:0", "Anomalous API call behaviour")
    assert not re.search(rb"[\r\n]", line)


@settings(deadline=None)
@given(st.text())
def test_no_character_of_a_client_ends_a_line(client: str) -> None:
    assert len(encode_cef(alert_of(vector(client=client)), CREATED).decode().splitlines()) == 1


@settings(deadline=None)
@given(st.text(max_size=9000))
def test_no_value_is_longer_than_its_key_allows(text: str) -> None:
    rule = Suppression("r", text, CREATED)
    own = alert_of(vector(client="c" + text), transitions=[Transition(text, text, 0.1)], suppression=rule)
    for key, value in fields(own).items():
        if key in NUMBERS:
            assert float(value) >= 0
        elif key.endswith("Label"):
            assert key.removesuffix("Label") in LABELLED
        elif key not in ADDRESSES:
            assert len(value) <= LONGEST[key]


def test_the_header_names_product_kind_and_severity() -> None:
    header, _ = parsed(encode_cef(alert_of(), CREATED))
    assert header[:3] == ["CEF:0", "gatewatch", "gatewatch"]
    assert header[4:] == ["api-call-behaviour", "Anomalous API call behaviour", "8"]


@pytest.mark.parametrize(
    ("severity", "low", "high"),
    [(Severity.LOW, 0, 3), (Severity.MEDIUM, 4, 6), (Severity.HIGH, 7, 8), (Severity.CRITICAL, 9, 10)],
)
def test_a_severity_lies_where_the_format_calls_it_alike(severity: Severity, low: int, high: int) -> None:
    header, _ = parsed(encode_cef(msgspec.structs.replace(alert_of(), severity=severity), CREATED))
    assert low <= int(header[6]) <= high


def test_the_extension_tells_what_was_found() -> None:
    alert = alert_of()
    assert fields(alert) == {
        "rt": str(CREATED),
        "start": str(alert.start),
        "end": str(alert.end),
        "cnt": "16",
        "cat": "API behaviour",
        "act": "finding created",
        "externalId": alert.uid,
        "suid": "user:ann",
        "suser": "user:ann",
        "msg": alert.message,
        "cfp1Label": "score",
        "cfp1": "0.875000",
        "cfp2Label": "threshold",
        "cfp2": "0.600000",
        "cs1Label": "finding",
        "cs1": alert.session_id,
        "cs2Label": "model",
        "cs2": alert.model,
        "cs3Label": "kind",
        "cs3": "early, growing",
        "cs4Label": "features",
        "cs4": "min_dest, n_connections, std_source, n_apis",
        "cs5Label": "rare transitions",
        "cs5": "GET /a > DELETE /users/{id}, GET /a > GET /b",
        "cs6Label": "signs",
        "cs6": "API5:2023",
    }


def test_an_alert_that_follows_says_so() -> None:
    found = fields(alert_of(vector(occasion=Occasion.CLOSED), follows=True))
    assert (found["act"], found["cs3"]) == ("finding updated", "closing, closed")


@pytest.mark.parametrize(
    ("client", "there"),
    [
        ("198.51.100.7", {"src": "198.51.100.7"}),
        ("2001:db8::7", {"c6a2": "2001:db8::7", "c6a2Label": "Source IPv6 Address"}),
    ],
)
def test_a_client_that_is_an_address_is_the_source(client: str, there: dict[str, str]) -> None:
    found = fields(alert_of(vector(client=client)))
    assert found.items() >= there.items()
    assert found.keys().isdisjoint({"suid", "suser"})


@pytest.mark.parametrize(
    ("client", "identity", "there"),
    [
        ("ann", "consumer", {"suid": "ann", "suser": "ann"}),
        ("192.0.2.7", "user", {"suid": "192.0.2.7", "suser": "192.0.2.7"}),
        ("key-1", "credential", {"suid": "key-1"}),
        ("192.0.2.7+0a1b", "address_agent", {"suid": "192.0.2.7+0a1b", "src": "192.0.2.7"}),
        ("hmac:k1:0a1b", "address", {"suid": "hmac:k1:0a1b"}),
    ],
)
def test_the_kind_of_a_client_s_name_says_where_it_is_told(client: str, identity: str, there: dict[str, str]) -> None:
    found = fields(alert_of(vector(client=client, identity=identity)))
    assert {key: found[key] for key in ("suid", "suser", "src") if key in found} == there
    assert (found["flexString1Label"], found["flexString1"]) == ("identity", identity)


def test_an_alert_that_a_rule_accounts_for_says_so() -> None:
    found = fields(alert_of(suppression=Suppression("export", "Nightly = fine", 1_800_000_000_000)))
    assert found["flexString2Label"] == "suppressed"
    assert found["flexString2"] == "Nightly = fine (rule export, expires 2027-01-15T08:00:00+00:00)"


def test_what_is_not_known_has_no_key() -> None:
    found = fields(alert_of(explanation=Explanation(()), transitions=[]))
    assert found.keys().isdisjoint({"cs4", "cs4Label", "cs5", "cs5Label", "cs6", "cs6Label"})
