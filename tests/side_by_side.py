"""Tests in several processes at once, but for those that need the machine to themselves."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until a test may run: beside others, or when none of another process does.

    Args:
        folder: of the run that the processes belong to.
        alone: no other test is to run meanwhile.
    """
    with (folder / "door").open("w") as entering, (folder / "room").open("w") as inside:
        # Who waits for an empty room holds the door: without it, others would go in and out for ever.
        fcntl.flock(entering, fcntl.LOCK_EX)
        fcntl.flock(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(entering, fcntl.LOCK_UN)
        yield
