"""Options that several subcommands share, and what they stand for."""

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imo_engine.attribution.evaluators import EVALUATORS
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, WEIGHTINGS
from imo_engine.errors import InputError

if TYPE_CHECKING:
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.readers import SurveyFiles

__all__ = [
    "check_output",
    "evaluator_option",
    "integers",
    "model_options",
    "rank_all_option",
    "read_files",
    "redshift_option",
    "weights_option",
]


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
