"""Workers that are at work sooner: forks of a process that has imported everything already.

A campaign starts a thousand workers, and importing takes each of them longer than all else that it does to begin. The
forks are processes of their own in every other respect; what is left out is the interpreter's own start and end.

``python -m tests.start_server`` serves the one who started it, over its standard input and output.
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from tests.programs import ends_with_us, worker_environment

CHECKOUT = Path(__file__).parent.parent
_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.02


class StartServer:
    """Starts processes that run ``gatewatch``; they end when this server or its owner does."""

    def __init__(self) -> None:
        command = [*ends_with_us(), sys.executable, "-m", "tests.start_server"]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=worker_environment(), cwd=CHECKOUT
        )
        self._lock = Lock()

    def start(self, arguments: Sequence[str], log: Path, errors: Path | None = None) -> "Forked":
        """Start ``gatewatch`` with arguments; what it writes goes to a file, which is there when this returns.

        Args:
            arguments: of the command.
            log: file for its output.
            errors: file for its standard error; the same when None.
        """
        log.touch()
        return Forked(
            self, int(self.ask({"arguments": list(arguments), "log": str(log), "errors": str(errors or log)}))
        )

    def ask(self, order: dict[str, Any]) -> Any:
        """Let the server do something, and return its answer."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._lock:
            self._server.stdin.write(json.dumps(order) + "\n")
            self._server.stdin.flush()
            return json.loads(self._server.stdout.readline())

    def stop(self) -> None:
        """End the server, and with it what it has started."""
        self._server.kill()
        self._server.wait()
        for pipe in (self._server.stdin, self._server.stdout):
            if pipe is not None:
                pipe.close()


class Forked:
    """A process that a server has started."""

    def __init__(self, server: StartServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Return the exit code (negative for a signal), or None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not, after so many seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, sig: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def serve() -> None:
    """Answer orders until the input ends."""
    import stream.cli  # noqa: PLC0415 -- only the server needs it
    import stream.commands.run  # noqa: PLC0415 -- all that a worker will need

    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "pid" in order:
            done, status = os.waitpid(order["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if done else None
        elif answer := os.fork():
            pass
        else:
            become(order["arguments"], order["log"], order["errors"], stream.cli.main)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def become(arguments: Sequence[str], log: str, errors: str, main: Any) -> None:
    """Be the new process, to its end."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(Path(log).parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    output = os.open(log, flags, 0o644)
    errors_too = output if errors == log else os.open(errors, flags, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (errors_too, 2)):
        os.dup2(source, target)
    code = 1
    try:
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
