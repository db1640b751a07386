"""What stands in for odd parts of a spectrum: ordinary spectra that look like the rest of it."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["FILLS", "STAND_INS", "filled", "held_out", "runs_of", "stand_ins"]

STAND_INS = ("nearest", "random")
"""Which baselines are taken: those that look most like the spectrum, or any."""

FILLS = ("plain", "level")
"""How: their flux as it is, or scaled so that it meets the spectrum at both ends of a region."""

_CONSIDERED = 256  # baselines, of which the nearest are taken
_BIN = 64  # pixels
_FLANK = (10, 60)  # pixels on either side of a region, which tell its level
_LEAST = 5
_SCALES = (0.2, 5.0)
_FAINTEST = 0.05  # of the normalised flux, for a ratio to mean anything


def held_out(pool: BaselinePool, used: BaselinePool, target: float) -> BaselinePool:
    """Return the ordinary baselines of a pool that were not used for an attribution.

    Args:
        pool: All there are; a pool made of the survey itself holds its outliers too.
        used: Those of the attribution.
        target: log p from which on they are ordinary, nats.

    Returns:
        Those whose log p is not below; the used ones among them too if there are fewer than 2 others.
    """
    ordinary = pool[np.flatnonzero(pool.log_prob >= target)]
    taken = {row.tobytes() for row in used.latents}
    rows = np.array([k for k, row in enumerate(ordinary.latents) if row.tobytes() not in taken], dtype=np.int64)
    return ordinary[rows] if len(rows) >= 2 else ordinary


def stand_ins(
    model: OutlierModel,
    flux: NDArray[np.floating],
    usable: NDArray[np.bool_],
    redshift: float,
    pool: BaselinePool,
    count: int,
    *,
    which: str = "nearest",
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return ``count`` baselines at ``redshift`` to fill a spectrum with, (count, N), or as many as there are.

    The nearest of 256 drawn ones are those with the smallest median difference to the spectrum over bins of 64
    pixels: the median does not see what is odd in less than half of the spectrum.

    Raises:
        InputError: an unknown choice, or fewer than 2 baselines.
    """
    if which not in STAND_INS:
        raise InputError(f"'stand_ins' is {which!r}; expected one of {', '.join(STAND_INS)}")
    if len(pool) < 2:
        raise InputError(f"'baselines' has {len(pool)} ordinary ones; at least 2 are needed")
    drawn = pool.draw(min(_CONSIDERED if which == "nearest" else count, len(pool)), seed=seed)
    aligned = model.decode(drawn.latents, np.full(len(drawn), float(redshift))).astype(np.float32, copy=False)
    if which == "random":
        return aligned
    distance = np.median(np.abs(_binned(aligned, usable) - _binned(flux[None], usable)), axis=1)
    return aligned[np.argsort(distance, kind="stable")[:count]]


def filled(
    flux: NDArray[np.floating],
    baselines: NDArray[np.floating],
    replaced: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    fill: str = "plain",
) -> NDArray[np.floating]:
    """Return the spectrum with its ``replaced`` pixels, (N,), filled from each baseline, (M, N).

    Args:
        flux: (N,) normalised flux. It is not normalised again, whatever is replaced.
        baselines: (M, N) at the same redshift.
        replaced: (N,) which pixels.
        usable: (N,) pixels that may tell the level around a region.
        fill: One of :data:`FILLS`. "level" scales a baseline by what spectrum and baseline have in 10 to 60 pixels
            on either side (medians, by 0.2 to 5), interpolated across the region; at an end of the spectrum the
            other side counts.
    """
    out = np.where(replaced, baselines, flux)
    if fill == "level":
        for start, stop in runs_of(replaced):
            sides = [_scale(flux, baselines, usable & ~replaced, start, stop, side) for side in (-1, 1)]
            known = [side for side in sides if side is not None]
            if known:
                left, right = known[0][:, None], known[-1][:, None]
                across = np.linspace(0, 1, stop - start)
                out[:, start:stop] = np.where(
                    replaced[start:stop], baselines[:, start:stop] * np.exp(left * (1 - across) + right * across),
                    flux[start:stop],
                )  # fmt: skip
    return out


def runs_of(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of true pixels as [start, stop).

    >>> runs_of(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _binned(flux: NDArray[np.floating], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return means over bins that are usable by half, (n, bin)."""
    width = min(_BIN, len(usable))
    bins = len(usable) // width
    good = usable[: bins * width].reshape(bins, width)
    values = np.where(usable, flux, 0)[:, : bins * width].reshape(len(flux), bins, width)
    number = good.sum(axis=1)
    chosen = number > width // 2 if (number > width // 2).any() else number > 0
    if not chosen.any():
        return np.zeros((len(flux), 1))
    means: NDArray[np.float64] = values.sum(axis=2, dtype=float)[:, chosen] / number[chosen]
    return means


def _scale(
    flux: NDArray[np.floating],
    baselines: NDArray[np.floating],
    known: NDArray[np.bool_],
    start: int,
    stop: int,
    side: int,
) -> NDArray[np.float64] | None:
    """Return the logarithm of spectrum over baseline, (M,), beside a region, or None if little is known there."""
    width = int(np.clip((stop - start) // 2, *_FLANK))
    first, last = (max(0, start - 4 * width), start) if side < 0 else (stop, stop + 4 * width)
    places = first + np.flatnonzero(known[first:last])
    places = places[-width:] if side < 0 else places[:width]
    if len(places) < _LEAST:
        return None
    level = np.maximum(np.median(baselines[:, places], axis=1), _FAINTEST)
    ratio = max(float(np.median(flux[places])), 0.0) / level
    scale: NDArray[np.float64] = np.log(np.clip(ratio, *_SCALES))
    return scale
