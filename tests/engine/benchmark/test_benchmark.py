"""What `imo benchmark` measures is what it says; how long it takes is no test's business."""

import json
import os
import struct

import numpy as np
import pytest
import torch
from helpers.browser import write_desi_model
from hypothesis import given
from hypothesis import strategies as st

from imo_engine.attribution.evaluators.base import Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.benchmark import process
from imo_engine.benchmark.growth import growth_rows
from imo_engine.benchmark.precision import ALLOWED_ERROR, precision_errors, rounded
from imo_engine.benchmark.process import Subject, alone, beside_plain, measure
from imo_engine.benchmark.ways import Reference, WayTiming, all_chunks, example_spectra, published_architecture
from imo_engine.commands.program import COMMANDS, LazyGroup, run
from imo_engine.errors import InputError


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return Subject(str(write_desi_model(tmp_path_factory.mktemp("model"), pool=False)), "cpu")


def fill(megabytes):
    """Use memory, and say in which process."""
    return float(np.ones(megabytes << 17).sum()), os.getpid()


class TestAlone:
    def test_is_another_process(self):
        total, process = alone(fill, 1)
        assert total == 1 << 17 and process != os.getpid()

    def test_tells_what_was_raised(self):
        with pytest.raises(InputError, match="'device' is 'abacus'"):
            alone(measure, Subject(None, "abacus"), "exact", 2, (64,))


def test_ways_agree_and_count_what_they_do(subject):
    exact, values = measure(subject, "exact", 2, (64, 256))
    assert exact.evaluations == 2 * (122 + 31) == sum(one.size for one in values.values())
    assert max(exact.error.values()) <= 1e-4
    assert exact.peak_bytes > 50e6 and exact.operations > 0
    plain, nothing = measure(subject, "one at a time", 2, (64, 256))
    assert (plain.evaluations, plain.extrapolated, nothing) == (exact.evaluations, True, {})


def test_each_way_is_compared_with_the_plain_algorithm_right_before_and_after_it(monkeypatch):
    def timing(way, seconds):
        return WayTiming(way, 10, seconds, False, seconds / 10, 1.0, int(seconds), {}), {}

    machine = iter([timing("plain", 100), timing("a", 5), timing("plain", 300), timing("b", 5), timing("plain", 200)])
    asked = []
    monkeypatch.setattr(process, "alone", lambda work, *case: asked.append(case[1]) or next(machine))
    found = [way for way, _ in beside_plain(Subject(None), ["a", "b"], 2, (64,))]
    assert asked == ["one at a time", "a", "one at a time", "b", "one at a time"]
    assert [(way.way, way.plain_seconds, way.gain) for way in found] == [
        ("a", 200, 40),
        ("b", 250, 50),
        ("plain", 200, 1),
    ]
    assert (found[-1].seconds, found[-1].first_window, found[-1].peak_bytes) == (200, pytest.approx(20), 300)


def test_growth_has_a_process_for_each_row(subject, monkeypatch):
    from imo_engine.benchmark import growth

    asked = []
    monkeypatch.setattr(growth, "alone", lambda work, *case: asked.append(case) or ["row"])
    assert growth_rows(subject, 7781, (64, 256), 8) == [["row"]] * len(asked)
    assert [case[1] for case in asked[:5]] == [2, 4, 8, 16, 32]
    assert [case[0].n_pixel for case in asked[-3:]] == [1945, 3890, 7781]
    row = growth._one(subject, 2, (256,))
    assert row[:4] == ["7781 (published widths)", 2, "256", 62]


class TestPrecision:
    @given(st.floats(-1e6, 1e6, width=32), st.sampled_from([7, 10]))
    def test_rounds_to_the_nearest(self, value, bits):
        found = float(rounded(torch.tensor([value]), bits))
        assert abs(found - value) <= abs(value) * 2.0 ** -(bits + 1) + 1e-40
        assert struct.unpack("<I", struct.pack("<f", found))[0] & ((1 << (23 - bits)) - 1) == 0

    def test_bfloat16_is_torch_s_own(self):
        values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
        assert torch.equal(rounded(values, 7), values.bfloat16().float())

    def test_both_are_refused_where_float32_is_not(self):
        base, flux = example_spectra(1945, 2)
        replacement = Replacement.of(published_architecture(1945, device="cpu"), base, flux, np.ones(1945, bool))
        evaluator, chunks = choose_evaluator("exact", replacement), all_chunks(replacement, 64)
        change = evaluator.base_log_prob()[chunks.row] - evaluator.log_prob(chunks)
        assert Reference(replacement).error(64, chunks, change) <= ALLOWED_ERROR
        errors = precision_errors(replacement, (64,), {64: change.reshape(2, -1)})
        assert ALLOWED_ERROR < errors["TF32"][64] < errors["bfloat16"][64]


def test_the_command_writes_everything(subject, tmp_path, capfd):
    output = tmp_path / "x.json"
    given = ["benchmark", "--model", subject.file, "--device", "cpu", "--n-baselines", "2", "--windows", "64,256"]
    code = run(LazyGroup(COMMANDS, help=""), [*given, "--no-growth", "--no-compare", "-o", str(output)])
    out, errors = capfd.readouterr()
    assert code == 0, errors
    result = json.loads(output.read_text())
    assert [way["way"] for way in result["ways"]] == ["within 2 %", "exact", "frozen statistics"]
    assert set(result["precision"]) == {"TF32", "bfloat16"}
    assert result["agreement"]["256"][1] == pytest.approx(1)
    for word in ("TF32: largest error", "bfloat16: largest error", "spectra/s", "peak MB"):
        assert word in out
