"""``imo evaluate deviations``: how much ordinary spectra deviate from their twins, for p-values of what does."""

from pathlib import Path

import click
import numpy as np

from imo_engine.commands.options import check_output

__all__ = ["evaluate_deviations"]

_LEVELS = (0.01, 0.05, 0.1, 0.2)


@click.command(name="deviations")
@click.argument("survey", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write (.safetensors).")
@click.option("--number", default=600, show_default=True, type=click.IntRange(100), help="Ordinary spectra.")
@click.option(
    "--held-out", type=click.Path(path_type=Path, exists=True), help="The same with another seed, to test it."
)
@click.option("--held-out-number", default=300, show_default=True, type=click.IntRange(1))
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
def evaluate_deviations(
    survey: Path, output: Path, number: int, held_out: Path | None, held_out_number: int, model: Path | None
) -> None:
    """Measure how much the ordinary spectra of SURVEY, a folder of imo simulate --outliers 0, deviate from their twins.

    Beside the model, baselines.safetensors is read. About a third of a second a spectrum on a free core.
    """
    from imo_engine.evaluation.ordinary.deviation_fit import OrdinarySums, compare_all, fit_deviations
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.readers import read_spectra
    from imo_engine.system.embedded import model_or_embedded

    check_output(output)
    file = model_or_embedded(model)
    network = OutlierModel.load(file, device="cpu")
    latents = BaselinePool.load(file.with_name("baselines.safetensors"), network).latents

    def compared(folder: Path, count: int) -> OrdinarySums:
        spectra = read_spectra(folder, wavelength=network.wavelength)
        spectra = spectra[np.flatnonzero(spectra.scorable)[:count]]
        with click.progressbar(length=len(spectra), label=folder.name, show_eta=True) as bar:
            return compare_all(network, spectra, latents, on_done=lambda done: bar.update(done - bar.pos))

    sums = compared(survey, number)
    null = fit_deviations(sums, network.fingerprint, {"survey": survey.name, "spectra": len(sums)})
    null.save(output)
    click.echo(f"{output}: {len(null)} ordinary spectra, {output.stat().st_size:,} bytes")
    if held_out is not None:
        other = compared(held_out, held_out_number)
        p = null.p_value(null.comparable(other.maxima(null).T.astype(float)).max(axis=0))
        click.echo(f"share of {len(other)} held-out ordinary spectra with anything significant")
        for level in _LEVELS:
            error = np.sqrt(level * (1 - level) / len(other))
            click.echo(f"{level:6g}  {np.mean(p <= level):.3f} (expected {level:g} ± {error:.3f})")
