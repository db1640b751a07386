"""Inverse multiscale occlusion against the authors' numbers, Captum, and a word-for-word Algorithm 1."""

import numpy as np
import pytest
import torch
from helpers.networks import COVERED_REDSHIFT, UNCOVERED_REDSHIFT, WAVELENGTH, random_flux
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imo_engine import BaselinePool, OutlierModel, inverse_multiscale_occlusion
from imo_engine.errors import Cancelled, InputError, OutOfMemory

few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

N = len(WAVELENGTH)
FLUX = random_flux(1, seed=11)[0]
POOL = random_flux(4, seed=12)


def algorithm_1(model, x, z, baselines, window, *, offset=0, stride=None, valid=None):
    """One spectrum at a time, as the paper writes it; masked pixels keep the baseline's flux."""
    stride = stride or window
    valid = np.ones(len(x), bool) if valid is None else valid
    values = np.full((len(baselines), len(x)), np.nan)
    for j, spectrum in enumerate(baselines):
        reconstructed = model.reconstruct(spectrum[None], [z])
        p = model.log_prob(reconstructed)[0]
        total, times = np.zeros(len(x)), np.zeros(len(x))
        chunks = [(0, offset)] if offset else []
        i = offset
        while i < len(x):
            u = min(i + window, len(x))
            chunks.append((i, u))
            if u == len(x):
                break
            i += stride
        for i, u in chunks:
            y = reconstructed.copy()
            replaced = [k for k in range(i, u) if valid[k]]
            if not replaced:
                continue
            y[0, replaced] = x[replaced]
            log_prob = model.log_prob(y)[0]
            total[i:u] += (p - log_prob) / len(replaced)
            times[i:u] += 1
        seen = valid & (times > 0)
        values[j, seen] = total[seen] / times[seen]
    return values


def close(ours, theirs, tolerance=1e-9):
    """Equal to ``tolerance`` of the largest value, NaN in the same places."""
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs)) <= tolerance * np.nanmax(np.abs(theirs))


@pytest.fixture(scope="session", params=["small", "desi"])
def oracle(request, shared_oracles, shared_data):
    numbers = dict(np.load(shared_oracles / f"{request.param}.npz"))
    model = OutlierModel.from_published(
        shared_oracles / f"{request.param}.autoencoder.pt",
        shared_data / "weights" / "galaxy-flow-state_dict.pt",
        device="cpu",
    )
    result = inverse_multiscale_occlusion(
        model, numbers["spectrum"], float(numbers["z"]), numbers["baselines"], numbers["windows"]
    )
    return numbers, result, model


class TestAuthors:
    def test_latents_and_log_prob(self, oracle):
        numbers, _, model = oracle
        assert np.array_equal(model.wavelength, numbers["wave_obs"])
        inputs = numbers["input_for_latents"]
        assert model.encode(inputs) == pytest.approx(numbers["latents"], rel=1e-4, abs=1e-6)
        assert model.log_prob(inputs) == pytest.approx(numbers["log_prob"], rel=1e-4)

    def test_restframe(self, oracle):
        numbers, _, model = oracle
        rest = model.decoder(torch.from_numpy(numbers["latents"])).numpy()
        assert np.abs(rest - numbers["restframe"]).max() < 1e-4 * np.abs(numbers["restframe"]).max()

    def test_aligned_baselines(self, oracle):
        numbers, result, model = oracle
        expected = numbers["aligned_baselines"]
        assert np.abs(result.baselines - expected).max() < 1e-4 * np.abs(expected).max()
        assert result.baseline_log_prob == pytest.approx(numbers["aligned_log_prob"], rel=1e-4)
        assert model.encode(expected) == pytest.approx(numbers["aligned_latents"], rel=1e-4)

    def test_attribution(self, oracle):
        numbers, result, _ = oracle
        assert result.window_sizes == tuple(numbers["windows"])
        assert result.valid.all()
        for k, window in enumerate(result.window_sizes):
            expected = numbers["attribution"][k]
            assert np.abs(result.values[k] - expected).max() < 1e-3 * np.abs(expected).max(), window

    def test_variance(self, oracle):
        numbers, result, _ = oracle
        for k, window in enumerate(result.window_sizes):
            expected = numbers["spread_over_baselines"][k].astype(float) ** 2
            assert np.abs(result.variance[k] - expected).max() < 1e-3 * expected.max(), window


