"""``imo rank``: score spectra and write a catalogue, lowest log p first."""

from pathlib import Path

import click
import numpy as np

from imo_engine.bundle.loading import load_model
from imo_engine.commands.options import check_output, model_options, rank_all_option, read_files, redshift_option

__all__ = ["rank"]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Catalogue to write (.ecsv).")
@rank_all_option
@redshift_option
@model_options
def rank(
    files: tuple[Path, ...],
    output: Path,
    rank_all: bool,
    redshift: float | None,
    redshifts: Path | None,
    model: Path | None,
    autoencoder: Path | None,
    flow: Path | None,
    baselines: Path | None,
    device: str,
) -> int:
    """Score and rank the spectra of FILES, or of folders of them, of any kind that is read, known by their content.

    What the model was not made for has a log p in the catalogue, but no rank. Ends with 1 if a file could not be read;
    the others are scored and the catalogue is written.
    """
    from imo_engine.ranking.ranking import rank_spectra

    check_output(output)
    outlier_model = load_model(model, autoencoder, flow, device)
    found = read_files(files, outlier_model, redshift, redshifts)
    spectra = found.spectra
    ranking = rank_spectra(outlier_model, spectra, rank_all=rank_all)
    ranking.write(output)
    scored = np.isfinite(ranking.log_prob)
    ranked = ranking.rank > 0
    only = f", {ranked.sum()} ranked" if (scored & ~ranked).any() else ""
    click.echo(f"{output}: {scored.sum()} of {len(spectra)} spectra scored{only} with {ranking.model}")
    if ranked.any():
        lowest = int(np.flatnonzero(ranking.rank == 1)[0])
        click.echo(f"lowest log p: {ranking.log_prob[lowest]:.2f}, target {spectra.target_id[lowest]}")
    for row in np.flatnonzero(ranking.not_ranked != ""):
        where = f"target {spectra.target_id[row]} ({spectra.source[row]})"
        click.echo(f"not ranked: {where}, log p {ranking.log_prob[row]:.2f}: {ranking.not_ranked[row]}")
    for row in np.flatnonzero(~scored):
        click.echo(
            f"not scored: target {spectra.target_id[row]} ({spectra.source[row]}): {ranking.spectra.problem[row]}"
        )
    return 1 if found.unreadable else 0
