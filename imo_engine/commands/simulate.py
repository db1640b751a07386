"""``imo simulate``: galaxies, a survey of them with injected outliers, and the truth."""

from pathlib import Path

import click
import numpy as np

__all__ = ["simulate"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--number", default=12_000, show_default=True, type=click.IntRange(1), help="Targets, each its own galaxy."
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 8999), help="Same seed, same survey.")
@click.option(
    "--outliers", default=0.018, show_default=True, type=click.FloatRange(0, 0.5), help="Share of injected outliers."
)
@click.option("--part-size", default=500, show_default=True, type=click.IntRange(1, 5000), help="Targets in a file.")
@click.option("--library-only", is_flag=True, help="Only the noiseless galaxies, which imo train draws spectra from.")
@click.option("--analytic", is_flag=True, help="Crude analytic galaxies: needs no bagpipes, for trying things out.")
def simulate(
    folder: Path, number: int, seed: int, outliers: float, part_size: int, library_only: bool, analytic: bool
) -> None:
    """Simulate a DESI-like survey in FOLDER; run it again to continue after an interruption.

    FOLDER receives coadd-sim-*.fits with redrock-sim-*.fits (DESI's layout), truth-sim-*.fits (kinds, strengths,
    masks and clean twins of the outliers) and library-*.npz (noiseless galaxies).
    """
    from imo_engine.simulation.galaxies import GalaxySynthesis, analytic_galaxies
    from imo_engine.simulation.library import GalaxyLibrary, concatenate_libraries, read_library_file
    from imo_engine.simulation.priors import draw_galaxies
    from imo_engine.simulation.survey import SurveyConfig, prepare_folder, simulate_part
    from imo_engine.simulation.survey_writer import write_part

    config = SurveyConfig(number=number, seed=seed, outlier_fraction=outliers, part_size=part_size)
    prepare_folder(folder, config)
    synthesis: GalaxySynthesis | None = None

    def galaxies(part: int) -> GalaxyLibrary:
        nonlocal synthesis
        path = folder / f"library-{part:03d}.npz"
        if path.exists():
            return read_library_file(path)
        count, rng = len(config.rows(part)), np.random.default_rng([seed, 1, part])
        if analytic:
            library = analytic_galaxies(count, rng=rng)
        else:
            synthesis = synthesis or GalaxySynthesis()
            library = concatenate_libraries(list(synthesis.galaxies(draw_galaxies(count, rng=rng))))
        library.write(path)
        return library

    with click.progressbar(range(config.parts), label="simulating") as parts:
        for part in parts:
            if (folder / f"truth-sim-{part:03d}.fits").exists():
                continue
            library = galaxies(part)
            if not library_only:
                write_part(folder, part, simulate_part(library, config, part))
    click.echo(f"{folder}: {number} {'galaxies' if library_only else 'targets'}, seed {seed}")
