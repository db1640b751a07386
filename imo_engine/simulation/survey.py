"""A survey with known outliers, made part by part: the same seed gives the same survey, whatever was interrupted.

Every outlier has a twin without its cause but with the same noise; its truth mask is taken after both are
normalised, because a change inside rest 5300 to 5850 Angstrom changes the whole normalised spectrum.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.simulation.artefacts import ARTEFACTS, Arms
from imo_engine.simulation.library import GalaxyLibrary
from imo_engine.simulation.lines import line_index
from imo_engine.simulation.oddities import NEEDS_LINES, ODDITIES, Target, double_peaked_lines
from imo_engine.simulation.spectrograph import RESOLUTION, Exposure, arm_slices, combine_arms, observe
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import normalise
from imo_engine.system.files import write_atomically

__all__ = [
    "KINDS",
    "SURVEY_REDSHIFTS",
    "OutlierTruth",
    "SurveyConfig",
    "SurveyPart",
    "prepare_folder",
    "simulate_part",
]

KINDS: tuple[str, ...] = (*ARTEFACTS, *ODDITIES)
"""Kinds of injected outliers; "outlier_four" (step and double peaks at z = 0.32) comes once in a survey."""

SURVEY_REDSHIFTS = (0.02, 0.6)
"""Lowest and highest redshift of a simulated survey, and of what a model that is trained on galaxies calls ordinary."""

LEVELS = 4
FIRST_TARGET = 39_628_000_000_000_000
"""TARGETIDs begin here, above 2**53 as DESI's do."""

_TRUTH_SIGMA = 1.0
_OUTLIER_FOUR = (0.7, -0.2)
# what is strong must also be seen: flux at rest 5300-5850 Angstrom by level, EW of H-alpha for the two halves
_LEAST_FLUX = (0.0, 1.4, 2.5, 4.0)
_LEAST_WIDTH = (12.0, 25.0)
_FAINTEST, _SLOPE, _BRIGHTEST = 1.4, 1.5, 60.0


