"""Records of the topic ``models``: a bundle by the role it plays, and what promoting and going back change. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from featurizer.features import FeatureSchema
from scorer.bundle import BundleError, ModelBundle
from scorer.manifest import ESTIMATOR
from stream.assembly import Models
from stream.bundles import read_zipped, zipped
from stream.errors import CommandError, ExitCode
from stream.wire import Outgoing, Stored

_ROOM_BYTES = 4096
"""Of a record, for its key, its headers and the batch around it."""


class ModelRole(StrEnum):
    """What a bundle on the topic is; the record's key."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"
    """The champion before, to go back to."""


class ModelRecord(NamedTuple):
    """A record of the topic.

    Attributes:
        role: what the bundle is.
        content: the bundle as the bytes of a zip file; None: the role is empty.
        uid: of the bundle, as the record's header says it; what is judged with is named by the bundle itself.
        name: likewise.
        time: when it was given the role, epoch milliseconds.
    """

    role: ModelRole
    content: bytes | None
    uid: str = ""
    name: str = ""
    time: int = 0

    def bundle(self, schema: FeatureSchema) -> ModelBundle:
        """Load and check the bundle.

        Raises:
            BundleError: it can't be used here, or there is none; the message says what to do.
        """
        if self.content is None:
            raise BundleError(f"there is no {self.role} on the topic")
        return read_zipped(self.content, f"{self.uid or 'without uid'} ({self.role} on the topic)", schema)


Present = Mapping[ModelRole, ModelRecord]
"""What the topic holds; roles that are empty are left out."""


def record_of(key: bytes | None, value: bytes | None, headers: Stored) -> ModelRecord | None:
    """Return what a record says; None for one that is none of gatewatch's."""
    try:
        role = ModelRole((key or b"").decode())
    except ValueError:
        return None
    said = {name: _text(value) for name, value in headers}
    time = said.get("time", "")
    return ModelRecord(
        role, value, said.get("uid", ""), said.get("name", ""), int(time) if time.isascii() and time.isdigit() else 0
    )


def _text(header: str | bytes | None) -> str:
    return header.decode(errors="replace") if isinstance(header, bytes) else header or ""


def outgoing(topic: str, change: ModelRecord) -> Outgoing:
    """Return a record to produce."""
    headers = (("uid", change.uid.encode()), ("name", change.name.encode()), ("time", str(change.time).encode()))
    return Outgoing(topic, change.role.encode(), change.content, headers=headers, partition=0)


def trial_record(bundle: ModelBundle, time: int, record_bytes: int) -> ModelRecord:
    """Return the record that makes a bundle the challenger; the estimator is left out, since it can be large.

    Args:
        bundle: the bundle.
        time: the present, epoch milliseconds.
        record_bytes: the largest record that the topic takes.

    Raises:
        CommandError: the bundle is larger than that.
    """
    content = zipped({name: data for name, data in bundle.to_files().items() if name != ESTIMATOR})
    if len(content) > record_bytes - _ROOM_BYTES:
        raise CommandError(
            f"{bundle.uid} is {len(content):,} bytes as .zip, the topic takes {record_bytes - _ROOM_BYTES:,}",
            f"raise topics.models_record_bytes to {len(content) + _ROOM_BYTES} or more, and max.message.bytes of the "
            "topic with it (gatewatch topics create --check says how)",
        )
    return ModelRecord(ModelRole.CHALLENGER, content, bundle.uid, bundle.manifest.name, time)


def applied(present: Present, changes: Iterable[ModelRecord]) -> dict[ModelRole, ModelRecord]:
    """Return what the topic holds after records were added to it."""
    after = dict(present)
    for change in changes:
        if change.content is None:
            after.pop(change.role, None)
        else:
            after[change.role] = change
    return after


