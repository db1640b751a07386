"""The flow is a density, its samples follow it, and its numbers are those of nflows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.published import read_flow

REFERENCE = json.loads((Path(__file__).parent / "reference" / "nflows_log_prob.json").read_text(encoding="utf-8"))


def random_flow(n_latent, seed=0, **config):
    generator = torch.Generator().manual_seed(seed)
    flow = MaskedAutoregressiveFlow(FlowConfig(n_latent=n_latent, **config), generator=generator).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        flow.shift.copy_(torch.randn(n_latent, generator=generator) * 0.3)
        flow.scale.fill_(4.0)
    return flow.requires_grad_(False)


@pytest.fixture(scope="module")
def flow():
    return random_flow(2, n_transforms=3, n_hidden=8)


@pytest.fixture(scope="module")
def grid(flow):
    """Points of a fine grid, p on them, and the area of a cell."""
    axis = torch.linspace(-10, 10, 1001, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    return points, torch.exp(flow(points)), float(axis[1] - axis[0]) ** 2


def test_integrates_to_one(grid):
    _, density, area = grid
    assert float(density.sum()) * area == pytest.approx(1, abs=1e-3)


def test_samples_have_the_density(flow, grid):
    points, density, area = grid
    weights = density * area
    mean = (weights[:, None] * points).sum(0)
    covariance = (weights[:, None] * (points - mean)).T @ (points - mean)
    n = 40_000
    samples = flow.sample(n, generator=torch.Generator().manual_seed(1))
    error = torch.sqrt(torch.diagonal(covariance) / n)
    assert ((samples.mean(0) - mean).abs() < 5 * error).all()
    scale = torch.sqrt(torch.outer(torch.diagonal(covariance), torch.diagonal(covariance)))
    assert ((torch.cov(samples.T) - covariance).abs() / scale < 0.05).all()
    inside = (points[:, 0] < float(mean[0])) & (points[:, 1] > float(mean[1]))
    share = float(weights[inside].sum())
    counted = ((samples[:, 0] < mean[0]) & (samples[:, 1] > mean[1])).double().mean()
    assert float(counted) == pytest.approx(share, abs=0.02)


def test_mean_log_p_of_samples_is_minus_the_entropy(flow, grid):
    _, density, area = grid
    entropy = -float((torch.xlogy(density, density)).sum()) * area
    samples = flow.sample(20_000, generator=torch.Generator().manual_seed(2))
    log_prob = flow(samples)
    assert torch.isfinite(log_prob).all()
    assert -float(log_prob.mean()) == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize("n_latent", [1, 2, 6])
def test_log_p_is_the_normals_times_the_jacobian(n_latent):
    flow = random_flow(n_latent, seed=n_latent)

    def to_normal(latents):
        x = latents * flow.scale + flow.shift
        for made, permutation in zip(flow.transforms, flow.permutations, strict=True):
            scale, shift = made(x[None])
            x = (x * scale[0] + shift[0])[permutation]
        return x

    for latents in torch.randn(4, n_latent, dtype=torch.float64, generator=torch.Generator().manual_seed(3)):
        jacobian = torch.autograd.functional.jacobian(to_normal, latents)
        base = torch.distributions.Normal(0, 1).log_prob(to_normal(latents)).sum()
        expected = base + torch.linalg.slogdet(jacobian).logabsdet
        assert float(flow(latents[None])[0]) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("n_latent", [1, 3, 6])
def test_samples_are_the_inverse_of_normal_numbers(n_latent):
    flow = random_flow(n_latent, seed=4)
    samples = flow.sample(50, generator=torch.Generator().manual_seed(9))
    normal = torch.randn(50, n_latent, generator=torch.Generator().manual_seed(9)).double()
    x = samples * flow.scale + flow.shift
    for made, permutation in zip(flow.transforms, flow.permutations, strict=True):
        scale, shift = made(x)
        x = (x * scale + shift)[:, permutation]
    assert torch.allclose(x, normal, atol=1e-9)
    assert torch.isfinite(flow(samples)).all()


def test_the_generator_decides():
    flow = random_flow(3)
    one, same, other = (flow.sample(5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_each_latent_is_scaled_by_those_before_it_only():
    made = random_flow(5).transforms[0]
    latents = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for part in (0, 1):
        jacobian = torch.autograd.functional.jacobian(lambda x, part=part: made(x[None])[part][0], latents)
        assert torch.equal(torch.triu(jacobian), torch.zeros(5, 5, dtype=torch.float64))
        assert (jacobian[torch.tril(torch.ones(5, 5), -1) > 0] != 0).all()


def test_a_small_nflows_flow(tmp_path):
    reference = REFERENCE["small"]
    state = {
        name: torch.tensor(value, dtype=torch.int64 if name.endswith(("degrees", "_permutation")) else torch.float64)
        for name, value in reference["state_dict"].items()
    }
    torch.save(state, tmp_path / "flow.pt")
    flow = read_flow(tmp_path / "flow.pt").double()
    latents = torch.tensor(reference["latents"], dtype=torch.float64)
    # the file's float64 scale and shift pass through float32 parameters on the way
    assert flow(latents).detach().numpy() == pytest.approx(reference["log_prob"], rel=2e-6, abs=2e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_published_flow_has_nflows_numbers(shared_data, dtype, tolerance):
    reference = REFERENCE["published"]
    latents = np.random.default_rng(reference["seed"]).normal(size=(64, 6))
    latents *= np.repeat(reference["scales"], 16)[:, None]
    flow = read_flow(shared_data / "weights" / "galaxy-flow-state_dict.pt").to(dtype)
    log_prob = flow(torch.tensor(latents, dtype=dtype)).detach().numpy()
    assert log_prob == pytest.approx(reference["log_prob"], rel=tolerance)