@dataclass(frozen=True)
class SurveyConfig:
    """Everything that decides what a simulated survey contains."""

    number: int = 12_000
    seed: int = 1
    outlier_fraction: float = 0.018
    part_size: int = 500
    redshift_range: tuple[float, float] = SURVEY_REDSHIFTS

    @property
    def parts(self) -> int:
        """Number of files."""
        return -(-self.number // self.part_size)

    def rows(self, part: int) -> range:
        """Return the positions in the survey of one part."""
        return range(part * self.part_size, min((part + 1) * self.part_size, self.number))


@dataclass(frozen=True, eq=False)
class OutlierTruth:
    """One injected outlier: which row of its part, what was done, the clean twin, and where they differ."""

    row: int
    kind: str
    strength: int
    parameters: str
    clean_flux: Arms
    clean_redshift: float
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SurveyPart:
    """One file's worth of targets: what DESI would release, and the truth."""

    target_id: NDArray[np.int64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    redshift: NDArray[np.float64]
    true_redshift: NDArray[np.float64]
    exposure: Exposure
    outliers: list[OutlierTruth]


def prepare_folder(folder: Path, config: SurveyConfig) -> None:
    """Make the folder, or check that what is in it came from the same configuration.

    Raises:
        InputError: it holds another survey.
        SpectrumFileError: it cannot be made or its description is damaged.
    """
    path = folder / "simulation.json"
    text = json.dumps(asdict(config), indent=1) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and json.loads(path.read_text()) != json.loads(text):
            raise InputError(f"{folder}: holds a survey with other settings; choose another folder or delete it")
        write_atomically(path, lambda name: name.write_text(text))
    except OSError as error:
        raise SpectrumFileError(f"{folder}: cannot be written: {error}") from None
    except json.JSONDecodeError as error:
        raise SpectrumFileError(f"{path}: damaged: {error}") from None


def outlier_plan(config: SurveyConfig) -> dict[int, tuple[str, int]]:
    """Return which targets become outliers: position: (kind, level 0 to 3), equal numbers of each."""
    count = round(config.number * config.outlier_fraction)
    each = max(1, round(count / (len(KINDS) * LEVELS))) if count else 0
    wanted = [(kind, level) for kind in KINDS for level in range(LEVELS) for _ in range(each)]
    if count:
        wanted.append(("outlier_four", LEVELS - 1))
    if len(wanted) > config.number:
        raise InputError(
            f"{config.number} targets cannot hold {len(wanted)} outliers, {each} of each kind and strength"
        )
    rng = np.random.default_rng([config.seed, 2])
    positions = rng.choice(config.number, size=len(wanted), replace=False)
    return {int(p): w for p, w in zip(positions, wanted, strict=True)}


def draw_redshifts(count: int, limits: tuple[float, float], *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw redshifts of a bright survey: a broad peak at about a third of the range."""
    low, high = limits
    return low + (high - low) * rng.beta(1.6, 2.6, count)


def draw_amplitudes(count: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw fluxes at rest 5300-5850 Angstrom, 1e-17 erg/s/cm2/Angstrom, with Euclidean counts."""
    return np.minimum(_FAINTEST * rng.uniform(size=count) ** (-1 / _SLOPE), _BRIGHTEST)


def simulate_part(library: GalaxyLibrary, config: SurveyConfig, part: int) -> SurveyPart:
    """Simulate one part of a survey; ``library`` holds the galaxies of this part, one for each target."""
    rows = config.rows(part)
    n = len(rows)
    if len(library) != n:
        raise InputError(f"part {part} has {n} targets but {len(library)} galaxies")
    rng = np.random.default_rng([config.seed, 3, part])
    grid, slices = desi_wavelength(), arm_slices()
    redshift = draw_redshifts(n, config.redshift_range, rng=rng)
    amplitude = draw_amplitudes(n, rng=rng)
    galaxy = np.arange(n)
    plan = {p - rows[0]: what for p, what in outlier_plan(config).items() if p in rows}
    with_lines = [_galaxies_with_lines(library, width) for width in _LEAST_WIDTH]
    for row, (kind, level) in sorted(plan.items()):
        if kind in NEEDS_LINES or kind == "outlier_four":
            galaxy[row] = int(rng.choice(with_lines[level // 2]))
            redshift[row] = min(redshift[row], 0.42)
        amplitude[row] = max(amplitude[row], _LEAST_FLUX[level])
        if kind == "outlier_four":
            redshift[row], amplitude[row] = 0.32, 4.0
    expected = amplitude[:, None] * library.observe(galaxy, redshift, grid, resolution=RESOLUTION)
    time = 450.0 * np.exp(rng.normal(0, 0.25, n))
    exposure = observe({arm: expected[:, s] for arm, s in slices.items()}, rng=rng, exposure_time=time)

    reported, truths = redshift.copy(), []
    for row, (kind, level) in sorted(plan.items()):
        own = np.random.default_rng([config.seed, 4, rows[row]])
        target = Target(library, int(galaxy[row]), float(redshift[row]), float(amplitude[row]), grid)
        truth = _inject(exposure, row, kind, level, target, own)
        reported[row] = truth.redshift
        truths.append(truth.record)
    place = np.random.default_rng([config.seed, 5, part])
    return SurveyPart(
        target_id=FIRST_TARGET + config.seed * 1_000_000 + np.array(rows),
        ra=place.uniform(150.0, 151.5, n),
        dec=place.uniform(1.5, 3.0, n),
        redshift=reported,
        true_redshift=redshift,
        exposure=exposure,
        outliers=truths,
    )


@dataclass(frozen=True, eq=False)
class _Injected:
    redshift: float
    record: OutlierTruth


def _galaxies_with_lines(library: GalaxyLibrary, least: float) -> NDArray[np.int64]:
    """Return galaxies with an H-alpha of ``least`` Angstrom or more; the strongest twentieth if there are none."""
    width = library.line_flux[:, line_index("Hα")[0]].astype(float)
    found = np.flatnonzero(width > least)
    return found if len(found) else np.argsort(-width)[: max(1, len(width) // 20)]


def _inject(exposure: Exposure, row: int, kind: str, level: int, target: Target, rng: np.random.Generator) -> _Injected:
    """Turn one row of ``exposure`` into an outlier, in place, and return its truth."""
    slices = arm_slices()
    clean = {arm: exposure.flux[arm][row].copy() for arm in slices}
    ivar = {arm: exposure.ivar[arm][row] for arm in slices}
    redshift, parameters, changed = target.redshift, {}, clean
    oddity = double_peaked_lines if kind == "outlier_four" else ODDITIES.get(kind)
    if oddity is not None:
        odd = oddity(target, 2 if kind == "outlier_four" else level, rng)
        redshift, parameters = odd.redshift, odd.parameters
        changed = {
            arm: odd.expected[s] * exposure.calibration[arm][row] + exposure.noise[arm][row]
            for arm, s in slices.items()
        }
    if kind == "outlier_four":
        # as in the paper's figure 2: a jump at the end of the B arm and a drop to negative flux towards the blue
        high, low = _OUTLIER_FOUR
        changed = {**changed, "B": changed["B"] * np.linspace(low, high, len(changed["B"]))}
        parameters = {**parameters, "arm": "B", "factor_at_3600": low, "factor_at_5800": high}
    elif oddity is None:
        changed, parameters = ARTEFACTS[kind](clean, ivar, level, rng)
    for arm in slices:
        exposure.flux[arm][row] = changed[arm]
    mask = truth_mask(clean, changed, ivar, target.redshift, redshift)
    words = {k: round(v, 5) if isinstance(v, float) else v for k, v in parameters.items()}
    record = OutlierTruth(row, kind, level + 1, json.dumps(words), clean, target.redshift, mask)
    return _Injected(redshift, record)


def truth_mask(
    clean: Arms, changed: Arms, ivar: Arms, clean_redshift: float, redshift: float, *, sigma: float = _TRUTH_SIGMA
) -> NDArray[np.bool_]:
    """Tell where an outlier differs from its twin by more than ``sigma`` times the noise, both normalised, (N,)."""
    combined = []
    for flux in (clean, changed):
        arms = Exposure({a: f[None] for a, f in flux.items()}, {a: v[None] for a, v in ivar.items()}, {}, {}, {})
        combined.append(combine_arms(arms))
    pair = normalise(
        desi_wavelength(),
        np.concatenate([flux for flux, _ in combined]),
        np.concatenate([weight for _, weight in combined]),
        [clean_redshift, redshift],
        target_id=["clean", "changed"],
    )
    weight = combined[0][1][0] * float(np.nan_to_num(pair.norm[0], nan=1.0)) ** 2
    apart: NDArray[np.bool_] = np.abs(pair.flux[1] - pair.flux[0]) * np.sqrt(weight) > sigma
    return apart
