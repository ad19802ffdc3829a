"""Checkpoints as records and back: nothing is lost in them, and what is not whole or not theirs is refused."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from featurizer.features import Occasion
from featurizer.session import SessionPolicy, pack, unpack
from scorer.alerts import AlertPolicy, Decision
from scorer.severity import Severity
from stream.batches import Mark, PartitionState
from stream.checkpoints import (
    VERSION,
    Restoration,
    Snapshot,
    StateTopics,
    checkpoint,
    decode_degrees,
    mark_record,
    restore_sessions,
    restore_tables,
)
from stream.errors import ExitCode, StateError
from stream.pipeline import Detector
from stream.records import TopicPartition
from stream.wire import Outgoing, client_of
from tests.old_sessions import first_form
from tests.records import CALLS, LOGS, NOW, Made, call_record, make_detector, plain_judge

TOPICS = StateTopics("state", "degrees")
SESSIONS = SessionPolicy(gap=1000, lateness=0, linger=0, quiet=500, first_vector_calls=2)
ODD = ["", "\0", "ann\0s", "ä", "\N{PILE OF POO}", "\ud800", "\udfff tail", "a" * 300, "calls\0m"]


ANN = ApiCall(NOW, "ann", "GET /a")


def detecting(*names: TopicPartition) -> Detector:
    judge, alerts = plain_judge(0.1, 0.1), AlertPolicy(cooldown=5000, budget=2)
    return make_detector(*(names or (CALLS,)), sessions=SESSIONS, judge=judge, alerts=alerts)


def work(detector: Detector, *clients: str, first: int = 0, endpoints: str = "ab") -> list[Outgoing]:
    """Let each client walk, and return the marks of what was decided."""
    walks = [(client, letter) for client in clients for letter in endpoints]
    records = [call_record(at, NOW + at, client, f"GET /{to}") for at, (client, to) in enumerate(walks, first)]
    batch = detector.sessionize(records)
    detector.score(batch)
    return [mark_record(state, mark, TOPICS.state) for state, mark in batch.marks]


def save(detector: Detector, name: TopicPartition = CALLS) -> list[Outgoing]:
    return checkpoint(detector.partitions[name], TOPICS, partitions=4)


def read(records: Iterable[Outgoing], name: TopicPartition = CALLS) -> Snapshot:
    restoration = Restoration(name)
    restoration.feed(Made(own.value, name=own.key) for own in records if own.topic == TOPICS.state)
    return restoration.finish()


def restored(snapshot: Snapshot, name: TopicPartition = CALLS) -> PartitionState:
    state = detecting(name).partitions[name]
    restore_tables(state, snapshot)
    restore_sessions(state, snapshot)
    return state


def kinds(records: Sequence[Outgoing]) -> str:
    """Return the kinds of state records in order: deletions in capitals."""
    found = []
    for own in records:
        if own.topic == TOPICS.state:
            letter = (own.key or b"").split(b"\0", 1)[1][:1].decode()
            found.append(letter.upper() if own.value is None else letter)
    return "".join(found)


def everything(state: PartitionState) -> dict[str, Any]:
    """Return all that is kept of a partition, in one form."""
    windows, table = state.windows, state.table
    sessions = windows.parked | {client: pack(session) for client, session in windows.open.items()}
    return {
        "sessions": sessions,
        "clocks": (windows.max_time, windows.record_clock),
        "table": (table.names, table.source, table.destination, table.edges, table.transitions),
        "history": {client: state.history.entry(client) for client in (*sessions, "gone")},
        "spending": state.history.spending,
        "policy": windows.policy,
        "marks": state.marks,
        "offset": state.offset,
    }


def clients_of(record: Outgoing) -> set[str]:
    """Return the client that a record of a session or a cooldown is about."""
    if kinds([record]).lower() not in {"s", "c"}:
        return set()
    return {client_of((record.key or b"").split(b"\0", 1)[1][1:])}


class TestForm:
    def test_a_partition_comes_back_as_it_was(self) -> None:
        detector = detecting()
        work(detector, "ann", "bob", "cy", endpoints="abca")
        records = save(detector)
        state = restored(read(records))
        assert everything(state) == everything(detector.partitions[CALLS])
        assert not state.live
        assert detector.partitions[CALLS].checkpointed == state.checkpointed == 12

    def test_a_checkpoint_ends_what_it_holds_and_then_deletes_the_marks(self) -> None:
        """A checkpoint that is cut short must not have deleted what a replay still needs."""
        detector = detecting()
        assert len(work(detector, "ann", "bob")) == 2
        assert kinds(save(detector)) == "sscctmAA"

    def test_only_what_changed_is_written_again(self) -> None:
        detector = detecting()
        work(detector, "ann", "bob")
        save(detector)
        work(detector, "bob", first=4, endpoints="c")
        assert kinds(save(detector)) == "stm"
        assert kinds(save(detector)) == "m"

    def test_sessions_and_cooldowns_that_have_ended_are_deleted(self) -> None:
        detector = detecting()
        work(detector, "ann")
        first = save(detector)
        work(detector, "bob", first=9000, endpoints="a")
        second = save(detector)
        assert kinds(second) == "sSctmA"
        snapshot = read([*first, *second])
        assert (set(snapshot.sessions), set(snapshot.cooldowns), snapshot.marks) == ({"bob"}, {"ann"}, {})

    def test_every_record_names_the_partition_it_is_for(self) -> None:
        detector = detecting()
        work(detector, "ann")
        assert {own.partition for own in save(detector) if own.topic == TOPICS.state} == {CALLS.partition}

    def test_the_degree_table_is_published_too(self) -> None:
        detector = detecting()
        work(detector, "ann", endpoints="abcab")
        (published,) = [own for own in save(detector) if own.topic == TOPICS.degrees]
        assert published.key == b"calls-0"
        degrees, partitions = decode_degrees(published.value or b"")
        assert (degrees, partitions) == (detector.partitions[CALLS].table.snapshot(), 4)

    @pytest.mark.parametrize("value", [b"", b"\xc1", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({})])
    def test_other_bytes_are_no_degree_table(self, value: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            decode_degrees(value)

    def test_no_records_are_no_checkpoint(self) -> None:
        assert read([]) == Snapshot()
        state = restored(Snapshot())
        assert (state.checkpointed, state.offset, state.live) == (-1, -1, False)

    def test_marks_without_a_checkpoint_are_kept(self) -> None:
        """Both come in a partition's first transaction, or with at_least_once the marks alone."""
        marks = work(detecting(), "ann")
        assert [own.decision for own in read(marks).marks.values()] == [Decision.ALERT]

    @settings(max_examples=50)
    @given(client=st.text(st.characters(codec=None), max_size=8) | st.sampled_from(ODD))
    def test_any_client_name_can_be_a_key(self, client: str) -> None:
        detector = detecting()
        state = detector.partitions[CALLS]
        state.windows.observe(msgspec.structs.replace(ANN, client=client), NOW, 0)
        state.history.remember(client, NOW, "session")
        state.offset = 0
        snapshot = read(save(detector))
        assert (set(snapshot.sessions), snapshot.cooldowns) == ({client}, {client: (NOW, "session")})
        assert restored(snapshot).windows.parked.keys() == {client}

    @settings(max_examples=25)
    @given(clients=st.lists(st.sampled_from(ODD), unique=True))
    def test_no_two_odd_names_share_a_key(self, clients: list[str]) -> None:
        detector = detecting()
        state = detector.partitions[CALLS]
        for offset, client in enumerate(clients):
            state.windows.observe(msgspec.structs.replace(ANN, client=client), NOW, offset)
            state.offset = offset
        assert read(save(detector)).sessions.keys() == set(clients)

    @given(
        session=st.text("0123456789abcdef", min_size=1),
        occasion=st.sampled_from(Occasion),
        calls=st.integers(0, 1 << 40),
        decision=st.sampled_from([Decision.ALERT, Decision.COOLDOWN, Decision.BUDGET]),
        severity=st.none() | st.sampled_from(Severity),
    )
    def test_a_mark_comes_back_as_it_was(
        self, session: str, occasion: Occasion, calls: int, decision: Decision, severity: Severity | None
    ) -> None:
        mark = Mark(session, occasion, calls, decision, severity)
        record = mark_record(detecting().partitions[CALLS], mark, TOPICS.state)
        assert read([record]).marks == {mark.key: mark}


