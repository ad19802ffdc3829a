"""What people see while stages run: a line for each, on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from stream.console import stderr


class StageBars:
    """A bar for the stage that runs, a line for each that has run.

    Args:
        progress: where they are shown.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, visible=False, note="")

    def begin(self, stage: str, part: str) -> None:
        """Show a new line; its bar only says that something goes on until it is known how much there is to do."""
        self._task = self._progress.add_task(stage, total=None, note=part)

    def advance(self, done: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, advance=done, total=total)

    def end(self, *, cached: bool) -> None:
        """Fill the bar."""
        self._progress.update(self._task, total=1, completed=1)
        if cached:
            self._progress.update(self._task, note="from the cache")


@contextmanager
def stage_bars() -> Iterator[StageBars]:
    """Show the stages while the block runs; nothing stays of it."""
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        yield StageBars(progress)
