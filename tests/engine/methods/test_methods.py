"""Every attribution method against Captum or its formula, in one form for all."""

import dataclasses
import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from captum import attr
from helpers.methods import APPLICABLE, FLUX, IVAR, POOL, QUICK, N, run
from helpers.networks import COVERED_REDSHIFT, UNCOVERED_REDSHIFT, WAVELENGTH, tiny_model, tiny_parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from imo_engine import BaselinePool, OutlierModel, inverse_multiscale_occlusion, read_spectra
from imo_engine.errors import Cancelled, InputError, OutOfMemory
from imo_engine.methods import METHODS, MethodAttribution, NotApplicable, find_method, from_inverse_occlusion
from imo_engine.methods.lime import ridge, similarity
from imo_engine.methods.problem import Problem, pose
from imo_engine.model.autoencoder import SpectrumEncoder
from imo_engine.system.embedded import EMBEDDED_MODEL, embedded_file

few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session", params=["instance", "none"])
def model(request):
    """A tiny model in float64 whose encoder normalises, or does not."""
    if request.param == "instance":
        return tiny_model()
    encoder, decoder, flow = tiny_parts()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        encoder = SpectrumEncoder(dataclasses.replace(encoder.config, normalisation="none"))
        with torch.no_grad():
            encoder.mlp[0].weight.mul_(30)  # so that log p differs between spectra
    return OutlierModel(encoder, decoder, flow, WAVELENGTH, device="cpu", dtype=torch.float64)


def anomaly(model):
    return lambda flux: -model.flow(model.encoder(flux))


def aligned(model):
    return model.reconstruct(POOL, np.full(len(POOL), COVERED_REDSHIFT))


def tensor(array):
    return torch.tensor(np.atleast_2d(array))


def references(model, baseline):
    return {"zero": np.zeros((1, N)), "mean": aligned(model).mean(0, keepdims=True), "ensemble": aligned(model)}[
        baseline
    ]


