"""``imo evaluate model``: is this model's normal credible? Tables on the screen, and a page."""

from pathlib import Path

import click
import numpy as np

__all__ = ["evaluate_model"]


@click.command(name="model")
@click.option("--survey", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of imo simulate.")
@click.option(
    "--real",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with sdss/, desi/, templates/.",
)
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Page to write (.html).")
@click.option("--figure", type=click.Path(path_type=Path), help="Explain the survey's outlier 4 and draw it.")
@click.option("--device", default="auto", show_default=True)
def evaluate_model(
    survey: Path | None, real: Path | None, model: Path | None, output: Path | None, figure: Path | None, device: str
) -> None:
    """Measure how credible a model is: reconstruction, ranking of known outliers, real spectra, aligned baselines.

    Beside the model, baselines.safetensors and reference.safetensors are read. Without --survey and --real those
    parts are left out.
    """
    from imo_engine.bundle.loading import load_model
    from imo_engine.evaluation.model.credibility import aligned_baselines
    from imo_engine.evaluation.model.outlier_four import explain_outlier_four
    from imo_engine.evaluation.model.tables import Page
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.ranking.reference import REFERENCE_FILE, read_reference
    from imo_engine.results.figure_files import check_figure, write_figure
    from imo_engine.results.figures import draw_attribution
    from imo_engine.system.embedded import model_or_embedded

    if figure is not None:
        check_figure(figure)
    network = load_model(model, None, None, device)
    folder = model_or_embedded(model).parent
    reference = read_reference(folder / REFERENCE_FILE, network)
    pool = BaselinePool.load(folder / "baselines.safetensors", network)
    page = Page(network, np.asarray(reference, float))
    page.add_aligned(aligned_baselines(network, pool, reference))
    if survey is not None:
        page.add_survey(survey)
        if figure is not None:
            found = explain_outlier_four(network, pool, survey)
            page.add_outlier_four(found)
            write_figure(draw_attribution(found.attribution, title=f"Target {found.target_id}"), figure)
    if real is not None:
        page.add_real(real)
    click.echo(page.text())
    if output is not None:
        page.write(output)
        click.echo(f"{output}: written")
