"""``gatewatch check``: the right format for every corpus, what is shown, what is kept back, and settings that load."""

import gzip
import io
import json
import sys
import tomllib
from pathlib import Path
from typing import Any, Self

import pytest

from featurizer.routes import RouteTemplates
from stream import console
from stream.adapters import decoder
from stream.checking import sample as sampling
from stream.cli import main
from stream.records import TopicPartition
from stream.settings import load_settings
from tests import golden_records
from tests.golden_records import as_bytes
from tests.records import Made
from tests.traffic_paths import USERS

TESTS = Path(__file__).parent
REAL_LOG = TESTS / "data/elastic_apache_access.log"
CORPORA = [file for file in golden_records.files() if file.parent.name != "auto"]
NOW = 1_800_000_000_000
ARRIVAL = 1_790_000_000_500


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml, on a wide terminal, at a time after all logs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console.stdout, "_width", 100)
    monkeypatch.setattr("stream.commands.check.now_ms", lambda: NOW)


def check(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Return what the command prints, which ends with an exit code."""
    assert main(["check", *arguments]) == code, capsys.readouterr().err
    return capsys.readouterr().out


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return what the command says to programs."""
    document: dict[str, Any] = json.loads(check(capsys, *arguments, "--json"))
    return document


def log(*lines: str, name: str = "access.log") -> str:
    Path(name).write_bytes(b"".join(as_bytes(line) + b"\n" for line in lines))
    return name


def corpus(file: Path) -> list[str]:
    """Return the records of a corpus that fit into a line."""
    records = [case["record"] for case in golden_records.cases(file)]
    return [record for record in records if record and "\n" not in record]


def calls_of(format_name: str) -> list[str]:
    """Return records of a format that are calls, of its corpus."""
    decode = decoder(format_name, RouteTemplates())
    records = [record for file in CORPORA if file.parent.name == format_name for record in corpus(file)]
    read = [(record, decode(as_bytes(record))) for record in records]
    return [record for record, decoded in read if decoded.calls and not decoded.rejects]


def own(number: int = 0, **fields: Any) -> str:
    """Return an entry of format gatewatch."""
    entry = {
        "time": 1_790_000_000_123 + number,
        "client": "alice",
        "method": "GET",
        "path": "/orders/42",
        "status": 200,
    }
    return json.dumps({key: value for key, value in (entry | fields).items() if value is not None})


@pytest.mark.parametrize("file", CORPORA, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_corpus_is_of_the_format_that_it_is_of(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [Made(record, time=ARRIVAL) for record in golden_records.records(file)]
    monkeypatch.setattr("stream.whole_topic.WholeTopic", FakeTopic.given(records))

    document = json.loads(_printed(capsys, "--topic", "logs"))

    assert next(iter(document["formats"])) == file.parent.name


@pytest.mark.parametrize("name", sorted({file.parent.name for file in CORPORA}))
def test_a_log_of_one_format_is_not_called_mixed_and_of_two_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pure = calls_of(name)
    other = calls_of("combined" if name != "combined" else "gatewatch")[:1]

    alone, together = (checked(capsys, log(*lines)) for lines in (pure, pure + other))

    assert (alone["mixed"], alone["format"], alone["formats"]) == (False, name, {name: len(pure)})
    assert (together["mixed"], together["format"]) == (True, "auto")
    assert sum(together["formats"].values()) == len(pure) + 1


def _printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command says to programs, whatever its exit code."""
    main(["check", *arguments, "--json"])
    return capsys.readouterr().out


def test_a_mixed_log_says_so_with_shares(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [own(number) for number in range(3)] + REAL_LOG.read_text().splitlines()[:1]

    printed = check(capsys, log(*lines))

    assert "MIXED: 75 % gatewatch, 25 % combined" in printed
    assert 'format = "auto"  # several formats' in printed


def test_a_real_log_is_explained_as_it_was_before(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change that is meant, look at the difference and write the new output into the file."""
    expected = REAL_LOG.with_name("check_elastic_apache_access.txt")
    Path("access.log").symlink_to(REAL_LOG)

    printed = check(capsys, "access.log")

    assert [line.rstrip() for line in printed.splitlines()] == expected.read_text().splitlines()


def test_the_readme_shows_what_the_command_says() -> None:
    section = (TESTS.parent / "README.md").read_text().partition("## Check your own logs first")[2]
    shown = section.partition("```text\n")[2].partition("```")[0].splitlines()
    output = REAL_LOG.with_name("check_elastic_apache_access.txt").read_text().splitlines()

    assert len(shown) > 10
    assert [line for line in shown if line not in output] == []


def test_the_settings_written_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    users = [own(60_000 * n, path=f"/users/{name}") for n, name in enumerate(USERS)]
    late = own(-120_000, path="/users/zoe")

    printed = check(capsys, log(*users, late), "--write", "proposed.toml")

    settings = load_settings(Path("proposed.toml"))
    assert settings.inputs[0].format == "gatewatch"
    assert settings.routes.pinned == ("/users/{name}",)
    assert settings.sessions.lateness_s == 1_800
    assert Path("proposed.toml").read_text() in printed
    assert "written to proposed.toml" in printed


def test_pins_that_there_are_stay_in_the_settings_proposed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("gatewatch.toml").write_text('[routes]\npinned = ["/orders/{order}"]\n')

    document = checked(capsys, log(own(), *(own(n, path=f"/users/{name}") for n, name in enumerate(USERS))))

    assert tomllib.loads(document["settings"])["routes"]["pinned"] == ["/orders/{order}", "/users/{name}"]
    assert "GET /orders/{order}" in {call["endpoint"] for example in document["examples"] for call in example["calls"]}


def test_a_file_that_is_there_is_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.toml").write_text("# ours\n")

    assert main(["check", log(own()), "--write", "own.toml"]) == 2
    assert "own.toml is there already" in capsys.readouterr().err
    assert Path("own.toml").read_text() == "# ours\n"


@pytest.mark.parametrize(
    ("lines", "code"),
    [([own()], 0), ([own(), "x"], 0), ([own(), "x", "y"], 1), (["x"], 1), (['{"a": 1}'], 1), ([""], 1)],
)
def test_the_exit_code_is_1_where_less_than_half_is_understood(
    lines: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    check(capsys, log(*lines), code=code)


@pytest.mark.parametrize(
    ("record", "detail", "advice"),
    [
        ('{"ts": 1, "verb": "GET"}', "no known gateway format has these fields", "ts, verb"),
        (own(time=1_790_000_000), "the number looks like seconds", "convert the number"),
        (own(status="fine"), "status: ", "correct it where the line is written"),
        ("", "empty record", "leave out blank lines"),
        ("2026/11/01 12:00:00 [error] 7#7: upstream timed out", "neither JSON nor", "keep access logs apart"),
        ('{"time": 17900', "no JSON", "cut off or broken"),
        ("{", "no JSON", "one JSON value over several lines"),
        ("\x00\x00\x00\x00\x07abc", "neither JSON nor", "not text"),
    ],
)
def test_a_reject_comes_with_its_reason_its_place_and_what_to_do(
    record: str, detail: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [own(), own(1), *calls_of("combined")[:2], record, record]

    (group,) = checked(capsys, log(*lines))["rejects"]
    printed = check(capsys, "access.log")

    assert (group["rejects"], group["place"]) == (2, "line 5")
    assert detail in group["detail"]
    assert advice.lower() in group["advice"].lower()
    assert group["detail"] in printed
    assert "line 5" in printed


def test_a_field_that_is_missing_is_named_beside_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    (group,) = checked(capsys, log(own(), own(client=None)))["rejects"]

    assert group["detail"] == "client is missing"
    assert group["advice"] == "have the gateway log it; there are: time, method, path, status"


def test_when_nothing_is_read_each_format_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    document = check(capsys, log('{"time": 1790000000000, "user": "bob"}'), code=1)

    assert "Why no format reads the first one" in document
    assert "gatewatch client is missing" in " ".join(document.split())


class TestSecrets:
    QUERY = "token=s3cr3t&card=4111111111111111"

    @pytest.mark.parametrize(
        "record",
        [
            own(path=f"/orders/42?{QUERY}", args=QUERY, headers={"cookie": "s3cr3t", "x": 4111111111111111}),
            own(path="/orders;jsessionid=s3cr3t/42", user_agent="s3cr3t", body={"pin": "s3cr3t"}),
            own(referer=f"https://example.org/?{QUERY}", request=f"GET /orders/42?{QUERY} HTTP/1.1"),
            own(attributes=[{"key": "url.query", "value": {"stringValue": "4111111111111111"}}]),
            own(message=json.dumps({"path": "/orders/42", "password": "s3cr3t", "api_key": 4111111111111111})),
            f'1.2.3.4 - - [14/Nov/2023:22:13:20 +0000] "GET /orders/42?{QUERY} HTTP/1.1" 200 5 "?{QUERY}" "-" s3cr3t',
        ],
    )
    def test_a_line_that_was_read_shows_what_was_read_of_it(
        self, record: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(console.stdout, "_width", 2_000)
        printed = check(capsys, log(record))
        document = _printed(capsys, "access.log")

        for text in (printed, document):
            assert "s3cr3t" not in text
            assert "411111" not in text
            assert "/orders" in text

    @pytest.mark.parametrize(
        "record",
        [
            json.dumps({"uri": f"/x?{QUERY}", "auth": "s3cr3t", "card_key": 4111111111111111, "note": "s3cr3t"}),
            own(client=None, path=f"/orders/42?{QUERY}"),
            f'{{"path": "/x?{QUERY}',
            f'client s3cr3t said "s3cr3t" and [s3cr3t] then GET /x?{QUERY}',
            f'192.0.2.7 - - [14/Nov/2023] "GET /orders/42?{QUERY} HTTP/1.1" 200 5',
        ],
    )
    def test_a_line_that_was_not_read_shows_names_and_numbers(
        self, record: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(console.stdout, "_width", 2_000)
        printed = check(capsys, log(own(), record))
        document = _printed(capsys, "access.log")

        for text in (printed, document):
            assert "s3cr3t" not in text
            assert "411111" not in text
            assert "line 2" in text

    def test_a_line_cannot_steer_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        printed = check(capsys, log(own(client="\x1b[2Jbob", path="/\x1b[2J"), "\x1b[2J"))

        assert "\x1b[2J" not in printed


class TestNotes:
    """What a person is told to look at."""

    def notes(self, capsys: pytest.CaptureFixture[str], *lines: str) -> str:
        return " ".join(f"{note['weight']}: {note['text']}." for note in checked(capsys, log(*lines))["notes"])

    def test_a_clean_log_needs_no_look(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.notes(capsys, *(own(n, request_id=f"r{n}") for n in range(200))) == ""

    def test_calls_in_the_future_by_whole_hours_are_a_wrong_zone(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, own(), own(time=NOW + 2 * 3_600_000))

        assert "act: 1 call is in the future, by up to 2 h: by whole hours, so it is a local time" in notes

    def test_other_calls_in_the_future_are_a_wrong_clock(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, own(), own(time=NOW + 1_000_000))

        assert "in the future, by up to 17 min." in notes

    def test_one_address_with_most_calls_looks_like_a_proxy(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(
            capsys, *(own(n, client="10.0.0.1") for n in range(150)), *(own(n, client=f"u{n}") for n in range(50))
        )

        assert "act: the internal address 10.0.0.1 makes 75 % of the calls" in notes
        assert "look: 75 % of the calls have no identity but an address" in notes

    def test_an_id_that_several_calls_share_is_no_request_id(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, *(own(n, request_id="trace", path=f"/{'ab'[n % 2]}/x") for n in range(10)))

        assert "act: 5 calls are under the request id of another call" in notes

    def test_copies_by_request_id_are_counted(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, *(own(n, request_id=f"r{n // 2}") for n in range(10)))

        assert "look: by request id 5 calls are copies (50 %)" in notes

    def test_one_path_for_all_operations_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, *(own(n, method="POST", path="/api/graphql") for n in range(10)))

        assert "100 % of the calls are POST /api/graphql" in notes

    def test_probes_preflights_and_404s_are_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(
            capsys, *(own(n, method="OPTIONS") for n in range(5)), *(own(n, path="/x", status=404) for n in range(5))
        )

        assert "50 % of the calls are probes or preflights" in notes
        assert "50 % of the calls found no route (404)" in notes

    def test_many_rejects_would_stop_a_worker(self, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, *(own(n) for n in range(9)), "x")

        assert "act: 10 % is no call, and a worker stops above 5 %" in notes

    @pytest.mark.parametrize(("unit", "name"), [(1_000, "whole seconds"), (60_000, "whole minutes")])
    def test_coarse_times_are_named(self, unit: int, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        notes = self.notes(capsys, *(own(time=1_790_000_040_000 + unit * n) for n in range(20)))

        assert f"times are {name}" in notes

    def test_a_gap_that_tears_most_sessions_is_widened(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = [own(time=1_790_000_000_000 + 3_600_123 * n) for n in range(30)]

        settings = tomllib.loads(checked(capsys, log(*lines))["settings"])

        assert settings["sessions"]["gap_s"] == 7_200


class TestSources:
    def test_a_packed_file_and_standard_input_are_read(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("access.log.1.gz").write_bytes(gzip.compress(own().encode() + b"\n"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(own().encode())))

        for source in ("access.log.1.gz", "-"):
            assert checked(capsys, source)["calls"] == 1

    def test_only_the_sample_is_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = [own(n) for n in range(5)]

        printed = check(capsys, log(*lines), "--sample", "3")

        assert "access.log: the first 3 lines" in printed
        assert "3 of 3 understood" in printed
        assert "access.log: 5 lines" in check(capsys, "access.log", "--sample", "5")

    @pytest.mark.parametrize(
        ("arguments", "says", "code"),
        [
            ([], "name a file or a topic", 2),
            (["there", "--topic", "logs"], "name a file or a topic", 2),
            (["nowhere"], "nowhere: No such file", 2),
            (["empty"], "empty is empty", 1),
            (["log.zst"], "unpack it first: zstd -dc log.zst | gatewatch check -", 2),
            (["broken.gz"], "broken.gz: ", 2),
        ],
    )
    def test_what_cannot_be_read_is_named(
        self, arguments: list[str], says: str, code: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("empty").write_bytes(b"")
        Path("log.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
        Path("broken.gz").write_bytes(gzip.compress(own().encode())[:20])

        assert main(["check", *arguments]) == code
        assert says in capsys.readouterr().err.replace("\n", " ")

    def test_of_a_topic_the_last_records_of_each_partition_are_read(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = (TopicPartition("edge", number) for number in range(2))
        records = [
            Made(own().encode(), 7, first, ARRIVAL),
            Made(own(time=NOW).encode(), 3, second, ARRIVAL),
            Made(None, 4, second, ARRIVAL),
        ]
        monkeypatch.setattr("stream.whole_topic.WholeTopic", FakeTopic.given(records))

        document = checked(capsys, "--topic", "edge", "--sample", "10")
        printed = check(capsys, "--topic", "edge", "--sample", "10")

        assert FakeTopic.starts == {0: 3, 1: 0}
        assert document["sample"] == {"name": "edge", "records": 3, "whole": False}
        assert [group["place"] for group in document["rejects"]] == ["edge-1@4"]
        assert tomllib.loads(document["settings"])["inputs"] == [{"topic": "edge", "format": "gatewatch"}]
        assert "edge: the last 3 records" in printed
        # Held to the records' Kafka timestamps, not to the wall clock.
        assert "1 call is in the future" in printed


class FakeTopic:
    """A topic that hands out what it was given."""

    records: list[Made]
    starts: dict[int, int]

    def __init__(self, *_: object) -> None:
        self.bounds = {0: (0, 8), 1: (0, 5)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def messages(self, starts: dict[int, int], _at_once: int, _report: object) -> list[Made]:
        type(self).starts = starts
        return self.records

    @classmethod
    def given(cls, records: list[Made]) -> type[Self]:
        cls.records = records
        return cls


@pytest.mark.parametrize(
    ("bounds", "most", "starts"),
    [
        ({0: (0, 100)}, 10, {0: 90}),
        ({0: (50, 60)}, 100, {0: 50}),
        ({0: (0, 100), 1: (0, 100)}, 10, {0: 95, 1: 95}),
        ({0: (0, 100), 1: (0, 2), 2: (7, 7)}, 12, {0: 90, 1: 0, 2: 7}),
        ({}, 10, {}),
    ],
)
def test_partitions_share_a_sample(bounds: dict[int, tuple[int, int]], most: int, starts: dict[int, int]) -> None:
    assert sampling.last_offsets(bounds, most) == starts
