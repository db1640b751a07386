"""Methods that use the gradient of the anomaly a(x) = -log p(x)."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from imo_engine.errors import InputError
from imo_engine.methods.path_integral import PathIntegral, integrate_adaptively, relative_gap
from imo_engine.methods.problem import Answer, Problem

__all__ = ["expected_gradients", "gradient_shap", "gradient_times_input", "integrated_gradients", "smooth_grad"]

_AT_ONCE = 64


def gradient_times_input(problem: Problem) -> Answer:
    """Flux times gradient (Shrikumar et al. 2017, arXiv:1704.02685), by Captum's ``InputXGradient``."""
    problem.expect(1)
    values = _captum_input_times_gradient(problem, problem.flux[None])
    return Answer(values, "an infinitesimal change of the flux")


def smooth_grad(problem: Problem, *, noise: float = 0.1, samples: int = 50) -> Answer:
    """Gradient times input averaged over noisy copies (SmoothGrad, Smilkov et al. 2017, arXiv:1706.03825).

    What Captum's ``NoiseTunnel`` around ``InputXGradient`` computes; the noise is drawn here, because there it
    comes from the global generator.

    Args:
        problem: The spectrum under study.
        noise: Standard deviation of the noise, in normalised flux.
        samples: Number of copies.
    """
    _positive(samples=samples)
    if not (np.isfinite(noise) and noise >= 0):
        raise InputError(f"'noise' is {noise}; expected a standard deviation, not negative")
    problem.expect(samples)
    total = np.zeros(len(problem.flux))
    for first in range(0, samples, _AT_ONCE):
        count = min(_AT_ONCE, samples - first)
        copies = problem.flux + noise * problem.valid * problem.rng.standard_normal((count, len(problem.flux)))
        total += _captum_input_times_gradient(problem, copies).sum(axis=0, dtype=np.float64)
    return Answer(total[None] / samples, f"infinitesimal changes of the flux around {samples} noisy copies")


def integrated_gradients(
    problem: Problem,
    *,
    baseline: str = "mean",
    steps: int | None = None,
    tolerance: float = 0.01,
    max_steps: int = 2000,
) -> Answer:
    """Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365).

    With ``baseline="ensemble"`` this is what the authors of inverse multiscale occlusion computed as expected
    gradients, with baselines moved to the redshift and the mean in place of their sum.

    Args:
        problem: The spectrum under study.
        baseline: Where the path begins: "zero", "mean" or "ensemble".
        steps: Nodes of Captum's Gauss-Legendre rule; by default as many midpoints as ``tolerance`` asks for.
        tolerance: Allowed completeness gap of each path, over the change of log p.
        max_steps: Gradients for each path at most.
    """
    references, words = problem.references(baseline)
    _positive(max_steps=max_steps, **({} if steps is None else {"steps": steps}))
    if not 0 < tolerance < 1:
        raise InputError(f"'tolerance' is {tolerance}; expected a share between 0 and 1")
    problem.expect(len(references) * (300 if steps is None else steps + 2))
    integrals = [
        integrate_adaptively(problem, reference, tolerance=tolerance, max_steps=max_steps)
        if steps is None
        else _captum_integral(problem, reference, steps)
        for reference in references
    ]
    missed = sum(abs(integral.gap) > tolerance for integral in integrals)
    return Answer(
        np.stack([integral.values for integral in integrals]),
        words,
        gap=relative_gap(
            float(np.mean([i.values.sum() for i in integrals])), float(np.mean([i.change for i in integrals]))
        ),
        caveat=f"{missed} of {len(integrals)} paths miss the tolerance of {tolerance:.1%}" if missed else "",
    )


def expected_gradients(problem: Problem, *, samples: int = 64) -> Answer:
    """Expected gradients (Erion et al. 2021, arXiv:1906.10670) over the baselines moved to the redshift.

    The expectation of (x - R) times the gradient at R + u (x - R) over baselines R and uniform u. Every baseline
    gets the same number of samples, one at random in each of equal parts of its path, which leaves the
    expectation as it is and lowers the scatter.

    Args:
        problem: The spectrum under study.
        samples: Gradients for each baseline.
    """
    _positive(samples=samples)
    references, words = problem.references("ensemble")
    problem.expect(len(references) * samples + len(references) + 1)
    values = np.zeros(references.shape)
    for row, reference in enumerate(references):
        share = (np.arange(samples) + problem.rng.uniform(size=samples)) / samples
        values[row] = _mean_over_points(problem, reference[None], problem.flux[None], share)
    return Answer(values, words, gap=_gap_to_mean(problem, values.sum(axis=1).mean(), references))