class TestAlgorithm1:
    @pytest.mark.parametrize("window", [1, 7, 16, 100, 300])
    def test_plain(self, tiny_model, window):
        result = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL, [window])
        close(result.values[0, 1:3], algorithm_1(tiny_model, FLUX, COVERED_REDSHIFT, POOL[1:3], window))

    @pytest.mark.parametrize(("window", "offset"), [(16, 10), (64, 42), (100, 1), (7, 30), (16, 299), (16, 500)])
    def test_the_chunk_before_the_offset_is_divided_by_its_own_length(self, tiny_model, window, offset):
        result = inverse_multiscale_occlusion(
            tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [window], offsets=[offset], memory_budget=2**26
        )
        close(
            result.values[0],
            algorithm_1(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], window, offset=min(offset, N)),
        )
        assert len(set(result.values[0, 0, : min(offset, N)])) == 1

    @pytest.mark.parametrize(("window", "stride", "offset"), [(16, 5, 0), (64, 32, 0), (50, 7, 20), (7, 7, 3)])
    def test_stride(self, tiny_model, window, stride, offset):
        result = inverse_multiscale_occlusion(
            tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [window], stride=stride, offsets=[offset]
        )
        close(
            result.values[0],
            algorithm_1(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], window, offset=offset, stride=stride),
        )
        assert result.strides == (stride,)

    def test_each_window_size_may_have_its_own_stride(self, tiny_model):
        both = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [8, 64], stride=[4, 32])
        for row, (window, stride) in enumerate([(8, 4), (64, 32)]):
            one = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [window], stride=stride)
            assert np.allclose(both.values[row], one.values[0], rtol=0, atol=1e-12)
        assert both.strides == (4, 32)
        with pytest.raises(InputError, match="'stride' has 1 entries but 'window_sizes' has 2"):
            inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [8, 64], stride=[4])

    def test_windows_below_the_stride_keep_plain_tiles(self, tiny_model):
        result = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [4, 64], stride=32)
        close(result.values[0], algorithm_1(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], 4))
        assert result.strides == (4, 32)

    @pytest.mark.parametrize(("window", "stride"), [(16, None), (40, 10), (1, None)])
    def test_masked_pixels(self, tiny_model, window, stride):
        valid = np.random.default_rng(0).random(N) > 0.3
        valid[100:180] = False
        result = inverse_multiscale_occlusion(
            tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], [window], stride=stride, valid=valid
        )
        expected = algorithm_1(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], window, stride=stride, valid=valid)
        close(result.values[0], expected)

    def test_mean_variance_and_combination(self, tiny_model):
        windows = (12, 40, 100)
        result = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL, windows)
        values = np.stack([algorithm_1(tiny_model, FLUX, COVERED_REDSHIFT, POOL, w) for w in windows])
        mean, variance = values.mean(axis=1), values.var(axis=1)
        close(result.mean, mean)
        close(result.variance, variance)
        close(result.combined, (mean / variance).sum(0) / (1 / variance).sum(0))
        by_deviation = inverse_multiscale_occlusion(
            tiny_model, FLUX, COVERED_REDSHIFT, POOL, windows, weights="inverse_standard_deviation"
        )
        close(by_deviation.combined, (mean / np.sqrt(variance)).sum(0) / (1 / np.sqrt(variance)).sum(0))


