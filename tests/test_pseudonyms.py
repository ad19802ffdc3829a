"""Pseudonyms: keyed names of clients and addresses, and the command that looks them up."""

import hmac
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.calls import ApiCall, encode_call
from featurizer.routes import RouteTemplates
from stream import assembly
from stream.adapters import Pseudonyms, decoder
from stream.adapters.identities import session_name, with_agent
from stream.adapters.pseudonyms import is_pseudonym, read_keys
from stream.cli import main
from stream.errors import ExitCode, SettingsError
from stream.settings import Settings, load_settings

OLD, NEW = "o" * 32, "n" * 64
KEYS = {"2026a": OLD.encode(), "2026b": NEW.encode()}
OURS = Pseudonyms(KEYS, "2026b")
LINE = b'{"time":1700000000000,"client":"ann","method":"GET","path":"/a","address":"192.0.2.7"}'


def test_a_pseudonym_is_the_first_half_of_an_hmac_sha_256_with_the_key_s_id() -> None:
    digest = hmac.new(NEW.encode(), b"ann", "sha256").hexdigest()

    assert OURS.of("ann") == f"hmac:2026b:{digest[:32]}"


@given(name=st.text(max_size=30), other=st.text(max_size=30))
def test_pseudonyms_tell_names_apart_and_hide_them(name: str, other: str) -> None:
    assert (OURS.of(name) == OURS.of(other)) is (name == other)
    assert OURS.under("2026a", name) != OURS.of(name)
    assert is_pseudonym(OURS.of(name))
    assert len(OURS.of(name)) == len("hmac:2026b:") + 32


def test_client_and_address_of_a_call_get_pseudonyms_and_nothing_else_changes() -> None:
    (plain,) = decoder("gatewatch", RouteTemplates())(LINE).calls

    (call,) = decoder("gatewatch", RouteTemplates(), pseudonyms=OURS)(LINE).calls

    assert (call.client, call.address) == (OURS.of("ann"), OURS.of("192.0.2.7"))
    assert msgspec.structs.replace(call, client="ann", address="192.0.2.7") == plain


def test_calls_of_our_own_topic_keep_their_pseudonyms_and_others_cannot_choose_one() -> None:
    written = ApiCall(1_700_000_000_000, OURS.under("2026a", "ann"), "GET /a", 200)
    chosen = json.dumps({"time": 1_700_000_000_000, "client": written.client, "method": "GET", "path": "/a"})

    (kept,) = decoder("auto", RouteTemplates(), pseudonyms=OURS)(encode_call(written)).calls
    (named,) = decoder("auto", RouteTemplates(), pseudonyms=OURS)(chosen.encode()).calls

    assert kept == written
    assert named.client == OURS.of(written.client)


def test_a_pseudonym_is_found_again_under_the_key_that_it_was_written_with() -> None:
    old = OURS.under("2026a", "ann")

    assert OURS.written_like(old).of("ann") == old
    assert OURS.written_like("ann") is OURS
    with pytest.raises(ValueError, match="no key '2025'; there are 2026a, 2026b"):
        OURS.written_like(old.replace("2026a", "2025"))


def test_keys_are_read_line_by_line_or_by_commas_without_comments() -> None:
    text = f"# keys\n2026a={OLD}  # old\n\n2026b = {NEW}\n"

    assert read_keys(text) == read_keys(f"2026a={OLD},2026b={NEW}") == KEYS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("just-a-secret-of-more-than-32-characters", "key 1: not ID=SECRET"),
        (f"2026a={OLD}, Upper={NEW}", "key 2: not ID=SECRET"),
        ("2026a=short", "key 2026a: shorter than 32 characters"),
        (f"2026a={OLD},2026a={NEW}", "key 2026a: it is there twice"),
    ],
)
def test_a_wrong_key_is_said_without_its_secret(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_keys(text)
    assert not any(secret in str(caught.value) for secret in ("secret-of", OLD, NEW, "=short"))


class TestSettings:
    def test_without_a_current_key_names_stay(self) -> None:
        assert assembly.pseudonyms(Settings()) is None

    def test_keys_come_from_the_file_and_from_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "keys"
        file.write_text(f"2026a={OLD}\n")
        monkeypatch.setenv("GATEWATCH_PRIVACY__HMAC_KEYS", f"2026b={NEW}")

        found = assembly.pseudonyms(
            load_settings(overrides={"privacy.current": "2026b", "privacy.hmac_keys_file": file})
        )

        assert found is not None
        assert (found.keys, found.current) == (KEYS, "2026b")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"current": "2026c", "hmac_keys": f"2026a={OLD}"}, "privacy.current: there is no key '2026c'"),
            ({"current": "2026a", "hmac_keys": "2026a=x"}, "privacy.hmac_keys: key 2026a: shorter"),
            ({"current": "2026a", "hmac_keys_file": "/nowhere/keys"}, "privacy.hmac_keys_file: /nowhere/keys"),
        ],
    )
    def test_what_is_wrong_with_the_keys_is_said(self, given: dict[str, str], said: str) -> None:
        settings = load_settings(overrides={f"privacy.{name}": value for name, value in given.items()})

        with pytest.raises(SettingsError, match=said):
            assembly.pseudonyms(settings)

    def test_a_key_in_both_places_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        file.write_text(f"2026a={OLD}\n")
        own = {"privacy.current": "2026a", "privacy.hmac_keys_file": file, "privacy.hmac_keys": f"2026a={NEW}"}

        with pytest.raises(SettingsError, match=r"key 2026a is in privacy\.hmac_keys_file too"):
            assembly.pseudonyms(load_settings(overrides=own))

    def test_a_current_key_without_keys_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="privacy: current is 2026a, and there are no keys"):
            load_settings(overrides={"privacy.current": "2026a"})

    @pytest.mark.parametrize(
        ("order", "said"),
        [("user", "must end with address"), ("address,user", "must end with"), ("user,user,address", "listed twice")],
    )
    def test_an_order_that_could_leave_a_call_without_a_client_is_refused(self, order: str, said: str) -> None:
        with pytest.raises(SettingsError, match=f"identity.order: .*{said}"):
            load_settings(overrides={"identity.order": order})


class TestCommand:
    KEYS = ("--set", f"privacy.hmac_keys=2026a={OLD},2026b={NEW}", "--set", "privacy.current=2026b")

    def said(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, str, bool]]:
        assert main(["pseudonym", *arguments, *self.KEYS, "--json"]) == ExitCode.OK
        rows = json.loads(capsys.readouterr().out)
        return [(row["key"], row["pseudonym"], row["current"]) for row in rows]

    def test_a_name_is_told_under_each_key_the_current_one_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.said(capsys, "ann") == [
            ("2026b", OURS.of("ann"), True),
            ("2026a", OURS.under("2026a", "ann"), False),
        ]

    def test_a_cookie_and_an_agent_are_hashed_as_the_first_stage_does(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.said(capsys, "cookie", "--session")[0][1] == OURS.of(session_name("cookie"))
        assert self.said(capsys, "192.0.2.7", "--agent", "curl")[0][1] == OURS.of(with_agent("192.0.2.7", "curl"))

    def test_people_get_a_table_without_secrets(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["pseudonym", "ann", *self.KEYS]) == ExitCode.OK
        said = capsys.readouterr().out
        assert OURS.of("ann") in said
        assert OLD not in said

    def test_without_keys_it_says_what_to_set(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["pseudonym", "ann"]) == ExitCode.USAGE
        assert "privacy.hmac_keys_file" in capsys.readouterr().err
