"""The demo survey that ships: the least probable targets of a simulated survey, and ordinary ones to compare with.

Written by ``python scripts/demo_survey.py MODEL_FOLDER SURVEY_FOLDER OUTPUT``.
"""

import hashlib
import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.evaluation.model.credibility import rank_survey, read_truth
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.ranking import Ranking, rank_spectra
from imo_engine.readers import read_spectra
from imo_engine.simulation.spectrograph import arm_slices
from imo_engine.simulation.survey_writer import round_mantissa, write_coadd, write_hdus, write_redrock
from imo_engine.system.files import write_atomically

__all__ = ["SHIPPED", "write_demo"]

SHIPPED = (
    "model.safetensors",
    "model.json",
    "baselines.safetensors",
    "reference.safetensors",
    "coadd-demo.fits.gz",
    "redrock-demo.fits.gz",
    "demo-catalogue.ecsv",
    "demo-truth.fits.gz",
)
"""Files of a model and of the demo survey, in the order they are made; ``data/README.md`` has what is made of them."""

_FLUX_BITS, _IVAR_BITS, _DIFFERENCE_BITS = 10, 6, 8


def write_demo(
    model: OutlierModel, ranking: Ranking, survey: Path, output: Path, *, lowest: int = 200, ordinary: int = 100
) -> Table:
    """Write the demo files and return the catalogue.

    ``rank`` is the rank among all targets of the survey, ``log_prob`` what the shipped spectra score, whose fluxes are
    rounded to a few per cent of their noise.

    Raises:
        InputError: a survey with fewer targets than asked for.
        SpectrumFileError: survey files that are damaged, or a disk that refuses.
    """
    if (ranking.rank > 0).sum() < lowest + 2 * ordinary:
        raise InputError(f"{survey}: {(ranking.rank > 0).sum()} targets with a score are too few for a demo")
    order = ranking.order()
    count = int((ranking.rank > 0).sum())
    truth = read_truth(survey)
    injected = set(truth["target_id"])
    middle = order[int(0.1 * count) : int(0.9 * count)]
    middle = middle[~np.isin(ranking.spectra.target_id[middle], list(injected))]
    chosen = np.concatenate([order[:lowest], np.random.default_rng(20).choice(middle, size=ordinary, replace=False)])
    names = ranking.spectra.target_id[chosen]
    parts = _rows_of(survey, names)
    ids = np.array([int(name) for name in names], np.int64)
    coadd, redrock = output / "coadd-demo.fits.gz", output / "redrock-demo.fits.gz"
    write_coadd(coadd, ids, ranking.spectra.ra[chosen], ranking.spectra.dec[chosen], *parts)
    write_redrock(redrock, ids, ranking.spectra.redshift[chosen])
    _write_truth(output / "demo-truth.fits.gz", survey, set(names), parts[0])

    demo = rank_spectra(model, read_spectra(coadd, wavelength=model.wavelength), rank_all=True)
    log_prob = ranking.log_prob.copy()
    log_prob[chosen] = demo.log_prob
    ordered = np.sort(log_prob[ranking.rank > 0])
    rank = np.searchsorted(ordered, demo.log_prob) + 1
    table = replace(demo, rank=rank.astype(np.int64)).to_table()
    table.meta |= {"scored": count, "survey_size": len(ranking.rank)}
    write_atomically(
        output / "demo-catalogue.ecsv", lambda name: table.write(name, format="ascii.ecsv", overwrite=True)
    )
    return table


Arms = dict[str, NDArray[Any]]