def test_captum_with_the_roles_swapped(tiny_model):
    """Occluding R_j with x from outside: Captum gives p_j - log p, which is the attribution times its pixels."""
    from captum.attr import Occlusion

    windows = (1, 4, 7, 16, 64, 256, 300)
    assert [N % w for w in windows].count(0) == 3  # both with and without a short last chunk
    result = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL, windows)
    aligned = tiny_model.reconstruct(POOL, np.full(len(POOL), COVERED_REDSHIFT))
    captum = Occlusion(lambda flux: tiny_model.flow(tiny_model.encoder(flux)))
    for k, window in enumerate(windows):
        lengths = np.minimum(window, N - np.arange(N) // window * window)
        theirs = captum.attribute(
            torch.from_numpy(aligned),
            sliding_window_shapes=(window,),
            strides=(window,),
            baselines=torch.from_numpy(FLUX)[None],
            perturbations_per_eval=32,
        )
        close(result.values[k] * lengths, theirs.numpy(), 1e-6)  # Captum sums in float32


class TestProperties:
    def test_a_spectrum_equal_to_its_baselines_gets_zero(self, tiny_model):
        once = tiny_model.encode(POOL[:1])
        pool = BaselinePool(np.repeat(once, 2, axis=0), np.zeros(2), np.zeros(2), tiny_model.fingerprint)
        flux = tiny_model.decode(once, [COVERED_REDSHIFT])[0]
        result = inverse_multiscale_occlusion(tiny_model, flux, COVERED_REDSHIFT, pool, (1, 16, 64))
        assert np.abs(result.values).max() < 1e-12
        assert np.abs(result.combined).max() < 1e-12

    @few
    @given(order=st.permutations(range(4)))
    def test_permuting_baselines_permutes_values_only(self, tiny_model, order):
        order = list(order)
        ours = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL, (16, 64))
        theirs = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[order], (16, 64))
        close(theirs.values, ours.values[:, order])
        assert np.allclose(theirs.baselines, ours.baselines[order])
        assert theirs.baseline_log_prob == pytest.approx(ours.baseline_log_prob[order])
        for name in ("mean", "variance", "combined", "combined_scatter"):
            close(getattr(theirs, name), getattr(ours, name), 1e-7)

    @few
    @given(bad=st.sets(st.integers(0, N - 1), min_size=1, max_size=5), as_nan=st.booleans())
    def test_a_masked_pixel_is_nan_and_touches_only_its_own_chunks(self, tiny_model, bad, as_nan):
        windows = (4, 16, 50)
        bad = sorted(bad)
        flux, valid = FLUX.copy(), None
        if as_nan:
            flux[bad] = np.nan
        else:
            valid = np.ones(N, bool)
            valid[bad] = False
        result = inverse_multiscale_occlusion(tiny_model, flux, COVERED_REDSHIFT, POOL[:2], windows, valid=valid)
        whole = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], windows)
        others = np.ones(N, bool)
        others[bad] = False
        assert np.array_equal(result.valid, others)
        for name in ("values", "mean", "variance", "combined", "combined_scatter"):
            array = getattr(result, name)
            assert np.isnan(array[..., ~others]).all(), name
            assert np.isfinite(array[..., others]).all(), name
        for k, window in enumerate(windows):
            touched = np.isin(np.arange(N) // window, np.array(bad) // window)
            close(result.values[k][:, ~touched], whole.values[k][:, ~touched])

    def test_a_nan_and_a_mask_are_the_same(self, tiny_model):
        flux, valid = FLUX.copy(), np.ones(N, bool)
        flux[[3, 200]] = np.nan, np.inf
        valid[[3, 200]] = False
        by_nan = inverse_multiscale_occlusion(tiny_model, flux, COVERED_REDSHIFT, POOL[:2], (16,))
        by_mask = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], (16,), valid=valid)
        assert np.array_equal(by_nan.values, by_mask.values, equal_nan=True)

    def test_pixels_out_of_the_decoders_range_are_nan_and_never_transplanted(self, tiny_model):
        covered = tiny_model.covered(UNCOVERED_REDSHIFT)
        assert 0 < covered.sum() < N
        assert np.array_equal(
            covered, (WAVELENGTH > 3000 * (1 + UNCOVERED_REDSHIFT)) & (WAVELENGTH < 4600 * (1 + UNCOVERED_REDSHIFT))
        )
        ours = inverse_multiscale_occlusion(tiny_model, FLUX, UNCOVERED_REDSHIFT, POOL[:2], (1, 64, 300))
        assert np.isnan(ours.values[:, :, ~covered]).all()
        assert np.isfinite(ours.values[:, :, covered]).all()
        assert (ours.baselines[:, ~covered] == 0).all()
        other = np.where(covered, FLUX, 1e6)
        theirs = inverse_multiscale_occlusion(tiny_model, other, UNCOVERED_REDSHIFT, POOL[:2], (1, 64, 300))
        assert np.array_equal(ours.values, theirs.values, equal_nan=True)
        assert np.isnan(ours.combined[~covered]).all()
        assert np.isfinite(ours.combined[covered]).all()

    def test_a_pool_of_latents_is_the_same_as_its_spectra(self, tiny_model):
        pool = BaselinePool.from_spectra(tiny_model, POOL, np.full(4, 0.2))
        by_pool = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, pool, (64,))
        by_spectra = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL, (64,))
        assert np.array_equal(by_pool.values, by_spectra.values)

    def test_nothing_that_was_handed_in_is_changed(self, tiny_model):
        flux, pool, valid = FLUX.copy(), POOL.copy(), np.ones(N, bool)
        flux[4] = np.nan
        before = flux.copy(), pool.copy(), valid.copy()
        inverse_multiscale_occlusion(tiny_model, flux, COVERED_REDSHIFT, pool, (64,), valid=valid)
        for array, old in zip((flux, pool, valid), before, strict=True):
            assert np.array_equal(array, old, equal_nan=True)

    def test_provenance(self, tiny_model):
        result = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL, (16, 64))
        assert result.provenance["model"] == "tiny"
        assert result.provenance["model_fingerprint"] == tiny_model.fingerprint
        assert result.provenance["evaluations"] == 4 * (19 + 5)


