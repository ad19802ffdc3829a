"""Programs that tests start: each with its own log file, ended by its own handle."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

UNPACKED = Path(__file__).parent.parent / ".cache/prometheus/usr/bin"
STOP_SECONDS = 40.0
"""A worker may take ``delivery.shutdown_timeout_s`` to commit its last batch."""


class ProgramError(Exception):
    """A program ended, or did not become ready; the message ends with its output."""


class Process(Protocol):
    """What tests ask of a process; subprocess.Popen has this form."""

    pid: int
    returncode: Any

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


class Start(Protocol):
    """Starts ``gatewatch``, as ``start_server.StartServer`` does."""

    def __call__(self, arguments: Sequence[str], log: Path, errors: Path | None = None) -> Process:
        """Return the process; its output goes to the files."""


class Program:
    """A running program; leaving its ``with`` block stops it.

    Args:
        command: what to run.
        log: file that gets its standard output and error.
        environment: all of its environment variables.
        process: the program, when it runs already.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str],
        process: Process | None = None,
    ) -> None:
        self.name = log.stem
        self.log = log
        self.process: Process
        if process is not None:
            self.process = process
            return
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*ends_with_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=log.parent,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Ask the program to end, end it when it does not; return its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def wait_until(self, url: str, seconds: float = 60.0) -> None:
        """Return when a GET of the address gives 200.

        Raises:
            ProgramError: the program ended, or the address has not answered in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ProgramError(f"{self.name} ended with code {self.process.returncode}:\n{self.output()}")
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310 -- http on loopback
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
        raise ProgramError(f"{self.name}: {url} is not ready after {seconds:.0f} s:\n{self.output()}")

    def output(self) -> str:
        """Return the end of what the program wrote."""
        return self.log.read_text(errors="replace")[-4000:]


def find_program(name: str) -> str | None:
    """Return the path of a program of the machine, or of Debian's package prometheus as ``.ci/run`` unpacks it."""
    return shutil.which(name, path=f"{os.environ['PATH']}:{UNPACKED}")


def worker_environment() -> dict[str, str]:
    """Return the environment of gatewatch's own processes.

    With PYTHONPATH they are of the checkout that is tested, whichever one is installed.
    """
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}


def ends_with_us() -> list[str]:
    """Return what to put before a command so that Linux ends it should this process be killed."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
