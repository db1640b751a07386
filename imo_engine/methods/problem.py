"""The spectrum under study as every method sees it: anomaly a(x) = -log p(x), in batches, counted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imo_engine.attribution.occlusion import checked_spectrum
from imo_engine.errors import Cancelled, InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.system.batching import run_in_batches
from imo_engine.system.devices import full_precision

__all__ = ["REFERENCES", "Answer", "Problem", "pose"]

REFERENCES = ("zero", "mean", "ensemble")
"""What may stand in for the spectrum: no flux, the mean of the aligned baselines, or each of them in turn."""

_GRADIENT_COST = 3
"""Peak memory of a forward and backward pass over the encoder's estimate of a forward pass; measured 2.1 to 2.8."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method hands back to :class:`imo_engine.methods.registry.Method`, which makes the record of it.

    Attributes:
        per_reference: (K, N) values for each of K references; their mean is the attribution.
        relative_to: What the spectrum is compared with, in words.
        unit: Of the values.
        gap: Relative completeness gap, if the method has one.
        caveat: What to keep in mind.
    """

    per_reference: NDArray[np.floating]
    relative_to: str
    unit: str = "nat"
    gap: float | None = None
    caveat: str = ""


@dataclass(eq=False)
class Problem:
    """A spectrum, its baselines and the model; made by :func:`pose`."""

    model: OutlierModel
    flux: NDArray[np.floating]
    """(N,) finite."""
    redshift: float
    valid: NDArray[np.bool_]
    """(N,) the pixels that are explained; the others keep the spectrum's flux in everything that is evaluated."""
    baselines: ArrayLike | BaselinePool | None
    rng: np.random.Generator
    memory_budget: int | None = None
    should_stop: Callable[[], bool] | None = None
    on_progress: Callable[[int, int], None] | None = None
    evaluations: int = field(default=0, init=False)
    gradients: int = field(default=0, init=False)
    _expected: int = field(default=0, init=False)

    @cached_property
    def aligned(self) -> NDArray[np.floating]:
        """(M, N) baselines R_j = g(f(B_j), z); invalid pixels have the spectrum's flux.

        Raises:
            InputError: no baselines, another shape, or latents of another model.
        """
        if self.baselines is None:
            raise InputError("'baselines' is None, but this method compares with baselines")
        if isinstance(self.baselines, BaselinePool):
            if self.baselines.model != self.model.fingerprint:
                raise InputError("'baselines' is a pool of latents of another model")
            latents: NDArray[np.float32] = self.baselines.latents
        else:
            flux = self.model.checked_flux(self.baselines, "baselines").numpy()
            latents = self.model.encode(flux, memory_budget=self.memory_budget)
            self.evaluations += len(flux)
        if not len(latents):
            raise InputError("'baselines' has 0 spectra; at least 1 is needed")
        redshift = np.full(len(latents), self.redshift)
        decoded = self.model.decode(latents, redshift, memory_budget=self.memory_budget)
        return np.where(self.valid, decoded, self.flux).astype(self.flux.dtype)

    def references(self, kind: str) -> tuple[NDArray[np.floating], str]:
        """Return the references of a ``kind`` of :data:`REFERENCES`, (K, N), and what they are in words.

        Raises:
            InputError: another kind.
        """
        if kind == "zero":
            return np.where(self.valid, 0, self.flux)[None].astype(self.flux.dtype), "a spectrum of zeros"
        if kind not in REFERENCES:
            raise InputError(f"'baseline' is {kind!r}; expected one of {', '.join(REFERENCES)}")
        count = len(self.aligned)
        if kind == "mean":
            mean = np.where(self.valid, self.aligned.mean(axis=0, dtype=np.float64), self.flux)
            return mean[None].astype(self.flux.dtype), f"the mean of {count} baselines at the redshift"
        return self.aligned, f"each of {count} baselines at the redshift, then the mean"

    def expect(self, evaluations: int) -> None:
        """Tell how many evaluations there will be in all, for the progress."""
        self._expected = evaluations

    def on_device(self, array: NDArray[Any]) -> Tensor:
        """Return ``array`` on the model's device, floating point numbers in its precision."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.to(self.model.device, self.model.dtype if tensor.is_floating_point() else tensor.dtype)

    def anomaly(self, points: Callable[[int, int], Tensor], count: int) -> NDArray[np.float64]:
        """Return -log p, (count,), of the spectra ``points(start, stop)``, which are made batch by batch."""

        def batch(start: int, stop: int) -> Tensor:
            log_prob: Tensor = self.model.flow(self.model.encoder(points(start, stop)))
            return -log_prob

        with torch.inference_mode():
            return self._run(batch, count, self.model.batch_size(self.memory_budget)).cpu().numpy().astype(np.float64)

    def anomaly_and_gradient(
        self, points: Callable[[int, int], Tensor], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
        """Return -log p, (count,), of the spectra ``points(start, stop)`` and its gradient, (count, N)."""

        def batch(start: int, stop: int) -> Tensor:
            with torch.enable_grad():
                flux = points(start, stop).detach().requires_grad_()
                value = -self.model.flow(self.model.encoder(flux))
                (gradient,) = torch.autograd.grad(value.sum(), flux)
            return torch.cat([value.detach()[:, None], gradient], dim=1)

        size = max(1, self.model.batch_size(self.memory_budget) // _GRADIENT_COST)
        both = self._run(batch, count, size).cpu().numpy()
        self.gradients += count
        return both[:, 0].astype(np.float64), both[:, 1:]

    def anomaly_of(self, spectra: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return -log p, (n,), of spectra, (n, N)."""
        return self.anomaly(lambda start, stop: self.on_device(spectra[start:stop]), len(spectra))

    def differentiable_anomaly(self, points: Tensor) -> Tensor:
        """Map spectra, (n, N), to -log p, (n,), for Captum: gradients flow, whatever n the memory stays bounded."""
        result: Tensor = _BoundedAnomaly.apply(points, self)  # type: ignore[no-untyped-call]  # torch's apply
        return result

    def _run(self, batch: Callable[[int, int], Tensor], count: int, size: int) -> Tensor:
        with full_precision(self.model.device):
            return run_in_batches(batch, count, size, should_stop=self.should_stop, on_batch=self.counter())

    def counter(self) -> Callable[[int], None]:
        """Return what is to be told how many of the next evaluations are done."""
        before = self.evaluations

        def report(done: int) -> None:
            self.evaluations = before + done
            if self.on_progress is not None:
                self.on_progress(self.evaluations, max(self._expected, self.evaluations))

        return report


