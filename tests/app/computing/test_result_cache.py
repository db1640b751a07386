"""Attributions on disk: exact, bounded, shared, and never an error."""

import errno
import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cached import assert_same, attribution
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app.computing.result_cache
from app.computing.events import Settings
from app.computing.result_cache import ResultCache, result_key
from imo_engine.attribution.record import WindowFacts

ROOT = Path(__file__).parents[3]


HEADER = {"redshift": 0.1, "window_sizes": [1, 16], "offsets": [0, 3], "strides": [1, 8],
          "weighting": "inverse_variance", "provenance": {}}  # fmt: skip


def size_of(cache, key):
    return cache._path(key).stat().st_size


def age(cache, key, seconds):
    then = time.time() - seconds
    os.utime(cache._path(key), (then, then))


@pytest.fixture
def cache(tmp_path):
    return ResultCache(tmp_path / "cache")


class TestKeeping:
    def test_what_comes_back_is_what_was_kept(self, cache):
        kept = attribution()
        cache.put("a", kept)
        assert_same(cache.get("a"), kept)
        np.testing.assert_array_equal(cache.get("a").combined, kept.combined)

    def test_another_cache_of_the_same_folder_has_it_too(self, cache):
        cache.put("a", attribution())
        assert_same(ResultCache(cache.folder).get("a"), attribution())

    def test_what_was_never_kept_is_not_there(self, cache):
        assert cache.get("a") is None
        assert not cache.folder.exists()  # looking makes nothing

    def test_keeping_again_replaces(self, cache):
        cache.put("a", attribution(0))
        cache.put("a", attribution(1))
        assert_same(cache.get("a"), attribution(1))
        assert len(list(cache.folder.iterdir())) == 1

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
    def test_is_in_the_user_s_cache_folder_by_default(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert ResultCache().folder == tmp_path / "imo-explorer" / "attributions"
        assert ResultCache().max_bytes == 1024**3


class TestKeys:
    base = {
        "flux": np.arange(5, dtype=np.float32),
        "valid": np.ones(5, bool),
        "redshift": 0.1,
        "fingerprint": "abc",
        "latents": np.ones((2, 3), np.float32),
        "settings": Settings(),
    }

    @pytest.mark.parametrize(
        "change",
        [
            {"flux": np.array([0, 1, 2, 3, 4.0000005], np.float32)},
            {"flux": np.arange(5, dtype=np.float64)},
            {"valid": np.array([True, True, True, True, False])},
            {"redshift": np.nextafter(0.1, 1)},
            {"fingerprint": "abd"},
            {"latents": np.ones((3, 2), np.float32)},
            {"latents": np.full((2, 3), 2, np.float32)},
            {"settings": Settings(seed=1)},
            {"settings": Settings(n_baselines=9)},
            {"settings": Settings(window_sizes=(1, 4))},
            {"settings": Settings(weights="inverse_standard_deviation")},
        ],
    )
    def test_change_with_everything_that_matters(self, change):
        assert result_key(**self.base) != result_key(**self.base | change)

    def test_change_with_the_algorithm(self, monkeypatch):
        before = result_key(**self.base)
        monkeypatch.setattr(app.computing.result_cache, "ALGORITHM", app.computing.result_cache.ALGORITHM + 1)
        assert result_key(**self.base) != before

    def test_do_not_change_with_how_the_numbers_are_stored(self):
        strided = np.repeat(self.base["flux"], 2)[::2]
        key = result_key(**self.base | {"flux": strided})
        assert key == result_key(**self.base)
        assert len(key) == 64 and int(key, 16)

    def test_tell_quick_from_exact_values_and_leave_those_of_earlier_versions(self):
        keys = {
            name: result_key(**self.base | {"settings": Settings(evaluator=name)})
            for name in ("exact", "local_update", "frozen_statistics")
        }
        assert len(set(keys.values())) == 3
        assert "evaluator" not in Settings().described()

    def test_do_not_change_from_process_to_process(self):
        code = (
            "import numpy as np; from app.computing.events import Settings; "
            "from app.computing.result_cache import result_key; "
            "print(result_key(np.arange(5, dtype=np.float32), np.ones(5, bool), 0.1, 'abc', "
            "np.ones((2, 3), np.float32), Settings()))"
        )
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == result_key(**self.base)


def test_files_of_earlier_versions_hold_exact_values(cache):
    cache.put("a", attribution())
    with np.load(cache._path("a")) as stored:
        contents = dict(stored)
    header = json.loads(str(contents["header"]))
    del header["facts"]
    with cache._path("a").open("wb") as file:
        np.savez(file, **contents | {"header": np.array(json.dumps(header))})
    assert cache.get("a").facts == (WindowFacts(), WindowFacts())


class TestLimit:
    def test_the_least_recently_used_goes_first(self, cache):
        for number, key in enumerate("abc"):
            cache.put(key, attribution(number))
            age(cache, key, 100 - number)
        cache.get("a")
        cache.max_bytes = sum(size_of(cache, key) for key in "abc")
        cache.put("d", attribution(3))
        assert cache.get("b") is None
        for number, key in ((0, "a"), (2, "c"), (3, "d")):
            assert_same(cache.get(key), attribution(number))

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(order=st.lists(st.integers(0, 6), max_size=25), room=st.floats(0.5, 5))
    def test_is_never_exceeded(self, tmp_path_factory, order, room):
        cache = ResultCache(tmp_path_factory.mktemp("cache"))
        cache.put("measure", attribution())
        cache.max_bytes = int(room * size_of(cache, "measure"))
        for number in order:
            cache.put(str(number), attribution(number))
            assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= cache.max_bytes

    def test_what_is_larger_than_the_limit_drives_nothing_out(self, cache):
        cache.put("a", attribution())
        cache.max_bytes = size_of(cache, "a") + 10
        cache.put("large", attribution(1, n_pixel=500))
        assert cache.get("large") is None
        assert_same(cache.get("a"), attribution())

    def test_files_of_others_are_left_alone_and_abandoned_ones_are_not(self, cache):
        cache.put("a", attribution())
        other, abandoned, fresh = (cache.folder / name for name in ("notes.txt", ".a.x.npz", ".b.y.npz"))
        for path in (other, abandoned, fresh):
            path.write_bytes(b"x" * 100_000)
        os.utime(abandoned, (0, 0))
        os.utime(other, (0, 0))
        cache.max_bytes = 2 * size_of(cache, "a")
        cache.put("b", attribution())
        assert other.exists() and fresh.exists() and not abandoned.exists()
        assert cache.get("a") is not None


class TestDamage:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_is_noticed_whatever_it_is(self, tmp_path_factory, data):
        """A damaged entry is missing and gone; one whose damage does not matter is still right."""
        cache = ResultCache(tmp_path_factory.mktemp("cache"))
        cache.put("a", attribution())
        path = cache._path("a")
        content = bytearray(path.read_bytes())
        start = data.draw(st.integers(0, len(content) - 1), label="from")
        length = data.draw(st.integers(1, 40), label="bytes")
        match data.draw(st.sampled_from(["change", "cut out", "truncate"])):
            case "change":
                noise = data.draw(st.binary(min_size=length, max_size=length))
                content[start : start + length] = noise[: len(content) - start]
            case "cut out":
                del content[start : start + length]
            case "truncate":
                del content[start:]
        path.write_bytes(content)
        found = cache.get("a")
        if found is None:
            cache.put("a", attribution())
            found = cache.get("a")
        assert_same(found, attribution())

    @pytest.mark.parametrize("content", [b"", b"PK", b"nothing of the kind" * 50, b"\x80\x04N."])
    def test_other_files_are_removed(self, cache, content):
        cache.put("a", attribution())
        cache._path("a").write_bytes(content)
        assert cache.get("a") is None
        assert not cache._path("a").exists()

    @pytest.mark.parametrize(
        "change",
        [
            {"values": np.zeros((2, 3, 49))},
            {"values": np.zeros((1, 3, 50))},
            {"values": np.zeros((2, 3, 50), np.float32)},
            {"flux": np.zeros((1, 50), np.float32)},
            {"valid": np.array([{"a": 1}] * 50, dtype=object)},  # a pickle
            {"header": np.array("[]")},
            {"header": np.array(json.dumps(HEADER | {"facts": [{}]}))},
            {"header": np.array(json.dumps(HEADER | {"facts": [{"wrong": 1}] * 2}))},
            {"header": np.array(json.dumps({"window_sizes": [1, 16]}))},
        ],
    )
    def test_contents_that_do_not_fit_are_removed(self, cache, change):
        cache.put("a", attribution())
        with np.load(cache._path("a")) as stored:
            contents = dict(stored)
        with cache._path("a").open("wb") as file:
            np.savez(file, **contents | change)
        assert cache.get("a") is None
        assert not cache._path("a").exists()

    def test_a_plain_array_in_its_place_is_removed(self, cache):
        cache.put("a", attribution())
        with cache._path("a").open("wb") as file:
            np.save(file, np.zeros(3))
        assert cache.get("a") is None


class TestRefusal:
    def warnings(self, caplog):
        return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]

    def test_a_full_disk_is_told_of_once_and_what_is_there_is_used(self, cache, caplog, monkeypatch):
        cache.put("a", attribution())
        attempts = []

        def full(path, write):
            attempts.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(app.computing.result_cache, "write_atomically", full)
        for key in "bcd":
            cache.put(key, attribution(1))
        (warning,) = self.warnings(caplog)
        assert str(cache.folder) in warning and "No space left" in warning
        assert len(attempts) == 1
        assert_same(cache.get("a"), attribution())
        assert cache.get("b") is None

    def test_a_folder_that_cannot_be_made(self, tmp_path, caplog):
        (tmp_path / "file").write_text("in the way")
        cache = ResultCache(tmp_path / "file" / "cache")
        assert cache.get("a") is None
        for key in "ab":
            cache.put(key, attribution())
        assert len(self.warnings(caplog)) == 1

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_only_reads(self, cache, caplog):
        cache.put("a", attribution())
        cache.folder.chmod(0o500)
        try:
            cache.put("b", attribution())
            assert_same(cache.get("a"), attribution())
        finally:
            cache.folder.chmod(0o700)
        assert len(self.warnings(caplog)) == 1

    def test_a_folder_that_is_emptied_meanwhile_is_no_reason_to_stop(self, cache, caplog, monkeypatch):
        def emptied(path, write):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

        with monkeypatch.context() as patch:
            patch.setattr(app.computing.result_cache, "write_atomically", emptied)
            cache.put("a", attribution())
        cache.put("b", attribution())
        assert_same(cache.get("b"), attribution())
        assert self.warnings(caplog) == []


