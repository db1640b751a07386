"""Options that several subcommands share, and what they stand for."""

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import click
import numpy as np

from imo_engine.attribution import RECOMMENDED_WEIGHTING, WEIGHTINGS
from imo_engine.embedded import model_or_embedded
from imo_engine.errors import InputError, ModelFileError
from imo_engine.evaluators import EVALUATORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imo_engine.baselines import BaselinePool
    from imo_engine.model import OutlierModel
    from imo_engine.null_distribution import NullDistribution
    from imo_engine.readers import SurveyFiles
    from imo_engine.spectra import Spectra

__all__ = [
    "check_output",
    "evaluator_option",
    "integers",
    "load_baselines",
    "load_model",
    "load_null",
    "load_reference",
    "model_options",
    "rank_all_option",
    "read_files",
    "redshift_option",
    "weights_option",
]

_POOL = "baselines.safetensors"


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model, --autoencoder, --flow, --baselines and --device to a command."""
    options = [
        click.option(
            "--model", type=click.Path(path_type=Path), help="Our own model file; by default the embedded one."
        ),
        click.option("--autoencoder", type=click.Path(path_type=Path), help="Published spender autoencoder (.pt)."),
        click.option("--flow", type=click.Path(path_type=Path), help="Published flow that goes with it (.pt)."),
        click.option(
            "--baselines",
            type=click.Path(path_type=Path),
            help="Pool of baselines: .safetensors of ours, or .npy of normalised spectra (n, N). By default the pool "
            "beside the model, else the scored spectra themselves.",
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            help="auto, cpu, cuda, cuda:N or mps; imo serve uses every GPU for cuda.",
        ),
    ]
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


def redshift_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --redshift and --redshifts to a command that reads spectra."""
    options = [
        click.option("--redshift", type=float, help="Redshift of every spectrum, in place of the files' own."),
        click.option(
            "--redshifts",
            type=click.Path(path_type=Path),
            help="Catalogue (FITS, ECSV, CSV) with columns TARGETID or target_id, and Z or redshift; its redshifts "
            "replace the files' own.",
        ),
    ]
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


def read_files(
    paths: Sequence[Path], model: "OutlierModel", redshift: float | None, redshifts: Path | None
) -> "SurveyFiles":
    """Read spectra on the model's wavelengths, and say in a line each what is odd and what was passed over.

    Raises:
        SpectrumFileError: none of the files can be read.
        InputError: both ``redshift``, one for all, and ``redshifts``, a catalogue.
    """
    from imo_engine.readers import read_survey

    found = read_survey(paths, wavelength=model.wavelength, redshift=redshift, redshifts=redshifts)
    for words in filter(None, (found.remark, found.passed_over_words())):
        click.echo(words)
    return found


def rank_all_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --rank-all to a command that ranks."""
    return click.option(
        "--rank-all",
        is_flag=True,
        help="Rank everything that has a score: also stars, quasars, redshifts outside the model's training, and "
        "what is no target.",
    )(command)


def evaluator_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --evaluator to a command that computes one attribution."""
    return click.option(
        "--evaluator",
        type=click.Choice(("auto", *EVALUATORS)),
        default="exact",
        show_default=True,
        help="How log p of windows is computed; local_update: many times faster where a network normalises over the "
        "spectrum, its error measured; frozen_statistics: what the local pattern says alone.",
    )(command)


def weights_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --weights to a command that combines window sizes."""
    return click.option(
        "--weights",
        type=click.Choice(tuple(WEIGHTINGS)),
        default=RECOMMENDED_WEIGHTING,
        show_default=True,
        help="How window sizes are combined; the paper's is inverse_variance.",
    )(command)


def load_model(model: Path | None, autoencoder: Path | None, flow: Path | None, device: str) -> "OutlierModel":
    """Load the model that the options name.

    Raises:
        InputError: options that exclude or need each other.
        ModelFileError: a file that cannot be used.
    """
    from imo_engine.model import OutlierModel

    if (autoencoder is None) != (flow is None):
        raise InputError("--autoencoder and --flow go together; one of them is missing")
    if autoencoder is not None and flow is not None:
        if model is not None:
            raise InputError("give either --model or --autoencoder with --flow, not both")
        return OutlierModel.from_published(autoencoder, flow, device=device)
    return OutlierModel.load(model_or_embedded(model), device=device)


def load_baselines(
    model: "OutlierModel", baselines: Path | None, model_file: Path | None, published: bool, spectra: "Spectra"
) -> "BaselinePool":
    """Load the pool that the options name; without any, the scorable spectra themselves become the pool.

    Raises:
        ModelFileError: a file that cannot be used.
        InputError: neither a pool nor at least two spectra.
    """
    from imo_engine.baselines import BaselinePool

    if baselines is None and not published:
        beside = model_or_embedded(model_file).with_name(_POOL)
        baselines = beside if beside.is_file() else None
    if baselines is None:
        usable = spectra[spectra.scorable]
        if len(usable) < 2:
            raise InputError("no --baselines, and fewer than two spectra that could serve as baselines")
        return BaselinePool.from_spectra(model, model.prepare(usable), usable.redshift)
    if baselines.suffix != ".npy":
        return BaselinePool.load(baselines, model)
    try:
        with baselines.open("rb") as file:
            flux = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ModelFileError(f"{baselines}: not a plain NumPy array: {error}") from None
    if not isinstance(flux, np.ndarray):
        raise ModelFileError(f"{baselines}: holds several arrays; expected one of (n, {len(model.wavelength)}) fluxes")
    if flux.ndim != 2 or flux.shape[1] != len(model.wavelength):
        raise ModelFileError(f"{baselines}: expected (n, {len(model.wavelength)}) fluxes, found {flux.shape}")
    return BaselinePool.from_spectra(model, flux, np.full(len(flux), np.nan))


def load_null(
    model: "OutlierModel", model_file: Path | None, *, published: bool, own_baselines: bool
) -> "NullDistribution | None":
    """Load the null distribution beside the model; None if there is none for this model and these baselines.

    Raises:
        ModelFileError: a file that is damaged, or that belongs to another model.
    """
    from imo_engine.null_distribution import NullDistribution

    if published or own_baselines:
        return None
    return NullDistribution.load_beside(model_or_embedded(model_file), model.fingerprint)


def load_reference(model: "OutlierModel", model_file: Path | None, *, published: bool) -> "NDArray[np.float32] | None":
    """Read log p of the model's validation spectra, nats, ascending, from beside the model; None if there are none.

    Raises:
        ModelFileError: a file that is damaged, or that belongs to another model.
    """
    from imo_engine.reference import REFERENCE_FILE, read_reference

    if published:
        return None
    beside = model_or_embedded(model_file).with_name(REFERENCE_FILE)
    return read_reference(beside, model) if beside.is_file() else None


def integers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Turn "1,4,16" into (1, 4, 16)."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter("expected numbers of pixels separated by commas, such as 1,4,16") from None


def check_output(path: Path) -> None:
    """Refuse an output that could not be written, before anything is computed.

    Raises:
        InputError: its folder does not exist, or it is a folder itself.
    """
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.absolute().parent}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected the name of a file")
