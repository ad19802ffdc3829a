"""Which topics gatewatch needs, and how what there is differs: pure, no broker."""

from collections.abc import Mapping
from typing import NamedTuple

from stream.dead_letters import MAX_RECORD_BYTES
from stream.sections.kafka import InputSettings, TopicsSettings
from stream.settings import Settings

ROLES = ("normalise", "detect")

MINIMUM_COPIES = 3
"""With this many copies a write waits for two, so that one broker may fail without losing it."""


class TopicSpec(NamedTuple):
    """A topic that gatewatch needs.

    Attributes:
        name: of the topic.
        purpose: what it holds.
        partitions: how many it is made with.
        replication_factor: copies of each partition it is made with.
        config: topic configuration it must have.
        roles: roles of ``gatewatch run`` that read or write it.
        own: True for gatewatch's own topics; the shape of others is their owner's business.
        keyed: True when its partitions must match those of the api-calls topic.
    """

    name: str
    purpose: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    roles: frozenset[str]
    own: bool
    keyed: bool = False


class TopicState(NamedTuple):
    """A topic as the broker describes it."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str]


class Difference(NamedTuple):
    """One way in which a topic is not as it must be, and what to do."""

    topic: str
    what: str
    wanted: str
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, expected {self.wanted}: {self.advice}"


class Plan(NamedTuple):
    """What is to be made, and what only a person can decide."""

    missing: list[TopicSpec]
    differences: list[Difference]


def wanted_topics(settings: Settings) -> list[TopicSpec]:
    """Return every topic that the settings call for."""
    topics = settings.topics
    specs = [_input_spec(entry, topics) for entry in settings.inputs]
    specs.append(_own_spec("api_calls", "calls by client", _BOTH, topics))
    specs.append(_own_spec("anomalies", "alerts", _DETECT, topics))
    specs.append(_own_spec("dead_letters", "unusable records", _BOTH, topics))
    if topics.publish_features:
        specs.append(_own_spec("features", "feature vectors", _DETECT, topics))
    specs.append(_compacted_spec("state", "checkpoints", topics)._replace(keyed=True))
    specs.append(_compacted_spec("degrees", "degree tables", topics)._replace(partitions=1))
    if settings.model.from_topic:
        models = _compacted_spec("models", "model bundles", topics, topics.models_record_bytes)
        specs.append(models._replace(partitions=1))
    labels = _compacted_spec("labels", "labels of sessions", topics)
    specs.append(labels._replace(partitions=1, roles=frozenset()))  # no role needs it
    if settings.alerts.from_topic:
        specs.append(_compacted_spec("suppressions", "suppression rules", topics)._replace(partitions=1))
    return specs


_NORMALISE, _DETECT, _BOTH = frozenset(ROLES[:1]), frozenset(ROLES[1:]), frozenset(ROLES)


def _input_spec(entry: InputSettings, topics: TopicsSettings) -> TopicSpec:
    return TopicSpec(
        name=entry.topic,
        purpose="gateway logs, keyed by client" if entry.keyed else "gateway logs",
        partitions=topics.partitions,
        replication_factor=topics.replication_factor,
        config={"cleanup.policy": "delete"},
        roles=_DETECT if entry.keyed else _NORMALISE,
        own=False,
        keyed=entry.keyed,
    )


def _own_spec(name: str, purpose: str, roles: frozenset[str], topics: TopicsSettings) -> TopicSpec:
    """Return the topic that the setting ``name`` names; its retention is in the settings that begin with the name."""
    hours, size = getattr(topics, f"{name}_retention_h"), getattr(topics, f"{name}_retention_bytes")
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(round(hours * 3_600_000)),
        "retention.bytes": str(size),
    }
    if name == "dead_letters":
        config["max.message.bytes"] = str(MAX_RECORD_BYTES)
    config |= _safe(topics)
    return TopicSpec(
        getattr(topics, name), purpose, topics.partitions, topics.replication_factor, config, roles, own=True
    )


def _compacted_spec(name: str, purpose: str, topics: TopicsSettings, record_bytes: int = MAX_RECORD_BYTES) -> TopicSpec:
    """Return a topic of which the newest record of each key is kept for ever.

    Deleted keys are gone after ten minutes, which a restore has to stay below: what it reads first could otherwise come
    back to life. Segments are small, because only finished ones are compacted.
    """
    config = {
        "cleanup.policy": "compact",
        "delete.retention.ms": "600000",
        "segment.bytes": str(64 << 20),
        "min.cleanable.dirty.ratio": "0.2",
        "max.message.bytes": str(record_bytes),
    }
    return TopicSpec(
        getattr(topics, name),
        purpose,
        topics.partitions,
        topics.replication_factor,
        config | _safe(topics),
        _DETECT,
        own=True,
    )


def _safe(topics: TopicsSettings) -> dict[str, str]:
    return {"min.insync.replicas": "2"} if topics.replication_factor >= MINIMUM_COPIES else {}


def plan(settings: Settings, states: Mapping[str, TopicState]) -> Plan:
    """Compare the topics wanted with those there are.

    Keyed inputs must have as many partitions as the api-calls topic has, or a client's calls would meet in
    partitions of different workers; a missing one is made to match.

    Args:
        settings: name the topics wanted.
        states: the topics there are, by name.
    """
    hub = states.get(settings.topics.api_calls)
    partitions = hub.partitions if hub else settings.topics.partitions
    result = Plan([], [])
    for spec in wanted_topics(settings):
        target = spec._replace(partitions=partitions) if spec.keyed else spec
        state = states.get(spec.name)
        if state is None:
            result.missing.append(target)
        else:
            result.differences.extend(_differences(target, state, settings))
    return result


def _differences(spec: TopicSpec, state: TopicState, settings: Settings) -> list[Difference]:
    found: list[Difference] = []
    if (spec.own or spec.keyed) and state.partitions != spec.partitions:
        advice = f"a keyed input needs as many partitions as {settings.topics.api_calls}; make one of the two anew"
        if spec.own:
            advice = (
                f"set topics.partitions={state.partitions}, or make the topic anew: adding partitions parts clients"
            )
        if spec.name == settings.topics.state:
            advice = f"it needs as many partitions as {settings.topics.api_calls}: gatewatch state migrate"
        found.append(Difference(spec.name, "partitions", str(spec.partitions), str(state.partitions), advice))
    if spec.own and state.replication_factor != spec.replication_factor:
        advice = f"set topics.replication_factor={state.replication_factor}, or reassign the partitions"
        found.append(
            Difference(
                spec.name, "replication factor", str(spec.replication_factor), str(state.replication_factor), advice
            )
        )
    for name, value in spec.config.items():
        actual = state.config.get(name, "")
        if actual != value:
            advice = f"alter the topic (kafka-configs --alter --topic {spec.name} --add-config {name}={value})"
            if spec.own and name.startswith("retention"):
                advice += ", or change the retention in the settings"
            found.append(Difference(spec.name, name, value, actual or "not set", advice))
    return found