class _BoundedAnomaly(torch.autograd.Function):
    """Computes value and gradient together, batch by batch, so that no graph outlives its batch."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, problem: Problem) -> Tensor:  # noqa: ANN401 - torch's
        if not ctx.needs_input_grad[0]:
            return torch.from_numpy(problem.anomaly(lambda a, b: points[a:b], len(points))).to(points)
        value, gradient = problem.anomaly_and_gradient(lambda a, b: points[a:b], len(points))
        ctx.save_for_backward(torch.from_numpy(gradient).to(points))
        return torch.from_numpy(value).to(points)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (gradient,) = ctx.saved_tensors
        return upstream[:, None] * gradient, None


def pose(
    model: OutlierModel,
    flux: ArrayLike,
    redshift: float,
    baselines: ArrayLike | BaselinePool | None,
    *,
    valid: ArrayLike | None = None,
    seed: int = 0,
    memory_budget: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Problem:
    """Check what was handed in and put it together; the arguments are those of every method.

    Raises:
        InputError: arguments that do not fit together; the message names the argument.
        Cancelled: ``should_stop`` returned True.
    """
    filled, usable = checked_spectrum(model, flux, redshift, valid)
    if should_stop is not None and should_stop():
        raise Cancelled("stopped before the first evaluation")
    rng = np.random.default_rng(seed)
    return Problem(model, filled, float(redshift), usable, baselines, rng, memory_budget, should_stop, on_progress)