def gradient_shap(problem: Problem, *, samples: int = 256, noise: float = 0.0) -> Answer:
    """GradientSHAP (Lundberg & Lee 2017, arXiv:1705.07874), as Captum's ``GradientShap`` defines it.

    Every sample draws a baseline, a place on its path and noise on the spectrum. Captum's own takes all samples
    in one batch and draws from the global generators. The number of samples is the authors' of inverse
    multiscale occlusion, who also left the noise at 0.

    Args:
        problem: The spectrum under study.
        samples: Number of samples, over all baselines.
        noise: Standard deviation of the noise, in normalised flux.
    """
    _positive(samples=samples)
    if not (np.isfinite(noise) and noise >= 0):
        raise InputError(f"'noise' is {noise}; expected a standard deviation, not negative")
    references, _ = problem.references("ensemble")
    problem.expect(samples + len(references) + 1)
    total = np.zeros(len(problem.flux))
    for first in range(0, samples, _AT_ONCE):
        count = min(_AT_ONCE, samples - first)
        chosen = references[problem.rng.integers(len(references), size=count)]
        share = problem.rng.uniform(size=count)
        ends = problem.flux + noise * problem.valid * problem.rng.standard_normal((count, len(problem.flux)))
        total += count * _mean_over_points(problem, chosen, ends, share)
    values = total / samples
    return Answer(
        values[None],
        f"{samples} draws from {len(references)} baselines at the redshift",
        gap=_gap_to_mean(problem, values.sum(), references),
    )


def _captum_input_times_gradient(problem: Problem, spectra: NDArray[np.floating]) -> NDArray[np.float64]:
    from captum.attr import InputXGradient  # slow to import, hence here and below

    inputs = problem.on_device(spectra).requires_grad_()
    result: NDArray[np.floating] = (
        InputXGradient(problem.differentiable_anomaly).attribute(inputs).detach().cpu().numpy()
    )
    return result.astype(np.float64)


def _captum_integral(problem: Problem, reference: NDArray[np.floating], steps: int) -> PathIntegral:
    from captum.attr import IntegratedGradients

    values = IntegratedGradients(problem.differentiable_anomaly).attribute(
        problem.on_device(problem.flux[None]),
        baselines=problem.on_device(reference[None]),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=_AT_ONCE,
    )
    array = values[0].detach().cpu().numpy().astype(np.float64)
    at_start, at_end = problem.anomaly_of(np.stack([reference, problem.flux]))
    change = float(at_end - at_start)
    return PathIntegral(array, change, relative_gap(float(array.sum()), change))


def _mean_over_points(
    problem: Problem, starts: NDArray[np.floating], ends: NDArray[np.floating], share: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the mean over places ``share``, (n,), on paths from ``starts`` to ``ends``, (n or 1, N): (N,)."""
    total = np.zeros(len(problem.flux))
    for first in range(0, len(share), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        start, end = (ends_of if len(ends_of) == 1 else ends_of[part] for ends_of in (starts, ends))
        direction = end - start
        points = start + share[part, None] * direction

        def chunk(a: int, b: int, points: NDArray[np.floating] = points) -> Tensor:
            return problem.on_device(points[a:b])

        _, gradient = problem.anomaly_and_gradient(chunk, len(points))
        total += (gradient * direction).sum(axis=0, dtype=np.float64)
    return total / len(share)


def _gap_to_mean(problem: Problem, total: float, references: NDArray[np.floating]) -> float:
    anomaly = problem.anomaly_of(np.concatenate([problem.flux[None], references]))
    return relative_gap(float(total), float(anomaly[0] - anomaly[1:].mean()))


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer) or number < 1:
            raise InputError(f"'{name}' is {number!r}; expected a whole number above 0")
