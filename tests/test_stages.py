"""Stages: each is made once for the same inputs, and what the cache holds is either what was written or nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stream.stages
from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.training import Recipe
from stream.errors import CommandError
from stream.stage_cache import StageCache, default_cache, default_folder
from stream.stages import Output, Stages

ARRAY = np.arange(6.0)


class Counted:
    """Adds up, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *numbers: Any, scale: int = 1) -> Any:
        self.times += 1
        return sum(numbers) * scale


@pytest.fixture
def cache(tmp_path: Path) -> StageCache:
    return StageCache(tmp_path / "cache")


def entries(cache: StageCache) -> list[Path]:
    return sorted(cache.folder.iterdir())


def test_a_stage_is_made_once_for_the_same_inputs(cache: StageCache) -> None:
    add = Counted()
    results = []
    for _ in range(2):
        stages = Stages(cache)
        first = stages.run("first", add, ARRAY, 1)
        results.append(stages.run("second", add, first, scale=2))
    np.testing.assert_array_equal(results[0].value, (ARRAY + 1) * 2)
    np.testing.assert_array_equal(results[1].value, results[0].value)
    assert results[1].digest == results[0].digest
    assert add.times == 2
    assert stages.cached == {"first": True, "second": True}


def test_another_parameter_redoes_the_stages_from_there_on(cache: StageCache) -> None:
    def cached(factor: int) -> dict[str, bool]:
        stages = Stages(cache)
        first = stages.run("first", Counted(), ARRAY, 1)
        second = stages.run("second", Counted(), first, scale=factor)
        stages.run("third", Counted(), second, 1)
        return stages.cached

    cached(2)
    assert cached(3) == {"first": True, "second": False, "third": False}
    assert cached(2) == {"first": True, "second": True, "third": True}


def test_a_stage_follows_what_another_made_not_how(cache: StageCache) -> None:
    """Equal content of other inputs: nothing that follows is made again."""
    add = Counted()
    for inputs in ((1, 4), (2, 3)):
        stages = Stages(cache)
        stages.run("second", add, stages.run("first", add, *inputs), 1)
    assert stages.cached == {"first": False, "second": True}


def test_what_is_not_kept_is_made_again_and_known_by_its_content(cache: StageCache) -> None:
    read, add = Counted(), Counted()
    for content in (ARRAY, ARRAY.copy(), ARRAY + 1):
        stages = Stages(cache)
        stages.run("second", add, stages.run("first", read, content, keep=False), 1)
    assert (read.times, add.times) == (3, 2)


def test_parts_of_a_stage_are_kept_each_for_itself(cache: StageCache) -> None:
    add = Counted()
    Stages(cache).run("evaluate", add, 1, part="one")
    stages = Stages(cache)
    assert stages.run("evaluate", add, 1, part="one").value == stages.run("evaluate", add, 1, part="two").value == 1
    assert add.times == 2
    assert stages.cached == {"evaluate": False}


def test_an_attribute_of_an_output_is_an_input_of_its_own(cache: StageCache) -> None:
    numbers = Output(complex(3, 4), "digest")
    stages = Stages(cache)
    real = stages.run("stage", Counted(), numbers.part("real"))
    assert (real.value, stages.run("stage", Counted(), numbers.part("imag")).value) == (3.0, 4.0)


def test_a_stage_that_fails_is_made_again(cache: StageCache) -> None:
    def fails() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stages(cache).run("stage", fails)
    assert entries(cache) == []


def test_other_code_makes_everything_anew(cache: StageCache, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Counted()
    for code in ("old", "new"):
        monkeypatch.setattr(stream.stages, "code_version", lambda code=code: code)
        Stages(cache).run("stage", add, 1)
    assert add.times == 2


def test_without_a_cache_everything_is_made_and_nothing_kept() -> None:
    add = Counted()
    for _ in range(2):
        stages = Stages()
        assert stages.run("stage", add, 1).value == 1
    assert add.times == 2
    assert stages.cached == {"stage": False}


@settings(deadline=None, max_examples=50)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_an_entry_with_any_bit_changed_or_cut_anywhere_is_made_anew(
    at: float, bit: int, cut: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = StageCache(tmp_path_factory.mktemp("cache"))
    Stages(cache).run("stage", Counted(), ARRAY)
    (path,) = entries(cache)
    data = bytearray(path.read_bytes())
    place = int(at * len(data))
    data[place] ^= 1 << bit
    path.write_bytes(data[:place] if cut else data)

    add, stages = Counted(), Stages(cache)
    np.testing.assert_array_equal(stages.run("stage", add, ARRAY).value, ARRAY)
    assert add.times == 1
    again = Stages(cache)
    again.run("stage", add, ARRAY)
    assert (stages.cached["stage"], again.cached["stage"]) == (False, True)


def test_above_the_limit_the_entries_used_least_recently_go(tmp_path: Path) -> None:
    one = StageCache(tmp_path / "measure")
    one.store("a", ARRAY, "")
    size = entries(one)[0].stat().st_size
    cache = StageCache(tmp_path / "cache", most_bytes=2 * size)
    for at, name in enumerate(("a", "b")):
        cache.store(name, ARRAY, "")
        os.utime(entries(cache)[-1], (at, at))
    assert cache.load("a") is not None
    cache.store("c", ARRAY, "")
    assert [path.stem for path in entries(cache)] == ["a", "c"]


def test_a_disk_that_refuses_ends_keeping_and_not_the_run(cache: StageCache) -> None:
    cache.folder.rmdir()
    assert Stages(cache).run("stage", Counted(), 1).value == 1
    assert "No such file or directory" in cache.complaint


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(CommandError, match="others may write") as refused:
        StageCache(tmp_path)
    assert "--no-cache" in refused.value.hint


def test_a_new_folder_is_the_user_s_alone(cache: StageCache) -> None:
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CommandError, match="can't be made"):
        StageCache(tmp_path / "file" / "cache")


def test_by_default_the_cache_is_where_the_user_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for named, folder in (("", ".cache"), ("relative", ".cache"), (str(tmp_path / "own"), "own")):
        monkeypatch.setenv("XDG_CACHE_HOME", named)
        assert default_folder() == tmp_path / folder / "gatewatch" / "train"
    (tmp_path / "own").write_bytes(b"")
    assert default_cache() is None


def test_keys_are_the_same_in_another_process(cache: StageCache) -> None:
    program = f"""
from pathlib import Path
from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.training import Recipe
from stream.stage_cache import StageCache
from stream.stages import Stages
stages = Stages(StageCache(Path({str(cache.folder)!r})))
stages.run("stage", dict, key=[ACCESS_BEHAVIOUR_V1, Recipe(), {{"a", "b"}}], x=1)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    stages = Stages(cache)
    stages.run("stage", dict, key=[ACCESS_BEHAVIOUR_V1, Recipe(), {"b", "a"}], x=1)
    assert stages.cached == {"stage": True}
