"""DeepLIFT (Shrikumar et al. 2017, arXiv:1704.02685) by Captum, where it holds.

DeepLIFT replaces gradients by ratios of differences in each elementwise non-linearity and follows the larger
input through max-pooling. It has no rule for instance normalisation, for the attention's product of values and
weights, or for the flow's products, and Captum has none for PReLU and for functions that are not modules: there
the plain gradient is used without a word. Measured on a trained model with outliers and ordinary spectra, the
values add up to anything between -66 % and 80 % of the change of log p that they should equal; rewriting PReLU,
softmax, tanh and softplus as modules that Captum knows does not help. So the sum is tested each time.
"""

import copy
import warnings

import numpy as np
from torch import Tensor, nn

from imo_engine.errors import Cancelled, InputError
from imo_engine.methods.path_integral import relative_gap
from imo_engine.methods.problem import Answer, Problem
from imo_engine.methods.record import NotApplicable

__all__ = ["deep_lift"]

_LINEAR = (nn.Linear, nn.Conv1d, nn.Identity, nn.Sequential, nn.ModuleList)


class _Anomaly(nn.Module):
    """Encoder and flow as one module whose parts Captum can put its hooks on."""

    def __init__(self, encoder: nn.Module, flow: nn.Module) -> None:
        super().__init__()
        self.encoder, self.flow = encoder, flow

    def forward(self, flux: Tensor) -> Tensor:
        log_prob: Tensor = self.flow(self.encoder(flux))
        return -log_prob


def deep_lift(problem: Problem, *, baseline: str = "mean", largest_gap: float = 0.05) -> Answer:
    """Contributions by the rescale rule, Captum's ``DeepLift``.

    Args:
        problem: The spectrum under study.
        baseline: The reference: "zero", "mean" or "ensemble".
        largest_gap: Completeness gap, over the change of log p, beyond which the method does not apply.

    Raises:
        NotApplicable: the values do not add up to the change of log p within ``largest_gap``.
    """
    from captum.attr import DeepLift

    if not largest_gap > 0:
        raise InputError(f"'largest_gap' is {largest_gap}; expected a share above 0")
    references, words = problem.references(baseline)
    problem.expect(4 * len(references))
    # a copy, because others may be using the model while the hooks are on it
    network = _Anomaly(copy.deepcopy(problem.model.encoder), copy.deepcopy(problem.model.flow))
    spectrum = problem.on_device(problem.flux[None])
    values = np.zeros(references.shape)
    gaps = np.zeros(len(references))
    for row, reference in enumerate(references):
        if problem.should_stop is not None and problem.should_stop():
            raise Cancelled(f"stopped after {row} of {len(references)} baselines")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Captum announces its hooks
            found = DeepLift(network).attribute(spectrum, problem.on_device(reference[None]))
        problem.evaluations += 2
        problem.gradients += 1
        values[row] = found[0].detach().cpu().numpy()
        at_start, at_end = problem.anomaly_of(np.stack([reference, problem.flux]))
        gaps[row] = relative_gap(float(values[row].sum()), float(at_end - at_start))
    typical = float(np.median(np.abs(gaps)))
    if not typical <= largest_gap:
        raise NotApplicable(
            f"DeepLIFT does not apply to this network: its values miss the change of log p that they should add up "
            f"to by {typical:.0%} (at most {largest_gap:.0%} is accepted), because it has no rule for "
            f"{_without_rule(network)}"
        )
    return Answer(values, words, gap=float(gaps[np.argmax(np.abs(gaps))]))


def _without_rule(network: nn.Module) -> str:
    """Return in words which operations of ``network`` Captum's DeepLift treats as if they were linear."""
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR

    known = (*SUPPORTED_NON_LINEAR, *_LINEAR)
    leaves = [module for module in network.modules() if next(module.children(), None) is None]
    names = sorted({type(leaf).__name__ for leaf in leaves if not isinstance(leaf, known)})
    return ", ".join([*names, "products of two quantities that both depend on the flux"])
