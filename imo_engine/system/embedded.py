"""Where the files that ship with the program are: the embedded model, its baselines and the demo survey."""

from pathlib import Path

from imo_engine.errors import ImoError

__all__ = [
    "DEMO_SPECTRA",
    "EMBEDDED_MODEL",
    "DEVIATION_NULL",
    "NULL_DISTRIBUTION",
    "embedded_file",
    "model_or_embedded",
]

EMBEDDED_MODEL = "model.safetensors"
NULL_DISTRIBUTION = "null.safetensors"
DEVIATION_NULL = "deviations.safetensors"
DEMO_SPECTRA = "coadd-demo.fits.gz"


def embedded_file(name: str) -> Path:
    """Return the path of a file that ships with the program.

    Raises:
        ImoError: the installation lacks it.
    """
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "embedded", here.parent / "data"):  # installed from a wheel; a checkout
        if (folder / name).is_file():
            return folder / name
    raise ImoError(f"{name}: this installation of IMO Explorer lacks its embedded data")


def model_or_embedded(model: Path | None) -> Path:
    """Return the model file that is meant: the embedded one unless another is given.

    Raises:
        ImoError: the installation lacks it.
    """
    return embedded_file(EMBEDDED_MODEL) if model is None else model