def close(ours, theirs, tolerance=1e-9):
    """Equal to ``tolerance`` of the largest value, NaN in the same places."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs)) <= tolerance * np.nanmax(np.abs(theirs))


class TestGradients:
    def test_gradient_times_input_by_hand(self, model):
        flux = tensor(FLUX).requires_grad_()
        anomaly(model)(flux).sum().backward()
        result = run("gradient_times_input", model, baselines=None)
        close(result.values, FLUX * flux.grad[0].numpy())
        assert (result.evaluations, result.gradients) == (1, 1)

    def test_the_gradient_is_that_of_differences(self, model):
        """Independent of autograd."""
        step = 1e-6
        values = run("gradient_times_input", model).values
        for pixel in (0, 57, 150, 299):
            moved = np.stack([FLUX, FLUX])
            moved[:, pixel] += [step, -step]
            up, down = -model.log_prob(moved)
            assert values[pixel] == pytest.approx(FLUX[pixel] * (up - down) / (2 * step), rel=1e-3, abs=1e-6)

    @pytest.mark.parametrize("samples", [1, 7, 70])
    def test_smooth_grad_is_captums_noise_tunnel(self, model, samples):
        result = run("smooth_grad", model, samples=samples, noise=0.3, seed=4)
        noise = 0.3 * np.random.default_rng(4).standard_normal((samples, N))

        class Tunnel(attr.NoiseTunnel):  # with our noise in place of the global generator's
            @staticmethod
            def _add_noise_to_input(flux, deviation, count):
                assert (deviation, count) == (0.3, samples)
                return flux.repeat_interleave(count, dim=0) + tensor(noise)

        theirs = Tunnel(attr.InputXGradient(anomaly(model))).attribute(tensor(FLUX), nt_samples=samples, stdevs=0.3)
        close(result.values, theirs[0].detach().numpy())
        assert result.gradients == samples

    @pytest.mark.parametrize("baseline", ["zero", "mean", "ensemble"])
    @pytest.mark.parametrize("steps", [3, 70])
    def test_integrated_gradients_with_fixed_steps_are_captums(self, model, baseline, steps):
        result = run("integrated_gradients", model, baseline=baseline, steps=steps)
        stand_in = references(model, baseline)
        theirs = attr.IntegratedGradients(anomaly(model)).attribute(
            tensor(np.repeat(FLUX[None], len(stand_in), 0)), baselines=tensor(stand_in), n_steps=steps
        )
        close(result.values, theirs.detach().numpy().mean(0), 1e-6)  # Captum's step sizes are float32
        if baseline == "ensemble":
            close(result.per_baseline, theirs.detach().numpy(), 1e-6)
        else:
            assert result.per_baseline is None
        assert result.gradients == steps * len(stand_in)

    @pytest.mark.parametrize("baseline", ["zero", "mean", "ensemble"])
    def test_default_integrated_gradients_are_complete_and_the_integral(self, model, baseline):
        result = run("integrated_gradients", model, baseline=baseline)
        stand_in = references(model, baseline)
        change = (-model.log_prob(FLUX[None]) + model.log_prob(stand_in)).mean()
        assert result.values.sum() == pytest.approx(change, rel=0.0101)
        assert result.completeness_gap == pytest.approx(result.values.sum() / change - 1, abs=1e-9)
        assert abs(result.completeness_gap) <= 0.01
        assert result.caveat == ""

    def test_default_integrated_gradients_are_the_integral(self, model):
        exact = attr.IntegratedGradients(anomaly(model)).attribute(
            tensor(FLUX), baselines=tensor(references(model, "mean")), n_steps=400
        )
        values = run("integrated_gradients", model).values
        assert np.abs(values - exact[0].detach().numpy()).sum() < 0.05 * np.abs(values).sum()

    def test_a_smaller_tolerance_takes_more_steps_and_comes_closer(self, model):
        coarse = run("integrated_gradients", model, tolerance=0.3)
        fine = run("integrated_gradients", model, tolerance=1e-4, max_steps=4000)
        assert coarse.gradients < fine.gradients <= 4000
        assert abs(fine.completeness_gap) <= 1e-4

    def test_steps_that_run_out_are_said(self, model):
        result = run("integrated_gradients", model, tolerance=1e-9, max_steps=40)
        assert result.gradients <= 40
        assert result.caveat == "1 of 1 paths miss the tolerance of 0.0%"

    def test_expected_gradients_by_hand(self, model):
        result = run("expected_gradients", model, samples=6, seed=2)
        rng = np.random.default_rng(2)
        expected = []
        for baseline in aligned(model):
            share = (np.arange(6) + rng.uniform(size=6)) / 6
            points = tensor(baseline + share[:, None] * (FLUX - baseline)).requires_grad_()
            anomaly(model)(points).sum().backward()
            expected.append((points.grad.numpy() * (FLUX - baseline)).mean(0))
        close(result.per_baseline, np.stack(expected))
        close(result.values, np.mean(expected, axis=0))

    def test_expected_gradients_are_complete_in_expectation(self, model):
        change = (-model.log_prob(FLUX[None]) + model.log_prob(aligned(model))).mean()
        sums = np.array([run("expected_gradients", model, samples=4, seed=seed).values.sum() for seed in range(30)])
        error = sums.std(ddof=1) / np.sqrt(len(sums))
        assert 0 < error < 0.25 * abs(change)
        assert abs(sums.mean() - change) < 4 * error

    def test_expected_gradients_approach_integrated_gradients(self, model):
        exact = run("integrated_gradients", model, baseline="ensemble").values
        sampled = run("expected_gradients", model, samples=500).values
        assert np.abs(sampled - exact).sum() < 0.05 * np.abs(exact).sum()

    @pytest.mark.parametrize("noise", [0.0, 0.2])
    def test_gradient_shap_is_captums(self, model, noise, monkeypatch):
        """Captum's own, handed our draws where it asks the global generators."""
        samples = 30
        result = run("gradient_shap", model, samples=samples, noise=noise, seed=9)
        rng = np.random.default_rng(9)
        chosen, share = rng.integers(len(POOL), size=samples), rng.uniform(size=samples)
        draws = noise * rng.standard_normal((samples, N))
        monkeypatch.setattr(np.random, "choice", lambda _count, _size: chosen)
        monkeypatch.setattr(np.random, "uniform", lambda _low, _high, size: share)
        monkeypatch.setattr(torch, "normal", lambda _mean, deviation: tensor(draws))
        theirs = attr.GradientShap(anomaly(model)).attribute(
            tensor(FLUX), baselines=tensor(aligned(model)), n_samples=samples, stdevs=noise
        )
        close(result.values, theirs[0].detach().numpy(), 1e-6)  # Captum's places on the path are float32
        assert result.gradients == samples


