"""The pool of ordinary spectra that an outlier is compared with, kept as latents.

f(B_j) does not depend on the spectrum under study, so each baseline is encoded once and decoded at
whatever redshift is asked for.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open

from imo_engine.errors import InputError, ModelFileError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.system.files import write_atomically

__all__ = ["BaselinePool"]


@dataclass(frozen=True, eq=False)
class BaselinePool:
    """Latents of n ordinary spectra.

    Attributes:
        latents: (n, S).
        redshift: (n,) at which each spectrum was observed.
        log_prob: (n,) log p of each spectrum as observed, nats.
        model: Fingerprint of the model that made the latents; they mean nothing to another one.
    """

    latents: NDArray[np.float32]
    redshift: NDArray[np.float64]
    log_prob: NDArray[np.float32]
    model: str

    def __len__(self) -> int:
        return len(self.latents)

    @classmethod
    def from_spectra(cls, model: OutlierModel, flux: ArrayLike, redshift: ArrayLike) -> "BaselinePool":
        """Encode normalised spectra, (n, N), observed at ``redshift``, (n,)."""
        latents = model.encode(flux)
        z = np.array(redshift, dtype=np.float64, ndmin=1)
        if z.shape != (len(latents),):
            raise InputError(f"'redshift' has shape {z.shape}, expected ({len(latents)},)")
        return cls(latents, z, model.latent_log_prob(latents), model.fingerprint)

    @classmethod
    def load(cls, path: str | Path, model: OutlierModel) -> "BaselinePool":
        """Read a pool that :meth:`save` wrote.

        Raises:
            ModelFileError: not such a file, or latents of another model.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                made_by = (file.metadata() or {}).get("model", "")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            pool = cls(tensors["latents"], tensors["redshift"], tensors["log_prob"], made_by)
        except FileNotFoundError:
            raise ModelFileError(f"{path}: no such file") from None
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ModelFileError(f"{path}: not a pool of baselines: {error}") from None
        n = pool.redshift.size
        if pool.latents.shape != (n, model.n_latent) or pool.redshift.shape != (n,) or pool.log_prob.shape != (n,):
            raise ModelFileError(f"{path}: expected latents (n, {model.n_latent}), found {pool.latents.shape}")
        for name in ("latents", "log_prob"):
            values = getattr(pool, name)
            if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
                raise ModelFileError(f"{path}: {name} of type {values.dtype} are not finite numbers")
        if made_by != model.fingerprint:
            raise ModelFileError(
                f"{path}: latents of model {made_by or '(unnamed)'}, but the model in use is {model.fingerprint}"
            )
        return pool

    def save(self, path: str | Path) -> None:
        """Write the pool as safetensors.

        Raises:
            ModelFileError: the disk refuses.
        """
        tensors: dict[str, NDArray[Any]] = {
            "latents": self.latents,
            "redshift": self.redshift,
            "log_prob": self.log_prob,
        }
        metadata = {"model": self.model, "contents": json.dumps({"n": len(self)})}
        try:
            write_atomically(path, lambda temporary: safetensors.numpy.save_file(tensors, temporary, metadata))
        except (OSError, SafetensorError) as error:
            raise ModelFileError(f"{path}: cannot be written: {error}") from None

    def draw(
        self,
        count: int,
        *,
        seed: int | Sequence[int],
        above_quantile: float = 0.0,
        near: ArrayLike | None = None,
        near_share: float = 0.05,
    ) -> "BaselinePool":
        """Draw ``count`` different baselines at random; the same seed gives the same ones.

        Args:
            count: How many.
            seed: Of the draw.
            above_quantile: Leave out this share of the pool, those with the lowest log p.
            near: (S,) latents; draw only from what is nearest to them, each latent over its standard deviation
                in the pool.
            near_share: Share of the pool that counts as near; ``count`` baselines at least.

        Raises:
            InputError: more than there are, shares outside 0 to 1, or latents of another shape.
        """
        if not 0 <= above_quantile < 1:
            raise InputError(f"'above_quantile' is {above_quantile}; expected a share from 0 to 1")
        if not 0 < near_share <= 1:
            raise InputError(f"'near_share' is {near_share}; expected a share above 0, to 1")
        rows = np.arange(len(self))
        if above_quantile > 0:
            rows = rows[self.log_prob >= np.quantile(self.log_prob, above_quantile)]
        if near is not None:
            centre = np.asarray(near, dtype=np.float64)
            if centre.shape != self.latents.shape[1:]:
                raise InputError(f"'near' has shape {centre.shape}, expected {self.latents.shape[1:]}")
            spread = self.latents.std(axis=0, dtype=np.float64)
            offset = (self.latents[rows] - centre) / np.where(spread > 0, spread, 1.0)
            nearest = np.argsort(np.sum(offset**2, axis=1), kind="stable")
            rows = rows[np.sort(nearest[: max(count, math.ceil(near_share * len(self)))])]
        if not 0 < count <= len(rows):
            what = "baselines" if len(rows) == len(self) else "baselines that qualify"
            raise InputError(f"'count' is {count}, but the pool has {len(rows)} {what}")
        return self[rows[np.random.default_rng(seed).choice(len(rows), size=count, replace=False)]]

    def __getitem__(self, rows: ArrayLike) -> "BaselinePool":
        index = np.asarray(rows)
        return BaselinePool(self.latents[index], self.redshift[index], self.log_prob[index], self.model)
