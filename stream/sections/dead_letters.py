"""Settings of dead letters."""

from stream.sections.fields import Section, setting


class DeadLettersSettings(Section):
    """How many records may be unusable before a worker stops."""

    originals: bool = setting(
        default=True,
        unit="true or false",
        why="Keep the original bytes and the key of the record, whatever is in them: to look at, and to feed back. "
        "False keeps reason, position and size alone.",
    )
    limit_share: float = setting(
        0.05,
        "share, 0 to 1",
        "A worker stops when more of its last records than this become dead letters: after a bad deploy of the "
        "gateway or of these settings the calls wait in Kafka instead. 1 turns the limit off.",
        ge=0,
        le=1,
    )
    limit_window_records: int = setting(
        10_000,
        "records",
        "How many of a role's last records the share is taken of; an entry of a record with several counts as one.",
        ge=1,
    )
    limit_minimum: int = setting(
        100,
        "dead letters",
        "With fewer dead letters among them a worker never stops: a few bad lines on a quiet night are no bad deploy.",
        ge=1,
    )
