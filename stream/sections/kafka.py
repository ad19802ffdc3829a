"""Settings of brokers, topics and delivery."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ByteSize, field_validator, model_validator

from stream.sections.fields import Section, setting

PropertyValue = str | int | float | bool

GOVERNED_PROPERTIES: Mapping[str, str] = {
    "bootstrap.servers": "set kafka.bootstrap_servers instead",
    "metadata.broker.list": "set kafka.bootstrap_servers instead",
    "group.id": "set kafka.group_prefix instead; each role adds its own suffix",
    "transactional.id": "gatewatch names its transactional producers itself",
    "transaction.timeout.ms": "set kafka.transaction_timeout_s instead",
    "enable.idempotence": "alerts would be lost or doubled without it",
    "enable.auto.commit": "offsets are committed together with the outputs",
    "enable.auto.offset.store": "offsets are committed together with the outputs",
    "enable.partition.eof": "idle partitions are recognised by it",
    "isolation.level": "reading aborted records would break exactly-once",
    "default.topic.config": "set the topic's properties directly",
    "logger": "set log.level and log.format instead",
    "partitioner": "a client's calls must reach one partition, whichever program wrote them",
}
"""librdkafka properties that the user must not set, and what to do instead."""


class KafkaSettings(Section):
    """How to reach the brokers."""

    bootstrap_servers: str = setting(
        "127.0.0.1:9092",
        "host:port, comma separated",
        "Brokers to ask first for the cluster's layout. The default is a broker on this machine.",
        min_length=1,
    )
    group_prefix: str = setting(
        "gatewatch",
        "text",
        "Consumer groups and transactional ids start with it. Give each installation on one cluster its own.",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
    )
    properties: dict[str, PropertyValue] = setting(
        {},
        "librdkafka properties",
        "Any librdkafka property, for every client: TLS, SASL, timeouts. As environment variable: "
        "GATEWATCH_KAFKA__PROPERTIES__SASL_PASSWORD sets sasl.password.",
        repr=False,
    )
    transaction_timeout_s: float = setting(
        60.0,
        "s",
        "The broker aborts a transaction open for longer, so that a dead worker holds readers up for no longer "
        "than this. Must not exceed the broker's transaction.max.timeout.ms (15 min by default).",
        ge=1,
        le=900,
    )

    @field_validator("properties", mode="before")
    @classmethod
    def _dotted_names(cls, value: Any) -> Any:
        """Accept nested TOML tables (``sasl.password = …``) and underscores (environment) for dotted names."""
        if not isinstance(value, Mapping):
            return value
        return {name.replace("_", "."): item for name, item in _flatten(value)}

    @field_validator("properties")
    @classmethod
    def _not_governed(cls, value: dict[str, PropertyValue]) -> dict[str, PropertyValue]:
        governed = [
            f"{name} is not yours to set: {GOVERNED_PROPERTIES[name]}" for name in value if name in GOVERNED_PROPERTIES
        ]
        if governed:
            raise ValueError("; ".join(governed))
        return value


def _flatten(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            pairs += _flatten(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs


TOPIC_NAME = r"^[A-Za-z0-9._-]{1,249}$"

InputFormat = Literal[
    "auto",
    "gatewatch",
    "api-call",
    "nginx-json",
    "combined",
    "kong",
    "apisix",
    "traefik",
    "envoy",
    "aws-apigateway",
    "otlp-json",
    "ocsf",
]


class InputSettings(Section):
    """One topic with gateway logs."""

    topic: str = setting("gateway-logs", "topic", "Topic that a gateway or log shipper writes to.", pattern=TOPIC_NAME)
    format: InputFormat = setting(
        "auto",
        "name",
        "Log format of the topic. auto recognises it record by record; naming it is a little faster and stricter.",
    )
    keyed: bool = setting(
        default=False,
        unit="true or false",
        why="True when records are already keyed by client: the hop over the api-calls topic is skipped. "
        "The topic must then have as many partitions as api-calls.",
    )


OWN_TOPICS = (
    "api_calls",
    "features",
    "anomalies",
    "dead_letters",
    "state",
    "degrees",
    "models",
    "labels",
    "suppressions",
)


class TopicsSettings(Section):
    """Names and shapes of gatewatch's own topics."""

    api_calls: str = setting(
        "api-calls",
        "topic",
        "Normalised calls keyed by client, between the roles normalise and detect.",
        pattern=TOPIC_NAME,
    )
    features: str = setting("features", "topic", "Feature vectors of sessions, for training.", pattern=TOPIC_NAME)
    anomalies: str = setting("anomalies", "topic", "Alerts.", pattern=TOPIC_NAME)
    dead_letters: str = setting(
        "dead-letters", "topic", "Records that could not be used, with reason and original bytes.", pattern=TOPIC_NAME
    )
    state: str = setting(
        "state",
        "topic",
        "Checkpoints of open sessions, degree tables and positions; compacted. Without it they are lost.",
        pattern=TOPIC_NAME,
    )
    degrees: str = setting(
        "degrees",
        "topic",
        "Degree tables, one record for each input partition; compacted. Every worker adds them up.",
        pattern=TOPIC_NAME,
    )
    models: str = setting(
        "models",
        "topic",
        'Champion, challenger and the champion before; compacted. Needed with model.bundle = "topic:" only.',
        pattern=TOPIC_NAME,
    )
    models_record_bytes: int = setting(
        8_388_608,
        "bytes",
        "Largest record of the topic of models, that is, a bundle as .zip. Raise max.message.bytes of a topic that "
        "is there already with it.",
        ge=1_048_576,
        le=67_108_864,
    )
    labels: str = setting(
        "labels",
        "topic",
        "What people found sessions to be, the latest of each; compacted. Written by them, read by gatewatch train, "
        "and by workers for metrics.",
        pattern=TOPIC_NAME,
    )
    suppressions: str = setting(
        "suppressions",
        "topic",
        'Suppression rules by name; compacted. Needed with alerts.suppressions = "topic:" only; gatewatch suppress '
        "writes it.",
        pattern=TOPIC_NAME,
    )
    partitions: int = setting(
        4,
        "partitions",
        "Of every topic that gatewatch creates; the most workers of a role that can share the load. "
        "Changing it later moves clients between partitions, so leave room.",
        ge=1,
        le=1000,
    )
    replication_factor: int = setting(
        1,
        "copies",
        "Copies of each partition. 1 because a single broker, as on a laptop, cannot hold more; use 3 in production.",
        ge=1,
        le=10,
    )
    publish_features: bool = setting(
        default=True,
        unit="true or false",
        why="Write every feature vector to the features topic: training on your own traffic needs them. "
        "Turn it off to save the disk.",
    )
    api_calls_retention_h: float = setting(
        24.0, "h", "How long normalised calls are kept: a day, to replay a bad evening.", gt=0
    )
    api_calls_retention_bytes: int = setting(
        -1, "bytes per partition", "Oldest calls are dropped above it; -1 for no limit but time.", ge=-1
    )
    features_retention_h: float = setting(
        720.0, "h", "How long feature vectors are kept: a month of them is a training set.", gt=0
    )
    features_retention_bytes: int = setting(
        -1, "bytes per partition", "Oldest vectors are dropped above it; -1 for no limit but time.", ge=-1
    )
    anomalies_retention_h: float = setting(
        720.0, "h", "How long alerts are kept: a month, so that a consumer can be down over holidays.", gt=0
    )
    anomalies_retention_bytes: int = setting(
        -1, "bytes per partition", "Oldest alerts are dropped above it; -1 for no limit but time.", ge=-1
    )
    dead_letters_retention_h: float = setting(
        168.0, "h", "How long dead letters are kept: a week to look; they may hold personal data, so no longer.", gt=0
    )
    dead_letters_retention_bytes: int = setting(
        1_073_741_824,
        "bytes per partition",
        "Oldest dead letters are dropped above it: a gateway with a broken format must not fill the disk.",
        ge=-1,
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(self.own) < len(OWN_TOPICS):
            raise ValueError(f"{', '.join(OWN_TOPICS)} must be {len(OWN_TOPICS)} different topics")
        return self

    @property
    def own(self) -> set[str]:
        """Names of the topics that are gatewatch's alone: no input may be one of them."""
        return {getattr(self, name) for name in OWN_TOPICS}


class DeliverySettings(Section):
    """What is guaranteed, and how often it is paid for."""

    guarantee: Literal["exactly_once", "at_least_once"] = setting(
        "exactly_once",
        "name",
        "exactly_once: outputs and offsets in one Kafka transaction. at_least_once: flush, then commit; for brokers "
        "without transactions.",
    )
    commit_interval_ms: float = setting(
        100.0,
        "ms",
        "One transaction per this long. Shorter alerts sooner, longer costs the broker less.",
        ge=1,
        le=10_000,
    )
    batch_size: int = setting(
        10_000, "records", "Most records taken from Kafka at once: bounds the memory of a cycle.", ge=1
    )
    batch_ms: float = setting(
        250.0,
        "ms",
        "Fewer records are taken at once when a batch takes longer than this: while it is worked on, no probe is "
        "answered and no partition handed over.",
        ge=10,
        le=10_000,
    )
    shutdown_timeout_s: float = setting(
        30.0, "s", "On SIGTERM the last batch is finished and committed within this time.", gt=0
    )


class StateSettings(Section):
    """How the state of the role detect is made durable."""

    checkpoint_interval_s: float = setting(
        10.0,
        "s",
        "Each partition's changed sessions are written this often. Shorter makes restarts replay less, longer writes "
        "less.",
        gt=0,
    )
    checkpoint_records: int = setting(
        500_000,
        "records per partition",
        "A checkpoint is made after this many records whatever the time: bounds what a restart replays.",
        ge=1,
    )
    accept_loss: bool = setting(
        default=False,
        unit="true or false",
        why="Go on where records or checkpoints are gone or contradict each other, instead of stopping with an "
        "explanation; what is lost is counted. Meant for one start.",
    )
    memory_budget: ByteSize | None = setting(
        None,
        "bytes, or text such as 2GiB",
        "Memory that one worker's open sessions may take if it has all partitions; lowers sessions.max_open to fit, "
        "by the measured size of a session. Unset: sessions.max_open alone.",
    )