class TestCallbacks:
    def test_coarse_windows_come_first_and_each_before_the_next_begins(self, tiny_model):
        events = []
        result = inverse_multiscale_occlusion(
            tiny_model,
            FLUX,
            COVERED_REDSHIFT,
            POOL[:2],
            (16, 64, 4),
            memory_budget=10 * 2**20,
            on_baselines=lambda aligned, valid: events.append(("baselines", aligned.shape, int(valid.sum()))),
            on_progress=lambda done, total: events.append(("progress", done, total)),
            on_window=lambda window: events.append(("window", window)),
        )
        total = 2 * (19 + 5 + 75)
        assert events[0] == ("baselines", (2, N), N)
        windows = [event[1] for event in events if event[0] == "window"]
        assert [w.window_size for w in windows] == [64, 16, 4]
        assert [w.index for w in windows] == [1, 0, 2]
        for window in windows:
            assert np.array_equal(window.values, result.values[window.index])
        done_before, progress = 0, []
        for event in events[1:]:
            if event[0] == "window":
                done_before += 2 * int(np.ceil(N / event[1].window_size))
                assert progress[-1] == done_before  # all of its evaluations, and none of the next one's
            else:
                assert event[2] == total
                progress.append(event[1])
        assert progress == sorted(set(progress))
        assert progress[-1] == total
        assert events[-1][0] == "window"

    def test_progress_counts_only_chunks_with_a_valid_pixel(self, tiny_model):
        valid = np.zeros(N, bool)
        valid[10:20] = True
        seen = []
        inverse_multiscale_occlusion(
            tiny_model,
            FLUX,
            COVERED_REDSHIFT,
            POOL[:2],
            (1, 16),
            valid=valid,
            on_progress=lambda done, total: seen.append((done, total)),
        )
        assert seen[-1] == (2 * (10 + 2), 2 * (10 + 2))

    @pytest.mark.parametrize("after", [1, 3, 8])
    def test_stops_within_one_batch_of_the_request(self, fresh_model, monkeypatch, after):
        forward = fresh_model.quick_encoder
        calls, stop_at, progress = [], [], []

        def counted(flux):
            calls.append(len(flux))
            return forward(flux)

        def on_progress(done, total):
            progress.append(done)
            if len(progress) == after:
                stop_at.append(len(calls))

        monkeypatch.setattr(fresh_model, "quick_encoder", counted)
        with pytest.raises(Cancelled, match="stopped"):
            inverse_multiscale_occlusion(
                fresh_model,
                FLUX,
                COVERED_REDSHIFT,
                POOL[:2],
                (1, 64),
                evaluator="full_passes",
                memory_budget=5 * fresh_model.encoder.bytes_per_spectrum(N, 8),
                on_progress=on_progress,
                should_stop=lambda: bool(stop_at),
            )
        assert max(calls) <= 5
        assert len(calls) - stop_at[0] == 0

    def test_stops_before_it_starts(self, fresh_model, monkeypatch):
        monkeypatch.setattr(fresh_model, "quick_encoder", pytest.fail)
        with pytest.raises(Cancelled):
            inverse_multiscale_occlusion(fresh_model, FLUX, COVERED_REDSHIFT, POOL[:2], (64,), should_stop=lambda: True)

    def test_an_error_in_a_callback_is_the_callers(self, tiny_model):
        def on_window(window):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], (64,), on_window=on_window)


