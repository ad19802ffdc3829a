"""Host: runs an application as a process, and what signals do to it."""

import asyncio
import faulthandler
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable

import faust
import structlog

from stream.errors import ExitCode

log = structlog.get_logger(__name__)

_GRACE_S = 10.0
"""Beyond the shutdown timeout, for leaving the groups and closing the clients."""

STUCK_S = 30.0
"""A worker whose event loop has not run for so long is stuck: batches and commits take seconds at most."""

Reload = Callable[[], Awaitable[object]]


class Host(faust.Worker):
    """Runs an application without Faust's banner, log set-up and redirected output.

    SIGTERM and SIGINT stop it in good order, within a bounded time; a second one stops it at once, which loses nothing:
    the next start goes on from the last commit. A worker that fails has as long to end. SIGHUP reloads the model.

    A worker that is stuck ends too, with the stacks of all threads on standard error. That is left to a thread that
    needs no interpreter lock: the client library can wait with the lock in its hand, and then no Python runs.

    Args:
        app: the application.
        shutdown_timeout_s: longest that stopping in good order may take.
        reload: reloads the model; None where there is none.
    """

    def __init__(self, app: faust.App, shutdown_timeout_s: float, reload: Reload | None) -> None:
        super().__init__(app, quiet=True, override_logging=False, redirect_stdouts=False)
        self.spinner = None
        self._shutdown_timeout_s = shutdown_timeout_s
        self._reload = reload
        self._reloading: asyncio.Future[object] | None = None
        self._stopping = False
        self._watchdog: threading.Timer | None = None

    def install_signal_handlers(self) -> None:
        """Listen to signals; Faust's own handlers would start a debugger on SIGUSR2."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.loop.add_signal_handler(number, self._on_stop, number)
        self.loop.add_signal_handler(signal.SIGHUP, self._on_reload)
        self._prove_alive()

    def _prove_alive(self) -> None:
        """Put the end of a stuck worker off for as long as the loop runs, also while it stops."""
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        self.loop.call_later(STUCK_S / 10, self._prove_alive)

    def _on_stop(self, number: signal.Signals) -> None:
        if self._stopping:
            end_now("a second signal")
        self._stopping = True
        log.info("stopping", signal=number.name)
        self._bound_end()
        self._schedule_shutdown(number)

    def on_worker_shutdown(self) -> None:
        """Bound the end that a failure leads to: nobody has sent a signal, and who restarts workers waits for it."""
        self._bound_end()

    def _bound_end(self) -> None:
        """End the process at once if it does not end by itself in time."""
        if self._watchdog is None:
            # A thread, because what hangs may be the event loop itself.
            limit_s = self._shutdown_timeout_s + _GRACE_S
            self._watchdog = threading.Timer(limit_s, end_now, [f"stopping took longer than {limit_s:g} s"])
            self._watchdog.daemon = True
            self._watchdog.start()

    def _on_reload(self) -> None:
        if self._reload is None:
            log.warning("SIGHUP passed over: this role has no model")
        elif self._reloading is None or self._reloading.done():
            self._reloading = asyncio.ensure_future(self._reload())


def end_now(why: str) -> None:
    """End the process at once; what was not committed is done again by the next start."""
    log.error("stopped at once; the next start goes on from the last commit", why=why)
    os._exit(ExitCode.FAILURE)


def tune_garbage_collection() -> None:
    """Look for cycles less often: sessions are many, live long and hold none (a third of the throughput, measured).

    The young objects are few all the same: a look at 50,000 of them took 0.1 to 0.25 s, which every alert behind it
    waited for; at 5,000 it is no longer seen, and the throughput is the same or better.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 50, 400)
