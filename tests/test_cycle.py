"""One cycle becomes durable whole or not at all, by transaction or by flush and commit."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Offset

from stream.batches import Batch, Sample
from stream.cycle import AbandonedError, Cycle, DeliveryError, Flushes, Transactions, produce_all
from stream.records import TopicPartition
from stream.wire import Outgoing
from tests.kafka_broker import free_port
from tests.records import CALLS, NOW, OTHER, call_record, make_detector

RECORDS = [Outgoing("anomalies", b"ann", b"one"), Outgoing("features", b"ann", b"two")]
POSITIONS = {CALLS: 12, OTHER: 4}
PRODUCED = ["produce one", "produce two"]
OFFSETS = "offsets calls-0@12 calls-1@4"
METADATA = object()


def kafka_error(code: int = KafkaError._TIMED_OUT, **kind: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "told by the test", **kind))


def abortable() -> KafkaException:
    return kafka_error(KafkaError._STATE, txn_requires_abort=True)


def retriable() -> KafkaException:
    return kafka_error(retriable=True)


def fatal(code: int = KafkaError._FATAL) -> KafkaException:
    return kafka_error(code, fatal=True)


def offsets_of(offsets: Sequence[Offset]) -> str:
    return " ".join(f"{own.topic}-{own.partition}@{own.offset}" for own in offsets)


class FakeProducer:
    """Writes down what is asked of it and raises what a test wants raised.

    ``failing`` holds, by step, what comes of its next calls: an exception to raise or None for success.
    """

    def __init__(self, journal: list[str], **failing: Any) -> None:
        self.journal = journal
        self.failing: dict[str, list[BaseException | None]] = {step: list(planned) for step, planned in failing.items()}
        self.reports: list[Callable[[], None]] = []
        self.failed_reports: dict[bytes, KafkaError] = {}
        self.lost: set[bytes] = set()

    def _step(self, name: str, note: str | None = None) -> None:
        self.journal.append(note or name)
        planned = self.failing.get(name, [])
        error = planned.pop(0) if planned else None
        if error is not None:
            self.journal[-1] += "!"
            raise error

    def init_transactions(self, _timeout: float) -> None:
        self._step("init")

    def begin_transaction(self) -> None:
        self._step("begin")

    def produce(  # noqa: PLR0917 -- the order of the client library's own
        self,
        topic: str,
        value: bytes,
        key: bytes | None = None,
        partition: int = -1,
        callback: Any = None,
        on_delivery: Any = None,
        timestamp: int = 0,
        headers: Any = None,
    ) -> None:
        assert on_delivery is None
        self._step("produce", f"produce {value.decode()}")
        self.arguments = (topic, value, key, partition, timestamp, headers)
        if callback is not None and value not in self.lost:
            error = self.failed_reports.get(value)
            self.reports.append(lambda: callback(error, None))

    def poll(self, timeout: float) -> int:
        if timeout:
            self.journal.append("wait for room")
        return 0

    def flush(self, _timeout: float) -> int:
        self.journal.append("flush")
        for report in self.reports:
            report()
        self.reports.clear()
        return len(self.lost)

    def send_offsets_to_transaction(self, offsets: Sequence[Offset], metadata: object, _timeout: float) -> None:
        assert metadata is METADATA
        self._step("offsets", f"offsets {offsets_of(offsets)}")

    def commit_transaction(self, _timeout: float) -> None:
        self._step("commit")

    def abort_transaction(self, _timeout: float) -> None:
        self._step("abort")


class FakeConsumer:
    """A member of a group that can commit."""

    def __init__(self, journal: list[str], errors: Sequence[BaseException]) -> None:
        self.journal = journal
        self.errors = list(errors)

    def consumer_group_metadata(self) -> object:
        return METADATA

    def commit(self, *, offsets: Sequence[Offset], asynchronous: bool) -> None:
        assert asynchronous is False
        self.journal.append(f"commit {offsets_of(offsets)}")
        if self.errors:
            raise self.errors.pop(0)


def consuming(journal: list[str], *errors: BaseException) -> Any:
    """Return a fake in the place of a Consumer; its first commits fail with the errors."""
    return FakeConsumer(journal, errors)


def producing(journal: list[str], **failing: Any) -> Any:
    """Return a fake in the place of a Producer."""
    return FakeProducer(journal, **failing)


def cycle_of(outgoing: Sequence[Outgoing] = RECORDS, positions: dict[TopicPartition, int] | None = None) -> Cycle:
    cycle = Cycle()
    cycle.add(Batch(positions=POSITIONS if positions is None else positions), outgoing)
    return cycle


class TestCycle:
    def test_it_collects_outputs_in_order_and_the_last_positions(self) -> None:
        cycle = Cycle()
        cycle.add(Batch(positions={CALLS: 3, OTHER: 9}), RECORDS[:1])
        cycle.add(Batch(positions={CALLS: 5}), RECORDS[1:])
        assert cycle.outgoing == RECORDS
        assert offsets_of(cycle.offsets()) == "calls-0@5 calls-1@9"
        assert len(cycle.batches) == 2

    def test_it_is_empty_until_there_is_something_to_make_durable(self) -> None:
        cycle = Cycle()
        assert cycle.empty
        cycle.add(Batch(), [])
        assert cycle.empty
        cycle.add(Batch(positions={CALLS: 1}), [])
        assert not cycle.empty

    def test_outputs_alone_are_worth_a_commit(self) -> None:
        assert not cycle_of(positions={}).empty

    def test_batches_of_nothing_do_not_pile_up(self) -> None:
        cycle = Cycle()
        for _ in range(1000):
            cycle.add(Batch(), [])
        assert cycle.batches == []

    def test_a_batch_that_only_closed_sessions_is_kept_for_the_metrics(self) -> None:
        detector = make_detector()
        detector.sessionize([call_record(0, NOW)])
        batch = Batch()
        detector.advance([CALLS], NOW + 90_000, batch)
        assert [type(own) for own in batch.samples] == [Sample]
        cycle = Cycle()
        cycle.add(batch, [])
        assert cycle.batches == [batch]


class TestTransactions:
    @pytest.fixture
    def journal(self) -> list[str]:
        return []

    @pytest.fixture
    def hanging(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> Iterator[Callable[[int], None]]:
        """Return what lets the first producers hang, as librdkafka may when the group's coordinator goes away."""
        over = threading.Event()

        class Hanging(FakeProducer):
            def send_offsets_to_transaction(self, *_: object) -> None:
                self.journal.append("hang")
                assert over.wait(10)

        def hang(first: int) -> None:
            producers: list[FakeProducer] = [*(Hanging(journal) for _ in range(first)), FakeProducer(journal)]
            monkeypatch.setattr("stream.cycle.Producer", lambda _: producers.pop(0))

        yield hang
        over.set()

    def transactions(
        self,
        monkeypatch: pytest.MonkeyPatch,
        journal: list[str],
        timeout_s: float = 5,
        **failing: Any,
    ) -> Transactions:
        monkeypatch.setattr("stream.cycle.Producer", lambda _: FakeProducer(journal, **failing))
        return Transactions({}, timeout_s)

    def deliver(self, monkeypatch: pytest.MonkeyPatch, journal: list[str], **failing: Any) -> None:
        self.transactions(monkeypatch, journal, **failing).deliver(cycle_of(), consuming(journal))

    def test_outputs_and_offsets_are_one_transaction(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        self.deliver(monkeypatch, journal)
        assert journal == ["begin", *PRODUCED, OFFSETS, "commit"]

    def test_a_cycle_without_positions_commits_no_offsets(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        self.transactions(monkeypatch, journal).deliver(cycle_of(positions={}), consuming(journal))
        assert journal == ["begin", *PRODUCED, "commit"]

    def test_starting_registers_the_id_and_waits_for_the_broker(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        self.transactions(monkeypatch, journal, init=[retriable(), retriable()]).start()
        assert journal == ["init!", "init!", "init"]

    def test_a_start_that_fails_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        with pytest.raises(DeliveryError, match=r"could not be initialised.*told by the test.*; restart this worker"):
            self.transactions(monkeypatch, journal, init=[fatal()]).start()

    def test_an_error_that_asks_for_it_aborts_and_repeats_the_whole_cycle(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        self.deliver(monkeypatch, journal, commit=[abortable()])
        once = ["begin", *PRODUCED, OFFSETS]
        assert journal == [*once, "commit!", "abort", *once, "commit"]

    def test_so_does_one_met_while_sending_offsets(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        self.deliver(monkeypatch, journal, offsets=[abortable()])
        assert journal == ["begin", *PRODUCED, f"{OFFSETS}!", "abort", "begin", *PRODUCED, OFFSETS, "commit"]

    def test_so_does_one_met_while_producing(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        self.deliver(monkeypatch, journal, produce=[None, abortable()])
        repeated = ["begin", *PRODUCED, OFFSETS, "commit"]
        assert journal == ["begin", "produce one", "produce two!", "abort", *repeated]

    def test_a_transaction_that_fails_while_it_is_filled_is_repeated_too(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        """Producing into it is then a wrong state, which does not say of itself that an abort is wanted."""
        self.deliver(monkeypatch, journal, produce=[None, kafka_error(KafkaError._STATE)])
        repeated = ["begin", *PRODUCED, OFFSETS, "commit"]
        assert journal == ["begin", "produce one", "produce two!", "abort", *repeated]

    @pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.TOPIC_AUTHORIZATION_FAILED])
    def test_what_only_a_person_can_change_is_not_tried_again(
        self, code: int, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        with pytest.raises(DeliveryError, match="correct the topic or the permissions"):
            self.deliver(monkeypatch, journal, commit=[kafka_error(code, txn_requires_abort=True)])
        assert journal == ["begin", *PRODUCED, OFFSETS, "commit!"]

    def test_an_abandoned_cycle_is_aborted_and_never_repeated(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        """A worker that lost its partitions must not commit them under the membership it gets later."""
        transactions = self.transactions(monkeypatch, journal, offsets=[abortable()])
        cycle = cycle_of()
        cycle.abandoned = True
        with pytest.raises(AbandonedError):
            transactions.deliver(cycle, consuming(journal))
        assert journal == ["begin", *PRODUCED, f"{OFFSETS}!", "abort"]

    def test_a_cycle_is_not_repeated_by_a_worker_that_the_group_has_put_out(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        """Only a poll gets it back in, and no poll comes while a commit is waited for."""
        expelled = kafka_error(KafkaError.UNKNOWN_MEMBER_ID, txn_requires_abort=True)
        transactions = self.transactions(monkeypatch, journal, offsets=[expelled])
        with pytest.raises(AbandonedError):
            transactions.deliver(cycle_of(), consuming(journal))
        assert journal == ["begin", *PRODUCED, f"{OFFSETS}!", "abort"]

    def test_a_cycle_is_repeated_as_often_as_needed(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        self.deliver(monkeypatch, journal, commit=[abortable(), abortable()])
        assert [step for step in journal if step in {"abort", "commit!", "commit"}] == [
            "commit!",
            "abort",
            "commit!",
            "abort",
            "commit",
        ]
        assert journal.count("produce one") == 3

    def test_a_call_that_hangs_is_left_behind_with_its_producer(
        self, journal: list[str], hanging: Callable[[int], None]
    ) -> None:
        hanging(1)
        Transactions({}, 0.2).deliver(cycle_of(), consuming(journal))
        assert journal == ["begin", *PRODUCED, "hang", "init", "begin", *PRODUCED, OFFSETS, "commit"]

    def test_an_abandoned_cycle_is_not_repeated_after_a_call_that_hangs(
        self, journal: list[str], hanging: Callable[[int], None]
    ) -> None:
        hanging(1)
        cycle = cycle_of()
        cycle.abandoned = True
        with pytest.raises(AbandonedError):
            Transactions({}, 0.2).deliver(cycle, consuming(journal))
        assert journal == ["begin", *PRODUCED, "hang", "init"]

    def test_calls_that_hang_for_all_of_the_time_end_it(
        self, journal: list[str], hanging: Callable[[int], None]
    ) -> None:
        hanging(3)
        with pytest.raises(DeliveryError, match=r"no end of sending offsets .*; restart this worker"):
            Transactions({}, 0.2).deliver(cycle_of(), consuming(journal))

    @pytest.mark.parametrize("step", ["offsets", "commit"])
    def test_a_retriable_error_repeats_that_step_only(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str], step: str
    ) -> None:
        self.deliver(monkeypatch, journal, **{step: [retriable(), retriable()]})
        assert "abort" not in journal
        assert journal.count("produce one") == 1
        assert sum(own.startswith(step) for own in journal) == 3
        assert journal[-1] == "commit"

    def test_an_abort_may_have_to_be_repeated_too(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        self.deliver(monkeypatch, journal, commit=[abortable()], abort=[retriable()])
        assert journal[journal.index("commit!") :][:3] == ["commit!", "abort!", "abort"]
        assert journal[-1] == "commit"

    def test_a_fatal_error_ends_it_without_abort_or_repetition(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        with pytest.raises(DeliveryError, match="restart this worker; it resumes from the last commit"):
            self.deliver(monkeypatch, journal, commit=[fatal()])
        assert journal == ["begin", *PRODUCED, OFFSETS, "commit!"]

    @pytest.mark.parametrize("code", [KafkaError._FENCED, KafkaError.PRODUCER_FENCED])
    @pytest.mark.parametrize("step", ["begin", "produce", "offsets", "commit"])
    def test_a_fenced_worker_is_told_that_another_has_its_partitions(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str], step: str, code: int
    ) -> None:
        with pytest.raises(DeliveryError, match="another worker has taken over its partitions; restart this one"):
            self.deliver(monkeypatch, journal, **{step: [fatal(code)]})
        assert "commit" not in journal

    def test_an_abort_that_fails_ends_it(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        with pytest.raises(DeliveryError, match="a transaction failed"):
            self.deliver(monkeypatch, journal, commit=[abortable()], abort=[fatal()])
        assert journal[-1] == "abort!"

    def test_it_gives_up_when_errors_do_not_pass(self, monkeypatch: pytest.MonkeyPatch, journal: list[str]) -> None:
        endless: list[BaseException | None] = [retriable() for _ in range(1000)]
        transactions = self.transactions(monkeypatch, journal, timeout_s=0.1, commit=endless)
        with pytest.raises(DeliveryError, match="told by the test"):
            transactions.deliver(cycle_of(), consuming(journal))
        assert 1 < journal.count("commit!") < 100

    def test_a_defect_is_not_hidden_as_a_broker_s_error(
        self, monkeypatch: pytest.MonkeyPatch, journal: list[str]
    ) -> None:
        with pytest.raises(TypeError, match="a defect"):
            self.deliver(monkeypatch, journal, produce=[TypeError("a defect")])


class TestFlushes:
    def flushes(self, monkeypatch: pytest.MonkeyPatch, producer: FakeProducer) -> Flushes:
        monkeypatch.setattr("stream.cycle.Producer", lambda _: producer)
        flushes = Flushes({}, 5)
        flushes.start()
        return flushes

    def test_offsets_are_committed_after_every_delivery_report(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        self.flushes(monkeypatch, FakeProducer(journal)).deliver(cycle_of(), consuming(journal))
        assert journal == [*PRODUCED, "flush", "commit calls-0@12 calls-1@4"]

    def test_a_failed_output_leaves_the_offsets_where_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        producer = FakeProducer(journal)
        producer.failed_reports[b"two"] = KafkaError(KafkaError._MSG_TIMED_OUT, "too slow")
        with pytest.raises(DeliveryError, match=r"1 outputs were not delivered: .*too slow"):
            self.flushes(monkeypatch, producer).deliver(cycle_of(), consuming(journal))
        assert journal == [*PRODUCED, "flush"]

    def test_an_output_without_report_leaves_the_offsets_where_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        producer = FakeProducer(journal)
        producer.lost = {b"one", b"two"}
        with pytest.raises(DeliveryError, match="2 outputs were not delivered: no answer within 5 s"):
            self.flushes(monkeypatch, producer).deliver(cycle_of(), consuming(journal))
        assert journal == [*PRODUCED, "flush"]

    def test_the_client_library_reports_what_it_could_not_deliver(self) -> None:
        """The library itself: a report that is asked for in the wrong way is not made, and an output is lost unseen."""
        nobody = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "message.timeout.ms": 50, "log_level": 0}
        with pytest.raises(DeliveryError, match=r"2 outputs were not delivered: .*_MSG_TIMED_OUT"):
            Flushes(nobody, 20).deliver(cycle_of(), consuming([]))

    def test_failures_of_one_cycle_are_not_held_against_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        producer = FakeProducer(journal)
        producer.failed_reports[b"two"] = KafkaError(KafkaError._MSG_TIMED_OUT)
        flushes = self.flushes(monkeypatch, producer)
        with pytest.raises(DeliveryError):
            flushes.deliver(cycle_of(), consuming(journal))
        producer.failed_reports.clear()
        flushes.deliver(cycle_of(), consuming(journal))
        assert journal[-1] == "commit calls-0@12 calls-1@4"

    def test_an_output_that_the_client_refuses_is_a_delivery_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        producer = FakeProducer(journal, produce=[kafka_error(KafkaError.MSG_SIZE_TOO_LARGE)])
        with pytest.raises(DeliveryError, match=r"an output was refused: .*MSG_SIZE_TOO_LARGE.*; correct the topic"):
            self.flushes(monkeypatch, producer).deliver(cycle_of(), consuming(journal))
        assert journal == ["produce one!"]

    def test_offsets_that_the_group_refuses_are_a_delivery_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        consumer = consuming(journal, kafka_error(KafkaError.GROUP_AUTHORIZATION_FAILED))
        with pytest.raises(DeliveryError, match="offsets could not be committed"):
            self.flushes(monkeypatch, FakeProducer(journal)).deliver(cycle_of(), consumer)

    def test_offsets_are_committed_again_when_the_group_was_rebalancing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        consumer = consuming(
            journal, kafka_error(KafkaError.ILLEGAL_GENERATION), kafka_error(KafkaError.REBALANCE_IN_PROGRESS)
        )
        self.flushes(monkeypatch, FakeProducer(journal)).deliver(cycle_of(), consumer)
        commit = "commit calls-0@12 calls-1@4"
        assert journal == [*PRODUCED, "flush", commit, commit, commit]

    @pytest.mark.parametrize(
        ("code", "abandoned"), [(KafkaError.UNKNOWN_MEMBER_ID, False), (KafkaError.ILLEGAL_GENERATION, True)]
    )
    def test_offsets_of_lost_partitions_are_not_committed_again(
        self, *, code: int, abandoned: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal: list[str] = []
        cycle = cycle_of()
        cycle.abandoned = abandoned
        with pytest.raises(AbandonedError):
            self.flushes(monkeypatch, FakeProducer(journal)).deliver(cycle, consuming(journal, kafka_error(code)))
        assert len(journal) == len([*PRODUCED, "flush", "commit"])

    def test_a_cycle_without_positions_commits_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal: list[str] = []
        self.flushes(monkeypatch, FakeProducer(journal)).deliver(cycle_of(positions={}), consuming(journal))
        assert journal == [*PRODUCED, "flush"]


class TestProducing:
    def test_a_full_queue_is_waited_for_and_nothing_is_left_out_or_doubled(self) -> None:
        journal: list[str] = []
        full = BufferError("queue full")
        produce_all(producing(journal, produce=[None, full, full]), RECORDS)
        wait = ["produce two!", "wait for room"]
        assert journal == ["produce one", *wait, *wait, "produce two"]

    def test_a_record_is_produced_with_its_key_headers_and_time(self) -> None:
        producer = producing([])
        produce_all(producer, [Outgoing("t", b"k", b"v", NOW, (("a", "1"),))])
        assert producer.arguments == ("t", b"v", b"k", -1, NOW, [("a", "1")])

    def test_a_record_without_a_time_is_stamped_by_the_client(self) -> None:
        producer = producing([])
        produce_all(producer, [Outgoing("t", None, b"v")])
        assert producer.arguments == ("t", b"v", None, -1, 0, None)
