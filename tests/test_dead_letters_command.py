"""What ``gatewatch dead-letters`` accepts and prints, without a Kafka."""

import json

import pytest

from stream.commands.dead_letters import require_target, selection_of, since_ms
from stream.dead_letter_progress import Selection
from stream.dead_letter_reports import document, moment, print_line, row
from stream.dead_letter_topic import Kept
from stream.dead_letters import DeadLetter, Reason
from stream.errors import CommandError, ExitCode
from stream.wire import StoredDeadLetter

NOW = 1_700_000_000_000


def kept(original: bytes, key: bytes | None = b"key", detail: str = "no time") -> Kept:
    letter = DeadLetter(Reason.MISSING_FIELD, detail, "logs", 1, 7, NOW - 1, original, key, 3)
    return Kept("dead-letters", 2, 9, NOW, StoredDeadLetter(letter, None))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30s", NOW - 30_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 604_800_000),
        ("999999d", 0),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14 23:13:20+01:00", NOW),
    ],
)
def test_since_is_a_time_or_how_long_ago(text: str, time: int) -> None:
    assert since_ms(text, NOW) == time


@pytest.mark.parametrize("text", ["", "yesterday", "-2h", "5w"])
def test_another_since_is_refused(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        since_ms(text, NOW)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_line_of_the_table_cannot_steer_a_terminal() -> None:
    cells = row(kept(b"\x1b[2Jline\nnext " + b"x" * 5000, detail="a\x07b"))
    assert cells[:5] == ("dead-letters-2@9", "2023-11-14 22:13:20Z", "missing_field", "logs-1@7", "a·b")
    assert cells[5].startswith("·[2Jline·next xxx")
    assert (len(cells[5]), cells[5][-1]) == (60, "…")


def test_a_record_without_a_time_shows_none() -> None:
    assert moment(-1) == ""


def test_text_is_text_and_other_bytes_are_base64() -> None:
    assert document(kept(b"GET /a", None)) == {
        "position": "dead-letters-2@9",
        "time": NOW,
        "reason": "missing_field",
        "detail": "no time",
        "topic": "logs",
        "partition": 1,
        "offset": 7,
        "timestamp": NOW - 1,
        "index": 3,
        "truncated_from": None,
        "key": None,
        "original": "GET /a",
    }
    other = document(kept(b"\xff"))
    assert (other["original_base64"], "original" in other) == ("/w==", False)


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(kept(b"a\nb"))
    print_line(kept(b"c"))
    assert [json.loads(line)["original"] for line in capsys.readouterr().out.splitlines()] == ["a\nb", "c"]


@pytest.mark.parametrize(("target", "code"), [("dead-letters", ExitCode.USAGE), ("nowhere", ExitCode.UNREACHABLE)])
def test_a_target_must_be_there_and_not_the_dead_letters(target: str, code: ExitCode) -> None:
    with pytest.raises(CommandError) as caught:
        require_target(target, {"logs", "dead-letters"}, "dead-letters")
    assert caught.value.exit_code == code
    require_target("logs", {"logs"}, "dead-letters")
    require_target(None, set(), "dead-letters")


def test_no_filter_chooses_all() -> None:
    assert selection_of(None, []) == Selection()
