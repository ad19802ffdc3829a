"""Tests run side by side, but for those that need the machine to themselves."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.side_by_side import turn


def test_others_run_beside_each_other(tmp_path: Path) -> None:
    met = threading.Barrier(3)

    def one() -> None:
        with turn(tmp_path, alone=False):
            met.wait(20)

    with ThreadPoolExecutor(3) as processes:
        for done in [processes.submit(one) for _ in range(3)]:
            done.result()


def test_one_that_needs_the_machine_gets_it_however_many_others_want_in(tmp_path: Path) -> None:
    inside, ended = [0], threading.Event()
    lock = threading.Lock()

    def others() -> None:
        while not ended.is_set():
            with turn(tmp_path, alone=False):
                with lock:
                    inside[0] += 1
                time.sleep(0.002)  # long enough to be met
                with lock:
                    inside[0] -= 1

    with ThreadPoolExecutor(3) as processes:
        busy = [processes.submit(others) for _ in range(3)]
        try:
            for _ in range(20):
                with turn(tmp_path, alone=True):
                    assert inside == [0]
        finally:
            ended.set()
        for done in busy:
            done.result()
