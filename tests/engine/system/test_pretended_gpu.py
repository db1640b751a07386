"""The engine with its model on a GPU: where tensors are, what waits for the GPU, and the same numbers as on the CPU.

The GPU is pretended (``pretended_gpu.py``), so that this says nothing about a GPU's speed and rounding.
"""

import numpy as np
import pytest
import torch
from helpers.evaluators import chunks_of, replacement_of, varied_model
from helpers.methods import APPLICABLE, POOL, QUICK, run
from helpers.networks import COVERED_REDSHIFT
from helpers.pretended_gpu import OnGpu, pretended_gpu
from helpers.training import TINY

from imo_engine import BaselinePool, OutlierModel, inverse_multiscale_occlusion
from imo_engine.attribution.evaluators import EVALUATORS
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.probe import probe_range
from imo_engine.ranking.reference import ordinary_log_prob
from imo_engine.repair.fill import held_out
from imo_engine.repair.regions import repair
from imo_engine.simulation.galaxies import analytic_galaxies
from imo_engine.system.embedded import EMBEDDED_MODEL, embedded_file
from imo_engine.training.assembly import assemble
from imo_engine.training.sources import Split, TrainingSource
from imo_engine.training.trainer import train_autoencoder


@pytest.fixture
def gpu(monkeypatch):
    with pretended_gpu(monkeypatch) as waits:
        yield waits


@pytest.fixture(params=["instance", "none"])
def model(request):
    return varied_model(request.param, negative=request.param == "none", positions=request.param == "none")


class TestPretence:
    def test_tensors_of_two_devices_do_not_meet(self, gpu):
        here, there = torch.ones(3), torch.ones(3, device="cuda")
        assert (there * 2 + there.sum()).device.type == there.new_zeros(2).device.type == "cuda"
        assert (here + 1).device.type == "cpu" and not isinstance(here + 1, OnGpu)
        for mixed in (lambda: here + there, lambda: torch.cat([there, here]), lambda: here[there.long()]):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()
        with pytest.raises(TypeError, match="cuda:0"):
            there.numpy()
        assert not gpu

    def test_what_waits_is_counted(self, gpu):
        there = torch.arange(4.0, device="cuda")
        _ = there.sum(), there[1:], there[there.long()], there > 2, torch.where(there > 2, there, 0.0)
        there.masked_fill_(there > 2, 1.0)
        assert not gpu
        for waits in (
            lambda: float(there[0]),
            lambda: there.cpu(),
            lambda: there.to("cpu"),
            lambda: there[there > 2],
            lambda: torch.nonzero(there),
            lambda: torch.unique(there),
            lambda: there.tolist(),
            lambda: bool(there[0] > 1),
            lambda: torch.repeat_interleave(there, there.long()),
        ):
            before = gpu.total()
            waits()
            assert gpu.total() == before + 1


class TestEvaluators:
    @pytest.mark.parametrize("name", EVALUATORS)
    @pytest.mark.parametrize("window", [1, 16, 64])
    def test_values_are_those_of_the_cpu(self, model, gpu, name, window):
        chunks = chunks_of(window, 2)
        here = choose_evaluator(name, replacement_of(model)).log_prob(chunks)
        assert not gpu
        there = choose_evaluator(name, replacement_of(model.on("cuda"))).log_prob(chunks)
        assert there == pytest.approx(here, abs=1e-9)
        assert gpu

    @pytest.mark.parametrize("name", ["exact", "frozen_statistics", "full_passes"])
    def test_nothing_waits_between_batches(self, gpu, name):
        """A window size waits for its result, and to know whether whole spectra are needed for some chunks."""
        few, many = (waits_of(gpu, name, "none", budget) for budget in (None, 2**16))
        assert many[0] >= 4 * few[0]
        assert few[1] == many[1] == (1 if name == "full_passes" else 2)

    def test_exact_passes_with_normalisation_wait_twice_a_batch(self, gpu):
        """For how many cells change sign, and how many rows these touch."""
        few, many = (waits_of(gpu, "exact", "instance", budget) for budget in (None, 2**19))
        assert many[0] >= 4 * few[0]
        assert few[1] <= 2 * few[0] + 7 and many[1] <= 2 * many[0] + 7


def waits_of(gpu, name, normalisation, memory_budget):
    """Return how many batches chunks of one pixel make, and how often they wait."""
    replacement = replacement_of(varied_model(normalisation).on("cuda"))
    evaluator = choose_evaluator(name, replacement, memory_budget=memory_budget)
    evaluator.log_prob(chunks_of(1, 2))  # prepares
    gpu.clear()
    batches = []
    evaluator.log_prob(chunks_of(1, 2), on_batch=batches.append)
    return len(batches), gpu.total()


def test_scores_and_reconstructions(model, gpu):
    there = model.on("cuda")
    assert there.log_prob(POOL) == pytest.approx(model.log_prob(POOL), abs=1e-9)
    redshift = [COVERED_REDSHIFT] * len(POOL)
    assert there.reconstruct(POOL, redshift) == pytest.approx(model.reconstruct(POOL, redshift), abs=1e-6)


@pytest.mark.parametrize("name", APPLICABLE)
def test_methods(model, gpu, name):
    here, there = (run(name, one, **QUICK.get(name, {})) for one in (model, model.on("cuda")))
    assert there.values == pytest.approx(here.values, rel=1e-6, abs=1e-9)


def test_an_outlier_of_the_embedded_model(gpu):
    """Attribution, probe and repair, as the page asks for them."""
    model = OutlierModel.load(embedded_file(EMBEDDED_MODEL), device="cpu")
    pool = BaselinePool.load(embedded_file("baselines.safetensors"), model)
    target = ordinary_log_prob(model, pool)
    drawn = pool.draw(2, seed=0)
    others = held_out(pool, drawn, target)
    flux = model.decode(others.latents[[0]], np.array([0.2]))[0]
    flux[4000:4003] += 12.0
    found = []
    for one in (model, model.on("cuda")):
        attribution = inverse_multiscale_occlusion(one, flux, 0.2, drawn, (16, 64))
        probed = probe_range(one, flux, 0.2, drawn, 6780, 6820)
        repaired = repair(one, flux, 0.2, others, attribution, target_log_prob=target)
        found.append((attribution, probed, repaired))
    (here, probed_here, repaired_here), (there, probed_there, repaired_there) = found
    assert (here.provenance["device"][:3], there.provenance["device"]) == ("CPU", "Pretended GPU")
    largest = np.nanmax(np.abs(here.values))
    assert there.values == pytest.approx(here.values, abs=1e-4 * largest, nan_ok=True)
    assert probed_there.spoiled == pytest.approx(probed_here.spoiled, abs=1e-3)
    assert probed_there.repaired == pytest.approx(probed_here.repaired, abs=1e-3)
    assert repaired_there.reached and repaired_there.regions[0].pixels == repaired_here.regions[0].pixels


def test_training(tmp_path, gpu):
    library = analytic_galaxies(90, rng=np.random.default_rng(0))
    rows = np.arange(90)
    source = TrainingSource(library, None, Split(rows[:40], rows[40:70], rows[70:]), "90 galaxies")
    trained = train_autoencoder(source, TINY, tmp_path / "checkpoint.safetensors", device="cuda")
    assert next(trained.encoder.parameters()).device.type == "cuda"
    result = assemble(trained.encoder, trained.decoder, source, seed=1, draws=2, epochs=2, device="cuda")
    assert result.model.device.type == "cuda"