class TestSeveralInputs:
    def test_those_that_share_a_state_partition_do_not_meet(self) -> None:
        """``log`` is the beginning of ``logs``, and both have a client of one name."""
        names = [TopicPartition(topic, 0) for topic in ("log", "logs", "calls")]
        records: list[Outgoing] = []
        for seconds, name in enumerate(names, 1):
            detector = make_detector(name, sessions=SESSIONS, decoders=dict.fromkeys(["log", "logs", "calls"]))
            detector.sessionize([call_record(0, NOW + seconds, "ann", source=name)])
            records += save(detector, name)
        for seconds, name in enumerate(names, 1):
            meta = read(records, name).meta
            assert meta is not None
            assert (meta.max_time, meta.sessions) == (NOW + seconds, 1)

    def test_a_state_partition_without_a_record_of_it_is_no_checkpoint(self) -> None:
        detector = detecting()
        work(detector, "ann")
        assert read(save(detector), LOGS) == Snapshot()


class TestCutShort:
    """Only at_least_once can leave a checkpoint without its end: its records are flushed one after the other."""

    @settings(max_examples=40)
    @given(data=st.data())
    def test_it_is_undone_and_its_keys_are_written_again(self, data: st.DataObject) -> None:
        detector = detecting()
        work(detector, "ann", "bob", "cy")
        first = save(detector)
        before = read(first)
        marks = work(detector, "bob", "dot", first=2000, endpoints="abc")
        at_end = everything(detector.partitions[CALLS])
        second = save(detector)
        ends = 1 + max(at for at, own in enumerate(second) if kinds([own]) == "m")
        cut = data.draw(st.integers(0, ends - 1))
        snapshot = read([*first, *marks, *second[:cut]])
        assert (snapshot.meta, snapshot.sessions, snapshot.cooldowns) == (
            before.meta,
            before.sessions,
            before.cooldowns,
        )
        assert (snapshot.table, len(snapshot.marks)) == (before.table, len(marks))
        touched = {client for own in second[:cut] for client in clients_of(own)}
        assert snapshot.doubtful == touched

        third = checkpoint(restored(snapshot), TOPICS, partitions=4)
        whole = read([*first, *marks, *second[:cut], *third])
        assert (whole.sessions, whole.cooldowns, whole.table) == (before.sessions, before.cooldowns, before.table)
        assert (whole.doubtful, whole.marks) == (set(), {})
        assert everything(restored(read([*first, *marks, *second]))) == at_end | {"marks": {}}

    def test_the_first_of_all_leaves_nothing_but_keys_to_write_again(self) -> None:
        detector = detecting()
        work(detector, "ann", "bob")
        records = save(detector)
        snapshot = read(records[:3])
        assert snapshot == Snapshot(doubtful={"ann", "bob"})
        written = checkpoint(restored(snapshot), TOPICS, partitions=4)
        assert kinds(written) == "SSCCtm"
        assert read([*records[:3], *written]).sessions == {}

    def test_its_degree_table_is_published_again(self) -> None:
        """Nobody knows whether the other workers got it."""
        detector = detecting()
        work(detector, "ann")
        first = save(detector)
        work(detector, "bob", first=2)
        state = restored(read([*first, *save(detector)[:1]]))
        assert TOPICS.degrees in {own.topic for own in checkpoint(state, TOPICS, partitions=4)}

    def test_marks_that_its_end_made_needless_go_with_the_next_one(self) -> None:
        detector = detecting()
        marks = work(detector, "ann")
        records = save(detector)
        assert kinds(records)[-1] == "A"
        left = [*marks, *records[:-1]]
        snapshot = read(left)
        assert len(snapshot.marks) == 1
        assert read([*left, *checkpoint(restored(snapshot), TOPICS, partitions=4)]).marks == {}


