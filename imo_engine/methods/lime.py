"""LIME (Ribeiro, Singh & Guestrin 2016, arXiv:1602.04938) over wavelength segments.

Ortiz & Boquien (2025, A&A 703, A242; arXiv:2510.05235) explain anomalies among SDSS spectra in this way. Defaults
and arithmetic are those of their released code, which is the ``lime`` package with segments of a spectrum for
those of an image: 128 equal segments, 1000 neighbours in which each segment is replaced with probability 1/2,
replaced flux 0.9 times the spectrum's, cosine distances, an exponential kernel of width 0.25, ridge regression.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imo_engine.errors import InputError
from imo_engine.methods.problem import REFERENCES, Answer, Problem

__all__ = ["lime", "ridge", "similarity"]


def lime(
    problem: Problem,
    *,
    segments: int = 128,
    samples: int = 1000,
    replacement: str = "scale",
    scale: float = 0.9,
    kernel_width: float = 0.25,
    penalty: float = 1.0,
) -> Answer:
    """Fit -log p of spectra with segments replaced by a linear model of which segments were kept.

    The value of a pixel is the coefficient of its segment: nats by which keeping the segment as it is raises the
    anomaly.

    Args:
        problem: The spectrum under study.
        segments: How many segments of equal size; those without a valid pixel are left out.
        samples: Neighbours; the first is the spectrum itself.
        replacement: What replaces a segment: "scale" (the spectrum times ``scale``), "zero", "mean" or "ensemble".
        scale: Factor of the flux, for "scale".
        kernel_width: Of the weights, in cosine distance between segments kept and all segments.
        penalty: Of the squared coefficients in the ridge regression.
    """
    n_pixel = len(problem.flux)
    if not 2 <= segments <= n_pixel:
        raise InputError(f"'segments' is {segments}; expected 2 to {n_pixel}")
    if samples < 2:
        raise InputError(f"'samples' is {samples}; expected 2 or more")
    if not (kernel_width > 0 and penalty >= 0 and np.isfinite(scale)):
        raise InputError(
            f"'kernel_width' is {kernel_width}, 'penalty' {penalty} and 'scale' {scale}; "
            "expected a width above 0, a penalty not below and a finite factor"
        )
    if replacement == "scale":
        references = np.where(problem.valid, scale * problem.flux, problem.flux)[None].astype(problem.flux.dtype)
        words = f"{scale:g} times itself"
    elif replacement in REFERENCES:
        references, words = problem.references(replacement)
    else:
        raise InputError(f"'replacement' is {replacement!r}; expected one of scale, {', '.join(REFERENCES)}")
    number = np.arange(n_pixel) * segments // n_pixel  # as even as whole pixels allow
    used, segment = np.unique(np.where(problem.valid, number, -1), return_inverse=True)
    if used[0] == -1:
        used, segment = used[1:], segment - 1
    problem.expect(problem.evaluations + len(references) * samples)

    spectrum, place = problem.on_device(problem.flux), problem.on_device(np.maximum(segment, 0))
    values = np.zeros((len(references), n_pixel))
    for row, reference in enumerate(references):
        kept = problem.rng.integers(0, 2, size=(samples, len(used))).astype(bool)
        kept[0] = True
        stand_in, kept_there = problem.on_device(reference), problem.on_device(kept)

        def neighbours(first: int, last: int, stand_in: Tensor = stand_in, kept: Tensor = kept_there) -> Tensor:
            # invalid pixels are the same in both
            return torch.where(kept[first:last][:, place], spectrum, stand_in)

        anomaly = problem.anomaly(neighbours, samples)
        coefficients = ridge(kept.astype(np.float64), anomaly, similarity(kept, kernel_width), penalty)
        values[row] = coefficients[np.maximum(segment, 0)]
    return Answer(values, f"the spectrum with half of its segments replaced by {words}")


def similarity(kept: NDArray[np.bool_], width: float) -> NDArray[np.float64]:
    """Return the weight of each row, (n,), of kept segments, (n, segments): sqrt(exp(-d^2 / width^2))."""
    share = kept.mean(axis=1)
    distance = 1 - np.sqrt(share)  # the cosine between a row of zeros and ones and a row of ones
    weight: NDArray[np.float64] = np.sqrt(np.exp(-(distance**2) / width**2))
    return weight


def ridge(
    table: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    """Return the coefficients, (k,), of a weighted ridge regression of target, (n,), on table, (n, k).

    The intercept is not penalised.
    """
    root = np.sqrt(weight)
    centred = (table - np.average(table, axis=0, weights=weight)) * root[:, None]
    aim = (target - np.average(target, weights=weight)) * root
    # penalty as extra rows: stable, and defined when there is none and the rows are too few
    rows = np.concatenate([centred, np.sqrt(penalty) * np.eye(table.shape[1])])
    solution: NDArray[np.float64] = np.linalg.lstsq(rows, np.concatenate([aim, np.zeros(table.shape[1])]))[0]
    return solution
