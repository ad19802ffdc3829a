"""SuppressionFeed: looks after the file of suppression rules while a worker runs."""

from typing import Any

from mode import Service

from stream.suppression_reload import SuppressionReload

LOOK_S = 2.0
"""A person who changes a rule waits so long at most; a look is one question to the file system."""


class SuppressionFeed(Service):
    """Looks at the file every LOOK_S.

    Asked instead of told: notifications do not cover network file systems and the links that Kubernetes swaps.

    Args:
        reload: takes up what has changed.
    """

    def __init__(self, reload: SuppressionReload, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reload = reload

    async def on_start(self) -> None:
        """Begin to look."""
        self.add_future(self._follow())

    async def _follow(self) -> None:
        while not self.should_stop:
            await self._reload.look()
            await self.sleep(LOOK_S)