def promotion(present: Present, new: ModelRecord, time: int, schema: FeatureSchema) -> list[ModelRecord]:
    """Return the records that make a bundle the champion; the one that was is kept, and a trial of the new one ends.

    In this order there is a champion after each of them, for brokers without transactions.

    Args:
        present: what the topic holds.
        new: the bundle, whatever its role was.
        time: the present, epoch milliseconds.
        schema: the features that vectors have here.

    Raises:
        CommandError: it is the champion already, or can't be used here.
    """
    champion, trial = present.get(ModelRole.CHAMPION), present.get(ModelRole.CHALLENGER)
    if champion is not None and champion.uid == new.uid:
        raise CommandError(f"{new.uid} is the champion already", "there is nothing to do", ExitCode.USAGE)
    _require_usable(new, schema)
    changes = [] if champion is None else [champion._replace(role=ModelRole.PREVIOUS, time=time)]
    changes.append(new._replace(role=ModelRole.CHAMPION, time=time))
    if trial is not None and trial.uid == new.uid:
        changes.append(no_trial(time))
    return changes


def no_trial(time: int) -> ModelRecord:
    """Return the record after which there is no challenger."""
    return ModelRecord(ModelRole.CHALLENGER, None, time=time)


def way_back(present: Present, time: int, schema: FeatureSchema) -> list[ModelRecord]:
    """Return the records that let the champion and the one before change places; in this order as ``promotion``.

    Args:
        present: what the topic holds.
        time: the present, epoch milliseconds.
        schema: the features that vectors have here.

    Raises:
        CommandError: nothing is kept, or it can't be used here.
    """
    champion, previous = present.get(ModelRole.CHAMPION), present.get(ModelRole.PREVIOUS)
    if previous is None:
        hint = "only `gatewatch promote` leaves something to go back to"
        raise CommandError("the topic has no previous champion", hint)
    _require_usable(previous, schema)
    back = previous._replace(role=ModelRole.CHAMPION, time=time)
    return [back] if champion is None else [back, champion._replace(role=ModelRole.PREVIOUS, time=time)]


def _require_usable(record: ModelRecord, schema: FeatureSchema) -> None:
    try:
        record.bundle(schema)
    except BundleError as error:
        raise CommandError(str(error)) from error


class TopicModels:
    """The newest usable bundle of champion and challenger on the topic, as a worker follows it.

    Args:
        topic: its name.
        schema: the features that vectors have here.
    """

    def __init__(self, topic: str, schema: FeatureSchema) -> None:
        self._topic = topic
        self._schema = schema
        self._bundles: dict[ModelRole, ModelBundle] = {}
        self._problem = ""

    def take(self, records: Iterable[ModelRecord]) -> tuple[bool, list[str]]:
        """Take records in, the older ones first; what can't be used leaves what was there.

        Returns:
            Whether a model is another than before, and what is wrong with each record that was refused.
        """
        newest = {record.role: record for record in records if record.role is not ModelRole.PREVIOUS}
        before, problems = self._uids(), []
        for role, record in newest.items():
            if record.content is None and role is ModelRole.CHALLENGER:
                self._bundles.pop(role, None)
                continue
            try:
                self._bundles[role] = record.bundle(self._schema)
            except BundleError as error:
                problems.append(str(error))
                if role is ModelRole.CHAMPION:
                    self._problem = str(error)
        return self._uids() != before, problems

    def models(self) -> Models:
        """Return the models to judge with.

        Raises:
            CommandError: the topic has no champion that can be used.
        """
        champion = self._bundles.get(ModelRole.CHAMPION)
        if champion is None:
            what = self._problem or f"the topic {self._topic} has no champion"
            hint = "publish one: gatewatch promote --bundle topic: --challenger BUNDLE"
            if self._problem:
                hint += "; or go back to the one before: gatewatch promote --bundle topic: --rollback"
            raise CommandError(what, hint, ExitCode.USAGE)
        return Models(champion, self._bundles.get(ModelRole.CHALLENGER))

    def _uids(self) -> dict[ModelRole, str]:
        return {role: bundle.uid for role, bundle in self._bundles.items()}