class TestNotWhole:
    def records(self) -> list[Outgoing]:
        detector = detecting()
        marks = work(detector, "ann", "bob")
        return [*marks, *save(detector)]

    def refused(self, records: Iterable[Outgoing]) -> str:
        with pytest.raises(StateError) as caught:
            restored(read(records))
        assert caught.value.exit_code is ExitCode.STATE
        assert "gatewatch state reset" in caught.value.hint
        assert "calls-0" in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            ("s", "had 2 sessions, and 1 are there"),
            ("c", "had 2 cooldowns, and 1 are there"),
            ("t", "had 1 degree table, and 0 are"),
        ],
    )
    def test_a_missing_record_is_noticed(self, kind: str, why: str) -> None:
        records = self.records()
        missing = next(own for own in records if kinds([own]) == kind)
        assert why in self.refused(own for own in records if own is not missing)

    @pytest.mark.parametrize(("kind", "what"), [("s", "sessions"), ("c", "cooldowns")])
    def test_so_is_one_too_many(self, kind: str, what: str) -> None:
        records = self.records()
        own = next(own for own in records if kinds([own]) == kind)
        more = own._replace(key=(own.key or b"") + b"x")
        assert f"had 2 {what}, and 3 are there" in self.refused([more, *records])

    def test_state_of_the_first_version_is_gone_on_from(self) -> None:
        """Its sessions had only their graph, and its table did not count transitions by themselves."""
        before, records = [], self.records()
        for own in records:
            value, kind = own.value, kinds([own]) if own.topic == TOPICS.state else ""
            if value is not None and kind in {"m", "t"}:
                fields = msgspec.msgpack.decode(value)
                value = msgspec.msgpack.encode([1, *fields[1 : 6 if kind == "t" else 8]])
            elif value is not None and kind == "s":
                value = first_form(unpack("", value))
            before.append(own._replace(value=value))

        detector, found = detecting(), read(before)
        state = detector.partitions[CALLS]
        restore_tables(state, found)
        restore_sessions(state, found)
        table = read(records).table
        assert table is not None
        assert table.transitions
        assert state.table.snapshot() == DegreeSnapshot(
            table.edges,
            {
                name: EndpointDegrees(source, destination)
                for name, source, destination in zip(table.names, table.source, table.destination, strict=True)
            },
        )
        assert {client: unpack(client, own).edges for client, own in state.windows.parked.items()} == {
            client: unpack(client, own).edges for client, own in read(records).sessions.items()
        }
        (meta,) = [own for own in save(detector) if kinds([own]) == "m"]
        assert msgspec.msgpack.decode(meta.value or b"")[0] == VERSION

    def test_state_without_a_version_of_templates_is_gone_on_from_and_so_is_state_that_says_more(self) -> None:
        """Programs of before this field write none; those of after it may write more."""
        detector = detecting()
        detector.partitions[CALLS].templates = "1-abc"
        work(detector, "ann")
        records = save(detector)
        (at,) = [at for at, own in enumerate(records) if kinds([own]) == "m"]
        meta = msgspec.msgpack.decode(records[at].value or b"")
        for form, templates in ((meta, "1-abc"), (meta[:-1], ""), ([*meta, "more"], "1-abc")):
            records[at] = records[at]._replace(value=msgspec.msgpack.encode(form))
            assert restored(read(records)).templates == templates

    def test_another_version_is_refused(self) -> None:
        records = self.records()
        (at,) = [at for at, own in enumerate(records) if kinds([own]) == "m"]
        meta = msgspec.msgpack.decode(records[at].value or b"")
        other = msgspec.msgpack.encode([VERSION + 1, "whatever", *meta[1:]])
        records[at] = records[at]._replace(value=other)
        assert f"has version {VERSION + 1}, this program reads {VERSION}" in self.refused(records)

    @pytest.mark.parametrize("kind", ["m", "c", "t"])
    @pytest.mark.parametrize("value", [b"", b"\xc1", msgspec.msgpack.encode([]), msgspec.msgpack.encode(["x", 1])])
    def test_an_unreadable_record_is_refused(self, kind: str, value: bytes) -> None:
        records = self.records()
        (at, *_) = [at for at, own in enumerate(records) if kinds([own]) == kind]
        records[at] = records[at]._replace(value=value)
        assert self.refused(records)

    @pytest.mark.parametrize(
        ("keep", "replaced"),
        [(0, b""), (0, b"\xff" * 200), (20, b""), (88, b""), (-1, b""), (None, b"\0")],
        ids=["empty", "another form", "cut in the header", "cut after it", "cut at the end", "too long"],
    )
    def test_so_is_an_unreadable_session(self, keep: int | None, replaced: bytes) -> None:
        """Were it found out by the client's next call, that would be a dead letter, and the session gone."""
        records = self.records()
        (at, *_) = [at for at, own in enumerate(records) if kinds([own]) == "s"]
        records[at] = records[at]._replace(value=(records[at].value or b"")[:keep] + replaced)
        assert self.refused(records)

    def test_so_is_an_unreadable_mark_unless_a_checkpoint_has_deleted_it(self) -> None:
        mark = next(own for own in self.records() if kinds([own]) == "a")._replace(value=b"\xc1")
        assert self.refused([*self.records(), mark])
        assert restored(read([mark, *self.records()])).marks == {}

    @pytest.mark.parametrize("key", [b"calls\0", b"calls\0z", b"calls\0s\xff"])
    def test_so_is_a_key_of_no_kind_or_of_no_client(self, key: bytes) -> None:
        mark = next(own for own in self.records() if kinds([own]) == "a")
        assert self.refused([mark._replace(key=key), *self.records()])

    def test_a_checkpoint_whose_end_is_deleted_is_none(self) -> None:
        """What is left of it is written again, or deleted."""
        records = self.records()
        meta = next(own for own in records if kinds([own]) == "m")
        snapshot = read([*records, meta._replace(value=None)])
        assert (snapshot.meta, snapshot.sessions, snapshot.doubtful) == (None, {}, {"ann", "bob"})
