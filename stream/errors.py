"""How a command fails: exit codes that mean something, and errors that say what to do next."""

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code means."""

    OK = 0
    FAILURE = 1
    """Something failed at run time."""
    USAGE = 2
    """The flags or the settings are wrong."""
    UNREACHABLE = 3
    """A topic is missing, or no broker answers."""
    DIFFERENT = 4
    """A check found differences."""
    STATE = 5
    """The durable state cannot be gone on from; a person has to decide."""


class CommandError(Exception):
    """A command cannot go on.

    Attributes:
        hint: what to do next; empty when there is nothing to say.
        exit_code: of the command.
    """

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code


class StateError(CommandError):
    """What a partition's checkpoints left cannot be gone on from without losing or repeating something."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, ExitCode.STATE)


class SettingsError(Exception):
    """The settings cannot be used.

    Attributes:
        problems: one sentence each; no secret is in them.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
