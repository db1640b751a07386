"""Attributions of many ordinary spectra, one small file each, so that an interrupted run goes on where it was."""

import json
import os
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import Attribution
from imo_engine.errors import ImoError, InputError
from imo_engine.evaluation.ordinary.null_fit import NullSample
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.readers import read_spectra
from imo_engine.reasons.null_distribution import NullSettings
from imo_engine.system.files import write_atomically
from imo_engine.system.processes import new_processes

if TYPE_CHECKING:
    from imo_engine.spectra.spectra import Spectra

__all__ = ["explain_survey", "map_values"]

_THREADS = "OMP_NUM_THREADS"


def map_values(attribution: Attribution) -> tuple[NDArray[np.float32], ...]:
    """Return the mean over baselines of each chunk of each window size, (chunk,), and the combination, (pixel,).

    NaN where a chunk has no valid pixel. Plain tiles only: all pixels of a chunk have one value.
    """
    count, valid = len(attribution.valid), attribution.valid
    found = []
    for size, mean in zip(attribution.window_sizes, attribution.mean, strict=True):
        chunk = np.arange(count) // size
        values = np.full(int(chunk[-1]) + 1, np.nan, np.float32)
        values[chunk[valid]] = mean[valid]
        found.append(values)
    return (*found, attribution.combined.astype(np.float32))


def explain_survey(
    model_file: Path,
    pool_file: Path,
    survey: Path,
    folder: Path,
    settings: NullSettings,
    *,
    number: int,
    seed: int = 0,
    processes: int = 2,
    on_done: Callable[[int, int], None] | None = None,
) -> NullSample:
    """Explain the first ``number`` spectra of a survey that have a score, and return what was found.

    Args:
        model_file: Of the model.
        pool_file: Its pool of baselines.
        survey: Folder or file that :func:`~imo_engine.readers.any_survey.read_spectra` reads.
        folder: Where each spectrum's result is kept; what is there already is not computed again.
        settings: Window sizes, baselines, weights.
        number: Of spectra; fewer if the survey has fewer.
        seed: Of the draw of baselines.
        processes: How many work at once, with one thread each.
        on_done: Called with the number of spectra done, and in all.

    Raises:
        ImoError: a file that cannot be used, or a disk that refuses.
    """
    model = OutlierModel.load(model_file, device="cpu")
    spectra = read_spectra(survey, wavelength=model.wavelength)
    rows = np.flatnonzero(spectra.scorable)[:number]
    log_prob = model.log_prob(model.prepare(spectra[rows])) if len(rows) else np.zeros(0)
    rows, log_prob = rows[np.isfinite(log_prob)], log_prob[np.isfinite(log_prob)]
    about = {"model": model.fingerprint, "seed": seed, **asdict(settings)}
    place = folder / f"{survey.name}-seed{seed}"
    place.mkdir(parents=True, exist_ok=True)
    _check_folder(place / "settings.json", about)
    paths = [place / f"{spectra.target_id[row]}.npz" for row in rows]
    waiting = [k for k, path in enumerate(paths) if _read(path, settings, len(spectra.wavelength)) is None]
    done = len(rows) - len(waiting)
    if on_done is not None:
        on_done(done, len(rows))
    if waiting:
        before = os.environ.get(_THREADS)
        os.environ[_THREADS] = "1"  # the new processes read it when they import torch
        try:
            with new_processes(processes) as executor:
                jobs = [
                    executor.submit(_explain_one, model_file, pool_file, spectra[[rows[k]]], paths[k], settings, seed)
                    for k in waiting
                ]
                for job in as_completed(jobs):
                    job.result()
                    done += 1
                    if on_done is not None:
                        on_done(done, len(rows))
        finally:
            if before is None:
                del os.environ[_THREADS]
            else:
                os.environ[_THREADS] = before
    found = [_read(path, settings, len(spectra.wavelength)) for path in paths]
    complete = [one for one in found if one is not None]
    if len(complete) < len(found) or not found:
        raise InputError(f"{survey}: no spectrum with a score" if not found else f"{place}: results have disappeared")
    return NullSample(
        model.fingerprint,
        settings,
        model.wavelength,
        tuple(np.stack(column) for column in zip(*complete, strict=True)),
        spectra.redshift[rows],
        spectra.target_id[rows],
        log_prob.astype(np.float64),
    )


def _explain_one(
    model_file: Path, pool_file: Path, spectrum: "Spectra", path: Path, settings: NullSettings, seed: int
) -> None:
    """Explain one spectrum in a process of its own and keep the result."""
    model, pool = _loaded(model_file, pool_file)
    found = inverse_multiscale_occlusion(
        model,
        model.prepare(spectrum)[0],
        float(spectrum.redshift[0]),
        pool.draw(min(settings.n_baselines, len(pool)), seed=seed),
        settings.window_sizes,
        weights=settings.weighting,
        valid=spectrum.measured[0],
    )
    arrays = dict(zip(settings.maps, map_values(found), strict=True))

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # names are those of the maps

    try:
        write_atomically(path, write)
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None


@cache
def _loaded(model_file: Path, pool_file: Path) -> tuple[OutlierModel, BaselinePool]:
    model = OutlierModel.load(model_file, device="cpu")
    return model, BaselinePool.load(pool_file, model)


def _read(path: Path, settings: NullSettings, n_pixel: int) -> list[NDArray[np.float32]] | None:
    """Return what was kept of a spectrum; None if there is nothing, or not all of it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = [stored[name] for name in settings.maps]
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None
    right = [values.shape == (-(-n_pixel // size),) for values, size in zip(found, settings.chunk_sizes, strict=True)]
    return found if all(right) else None


def _check_folder(path: Path, about: dict[str, object]) -> None:
    """Write what the folder holds; refuse to mix it with anything else.

    Raises:
        InputError: it was made with another model or other settings.
    """
    plain = json.loads(json.dumps(about))
    try:
        if path.exists():
            if json.loads(path.read_text(encoding="utf-8")) != plain:
                raise InputError(f"{path.parent}: holds results of another model or of other settings")
        else:
            path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    except (OSError, json.JSONDecodeError) as error:
        raise ImoError(f"{path}: cannot be used: {error}") from None
