"""Arguments of a model that must make sense before anything is computed; each error names the argument."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imo_engine.errors import InputError

__all__ = ["check_weights", "checked_grid", "checked_redshift", "finite_rows"]


def checked_grid(wavelength: ArrayLike, argument: str = "wavelength") -> NDArray[np.float64]:
    """Return one axis of increasing Angstroms as an array of its own."""
    grid = np.array(wavelength, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise InputError(f"'{argument}' has shape {grid.shape}; expected one axis of increasing Angstroms")
    return grid


def check_weights(networks: Mapping[str, torch.nn.Module]) -> None:
    """Refuse weights that are not finite and permutations that are none."""
    for part, net in networks.items():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{part}.{name} has values that are not finite")
            if name == "permutations" and (tensor.sort().values != torch.arange(tensor.shape[-1]).to(tensor)).any():
                raise InputError(f"{part}.{name} are not permutations")


def checked_redshift(redshift: ArrayLike, count: int) -> Tensor:
    """Return redshifts, (count,), finite and above -1, as a tensor."""
    z = np.array(redshift, dtype=np.float64, ndmin=1)
    if z.shape != (count,):
        raise InputError(f"'redshift' has shape {z.shape}, expected ({count},)")
    if not (np.isfinite(z) & (z > -1)).all():
        raise InputError(f"'redshift' is {z[~(np.isfinite(z) & (z > -1))][0]}; expected a finite number above -1")
    return torch.from_numpy(z)


def finite_rows(flux: ArrayLike, n_pixel: int, dtype: torch.dtype, argument: str) -> Tensor:
    """Return ``flux`` as a tensor (n, n_pixel) on the CPU, or say what is wrong with the ``argument``."""
    array = np.asarray(flux)
    if array.ndim != 2 or array.shape[1] != n_pixel:
        raise InputError(f"'{argument}' has shape {array.shape}, expected (n, {n_pixel})")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise InputError(f"'{argument}' has type {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # what float32 cannot hold is not finite either
        array = np.ascontiguousarray(array, dtype=np.float64 if dtype == torch.float64 else np.float32)
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise InputError(
            f"'{argument}' row {int(np.flatnonzero(bad)[0])} has values that are not finite; "
            "mask them, or fill them with imo_engine.spectra.spectra.fill_masked"
        )
    return torch.from_numpy(array)
