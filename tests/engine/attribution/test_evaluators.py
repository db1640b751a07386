"""Every evaluator gives log p of the same hybrid spectra; fast ones equal full passes."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers.evaluators import N, chunks_of, narrow_model, replacement_of, varied_model
from helpers.networks import random_flux, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch.utils.flop_counter import FlopCounterMode

from imo_engine.attribution.evaluators import EVALUATORS, adaptive
from imo_engine.attribution.evaluators.base import Chunks, Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator, resolve_evaluator
from imo_engine.attribution.evaluators.moments import changed_moments
from imo_engine.attribution.record import WindowFacts
from imo_engine.attribution.tiling import tile
from imo_engine.benchmark.ways import published_architecture
from imo_engine.errors import Cancelled, InputError
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumEncoder
from imo_engine.model.convolutions import plain_convolutions
from imo_engine.model.fourier import FourierConvolution
from imo_engine.model.quick_encoder import QuickEncoder


def by_hand(model, replacement, chunks):
    """log p of every hybrid, one full forward pass of encoder and flow each."""
    out = []
    for row, start, stop in zip(chunks.row, chunks.start, chunks.stop, strict=True):
        hybrid = replacement.base[row].clone()
        hybrid[start:stop] = replacement.changed[row, start:stop]
        with torch.no_grad():
            out.append(float(model.flow(model.encoder(hybrid[None]))[0]))
    return np.array(out)


NETWORKS = [
    pytest.param({"normalisation": n, "negative": negative, "positions": positions}, id=f"{n}-{negative}-{positions}")
    for n in ("none", "instance")
    for negative in (False, True)
    for positions in (False, True)
]


class TestExact:
    @pytest.mark.parametrize("network", NETWORKS)
    @pytest.mark.parametrize(("window", "offset"), [(1, 0), (4, 2), (7, 3), (64, 0), (256, 17), (300, 0)])
    @pytest.mark.parametrize("name", ["exact", "full_passes"])
    def test_equals_whole_spectra_sent_through_one_by_one(self, network, window, offset, name):
        model = varied_model(**network)
        replacement = replacement_of(model)
        chunks = chunks_of(window, 2, offset=offset)
        chunks = chunks[np.unique(np.linspace(0, len(chunks) - 1, 40).astype(int))]
        found = choose_evaluator(name, replacement).log_prob(chunks)
        assert found == pytest.approx(by_hand(model, replacement, chunks), abs=1e-9)

    @pytest.mark.parametrize("network", NETWORKS)
    def test_own_log_p_is_that_of_the_model(self, network):
        model = varied_model(**network)
        replacement = replacement_of(model)
        for name in EVALUATORS:
            own = choose_evaluator(name, replacement).base_log_prob()
            assert own == pytest.approx(model.log_prob(replacement.base.numpy()), abs=1e-9)

    @given(
        start=st.integers(0, N - 1),
        length=st.integers(1, N),
        seed=st.integers(0, 3),
        norm=st.sampled_from(["none", "instance"]),
    )
    @settings(max_examples=40, deadline=None)
    def test_any_chunk_anywhere(self, start, length, seed, norm):
        model = varied_model(norm, seed=seed, negative=seed % 2 == 1)
        replacement = replacement_of(model, inputs=1)
        chunk = Chunks(np.array([0]), np.array([start]), np.array([min(N, start + length)]))
        found = choose_evaluator("exact", replacement).log_prob(chunk)
        assert found == pytest.approx(by_hand(model, replacement, chunk), abs=1e-9)

    @pytest.mark.parametrize("norm", ["none", "instance"])
    def test_does_not_depend_on_batches_order_or_company(self, norm):
        model = varied_model(norm)
        replacement = replacement_of(model)
        chunks = chunks_of(4, 2)
        whole = choose_evaluator("exact", replacement).log_prob(chunks)
        small = choose_evaluator("exact", replacement, memory_budget=1).log_prob(chunks)
        assert small == pytest.approx(whole, abs=1e-10)
        order = np.random.default_rng(1).permutation(len(chunks))
        assert choose_evaluator("exact", replacement).log_prob(chunks[order]) == pytest.approx(whole[order], abs=1e-10)
        few = order[:7]
        assert choose_evaluator("exact", replacement).log_prob(chunks[few]) == pytest.approx(whole[few], abs=1e-10)

    @pytest.mark.parametrize("norm", ["none", "instance"])
    def test_pixels_that_are_not_valid_stay(self, norm):
        model = varied_model(norm)
        valid = np.ones(N, bool)
        valid[100:120] = False
        replacement = replacement_of(model, inputs=1, valid=valid)
        inside = Chunks(np.array([0]), np.array([100]), np.array([120]))
        evaluator = choose_evaluator("exact", replacement)
        assert evaluator.log_prob(inside) == pytest.approx(evaluator.base_log_prob(), abs=1e-10)


@pytest.mark.parametrize("name", ["exact", "frozen_statistics"])
@pytest.mark.parametrize("window", [1, 16, 64])
def test_what_is_left_when_a_chunk_that_drew_all_attention_is_gone(name, window):
    model = varied_model("none", dtype=torch.float32)
    flux = random_flux(2, seed=4)
    tiling = tile(N, window)
    found, expected = [], []
    for height in (1e4, 1e6):
        flux[0, 123] = height
        replacement = Replacement.of(model, flux[:1], flux[1], np.ones(N, bool))
        with torch.no_grad():
            attention = model.encoder(replacement.base).isfinite().all()
        assert bool(attention)
        chunks = Chunks(np.zeros(len(tiling), int), tiling.starts, tiling.stops)
        found.append(choose_evaluator(name, replacement).log_prob(chunks))
        expected.append(choose_evaluator("full_passes", replacement).log_prob(chunks))
    gone = (tiling.starts <= 123) & (tiling.stops > 123)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.isfinite(ours).all()
        assert ours[gone] == pytest.approx(theirs[gone], rel=1e-4)


@pytest.mark.parametrize("height", [30, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("window", [1, 16, 64])
def test_a_chunk_that_draws_all_attention(height, window):
    model = varied_model("none", dtype=torch.float32)
    flux = random_flux(2, seed=4)
    flux[1, 123] = height
    tiling = tile(N, window)
    replacement = Replacement.of(model, flux[:1], flux[1], np.ones(N, bool))
    chunks = Chunks(np.zeros(len(tiling), int), tiling.starts, tiling.stops)
    found = choose_evaluator("exact", replacement).log_prob(chunks)
    expected = choose_evaluator("full_passes", replacement).log_prob(chunks)
    assert np.isfinite(found).all()
    assert found == pytest.approx(expected, rel=1e-4)


class TestFrozenStatistics:
    def test_equals_a_network_whose_normalisations_hold_the_inputs_own_values(self):
        model = varied_model("instance", negative=True)
        replacement = replacement_of(model, inputs=1)
        frozen = deepcopy(model.encoder)
        x = replacement.base[:1, None]
        for stage, pool in enumerate((frozen.pool1, frozen.pool2, torch.nn.Identity())):
            convolution, norm, activation = model.encoder.parts(stage)
            raw = convolution(x)
            held = torch.nn.BatchNorm1d(raw.shape[1], eps=norm.eps, affine=False).double().eval()
            held.running_mean = raw.mean(dim=(0, 2))
            held.running_var = raw.var(dim=(0, 2), correction=0)
            (frozen.conv1, frozen.conv2, frozen.conv3)[stage][1] = held
            x = pool(activation(held(raw)))
        chunks = chunks_of(4, 1)
        found = choose_evaluator("frozen_statistics", replacement).log_prob(chunks)
        with torch.no_grad():
            expected = by_hand(type("Frozen", (), {"encoder": frozen, "flow": model.flow}), replacement, chunks)
        assert found == pytest.approx(expected, abs=1e-9)
        full = choose_evaluator("full_passes", replacement).log_prob(chunks)
        assert np.abs(full - found).max() > 1e-6  # what the statistics do is not nothing

    def test_is_the_exact_result_without_normalisation(self):
        replacement = replacement_of(varied_model("none"))
        chunks = chunks_of(16, 2)
        exact, frozen = (choose_evaluator(n, replacement).log_prob(chunks) for n in ("exact", "frozen_statistics"))
        assert np.array_equal(exact, frozen)


@pytest.fixture(scope="module")
def case():
    model = narrow_model()
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 2200)
    base = 1 + 0.2 * np.sin(6 * x + rng.uniform(0, 6, (2, 1)))
    flux = 1 + rng.normal(0, 0.1, 2200) + 6 * np.exp(-0.5 * ((x - 0.6) / 0.002) ** 2)
    return Replacement.of(model, base, flux, np.ones(2200, bool))


class TestLocalUpdate:
    @pytest.mark.parametrize("window", [1, 2, 16])
    @pytest.mark.parametrize(("name", "bar"), [("local_update", 2e-2), ("exact", 1e-4)])
    def test_stays_within_its_tolerance_of_float64(self, case, window, name, bar):
        tiling = tile(2200, window)
        chunks = Chunks(np.repeat([0, 1], len(tiling)), np.tile(tiling.starts, 2), np.tile(tiling.stops, 2))
        evaluator = choose_evaluator(name, case)
        found = evaluator.base_log_prob()[chunks.row] - evaluator.log_prob(chunks)
        model = narrow_model(torch.float64)
        double = Replacement(model, case.base.double(), case.changed.double())
        right = choose_evaluator("full_passes", double)
        expected = right.base_log_prob()[chunks.row] - right.log_prob(chunks)
        if name == "local_update":  # what is promised is the mean over baselines
            found, expected = found.reshape(2, -1).mean(axis=0), expected.reshape(2, -1).mean(axis=0)
            assert spearmanr(found, expected)[0] >= 0.995
        largest = np.abs(expected).max()
        assert np.abs(found - expected).max() <= bar * largest
        assert evaluator.errors[window] <= bar
        if name == "local_update" and window == 1:
            assert evaluator.exact_share[window] < 0.8  # most of it was not done the slow way

    def test_says_what_it_is(self, case):
        quick, exact = (choose_evaluator(name, case) for name in ("local_update", "exact"))
        assert (quick.name, exact.name) == ("within 2 %", "exact")
        tiling = tile(2200, 4)
        chunks = Chunks(np.zeros(len(tiling), int), tiling.starts, tiling.stops)
        for evaluator in (quick, exact):
            evaluator.log_prob(chunks)
        assert exact.facts(4) == WindowFacts()
        assert quick.facts(4) == WindowFacts(quick.errors[4], quick.exact_share[4])
        assert 0 < quick.facts(4).measured_error < 2e-2 and quick.facts(4).exact_share < 1

    def test_audits_find_what_the_checks_miss(self, case, monkeypatch):
        """Whatever the cheap ways make of chunks that had no say, it does not go unnoticed."""
        tiling = tile(2200, 4)
        chunks = Chunks(np.zeros(len(tiling), int), tiling.starts, tiling.stops)
        evaluator, exact = (choose_evaluator(name, case) for name in ("local_update", "exact"))
        cheap = adaptive._Row._cheap

        def wrong(self, parts, rows, way):
            latents = cheap(self, parts, rows, way)
            return latents + 0.3 * (len(rows) > 60)  # the checks are fewer

        monkeypatch.setattr(adaptive._Row, "_cheap", wrong)
        monkeypatch.setattr(adaptive, "_STRONG", np.inf)
        assert evaluator.log_prob(chunks) == pytest.approx(exact.log_prob(chunks), rel=1e-4, abs=1e-4)
        assert evaluator.facts(4) == WindowFacts(0.0, 1.0)


class TestNames:
    @pytest.mark.parametrize("name", ["auto", "exact", "local_update", "frozen_statistics"])
    def test_without_normalisation_all_are_exact(self, name):
        assert resolve_evaluator(name, varied_model("none")) == "exact"
        assert resolve_evaluator("full_passes", varied_model("none")) == "full_passes"

    def test_with_normalisation_they_differ_and_the_slow_are_quick_first(self):
        model = varied_model("instance")
        assert [resolve_evaluator(name, model) for name in EVALUATORS] == list(EVALUATORS)
        assert resolve_evaluator("auto", model) == "exact"  # so narrow that it takes no time
        assert resolve_evaluator("auto", published_architecture(device="cpu")) == "local_update"

    def test_counts_multiplications_of_convolutions(self):
        model = varied_model("instance")
        with FlopCounterMode(display=False) as counter:
            model.encoder.pooled(torch.zeros(1, N, dtype=torch.float64))
        counted = counter.get_flop_counts()["Global"][torch.ops.aten.convolution] / 2
        assert model.encoder.multiplications(N) == pytest.approx(counted, rel=0.02)


class TestOrder:
    def test_stops_when_asked(self):
        replacement = replacement_of(varied_model("none"))
        with pytest.raises(Cancelled):
            choose_evaluator("exact", replacement).log_prob(chunks_of(1, 2), should_stop=lambda: True)

    def test_counts_to_the_end(self):
        for norm in ("none", "instance"):
            seen = []
            chunks = chunks_of(1, 2)
            choose_evaluator("exact", replacement_of(varied_model(norm)), memory_budget=100_000).log_prob(
                chunks, on_batch=seen.append
            )
            assert seen == sorted(seen)
            assert seen[-1] == len(chunks)

    def test_refuses_other_names(self):
        with pytest.raises(InputError, match="'evaluator' is 'quick'"):
            choose_evaluator("quick", replacement_of(tiny_model()))

    def test_a_batch_that_does_not_fit_is_halved(self, monkeypatch):
        from imo_engine.attribution.evaluators import local_encoder

        replacement = replacement_of(varied_model("none"))
        chunks = chunks_of(4, 2)
        expected = choose_evaluator("exact", replacement).log_prob(chunks)
        whole = local_encoder.WindowUpdate.pooled
        refused = []

        def hungry(self, row, start, stop, phase):
            if len(row) > 3:
                refused.append(len(row))
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(self, row, start, stop, phase)

        monkeypatch.setattr(local_encoder.WindowUpdate, "pooled", hungry)
        assert choose_evaluator("exact", replacement).log_prob(chunks) == pytest.approx(expected, abs=1e-10)
        assert refused


class TestParts:
    @given(
        size=st.sampled_from([3, 5, 11, 21]),
        length=st.integers(1, 200),
        positions=st.sampled_from([5, 30, 150, 200]),
    )
    @settings(max_examples=30, deadline=None)
    def test_fourier_convolution(self, size, length, positions):
        generator = torch.Generator().manual_seed(size * length)
        weight = torch.randn(3, 2, size, generator=generator, dtype=torch.float64)
        x = torch.randn(2, length, 2, generator=generator, dtype=torch.float64)
        right = torch.nn.functional.conv1d(x.transpose(1, 2), weight, padding=size // 2).transpose(1, 2)
        assert torch.allclose(FourierConvolution(weight, positions=positions)(x), right, atol=1e-10)

    @given(start=st.integers(0, 39), length=st.integers(0, 40), size=st.sampled_from([1, 3, 5, 7]))
    @settings(max_examples=60, deadline=None)
    def test_moments_of_a_changed_chunk(self, start, length, size):
        rng = np.random.default_rng(start)
        base, changed = torch.tensor(rng.normal(size=(2, 40)))
        stop = min(40, start + length)
        found = changed_moments(base, changed, torch.tensor([start]), torch.tensor([stop]), size)
        hybrid = base.clone()
        hybrid[start:stop] = changed[start:stop]
        windows = torch.nn.functional.pad(hybrid, (size // 2, size // 2)).unfold(0, size, 1)
        assert torch.allclose(found.mean[0], windows.mean(0), atol=1e-12)
        assert torch.allclose(found.product[0], windows.T @ windows / 40, atol=1e-12)

    @pytest.mark.parametrize("network", NETWORKS)
    def test_quick_encoder_equals_the_encoder(self, network):
        model = varied_model(**network)
        flux = torch.tensor(random_flux(3))
        with torch.no_grad():
            assert torch.allclose(QuickEncoder(model.encoder, N)(flux), model.encoder.pooled(flux), atol=1e-10)

    def test_wide_encoders_go_through_fourier_transforms(self):
        encoder = SpectrumEncoder(AutoencoderConfig()).double()
        flux = torch.tensor(random_flux(2))
        with torch.no_grad():
            assert torch.allclose(QuickEncoder(encoder, flux.shape[1])(flux), encoder.pooled(flux), atol=1e-9)
        assert plain_convolutions(encoder).monotone == [True, True, True]
