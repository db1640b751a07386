"""A training run from its source to a model: stages, checkpoints, and the record of what happened."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imo_engine.errors import InputError
from imo_engine.model.autoencoder import SpectrumDecoder, SpectrumEncoder
from imo_engine.simulation.library import rest_wavelength
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.system.devices import choose_device
from imo_engine.training.checkpoints import load_checkpoint, save_checkpoint
from imo_engine.training.encoding import encode_quickly, keep_slopes_positive, standardise
from imo_engine.training.losses import consistency_loss, fidelity_loss, rest_frame_sample, similarity_loss
from imo_engine.training.oddness import N_ODDITIES
from imo_engine.training.sampling import Batch, LibrarySampler, SpectraSampler
from imo_engine.training.settings import TrainConfig
from imo_engine.training.sources import TrainingSource
from imo_engine.training.warm_start import LatentTeacher, pixel_loss, train_teacher, widened

__all__ = ["Progress", "TrainConfig", "TrainedAutoencoder", "train_autoencoder"]

Progress = Callable[[str, int, int, float], None]
"""Called with stage, step, steps and loss."""


@dataclass(eq=False)
class TrainedAutoencoder:
    """Networks and the loss curves, (step, loss) pairs for each stage."""

    encoder: SpectrumEncoder
    decoder: SpectrumDecoder
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def train_autoencoder(
    source: TrainingSource,
    config: TrainConfig,
    checkpoint: Path,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    save_every: int = 100,
) -> TrainedAutoencoder:
    """Train encoder and decoder, or go on from ``checkpoint``.

    With a library: latents from noiseless galaxies (teacher), the encoder taught these from noisy spectra, then both
    together. With real spectra: both together from the start, with spender's three losses.

    Raises:
        ModelFileError: a checkpoint that is damaged or cannot be written.
        InputError: a checkpoint of another run.
    """
    run = _Run(source, config, checkpoint, choose_device(device), progress, save_every)
    run.resume()
    if source.library is not None:
        run.teach()
        run.stage("encoder", config.encoder_steps, config.rate, run.encoder_loss, list(run.encoder.parameters()))
    both = [*run.encoder.parameters(), *run.decoder.parameters()]
    rate = config.joint_rate if source.library is not None else config.rate
    run.stage("joint", config.joint_steps, rate, run.joint_loss, both)
    if source.library is not None:
        for cycle in range(config.refine_cycles):
            name = "refine" if cycle == 0 else f"refine {cycle + 1}"
            run.stage(name, config.refine_steps, config.refine_rate, run.refine_loss, list(run.encoder.parameters()))
    return TrainedAutoencoder(run.encoder.eval(), run.decoder.eval(), run.curves)


class _Run:
    """State of a run: networks, curves, and where it is."""

    def __init__(
        self,
        source: TrainingSource,
        config: TrainConfig,
        checkpoint: Path,
        device: torch.device,
        progress: Progress | None,
        save_every: int,
    ) -> None:
        self.source, self.config, self.path, self.device = source, config, checkpoint, device
        self.progress, self.save_every = progress, save_every
        state = torch.random.get_rng_state()
        torch.manual_seed(config.seed)
        self.encoder = SpectrumEncoder(config.autoencoder()).to(device)
        self.decoder = SpectrumDecoder(config.autoencoder(), torch.tensor(rest_wavelength())).to(device)
        torch.random.set_rng_state(state)
        self.teacher: LatentTeacher | None = None
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.done: list[str] = []
        self.partial: dict[str, Any] | None = None
        self.grid = torch.tensor(desi_wavelength().copy())
        rows = source.split.autoencoder
        self.sampler: LibrarySampler | SpectraSampler
        if source.library is not None:
            self.sampler = LibrarySampler(source.library[rows], oddness=config.oddness)
        elif source.spectra is not None:
            self.sampler = SpectraSampler(source.spectra[rows])
        else:
            raise InputError("a training source without galaxies and without spectra")
        if config.normalisation == "none":
            standardise(self.encoder, self._tensor(self.sampler.draw(config.batch, rng=self._rng("scale", 0)).flux))

    def resume(self) -> None:
        """Load the checkpoint if there is one."""
        if not self.path.exists():
            return
        saved = load_checkpoint(self.path)
        # more cycles continue a run
        mine, theirs = ({**config, "refine_cycles": 0} for config in (_plain(asdict(self.config)), saved["config"]))
        if mine != theirs or saved["source"] != self.source.description:
            raise InputError(f"{self.path}: belongs to a run with other settings; delete it or choose another output")
        self.encoder.load_state_dict(saved["encoder"])
        self.decoder.load_state_dict(saved["decoder"])
        if saved["teacher"] is not None:
            self.teacher = LatentTeacher(*(part.to(self.device) for part in saved["teacher"]))
        self.curves = {name: [(int(s), float(v)) for s, v in curve] for name, curve in saved["curves"].items()}
        self.done, self.partial = list(saved["done"]), saved["partial"]

    def save(self, partial: dict[str, Any] | None = None) -> None:
        """Write the checkpoint."""
        teacher = None if self.teacher is None else [self.teacher.weight.cpu(), self.teacher.bias.cpu()]
        contents = {
            "config": _plain(asdict(self.config)),
            "source": self.source.description,
            "encoder": self.encoder.state_dict(),
            "decoder": self.decoder.state_dict(),
            "teacher": teacher,
            "curves": self.curves,
            "done": self.done,
            "partial": partial,
        }
        save_checkpoint(self.path, contents)

    def teach(self) -> None:
        """Learn the latents of noiseless galaxies."""
        if "teacher" in self.done or self.source.library is None:
            return
        rows = self.source.split.autoencoder[: self.config.teacher_galaxies]
        pieces = np.array_split(rows, max(1, len(rows) // 500))
        rest = np.concatenate([self.source.library.rest_frame(piece).astype(np.float32) for piece in pieces])
        teacher, decoder, curve = train_teacher(
            rest,
            rest_wavelength(),
            self.config.autoencoder(teacher=True),
            seed=self.config.seed,
            steps=self.config.teacher_steps,
        )
        self.teacher = LatentTeacher(teacher.weight.to(self.device), teacher.bias.to(self.device))
        self.decoder.load_state_dict(widened(decoder.state_dict(), N_ODDITIES))
        self.curves["teacher"] = curve
        self.done.append("teacher")
        self.save()

    def stage(
        self,
        name: str,
        steps: int,
        rate: float,
        loss_of: Callable[[Batch, int], Tensor],
        parameters: list[nn.Parameter],
    ) -> None:
        """Run one stage of gradient descent, or what is left of it."""
        if name in self.done or steps == 0:
            return
        optimiser = torch.optim.Adam(parameters, lr=rate, eps=1e-6)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.1)
        curve = self.curves.setdefault(name, [])
        start = 0
        if self.partial is not None and self.partial["stage"] == name:
            optimiser.load_state_dict(self.partial["optimiser"])
            schedule.load_state_dict(self.partial["schedule"])
            start = int(self.partial["step"])
        self.partial = None
        for step, batch in self._batches(name, start, steps):
            loss = loss_of(batch, step)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            keep_slopes_positive(self.encoder)
            value = float(loss.detach())
            if step % 10 == 0:
                curve.append((step, value))
            if self.progress is not None:
                self.progress(name, step + 1, steps, value)
            if (step + 1) % self.save_every == 0 and step + 1 < steps:
                self.save(
                    {
                        "stage": name,
                        "step": step + 1,
                        "optimiser": optimiser.state_dict(),
                        "schedule": {k: v for k, v in schedule.state_dict().items() if not callable(v) and k[0] != "_"},
                    }
                )
        self.done.append(name)
        self.save()

    def _batches(self, name: str, start: int, steps: int) -> Iterator[tuple[int, Batch]]:
        """Yield step and batch; the next batch is drawn while the last one is being learned from."""
        with ThreadPoolExecutor(1) as thread:

            def draw(step: int) -> Future[Batch]:
                return thread.submit(self.sampler.draw, self.config.batch, rng=self._rng(name, step))

            coming = draw(start)
            for step in range(start, steps):
                batch = coming.result()
                if step + 1 < steps:
                    coming = draw(step + 1)
                yield step, batch

    def encoder_loss(self, batch: Batch, step: int) -> Tensor:
        """Return how far the encoder is from the teacher's latents."""
        return nn.functional.smooth_l1_loss(self._encode(batch.flux), self._taught(batch), beta=0.5)

    def refine_loss(self, batch: Batch, step: int) -> Tensor:
        """Return how far the encoder is from the teacher's latents and, three times as heavy, from the oddness."""
        distance = nn.functional.smooth_l1_loss(
            self._encode(batch.flux), self._taught(batch), beta=0.3, reduction="none"
        )
        return distance[:, :-N_ODDITIES].mean() + 3 * distance[:, -N_ODDITIES:].mean()

    def joint_loss(self, batch: Batch, step: int) -> Tensor:
        """Return fidelity, similarity and consistency, and the distance to the teacher's latents if there is one."""
        everything = self._encode(batch.flux)
        # the decoder is to know galaxies only, not what was done to some of them
        keep = np.arange(len(batch.flux)) if batch.oddity is None else np.flatnonzero(~batch.oddity.any(axis=1))
        latents, z = everything[keep], torch.from_numpy(batch.redshift[keep])
        rest = self.decoder(latents).float()
        flux, ivar = self._tensor(batch.flux[keep]), self._tensor(batch.ivar[keep])
        model = self.decoder.observe(rest, z, self.grid)
        loss = fidelity_loss(model, flux, ivar * (model != 0))
        if batch.rest is not None:
            # what the truth of a simulation allows: the right latents, and the right spectrum without noise
            truth = self._tensor(batch.rest[keep])
            loss = loss + pixel_loss(rest, truth).mean() + self.config.anchor * self.encoder_loss_of(everything, batch)
            sample, weight = truth[:, ::20], torch.full_like(truth[:, ::20], 16.0)
        else:
            sample, weight = rest_frame_sample(flux, ivar, z.to(flux))
        slope = min(1.0, 0.1 + 0.9 * ((4 * step / max(1, self.config.joint_steps)) % 1) * 2)
        loss = loss + self.config.similarity * similarity_loss(latents, sample, weight, slope=slope)
        half = keep[: max(2, len(keep) // 2)]
        copy = self._encode(self._augmented(batch, half, step))
        return loss + self.config.consistency * consistency_loss(everything[half], copy)

    def encoder_loss_of(self, latents: Tensor, batch: Batch) -> Tensor:
        """Return the distance of latents to the teacher's."""
        return nn.functional.smooth_l1_loss(latents, self._taught(batch), beta=0.5)

    def _augmented(self, batch: Batch, rows: NDArray[np.int64], step: int) -> NDArray[np.float32]:
        """Return some spectra of a batch at other redshifts with other noise.

        Simulated galaxies are observed again; real spectra are stretched, with more noise on 5 % of the pixels.
        """
        rng = self._rng("augmentation", step)
        if isinstance(self.sampler, LibrarySampler) and batch.rows is not None:
            again = replace(self.sampler, oddness=0.0).draw(len(rows), rng=rng, rows=batch.rows[rows])
            if len(again.flux) == len(rows):
                return again.flux
        grid = desi_wavelength()
        flux = np.empty((len(rows), len(grid)), np.float32)
        for copy, row in zip(flux, rows, strict=True):
            z = batch.redshift[row]
            # not beyond what the observed range holds, or most of the copy would be extrapolated
            new = rng.uniform(max(0.0, z - 0.15), min(0.62, z + 0.15))
            copy[:] = np.interp(grid * (1 + z) / (1 + new), grid, batch.flux[row])
        spots = rng.uniform(size=flux.shape) < 0.05
        flux[spots] += rng.normal(0, 0.2, int(spots.sum())).astype(np.float32)
        return flux

    def _encode(self, flux: NDArray[np.float32]) -> Tensor:
        return encode_quickly(self.encoder, self._tensor(flux), low_precision=self.config.low_precision)

    def _taught(self, batch: Batch) -> Tensor:
        if self.teacher is None or batch.rest is None or batch.oddity is None:
            raise InputError("the encoder stage needs noiseless spectra")
        with torch.no_grad():
            return torch.cat([self.teacher(self._tensor(batch.rest)), self._tensor(batch.oddity)], dim=1)

    def _tensor(self, array: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)

    def _rng(self, name: str, step: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, sum(name.encode()), step])


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
