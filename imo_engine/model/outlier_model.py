"""The outlier model: encoder f, decoder g and flow h, with log p(x) = h(f(x)); NumPy in, NumPy out."""

import hashlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imo_engine.errors import InputError, ModelFileError
from imo_engine.model.autoencoder import SpectrumDecoder, SpectrumEncoder, pooled_length
from imo_engine.model.checks import check_weights, checked_grid, checked_redshift, finite_rows
from imo_engine.model.flow import MaskedAutoregressiveFlow
from imo_engine.model.model_files import StoredModel, named_tensors, read_model, write_model
from imo_engine.model.published import read_autoencoder, read_flow
from imo_engine.model.quick_encoder import QuickEncoder
from imo_engine.spectra.spectra import MASKED_PIXEL_POLICIES, Spectra, fill_masked
from imo_engine.system.batching import batch_size_for, run_in_batches
from imo_engine.system.devices import choose_device, device_name, full_precision, moved

__all__ = ["OutlierModel"]


class OutlierModel:
    """Encoder, decoder and flow on one wavelength grid and one device.

    Attributes:
        wavelength: (N,) vacuum Angstrom, observed frame.
        masked_pixels: What the encoder saw there in training (:func:`imo_engine.spectra.spectra.fill_masked`).
        provenance: Where the weights come from, in words: ``name``, ``trained_on`` and whatever else was noted.
    """

    def __init__(
        self,
        encoder: SpectrumEncoder,
        decoder: SpectrumDecoder,
        flow: MaskedAutoregressiveFlow,
        wavelength: ArrayLike,
        *,
        masked_pixels: str = "keep",
        provenance: Mapping[str, Any] | None = None,
        device: str = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Put the three networks together.

        Raises:
            InputError: widths of latents that differ, a wavelength grid that does not increase, weights that
                are not finite, an unknown policy for masked pixels or a device that is not there.
        """
        widths = (encoder.config.n_latent, decoder.config.n_latent, flow.config.n_latent)
        if len(set(widths)) != 1:
            raise InputError(f"encoder, decoder and flow have {widths[0]}, {widths[1]} and {widths[2]} latents")
        if masked_pixels not in MASKED_PIXEL_POLICIES:
            raise InputError(f"'masked_pixels' is {masked_pixels!r}; expected one of {MASKED_PIXEL_POLICIES}")
        checked_grid(decoder.wave_rest.detach().cpu().numpy(), "wave_rest")
        check_weights({"encoder": encoder, "decoder": decoder, "flow": flow})
        self.wavelength: NDArray[np.float64] = checked_grid(wavelength)
        positions = encoder.config.n_position
        if positions and positions != pooled_length(len(self.wavelength), encoder.config.conv_sizes):
            raise InputError(
                f"the encoder has biases of {positions} positions, not those of {len(self.wavelength)} pixels"
            )
        self._grid = torch.from_numpy(self.wavelength.copy())
        self.wavelength.flags.writeable = False
        self.masked_pixels = masked_pixels
        self.provenance = dict(provenance or {})
        self.device = choose_device(device)
        self.dtype = dtype
        for network in (encoder, decoder, flow):
            network.to(self.device, dtype).eval().requires_grad_(False)
        self.encoder, self.decoder, self.flow = encoder, decoder, flow

    @classmethod
    def from_published(
        cls,
        autoencoder: str | Path,
        flow: str | Path,
        wavelength: ArrayLike | None = None,
        device: str = "auto",
    ) -> "OutlierModel":
        """Read a spender autoencoder and an nflows flow, ``.pt`` files.

        Args:
            autoencoder: Checkpoint with ``encoder.*`` and ``decoder.*`` weights.
            flow: State dict of a masked affine autoregressive flow.
            wavelength: (N,) vacuum Angstrom, observed frame; by default the checkpoint's own.
            device: "auto", "cpu", "cuda", "cuda:N" or "mps".

        Raises:
            ModelFileError: a file is missing, holds other things, or has no wavelengths where none are given.
            InputError: ``wavelength`` does not increase, or a device that is not there.
        """
        choose_device(device)
        if wavelength is not None:
            wavelength = checked_grid(wavelength)
        encoder, decoder, own_wavelength = read_autoencoder(autoencoder)
        density = read_flow(flow)
        if wavelength is None:
            if own_wavelength is None:
                raise ModelFileError(f"{autoencoder}: holds no encoder.instrument.wave_obs; give 'wavelength'")
            wavelength = own_wavelength.numpy()
        provenance = {
            "name": f"{Path(autoencoder).stem} + {Path(flow).stem}",
            "trained_on": "see the publisher of these weights",
        }
        try:
            return cls(encoder, decoder, density, wavelength, provenance=provenance, device=device)
        except InputError as error:
            raise ModelFileError(f"{autoencoder} with {flow}: {error}") from None

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", dtype: torch.dtype = torch.float32) -> "OutlierModel":
        """Read a model that :meth:`save` wrote: ``NAME.safetensors`` with ``NAME.json`` beside it.

        Raises:
            ModelFileError: a file is missing, truncated, or does not fit its description.
            InputError: a device that is not there.
        """
        choose_device(device)
        stored = read_model(path)
        try:
            return cls(
                stored.encoder,
                stored.decoder,
                stored.flow,
                stored.wavelength,
                masked_pixels=stored.masked_pixels,
                provenance=stored.provenance,
                device=device,
                dtype=dtype,
            )
        except InputError as error:
            raise ModelFileError(f"{path} with its description: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write ``NAME.safetensors`` and its description ``NAME.json``; a failed write leaves the old files.

        Raises:
            ModelFileError: the name does not end in .safetensors, or the disk refuses.
            InputError: the provenance holds something that JSON does not.
        """
        write_model(
            path,
            StoredModel(
                self.encoder, self.decoder, self.flow, self.wavelength, self.masked_pixels, dict(self.provenance)
            ),
        )

    @property
    def n_latent(self) -> int:
        """Number of latents."""
        return self.encoder.config.n_latent

    @property
    def name(self) -> str:
        """What the model is called."""
        return str(self.provenance.get("name", "unnamed model"))

    @property
    def device_name(self) -> str:
        """The device's name for people."""
        return device_name(self.device)

    def on(self, device: str) -> "OutlierModel":
        """Return this model on a device: itself if it is there, else a copy."""
        if choose_device(device) == self.device:
            return self
        encoder, decoder, flow = deepcopy((self.encoder, self.decoder, self.flow))
        about: Any = {"masked_pixels": self.masked_pixels, "provenance": self.provenance, "dtype": self.dtype}
        return OutlierModel(encoder, decoder, flow, self.wavelength, device=device, **about)

    @cached_property
    def quick_encoder(self) -> QuickEncoder:
        """The encoder's convolutions and attention, prepared for many spectra."""
        return QuickEncoder(self.encoder, len(self.wavelength))

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with any weight, wavelength or policy."""
        digest = hashlib.sha256(self.masked_pixels.encode())
        for name, tensor in sorted(named_tensors(self.encoder, self.decoder, self.flow, self.wavelength).items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def encode(
        self,
        flux: ArrayLike,
        *,
        memory_budget: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> NDArray[np.float32]:
        """Map normalised flux, (n, N), to latents, (n, S).

        Raises:
            InputError: another shape, or values that are not finite.
            Cancelled: ``should_stop`` returned True.
        """
        spectra = self.checked_flux(flux)
        quick = self.quick_encoder

        def batch(start: int, stop: int) -> Tensor:
            return self.encoder.latents(quick(moved(spectra[start:stop], self.device, self.dtype)))

        return self._run(batch, len(spectra), memory_budget, (self.n_latent,), should_stop)

    def reconstruct(self, flux: ArrayLike, redshift: ArrayLike, *, memory_budget: int | None = None) -> NDArray[Any]:
        """Encode normalised flux, (n, N), and decode it at ``redshift``, (n,): (n, N), observed frame.

        Pixels that the rest-frame grid does not reach are 0 (see :meth:`covered`).
        """
        return self.decode(self.encode(flux, memory_budget=memory_budget), redshift, memory_budget=memory_budget)

    def decode(
        self,
        latents: ArrayLike,
        redshift: ArrayLike,
        *,
        memory_budget: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> NDArray[Any]:
        """Decode latents, (n, S), at ``redshift``, (n,): normalised flux (n, N), observed frame.

        Raises:
            InputError: another shape, or a redshift that is not finite or not above -1.
            Cancelled: ``should_stop``, asked before each batch, returned True.
        """
        table = self._checked_latents(latents)
        z = checked_redshift(redshift, len(table))

        def batch(start: int, stop: int) -> Tensor:
            rest = self.decoder(table[start:stop].to(self.device, self.dtype))
            return self.decoder.observe(rest, z[start:stop], self._grid)

        return self._run(batch, len(table), memory_budget, (len(self.wavelength),), should_stop)

    def log_prob(self, flux: ArrayLike, *, memory_budget: int | None = None) -> NDArray[np.float32]:
        """Return log p of normalised flux, (n, N): (n,), nats."""
        return self.latent_log_prob(self.encode(flux, memory_budget=memory_budget))

    def latent_log_prob(self, latents: ArrayLike) -> NDArray[np.float32]:
        """Return log p of latents, (n, S): (n,), nats."""
        table = self._checked_latents(latents)
        with torch.inference_mode(), full_precision(self.device):
            return np.asarray(self.flow(table.to(self.device, self.dtype)).cpu().numpy())

    def covered(self, redshift: float) -> NDArray[np.bool_]:
        """Tell which observed pixels, (N,), the decoder's rest-frame grid reaches at ``redshift``."""
        z = checked_redshift([redshift], 1)
        return self.decoder.covered(z, self._grid)[0].numpy()

    def prepare(self, spectra: Spectra) -> NDArray[np.float32]:
        """Return flux, (n, N), with masked pixels as this model was trained to see them.

        Raises:
            InputError: spectra on another wavelength grid.
        """
        grid = spectra.wavelength
        if grid.shape != self.wavelength.shape or not np.allclose(grid, self.wavelength, rtol=0, atol=1e-3):
            raise InputError(
                f"the spectra have {len(grid)} pixels from {grid[0]:.1f} to {grid[-1]:.1f} Angstrom, the model "
                f"{len(self.wavelength)} from {self.wavelength[0]:.1f} to {self.wavelength[-1]:.1f}"
            )
        return fill_masked(spectra.flux, spectra.measured, self.masked_pixels)

    def checked_flux(self, flux: ArrayLike, argument: str = "flux") -> Tensor:
        """Return ``flux`` as a tensor (n, N) on the CPU, or say what is wrong with the ``argument``."""
        return finite_rows(flux, len(self.wavelength), self.dtype, argument)

    def batch_size(self, memory_budget: int | None) -> int:
        """Return how many forward passes of the encoder fit into ``memory_budget`` bytes."""
        item_size = torch.finfo(self.dtype).bits // 8
        cost = self.encoder.bytes_per_spectrum(len(self.wavelength), item_size)
        return batch_size_for(cost, memory_budget, self.device)

    def _run(
        self,
        batch: Callable[[int, int], Tensor],
        count: int,
        memory_budget: int | None,
        shape: tuple[int, ...],
        should_stop: Callable[[], bool] | None = None,
    ) -> NDArray[Any]:
        if count == 0:
            return np.zeros((0, *shape), np.float32)
        size = self.batch_size(memory_budget)
        with torch.inference_mode(), full_precision(self.device):
            return run_in_batches(batch, count, size, should_stop=should_stop).cpu().numpy()

    def _checked_latents(self, latents: ArrayLike) -> Tensor:
        array = np.array(latents, dtype=np.float32 if self.dtype == torch.float32 else np.float64)
        if array.ndim != 2 or array.shape[1] != self.n_latent:
            raise InputError(f"'latents' has shape {array.shape}, expected (n, {self.n_latent})")
        return torch.from_numpy(array)