_HAMMER = """
import logging, sys
from app.computing.result_cache import ResultCache
from helpers.cached import assert_same, attribution
logging.basicConfig(level=logging.INFO)
cache = ResultCache(sys.argv[1], max_bytes=int(sys.argv[2]))
made = [attribution(number) for number in range(6)]
found = 0
for step in range(150):
    number = (step * int(sys.argv[3])) % 6
    cache.put(str(number), made[number])
    for other in range(6):
        kept = cache.get(str(other))
        if kept is not None:
            assert_same(kept, made[other])
            found += 1
print(found)
"""


def test_two_processes_share_a_folder(cache):
    """Both write and evict the same entries; whatever either finds is complete, and nothing is ever damaged."""
    cache.put("measure", attribution())
    limit = int(3.5 * size_of(cache, "measure"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _HAMMER, str(cache.folder), str(limit), step],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for step in ("1", "5")
    ]
    for process in running:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert errors == ""  # no damage, no refusal
        assert int(out) > 100
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= limit


def test_provenance_that_json_does_not_know_is_kept_in_words(cache):
    cache.put("a", replace(attribution(), provenance={"source": Path("a") / "b", "seconds": np.float64(0.5)}))
    assert cache.get("a").provenance == {"source": str(Path("a") / "b"), "seconds": 0.5}