class TestDeepLift:
    @pytest.mark.parametrize("baseline", ["zero", "mean"])
    def test_does_not_apply_to_this_architecture(self, model, baseline):
        with pytest.raises(NotApplicable, match="DeepLIFT does not apply.*PReLU.*products") as caught:
            run("deep_lift", model, baseline=baseline, largest_gap=0.01)
        assert ("InstanceNorm1d" in str(caught.value)) == (model.encoder.config.normalisation == "instance")

    def test_the_gap_it_reports_is_captums(self, model):
        stand_in = references(model, "mean")

        class Both(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder, self.flow = model.encoder, model.flow

            def forward(self, flux):
                return -self.flow(self.encoder(flux))

        with pytest.warns(UserWarning, match="hooks"):
            _, delta = attr.DeepLift(Both()).attribute(
                tensor(FLUX).requires_grad_(), baselines=tensor(stand_in), return_convergence_delta=True
            )
        gap = abs(float(delta) / float(-model.log_prob(FLUX[None])[0] + model.log_prob(stand_in)[0]))
        with pytest.raises(NotApplicable, match=f"by {gap:.0%} "):
            run("deep_lift", model, largest_gap=0.01 * gap)
        result = run("deep_lift", model, largest_gap=1.01 * gap)
        assert abs(result.completeness_gap) == pytest.approx(gap)

    def test_applies_where_the_rescale_rule_holds(self, fresh_model, monkeypatch):
        """A network of linear layers and ReLUs is complete; the values are Captum's and add up."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            hidden, last = nn.Linear(N, 5), nn.Linear(5, 1)
        plain = nn.Sequential(hidden, nn.ReLU(), last, nn.Flatten(0)).double().requires_grad_(False)
        plain.bytes_per_spectrum = fresh_model.encoder.bytes_per_spectrum
        baselines = torch.from_numpy(aligned(fresh_model))
        monkeypatch.setattr(Problem, "aligned", baselines.numpy())
        fresh_model.encoder, fresh_model.flow = plain, nn.Sequential()
        result = run("deep_lift", fresh_model, baseline="ensemble")
        with pytest.warns(UserWarning, match="hooks"):
            theirs = attr.DeepLift(plain).attribute(tensor(FLUX).repeat(4, 1).requires_grad_(), baselines=baselines)
        close(result.per_baseline, -theirs.detach().numpy())
        assert abs(result.completeness_gap) < 1e-9
        assert result.gradients == 4

    def test_leaves_no_hooks_on_the_model(self, model):
        run("deep_lift", model, largest_gap=1e9)
        assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.encoder.modules())


class TestReplacement:
    @pytest.mark.parametrize("baseline", ["zero", "mean", "ensemble"])
    def test_feature_ablation_is_captums(self, model, baseline):
        result = run("feature_ablation", model, baseline=baseline)
        stand_in = references(model, baseline)
        theirs = attr.FeatureAblation(anomaly(model)).attribute(
            tensor(np.repeat(FLUX[None], len(stand_in), 0)), baselines=tensor(stand_in), perturbations_per_eval=50
        )
        close(result.values, theirs.numpy().mean(0), 1e-6)
        assert result.evaluations == N * len(stand_in) + 1 + (0 if baseline == "zero" else len(POOL))
        assert result.gradients == 0

    @pytest.mark.parametrize("baseline", ["zero", "mean", "ensemble"])
    @pytest.mark.parametrize(("window", "stride"), [(16, None), (64, None), (64, 20), (5, 1), (300, None)])
    def test_occlusion_is_captums(self, model, baseline, window, stride):
        result = run("occlusion", model, baseline=baseline, window=window, stride=stride)
        stand_in = references(model, baseline)
        theirs = attr.Occlusion(anomaly(model)).attribute(
            tensor(np.repeat(FLUX[None], len(stand_in), 0)),
            sliding_window_shapes=(window,),
            strides=(stride or window,),
            baselines=tensor(stand_in),
            perturbations_per_eval=50,
        )
        close(result.values, theirs.numpy().mean(0), 1e-5)  # Captum counts and sums in float32

    def test_the_sign(self, model):
        """Replacing everything by a baseline gains log p of the baseline less that of the spectrum."""
        result = run("occlusion", model, window=N, baseline="mean")
        gain = model.log_prob(references(model, "mean"))[0] - model.log_prob(FLUX[None])[0]
        assert result.values == pytest.approx(np.full(N, gain))


class TestLime:
    def test_is_captums_with_the_same_neighbours_kernel_and_regression(self, model):
        samples, segments, width = 60, 10, 0.4
        result = run("lime", model, samples=samples, segments=segments, kernel_width=width, replacement="mean", seed=6)
        kept = np.random.default_rng(6).integers(0, 2, size=(samples, segments))
        kept[0] = 1

        class Ridge:
            def fit(self, loader):
                table, target, weight = (torch.cat(column).numpy() for column in zip(*loader, strict=True))
                table, target, weight = table.astype(float), target.astype(float).ravel(), weight.astype(float).ravel()
                # normal equations with an unpenalised intercept, independent of the code under test
                design = np.column_stack([table, np.ones(len(table))])
                matrix = design.T @ (weight[:, None] * design) + np.diag([1.0] * segments + [0.0])
                self.answer = np.linalg.solve(matrix, design.T @ (weight * target))[:-1]

            def representation(self):
                return torch.tensor(self.answer)

        def kernel(_spectrum, _neighbour, row, **_):
            row = row.numpy().ravel().astype(float)
            distance = 1 - row.sum() / np.sqrt(row @ row) / np.sqrt(segments) if row.any() else 1.0
            return float(np.sqrt(np.exp(-(distance**2) / width**2)))

        def neighbours(*_, **__):
            yield from (torch.tensor(row)[None] for row in kept)

        theirs = attr.Lime(anomaly(model), Ridge(), kernel, neighbours).attribute(
            tensor(FLUX),
            baselines=tensor(references(model, "mean")),
            feature_mask=torch.arange(N)[None] * segments // N,
            n_samples=samples,
            perturbations_per_eval=7,
        )
        close(result.values, theirs[0].numpy(), 1e-4)  # Captum keeps targets and weights in float32
        assert result.evaluations == samples + len(POOL)

    def test_scaled_flux_by_hand(self, model):
        result = run("lime", model, baselines=None, samples=50, segments=4, scale=0.5, seed=1)
        kept = np.random.default_rng(1).integers(0, 2, size=(50, 4)).astype(bool)
        kept[0] = True
        factor = np.where(np.repeat(kept, 75, axis=1), 1.0, 0.5)
        target = -model.log_prob(factor * FLUX)
        coefficients = ridge(kept.astype(float), target, similarity(kept, 0.25), 1.0)
        close(result.values, np.repeat(coefficients, 75))

    def test_recovers_a_linear_function(self):
        rng = np.random.default_rng(0)
        truth = rng.normal(size=6)
        table = rng.integers(0, 2, (200, 6)).astype(float)
        found = ridge(table, table @ truth + 3, rng.uniform(0.1, 1, 200), 1e-9)
        assert found == pytest.approx(truth, abs=1e-6)

    def test_segments_without_a_valid_pixel_are_left_out(self, model):
        valid = np.arange(N) >= 60
        result = run("lime", model, segments=10, samples=40, valid=valid, seed=1)
        assert np.isnan(result.values[:60]).all()
        assert len(set(result.values[60:])) == 8


class TestControls:
    def test_residual_over_noise(self, model):
        result = run("residual_over_noise", model, baselines=None, ivar=IVAR)
        expected = np.abs(FLUX - model.reconstruct(FLUX[None], [COVERED_REDSHIFT])[0]) * np.sqrt(IVAR)
        close(result.values, expected)
        assert result.unit == "sigma"

    def test_no_information_is_no_residual(self, model):
        ivar = IVAR.copy()
        ivar[10:20] = 0
        values = run("residual_over_noise", model, ivar=ivar).values
        assert (values[10:20] == 0).all()
        assert (values[20:] > 0).all()

    def test_without_noise_there_is_no_residual_over_it(self, model):
        with pytest.raises(NotApplicable, match="the noise of this spectrum is not known"):
            run("residual_over_noise", model, ivar=np.zeros(len(IVAR)))

    def test_mean_baseline_difference(self, model):
        close(run("mean_baseline_difference", model).values, np.abs(FLUX - aligned(model).mean(0)))

    def test_random(self, model):
        values = run("random", model, baselines=None, seed=3).values
        assert abs(values.mean()) < 0.3
        assert 0.8 < values.std() < 1.2


class TestInverse:
    def test_is_the_attribution(self, model):
        attribution = inverse_multiscale_occlusion(model, FLUX, COVERED_REDSHIFT, POOL, (16, 64))
        combined = run("imo", model, window_sizes=(16, 64))
        close(combined.values, attribution.combined)
        close(combined.per_baseline.std(axis=0), attribution.combined_scatter, 1e-8)
        close(run("imo_window", model, window=16).values, attribution.mean[0])
        assert combined.evaluations == attribution.provenance["evaluations"] + 2 * len(POOL)

    def test_from_one_that_is_there_already(self, model):
        attribution = inverse_multiscale_occlusion(model, FLUX, COVERED_REDSHIFT, POOL, (16, 64))
        combined, single = from_inverse_occlusion(attribution), from_inverse_occlusion(attribution, 64)
        close(combined.values, attribution.combined)
        close(single.values, attribution.mean[1])
        assert (combined.method, single.method) == ("imo", "imo_window")
        assert single.settings["window"] == 64
        with pytest.raises(InputError, match="'window' is 5; computed were 16, 64"):
            from_inverse_occlusion(attribution, 5)


@pytest.mark.parametrize("name", APPLICABLE)
class TestEveryMethod:
    def test_masked_pixels_are_nan_and_their_flux_is_left_alone(self, model, name):
        valid = np.random.default_rng(0).random(N) > 0.2
        valid[100:150] = False
        result = run(name, model, valid=valid, **QUICK.get(name, {}))
        assert np.isnan(result.values[~valid]).all()
        assert np.isfinite(result.values[valid]).all()
        assert np.array_equal(result.valid, valid)
        if result.per_baseline is not None:
            assert np.isnan(result.per_baseline[:, ~valid]).all()
            close(result.per_baseline.mean(0), result.values)

    def test_pixels_that_are_not_finite_or_not_covered_are_nan(self, model, name):
        flux = FLUX.copy()
        flux[200] = np.nan
        covered = model.covered(UNCOVERED_REDSHIFT)
        result = run(name, model, flux, redshift=UNCOVERED_REDSHIFT, **QUICK.get(name, {}))
        expected = covered & (np.arange(N) != 200)
        assert np.array_equal(np.isfinite(result.values), expected)

    def test_a_seed_gives_the_same_numbers_whatever_the_budget(self, model, name):
        one = run(name, model, seed=7, **QUICK.get(name, {}))
        budget = 2 * model.encoder.bytes_per_spectrum(N, 8)
        torch.manual_seed(123)
        np.random.seed(123)
        two = run(name, model, seed=7, memory_budget=budget, **QUICK.get(name, {}))
        close(two.values, one.values)
        assert two.evaluations == one.evaluations
        other = run(name, model, seed=8, **QUICK.get(name, {}))
        drawn = name in ("random", "smooth_grad", "expected_gradients", "gradient_shap", "lime")
        assert np.array_equal(other.values, one.values) != drawn

    def test_cost_is_counted_and_reported(self, model, name):
        rows, progress = [], []
        hook = model.encoder.mlp.register_forward_pre_hook(lambda _module, inputs: rows.append(len(inputs[0])))
        try:
            result = run(
                name, model, on_progress=lambda done, total: progress.append((done, total)), **QUICK.get(name, {})
            )
        finally:
            hook.remove()
        if METHODS[name].family not in (
            "inverse",
            "replacement",
        ):  # those need not send whole spectra through the encoder
            assert result.evaluations == sum(rows)
        assert 0 <= result.gradients <= result.evaluations
        assert result.seconds > 0
        assert all(done <= total for done, total in progress)
        if METHODS[name].family != "control":
            assert progress[-1] == (result.evaluations, result.evaluations)

    def test_memory_is_bounded(self, model, name, monkeypatch):
        largest = {"forward": 0, "backward": 0}
        forward = type(model.encoder).forward

        def watched(self, flux):
            kind = "backward" if flux.requires_grad else "forward"
            largest[kind] = max(largest[kind], len(flux))
            return forward(self, flux)

        monkeypatch.setattr(type(model.encoder), "forward", watched)
        run(name, model, memory_budget=7 * model.encoder.bytes_per_spectrum(N, 8), **QUICK.get(name, {}))
        assert largest["forward"] <= 7
        assert largest["backward"] <= 2

    def test_stops_when_asked(self, model, name):
        asked = []

        def should_stop():
            asked.append(True)
            return len(asked) > 2

        budget = model.encoder.bytes_per_spectrum(N, 8)
        if METHODS[name].family == "control" or name == "gradient_times_input":
            asked = [True, True]  # a single batch: it can only be stopped before
        with pytest.raises(Cancelled):
            run(name, model, memory_budget=budget, should_stop=should_stop, **QUICK.get(name, {}))
        assert len(asked) == 3

    def test_the_record(self, model, name):
        result = run(name, model, seed=5, **QUICK.get(name, {}))
        assert isinstance(result, MethodAttribution)
        assert result.method == name
        assert result.values.dtype == np.float64
        assert result.values.shape == (N,)
        given_settings = {key: "given" if key == "ivar" else value for key, value in QUICK.get(name, {}).items()}
        assert result.settings == METHODS[name].defaults | given_settings | {"seed": 5}
        assert result.relative_to
        assert result.provenance["model_fingerprint"] == model.fingerprint
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.method = "another"

    def test_a_pool_of_latents_is_the_same_as_its_spectra(self, model, name):
        pool = BaselinePool.from_spectra(model, POOL, np.full(len(POOL), 0.2))
        by_pool = run(name, model, baselines=pool, **QUICK.get(name, {}))
        close(run(name, model, **QUICK.get(name, {})).values, by_pool.values)

    def test_nothing_that_was_handed_in_is_changed(self, model, name):
        flux, pool, valid = FLUX.copy(), POOL.copy(), np.ones(N, bool)
        run(name, model, flux, pool, valid=valid, **QUICK.get(name, {}))
        assert np.array_equal(flux, FLUX)
        assert np.array_equal(pool, POOL)
        assert valid.all()
        assert not any(parameter.requires_grad for parameter in model.encoder.parameters())


@few
@given(pixel=st.integers(0, N - 1), size=st.floats(-3, 3))
def test_the_sum_of_integrated_gradients_is_the_change_of_anomaly_whatever_the_spectrum(tiny_model, pixel, size):
    flux = FLUX.copy()
    flux[max(0, pixel - 10) : pixel + 10] += size
    result = run("integrated_gradients", tiny_model, flux, tolerance=0.02, max_steps=4000)
    change = float(-tiny_model.log_prob(flux[None])[0] + tiny_model.log_prob(references(tiny_model, "mean"))[0])
    if not result.caveat:
        assert result.values.sum() == pytest.approx(change, rel=0.0201)
    else:
        assert result.gradients > 3900


def test_survives_batches_that_do_not_fit(fresh_model, monkeypatch):
    expected = run("integrated_gradients", fresh_model, steps=20)
    forward = fresh_model.encoder.forward

    def small_device(flux):
        if len(flux) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(flux)

    monkeypatch.setattr(fresh_model.encoder, "forward", small_device)
    close(run("integrated_gradients", fresh_model, steps=20).values, expected.values, 1e-7)
    monkeypatch.setattr(fresh_model.encoder, "forward", lambda flux: small_device(flux.repeat(4, 1)))
    with pytest.raises(OutOfMemory, match="single spectrum"):
        run("gradient_times_input", fresh_model)


def test_integrated_gradients_are_complete_on_the_embedded_model():
    """Within 1 % of the change of log p at the default number of steps, for outliers and ordinary spectra."""
    model = OutlierModel.load(embedded_file(EMBEDDED_MODEL), device="cpu")
    pool = BaselinePool.load(embedded_file("baselines.safetensors"), model).draw(4, seed=0)
    spectra = read_spectra(embedded_file("coadd-demo.fits.gz"))[:40]
    flux = model.prepare(spectra)
    order = np.argsort(model.log_prob(flux))
    for row in order[[0, 1, 20]]:
        result = METHODS["integrated_gradients"](
            model, flux[row], spectra.redshift[row], pool, valid=spectra.measured[row]
        )
        assert abs(result.completeness_gap) <= 0.01
        assert result.caveat == ""


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "changed", "message"),
        [
            ("occlusion", {"flux": FLUX[:-1]}, r"'flux' has shape \(299,\), expected \(300,\)"),
            ("occlusion", {"flux": np.full(N, np.nan)}, "'flux' has no valid pixel"),
            ("occlusion", {"flux": FLUX + 1j}, "'flux' has type complex128"),
            ("occlusion", {"redshift": np.nan}, "'redshift' is nan"),
            ("occlusion", {"valid": np.ones(3, bool)}, r"'valid' has shape \(3,\)"),
            ("occlusion", {"memory_budget": 0}, "'memory_budget' is 0"),
            ("occlusion", {"baselines": None}, "'baselines' is None"),
            ("imo", {"baselines": None}, "'baselines' is None"),
            ("occlusion", {"baselines": POOL[:0]}, "'baselines' has 0 spectra"),
            ("occlusion", {"baselines": POOL[:, 1:]}, r"'baselines' has shape \(4, 299\)"),
            ("occlusion", {"baseline": "median"}, "'baseline' is 'median'; expected one of zero, mean, ensemble"),
            ("occlusion", {"window": 0}, "'window' is 0; expected 1 to 300"),
            ("occlusion", {"window": 4, "stride": 5}, "'stride' is 5"),
            ("occlusion", {"width": 4}, "occlusion has no setting width; it has window, stride, baseline"),
            ("lime", {"segments": 1}, "'segments' is 1; expected 2 to 300"),
            ("lime", {"samples": 1}, "'samples' is 1"),
            ("lime", {"replacement": "noise"}, "'replacement' is 'noise'; expected one of scale, zero"),
            ("lime", {"kernel_width": 0}, "'kernel_width' is 0"),
            ("smooth_grad", {"samples": 0}, "'samples' is 0"),
            ("smooth_grad", {"noise": -1}, "'noise' is -1"),
            ("gradient_shap", {"noise": np.nan}, "'noise' is nan"),
            ("integrated_gradients", {"steps": 0}, "'steps' is 0"),
            ("integrated_gradients", {"tolerance": 0}, "'tolerance' is 0"),
            ("deep_lift", {"largest_gap": 0}, "'largest_gap' is 0"),
            ("residual_over_noise", {}, "'ivar' is missing"),
            ("residual_over_noise", {"ivar": IVAR[1:]}, r"'ivar' has shape \(299,\)"),
            ("residual_over_noise", {"ivar": -IVAR}, "'ivar' has valid pixels that are negative"),
        ],
    )
    def test_says_which_argument(self, tiny_model, name, changed, message):
        with pytest.raises(InputError, match=message):
            run(name, tiny_model, **changed)

    def test_latents_of_another_model(self, tiny_model):
        pool = BaselinePool(np.zeros((3, 3), np.float32), np.zeros(3), np.zeros(3), "another")
        with pytest.raises(InputError, match="of another model"):
            run("occlusion", tiny_model, baselines=pool)

    def test_no_such_method(self):
        assert find_method("lime") is METHODS["lime"]
        with pytest.raises(InputError, match="no attribution method 'shapley'; there are imo, imo_window"):
            find_method("shapley")


def test_captum_is_imported_only_when_used():
    code = "import sys, imo_engine.methods; print('captum' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_every_method_has_one_signature_and_a_description():
    common = [p for p in inspect.signature(pose).parameters]
    for method in METHODS.values():
        call = list(inspect.signature(type(method).__call__).parameters)
        assert call == ["self", *common, "settings"]
        assert method.description.endswith((".", ":"))
        assert method.label
        assert not set(method.defaults) & set(common)
