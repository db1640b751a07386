"""``imo figure``: one target's attributions as a figure for an article."""

from pathlib import Path

import click
import numpy as np

from imo_engine.bundle.loading import load_baselines, load_model
from imo_engine.commands.options import (
    evaluator_option,
    integers,
    model_options,
    read_files,
    redshift_option,
    weights_option,
)
from imo_engine.errors import InputError
from imo_engine.spectra.spectral_lines import LINE_VIEWS
from imo_engine.system.embedded import DEMO_SPECTRA, embedded_file

__all__ = ["PAPER_METHODS", "figure", "zoom_range"]

PAPER_METHODS = ("integrated_gradients", "expected_gradients", "feature_ablation", "occlusion")
"""What the paper's figure 2 compares with."""

_NORMALISED = (".pkl", ".pickle", ".pkl.gz", ".pickle.gz")
"""The authors' list has spectra of DESI without their flux."""


def zoom_range(value: str) -> tuple[tuple[float, float] | None, str]:
    """Return the rest-frame range of --zoom, Angstrom, and what it is called; None for "none".

    Raises:
        InputError: neither a view of lines nor LO:HI.

    >>> zoom_range("halpha"), zoom_range("4800:5050")
    (((6470.0, 6660.0), 'Hα+[N II]'), ((4800.0, 5050.0), ''))
    """
    if value == "none":
        return None, ""
    views = {view.name: view for view in LINE_VIEWS if view.low is not None and view.high is not None}
    if value in views:
        view = views[value]
        return (float(view.low or 0), float(view.high or 0)), view.label
    try:
        low, high = (float(edge) for edge in value.split(":"))
    except ValueError:
        low = high = np.nan
    if not low < high:
        known = ", ".join(views)
        raise InputError(f"--zoom is {value!r}; expected {known}, none, or LO:HI in rest-frame Angstrom")
    return (low, high), ""


def _size(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, float]:
    try:
        width, height = (float(part) for part in value.lower().split("x"))
    except ValueError:
        raise click.BadParameter("expected WIDTHxHEIGHT in inch, such as 7.1x5.6") from None
    return width, height


def _names(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip() and value != "none")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--target-id", "--target", help="Which target; not needed if there is only one.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="To write (.pdf, .svg, .png).")
@click.option("--windows", default="1,4,16,64,256", show_default=True, callback=integers, help="Window sizes, pixels.")
@click.option("--n-baselines", default=8, show_default=True, type=click.IntRange(2), help="How many baselines to draw.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of that draw.")
@click.option(
    "--methods",
    default=",".join(PAPER_METHODS),
    show_default=True,
    callback=_names,
    help="Other methods to compare with, or none.",
)
@click.option("--zoom", default="halpha", show_default=True, help="Line, LO:HI in rest-frame Angstrom, or none.")
@click.option(
    "--physical", is_flag=True, help="Flux in 1e-17 erg/s/cm2/Angstrom, not normalised (DESI and SDSS files)."
)
@click.option("--size", default="7.1x5.6", show_default=True, callback=_size, help="Width and height, inch.")
@click.option("--dpi", default=300, show_default=True, type=click.IntRange(30, 1200), help="Pixels per inch of a .png.")
@weights_option
@evaluator_option
@redshift_option
@model_options
def figure(
    files: tuple[Path, ...],
    target_id: str | None,
    output: Path,
    windows: tuple[int, ...],
    n_baselines: int,
    seed: int,
    methods: tuple[str, ...],
    zoom: str,
    physical: bool,
    size: tuple[float, float],
    dpi: int,
    weights: str,
    evaluator: str,
    redshift: float | None,
    redshifts: Path | None,
    model: Path | None,
    autoencoder: Path | None,
    flow: Path | None,
    baselines: Path | None,
    device: str,
) -> None:
    """Draw one target of FILES (by default of the demo): attribution by window size beside other methods."""
    from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
    from imo_engine.methods import METHODS, MethodAttribution, NotApplicable, find_method
    from imo_engine.results.figure_files import check_figure, write_figure
    from imo_engine.results.figures import draw_attribution, figure_title

    check_figure(output)
    shown, label = zoom_range(zoom)
    chosen = [find_method(name) for name in methods]
    outlier_model = load_model(model, autoencoder, flow, device)
    source = list(files) or [embedded_file(DEMO_SPECTRA)]
    spectra = read_files(source, outlier_model, redshift, redshifts).spectra
    if target_id is None and len(spectra) != 1:
        raise InputError(
            f"{', '.join(path.name for path in source)}: {len(spectra)} targets; say which with --target-id"
        )
    row = 0 if target_id is None else spectra.row(target_id)
    target = spectra[[row]]
    name = str(target.target_id[0])
    if target.problem[0]:
        raise InputError(f"target {name}: {target.problem[0]}")
    if physical and (not target.instrument[0] or str(target.source[0]).endswith(_NORMALISED)):
        raise InputError(f"--physical: the unit of the flux in {target.source[0]} is not known")
    pool = load_baselines(outlier_model, baselines, model, autoencoder is not None, spectra)
    drawn = pool.draw(min(n_baselines, len(pool)), seed=seed)
    flux, z, valid = outlier_model.prepare(target)[0], float(target.redshift[0]), target.measured[0]
    extra = {"residual_over_noise": {"ivar": target.ivar[0]}}
    with click.progressbar(length=100 * (1 + len(chosen)), label="imo", show_eta=True) as bar:
        result = inverse_multiscale_occlusion(
            outlier_model,
            flux,
            z,
            drawn,
            windows,
            weights=weights,
            evaluator=evaluator,
            valid=valid,
            on_progress=lambda done, total: bar.update(100 * done // total - bar.pos),
        )
        found: list[tuple[str, MethodAttribution]] = []
        left_out: list[str] = []
        for number, method in enumerate(chosen, start=1):
            bar.label = method.label
            try:
                record = method(outlier_model, flux, z, drawn, valid=valid, seed=seed, **extra.get(method.name, {}))
            except NotApplicable as error:
                left_out.append(str(error))
            else:
                found.append((METHODS[method.name].label, record))
            bar.update(100 * (number + 1) - bar.pos)
    log_prob = float(outlier_model.log_prob(flux[None])[0])
    drawing = draw_attribution(
        result,
        found,
        zoom=shown,
        zoom_label=label,
        norm=float(target.norm[0]) if physical else None,
        title=figure_title(name, z, log_prob),
        size=size,
    )
    write_figure(drawing, output, dpi=dpi)
    click.echo(f"{output}: target {name} with {len(found)} other methods")
    for words in left_out:
        click.echo(f"left out: {words}")
