"""TopicSink: simulated calls as the records of a Kafka topic."""

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream.errors import CommandError, ExitCode
from stream.simulator.encoders import Encoder
from stream.simulator.visits import SimulatedCall

FLUSH_TIMEOUT_S = 30.0
"""How long the last records may take to reach the broker."""

METADATA_TIMEOUT_S = 10.0
"""How long the brokers may take to answer at first: a TLS and SASL handshake included."""

_FULL_QUEUE_WAIT_S = 0.1


class TopicSink:
    """Produces one record per call, with the call's time as the record's timestamp.

    Args:
        producer: an idempotent, not a transactional one, with ``delivery.report.only.error``.
        topic: where to; must exist.
        encode: makes the value.
        keyed: give the records the client as their key, instead of none as most log shippers do.

    Raises:
        CommandError: no broker answers, or there is no such topic.
    """

    def __init__(self, producer: Producer, topic: str, encode: Encoder, *, keyed: bool = False) -> None:
        self._producer = producer
        self._topic = topic
        self._encode = encode
        self._keyed = keyed
        self._produced = 0
        self._failed = 0
        self._first_error: KafkaError | None = None
        check_topic(producer, topic)

    def write(self, call: SimulatedCall) -> None:
        """Hand one record to the producer; waits while its queue is full.

        Raises:
            CommandError: an earlier record did not arrive.
        """
        key = call.client.encode() if self._keyed else None
        value = self._encode(call)
        while True:
            try:
                self._producer.produce(self._topic, value, key, timestamp=call.time, on_delivery=self._report)
            except BufferError:
                self._producer.poll(_FULL_QUEUE_WAIT_S)
            except KafkaException as error:
                raise CommandError(f"cannot write to {self._topic}: {error.args[0].str()}") from error
            else:
                break
        self._produced += 1
        self._producer.poll(0)
        if self._failed:
            self.close()

    def close(self) -> None:
        """Wait for the records under way.

        Raises:
            CommandError: some did not arrive; says how many and why the first one did not.
        """
        waiting = self._producer.flush(FLUSH_TIMEOUT_S)
        if lost := waiting + self._failed:
            why = self._first_error.str() if self._first_error else f"no answer within {FLUSH_TIMEOUT_S:.0f} s"
            raise CommandError(f"{lost} of {self._produced} records did not reach {self._topic}: {why}")

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed += 1
            self._first_error = self._first_error or error


def check_topic(producer: Producer, topic: str) -> None:
    """Make sure that a topic can be written to.

    Raises:
        CommandError: no broker answers, or there is no such topic; exit code 3.
    """
    try:
        error = producer.list_topics(topic, METADATA_TIMEOUT_S).topics[topic].error
    except KafkaException as failure:
        reason = failure.args[0].str()
        hint = "start Kafka, or name its address with --bootstrap-servers"
        raise CommandError(f"no Kafka broker answers: {reason}", hint, ExitCode.UNREACHABLE) from failure
    if error is not None:
        message = f"topic {topic} cannot be written to: {error.str()}"
        raise CommandError(message, "gatewatch topics create", ExitCode.UNREACHABLE)