class TestMemory:
    @pytest.mark.parametrize("spectra", [1, 3, 1000])
    def test_the_budget_changes_nothing(self, tiny_model, spectra):
        budget = spectra * tiny_model.encoder.bytes_per_spectrum(N, 8)
        assert tiny_model.batch_size(budget) == spectra
        ours = inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], (16, 64))
        theirs = inverse_multiscale_occlusion(
            tiny_model, FLUX, COVERED_REDSHIFT, POOL[:2], (16, 64), memory_budget=budget
        )
        close(theirs.values, ours.values)

    @pytest.mark.parametrize("fits", [1, 2, 5])
    def test_survives_batches_that_do_not_fit(self, fresh_model, monkeypatch, fits):
        expected = inverse_multiscale_occlusion(
            fresh_model, FLUX, COVERED_REDSHIFT, POOL, (16, 64), evaluator="full_passes"
        )
        forward = fresh_model.quick_encoder
        refused = []

        def small_device(flux):
            if len(flux) > fits:
                refused.append(len(flux))
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return forward(flux)

        monkeypatch.setattr(fresh_model, "quick_encoder", small_device)
        progress = []
        result = inverse_multiscale_occlusion(
            fresh_model,
            FLUX,
            COVERED_REDSHIFT,
            POOL,
            (16, 64),
            evaluator="full_passes",
            on_progress=lambda done, total: progress.append((done, total)),
        )
        assert refused
        close(result.values, expected.values)
        assert progress[-1] == (96, 96)
        assert [done for done, _ in progress] == sorted({done for done, _ in progress})

    def test_no_memory_for_a_single_spectrum(self, fresh_model, monkeypatch):
        def no_memory(flux):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(fresh_model, "quick_encoder", no_memory)
        with pytest.raises(OutOfMemory, match="single spectrum"):
            inverse_multiscale_occlusion(fresh_model, FLUX, COVERED_REDSHIFT, POOL, (16,), evaluator="full_passes")

    def test_other_errors_pass_through(self, fresh_model, monkeypatch):
        def broken(flux):
            raise RuntimeError("weights of the wrong kind")

        monkeypatch.setattr(fresh_model, "quick_encoder", broken)
        with pytest.raises(RuntimeError, match="wrong kind"):
            inverse_multiscale_occlusion(fresh_model, FLUX, COVERED_REDSHIFT, POOL, (16,), evaluator="full_passes")


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"flux": FLUX[:-1]}, r"'flux' has shape \(299,\), expected \(300,\)"),
            ({"flux": FLUX[None]}, r"'flux' has shape \(1, 300\)"),
            ({"flux": np.full(N, np.nan)}, "'flux' has no valid pixel"),
            ({"flux": FLUX + 1j}, "'flux' has type complex128"),
            ({"redshift": np.nan}, "'redshift' is nan"),
            ({"redshift": -1.0}, "'redshift' is -1"),
            ({"redshift": 12.3}, r"redshift 12.3 \(rest frame 3000-4600"),
            ({"baselines": POOL[:1]}, "'baselines' has 1; at least 2 are needed"),
            ({"baselines": POOL[:0]}, "'baselines' has 0; at least 2 are needed"),
            ({"baselines": POOL[0]}, r"'baselines' has shape \(300,\), expected \(M, 300\)"),
            ({"baselines": POOL[:, 1:]}, r"'baselines' has shape \(4, 299\)"),
            ({"baselines": POOL * np.nan}, "'baselines' row 0 has values that are not finite"),
            ({"window_sizes": ()}, "'window_sizes'"),
            ({"window_sizes": (4, 4)}, "'window_sizes'"),
            ({"window_sizes": (0, 4)}, "'window_sizes'"),
            ({"window_sizes": (301,)}, "'window_sizes' has 301, but the spectrum has 300 pixels"),
            ({"offsets": (1,)}, "'offsets' has 1 entries but 'window_sizes' has 2"),
            ({"offsets": (1, -1)}, "offset"),
            ({"stride": 0}, "'stride' is 0"),
            ({"weights": "flat"}, "'weights' is 'flat'; expected one of inverse_variance"),
            ({"valid": np.ones(3, bool)}, r"'valid' has shape \(3,\)"),
            ({"valid": np.zeros(N, bool)}, "no valid pixel"),
            ({"memory_budget": 0}, "'memory_budget' is 0"),
        ],
    )
    def test_says_which_argument(self, tiny_model, changed, message):
        arguments = {"flux": FLUX, "redshift": COVERED_REDSHIFT, "baselines": POOL, "window_sizes": (16, 64)} | changed
        with pytest.raises(InputError, match=message):
            inverse_multiscale_occlusion(tiny_model, **arguments)

    def test_latents_of_another_model(self, tiny_model):
        pool = BaselinePool(np.zeros((3, 3), np.float32), np.zeros(3), np.zeros(3), "another")
        with pytest.raises(InputError, match="of another model"):
            inverse_multiscale_occlusion(tiny_model, FLUX, COVERED_REDSHIFT, pool, (16,))
