"""Reasons of many outliers, worked out in several processes; attributions are kept, so that a run can go on."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, Attribution
from imo_engine.evaluation.cases import Case
from imo_engine.evaluation.reasons.judgement import Judgement, judge
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.reasons.features import Findings, find_features
from imo_engine.reasons.null_distribution import NullDistribution, NullSettings
from imo_engine.reasons.sentences import sentence
from imo_engine.reasons.significance import significance_or_why
from imo_engine.reasons.spectrum_facts import SpectrumFacts
from imo_engine.reasons.twin import compare
from imo_engine.spectra.spectra import Spectra, concatenate
from imo_engine.system.files import write_atomically
from imo_engine.system.processes import new_processes

__all__ = ["chosen_cases", "judge_cases", "other_redshifts", "said_of"]

_SETTINGS = NullSettings()


@dataclass(frozen=True, eq=False)
class _Tools:
    model: OutlierModel
    pool: BaselinePool
    null: NullDistribution | None


@cache
def _tools(model_file: Path) -> _Tools:
    import torch

    torch.set_num_threads(1)
    model = OutlierModel.load(model_file, device="cpu")
    pool = BaselinePool.load(model_file.with_name("baselines.safetensors"), model)
    return _Tools(model, pool, NullDistribution.load_beside(model_file, model.fingerprint))


def chosen_cases(cases: Sequence[Case], per_kind: int, model: OutlierModel) -> list[Case]:
    """Return up to ``per_kind`` outliers of each kind, those of the lowest log p, as a ranking has them."""
    if not cases:
        return []
    spectra = concatenate([case.spectrum for case in cases])
    order = np.argsort(model.log_prob(model.prepare(spectra)), kind="stable")
    seen: Counter[str] = Counter()
    chosen = []
    for row in order:
        seen[cases[row].kind] += 1
        if seen[cases[row].kind] <= per_kind:
            chosen.append(cases[row])
    return sorted(chosen, key=lambda case: (case.kind, case.strength, case.target_id))


def judge_cases(
    model_file: Path,
    cases: Sequence[Case],
    folder: Path,
    *,
    processes: int = 2,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> list[Judgement]:
    """Work out and judge what is said of each outlier; ``folder`` keeps their attributions."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Judgement] = {}
    with new_processes(processes) as executor:
        jobs = [executor.submit(_judged, model_file, case, folder) for case in cases]
        for job in as_completed(jobs):
            judgement = job.result()
            found[judgement.target_id] = judgement
            on_done(len(found), len(cases))
    return [found[case.target_id] for case in cases]


def _judged(model_file: Path, case: Case, folder: Path) -> Judgement:
    found, words = said_of(model_file, case.spectrum, folder)
    return judge(case, found, words)


def said_of(model_file: Path, spectrum: Spectra, folder: Path) -> tuple[Findings, str]:
    """Return what stands out of one spectrum, and the sentence that is said of it."""
    tools = _tools(model_file)
    path = folder / f"{tools.model.fingerprint}-{spectrum.target_id[0]}.npz".replace("/", "-")
    attribution = _kept(path)
    if attribution is None:
        attribution = inverse_multiscale_occlusion(
            tools.model,
            tools.model.prepare(spectrum)[0],
            float(spectrum.redshift[0]),
            tools.pool.draw(_SETTINGS.n_baselines, seed=0),
            _SETTINGS.window_sizes,
            weights=RECOMMENDED_WEIGHTING,
            valid=spectrum.measured[0],
        )
        _keep(path, attribution)
    known, _ = significance_or_why(attribution, tools.null)
    comparison = compare(tools.model, spectrum, tools.pool.latents, tools.null)
    found = find_features(attribution, comparison, significance=known)
    return found, sentence(found, attribution.redshift)


def other_redshifts(
    model_file: Path,
    spectra: Spectra,
    *,
    processes: int = 2,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> list[float | None]:
    """Return the other redshift that is named for each of n spectra, None where none is."""
    found: list[float | None] = [None] * len(spectra)
    with new_processes(processes) as executor:
        jobs = {executor.submit(_other, model_file, spectra[[row]]): row for row in range(len(spectra))}
        for done, job in enumerate(as_completed(jobs), start=1):
            found[jobs[job]] = job.result()
            on_done(done, len(spectra))
    return found


def _other(model_file: Path, spectrum: Spectra) -> float | None:
    tools = _tools(model_file)
    other = SpectrumFacts(compare(tools.model, spectrum, tools.pool.latents, tools.null), ()).other
    return None if other is None else other.redshift


def _keep(path: Path, one: Attribution) -> None:
    """Write an attribution, one value a chunk."""
    # where only some pixels of a chunk are valid, these have its value
    arrays = {
        f"w{size}": np.fmax.reduceat(one.values[k], np.arange(0, len(one.valid), size), axis=1)
        for k, size in enumerate(one.window_sizes)
    }
    about = {"redshift": one.redshift, "provenance": {k: str(v) for k, v in one.provenance.items()}}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(
                file,
                about=json.dumps(about),
                flux=one.flux,
                baselines=one.baselines,
                baseline_log_prob=one.baseline_log_prob,
                wavelength=one.wavelength,
                valid=one.valid,
                **arrays,  # type: ignore[arg-type]  # names are those of windows
            )

    write_atomically(path, write)


def _kept(path: Path) -> Attribution | None:
    """Read what :func:`_keep` wrote; None if there is nothing, or not all of it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            valid = stored["valid"]
            values = np.stack(
                [
                    np.repeat(stored[f"w{size}"], size, axis=1)[:, : len(valid)].astype(np.float64)
                    for size in _SETTINGS.window_sizes
                ]
            )
            return Attribution(
                values=np.where(valid, values, np.nan),
                baselines=stored["baselines"],
                baseline_log_prob=stored["baseline_log_prob"],
                flux=stored["flux"],
                redshift=float(about["redshift"]),
                wavelength=stored["wavelength"],
                valid=valid,
                window_sizes=_SETTINGS.window_sizes,
                offsets=(0,) * len(_SETTINGS.window_sizes),
                strides=_SETTINGS.window_sizes,
                weighting=RECOMMENDED_WEIGHTING,
                provenance=about["provenance"],
            )
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None