def _rows_of(survey: Path, names: NDArray[np.str_]) -> tuple[Arms, Arms, Arms]:
    """Return flux, ivar and mask of each arm for some targets of a survey, in the order of ``names``."""
    wanted = {name: row for row, name in enumerate(names)}
    flux, ivar, mask = (
        {arm: np.zeros((len(names), s.stop - s.start), kind) for arm, s in arm_slices().items()}
        for kind in (np.float32, np.float32, np.int32)
    )
    for path in sorted(survey.glob("coadd-sim-*.fits")):
        with fits.open(path) as file:
            ids = [str(value) for value in file["FIBERMAP"].data["TARGETID"]]
            here = np.array([row for row, name in enumerate(ids) if name in wanted], int)
            there = [wanted[ids[row]] for row in here]
            if not there:
                continue
            for arm in arm_slices():
                flux[arm][there] = round_mantissa(file[f"{arm}_FLUX"].data[here].astype(np.float32), _FLUX_BITS)
                ivar[arm][there] = round_mantissa(file[f"{arm}_IVAR"].data[here].astype(np.float32), _IVAR_BITS)
                mask[arm][there] = file[f"{arm}_MASK"].data[here]
    return flux, ivar, mask


def _write_truth(path: Path, survey: Path, names: set[str], flux: Arms) -> None:
    """Write kinds, masks, and the clean twin minus the outlier (exact zeros where they agree) of the injected ones."""
    tables, masks = [], []
    clean: dict[str, list[NDArray[Any]]] = {arm: [] for arm in arm_slices()}
    for source in sorted(survey.glob("truth-sim-*.fits")):
        observed = source.with_name(source.name.replace("truth-", "coadd-"))
        with fits.open(source) as file, fits.open(observed) as coadd:
            table = Table(file["OUTLIERS"].data)
            keep = np.array([str(value) in names for value in table["TARGETID"]], bool)
            if not keep.any():
                continue
            tables.append(table[keep])
            masks.append(file["MASK"].data[keep])
            position = {int(value): row for row, value in enumerate(coadd["FIBERMAP"].data["TARGETID"])}
            rows = [position[int(value)] for value in table["TARGETID"][keep]]
            for arm in arm_slices():
                difference = file[f"CLEAN_{arm}_FLUX"].data[keep] - coadd[f"{arm}_FLUX"].data[rows]
                clean[arm].append(round_mantissa(difference.astype(np.float32), _DIFFERENCE_BITS))
    hdus = [fits.PrimaryHDU()]
    if tables:
        from astropy.table import vstack

        hdus.append(fits.BinTableHDU(vstack(tables, metadata_conflicts="silent"), name="OUTLIERS"))
        hdus.append(fits.ImageHDU(np.concatenate(masks).astype(np.uint8), name="MASK"))
        for arm, values in clean.items():
            hdus.append(fits.ImageHDU(np.concatenate(values), name=f"CLEAN_MINUS_{arm}_FLUX"))
    write_hdus(path, hdus)


def checksums(folder: Path) -> list[tuple[str, int, str]]:
    """Return name, bytes and SHA-256 of each shipped file that is there."""
    found = [folder / name for name in SHIPPED if (folder / name).is_file()]
    return [(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in found]


def versions() -> str:
    """Return the versions of the packages that matter, in one line."""
    names = []
    for package in ("numpy", "torch", "astropy", "scipy", "bagpipes"):
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"{package} not installed")
    return ", ".join(names)


@click.command()
@click.argument("model_folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("survey", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
def main(model_folder: Path, survey: Path, output: Path) -> None:
    """Copy the model of MODEL_FOLDER to OUTPUT and make the demo of SURVEY there."""
    output.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED[:4]:
        if not (model_folder / name).is_file():
            raise SpectrumFileError(f"{model_folder / name}: missing")
        shutil.copyfile(model_folder / name, output / f".{name}")
        (output / f".{name}").replace(output / name)
    model = OutlierModel.load(output / "model.safetensors", device="cpu")
    table = write_demo(model, rank_survey(model, survey), survey, output)
    click.echo(f"{output}: {len(table)} targets of {table.meta['survey_size']}")
    for name, size, digest in checksums(output):
        click.echo(f"| {name} | {size / 1e6:.2f} MB | {digest} |")
    click.echo(versions())


if __name__ == "__main__":
    main()
