"""Processes that the start server makes are processes of their own."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.start_server import StartServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

UNREACHABLE = ["topics", "create", "--set", "kafka.bootstrap_servers=127.0.0.1:1"]
"""A command that takes ten seconds."""


@pytest.fixture
def server() -> Iterator[StartServer]:
    own = StartServer()
    yield own
    own.stop()


def test_they_run_the_command_line_and_end_with_its_code(server: StartServer, tmp_path: Path) -> None:
    good, bad = server.start(["--version"], tmp_path / "good"), server.start(["rum"], tmp_path / "bad")
    assert (good.wait(30), bad.wait(30)) == (0, 2)
    assert (tmp_path / "good").read_text().startswith("gatewatch ")
    assert "rum" in (tmp_path / "bad").read_text()
    assert (good.poll(), good.returncode) == (0, 0)


def test_they_can_be_killed(server: StartServer, tmp_path: Path) -> None:
    process = server.start(UNREACHABLE, tmp_path / "log")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


def test_they_end_with_their_server(server: StartServer, tmp_path: Path) -> None:
    process = server.start(UNREACHABLE, tmp_path / "log")
    assert process.poll() is None
    server.stop()
    for _ in range(200):
        state = Path(f"/proc/{process.pid}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail("it goes on without its server")
