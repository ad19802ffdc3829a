"""A topic read to its end, with a consumer that answers what the test says."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

import stream.whole_topic
from stream.errors import CommandError
from stream.settings import load_settings
from stream.whole_topic import WholeTopic

Answer = tuple[int, int] | KafkaException


def refusal(code: int) -> KafkaException:
    return KafkaException(KafkaError(code, "said"))


class FakeConsumer:
    """Answers one question for bounds after the other; the last answer again and again."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.closed = False

    def get_watermark_offsets(self, _place: TopicPartition, _timeout_s: float) -> tuple[int, int]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


class FakeTopics:
    def __init__(self, _settings: object) -> None:
        pass

    def partitions(self, _name: str) -> list[int]:
        return [0]


@pytest.fixture
def consumer_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeConsumer]:
    """Return a function that has topics read with a consumer of such answers."""

    def install(*answers: Answer) -> FakeConsumer:
        consumer = FakeConsumer(list(answers))
        monkeypatch.setattr(stream.whole_topic, "Consumer", lambda _: consumer)
        monkeypatch.setattr(stream.whole_topic, "Topics", FakeTopics)
        return consumer

    return install


def opened() -> WholeTopic:
    return WholeTopic(load_settings(), "labels", "triage")


def test_the_leader_of_a_partition_that_was_just_made_is_waited_for(consumer_of: Callable[..., FakeConsumer]) -> None:
    waiting = [refusal(KafkaError.NOT_LEADER_FOR_PARTITION), refusal(KafkaError.LEADER_NOT_AVAILABLE)]
    consumer_of(*waiting, (3, 8))
    assert opened().bounds == {0: (3, 8)}


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._TIMED_OUT])
def test_other_refusals_are_said_at_once(consumer_of: Callable[..., FakeConsumer], code: int) -> None:
    consumer = consumer_of(refusal(code), (3, 8))
    with pytest.raises(CommandError, match=r"^labels cannot be read: said$"):
        opened()
    assert consumer.closed


def test_a_leader_is_not_waited_for_for_ever(
    consumer_of: Callable[..., FakeConsumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.whole_topic, "TIMEOUT_S", 0.2)
    consumer_of(refusal(KafkaError.LEADER_NOT_AVAILABLE))
    with pytest.raises(CommandError, match=r"^labels cannot be read: said$"):
        opened()


def test_what_the_broker_refuses_while_the_topic_is_open_is_said_in_a_sentence(
    consumer_of: Callable[..., FakeConsumer],
) -> None:
    consumer = consumer_of((0, 0))
    with pytest.raises(CommandError, match=r"^labels: the broker refuses: said$"), opened():
        raise refusal(KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    assert consumer.closed
    with pytest.raises(ZeroDivisionError), opened():
        raise ZeroDivisionError
