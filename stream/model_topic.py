"""The topic ``models`` from outside of a worker's event loop: read to its end, and changed. Every method blocks."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from stream import assembly
from stream.assembly import Models
from stream.clock import now_ms
from stream.cycle import AbandonedError, Cycle, Delivery, DeliveryError, Flushes, Transactions
from stream.errors import CommandError
from stream.kafka_config import consumer_config, producer_config, without_membership
from stream.model_records import ModelRecord, ModelRole, Present, TopicModels, applied, outgoing, record_of
from stream.settings import Settings
from stream.whole_topic import WholeTopic

log = structlog.get_logger(__name__)

_ROLE = "detect"
_STEP_TIMEOUT_S = 30.0
_READ_AT_ONCE = 10

Change = Callable[[Present, int], Sequence[ModelRecord]]
"""Returns the records to add to the topic, of what it holds and the present time."""


class FollowedModels(NamedTuple):
    """What a worker starts with that follows the topic.

    Attributes:
        models: the bundles taken from it.
        position: offset after the last record of it.
    """

    models: TopicModels
    position: int


class ModelTopic(WholeTopic):
    """The topic as it is now; use it as a context.

    Args:
        settings: how to reach the brokers, and the topic's name.

    Attributes:
        position: offset after the last record read.
        present: what the topic holds, as far as it was read.

    Raises:
        CommandError: as WholeTopic.
    """

    def __init__(self, settings: Settings) -> None:
        hint = "make it with: gatewatch topics create --set model.bundle=topic:"
        super().__init__(settings, settings.topics.models, _ROLE, hint)
        self._settings = settings
        self.position = 0
        self.present: dict[ModelRole, ModelRecord] = {}

    def read(self) -> Present:
        """Read on to the end of what is committed now; return what the topic holds.

        Raises:
            CommandError: the brokers refuse, or have long been silent.
        """
        self.look_again()
        for message in self.messages({0: self.position}, _READ_AT_ONCE):
            record = read_record(message)
            if record is not None:
                self.present = applied(self.present, [record])
        self.position = self.bounds[0][1]
        return self.present

    def change(self, decide: Change) -> Sequence[ModelRecord]:
        """Add the records that are decided on to the topic: all in one transaction, or in their order without one.

        Of two changes at the same time the one that began first fails: the second fences it, and reads after that.

        Raises:
            CommandError: it cannot be done.
        """
        delivery = self._delivery()
        self._durably(delivery.start)
        changes = decide(self.read(), now_ms())
        cycle = Cycle(outgoing=[outgoing(self.name, own) for own in changes])
        self._durably(delivery.deliver, cycle, self.consumer)
        return changes

    def _delivery(self) -> Delivery:
        more = {"message.max.bytes": self._settings.topics.models_record_bytes}
        if self._settings.delivery.guarantee == "at_least_once":
            return Flushes(producer_config(self._settings, None) | more, _STEP_TIMEOUT_S)
        identity = f"{self._settings.kafka.group_prefix}-models"
        return Transactions(producer_config(self._settings, identity) | more, _STEP_TIMEOUT_S)

    def _durably(self, call: Any, *arguments: Any) -> None:
        try:
            call(*arguments)
        except (DeliveryError, AbandonedError) as error:
            said = str(error).partition("; ")[0]  # the advice is for workers
            hint = "gatewatch models show says what is on it, gatewatch topics create --check what is wrong with it"
            raise CommandError(f"the topic {self.name} could not be changed: {said}", hint) from error


def read_record(message: Any) -> ModelRecord | None:
    """Return what a message of the client library says; None for one that is none of gatewatch's."""
    return record_of(message.key(), message.value(), message.headers() or ())


def reader_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of a consumer of the topic; it joins no group."""
    return without_membership(consumer_config(settings, _ROLE)) | {"auto.offset.reset": "earliest"}


def models_in_use(settings: Settings) -> tuple[Models, FollowedModels | None]:
    """Return the models that workers judge with: those that the settings name, or those of the topic.

    Raises:
        CommandError: there are none, or they can't be used here; or the topic cannot be read.
    """
    if not settings.model.from_topic:
        return assembly.named_models(settings), None
    assembly.challenger_bundle(settings)  # says that none can be named
    with ModelTopic(settings) as topic:
        models = TopicModels(topic.name, assembly.SCHEMA)
        _, problems = models.take(topic.read().values())
        for problem in problems:
            log.error("a model of the topic is not used", error=problem)
        return models.models(), FollowedModels(models, topic.position)
