"""The program ``imo`` with all its subcommands, the dashboard included."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imo_engine.attribution.evaluators import EVALUATORS
from imo_engine.commands.options import integers, model_options, rank_all_option, redshift_option, weights_option
from imo_engine.errors import ImoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imo_engine.model.outlier_model import OutlierModel

__all__ = ["serve"]


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--spectra", multiple=True, type=click.Path(path_type=Path), help="The same as FILES; may be repeated.")
@click.option(
    "--port",
    default=5006,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 picks a free one.",
)
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--allow-origin", multiple=True, help="HOST:PORT under which other machines open the page.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
@click.option("--windows", default="1,4,16,64,256", show_default=True, callback=integers, help="Window sizes, pixels.")
@click.option("--n-baselines", default=8, show_default=True, type=click.IntRange(2), help="Baselines for each target.")
@click.option(
    "--evaluator",
    type=click.Choice(("auto", *EVALUATORS)),
    default="auto",
    show_default=True,
    help="How log p of windows is computed. auto: exactly, or where that takes minutes quickly first, with the error "
    "measured, and exactly when the engine is idle.",
)
@weights_option
@click.option("--labels", help="File (SQLite) or URL of the database of labels; by default in your data folder.")
@click.option("--user", default="", help="Whose labels, where there is no login; by default your system user name.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder of finished attributions; by default in your cache folder."
)
@click.option("--ahead/--no-ahead", default=True, help="Compute ahead while nobody waits: next, then lowest ranks.")
@click.option(
    "--catalogue",
    type=click.Path(path_type=Path),
    help="Log p and ranks of the spectra, not to be computed again: of imo rank, or ECSV, CSV, FITS with target_id and "
    "log_prob (or -logP).",
)
@rank_all_option
@redshift_option
@model_options
def serve(
    files: tuple[Path, ...],
    spectra: tuple[Path, ...],
    port: int,
    address: str,
    allow_origin: tuple[str, ...],
    open_browser: bool,
    windows: tuple[int, ...],
    n_baselines: int,
    evaluator: str,
    weights: str,
    labels: str | None,
    user: str,
    cache: Path | None,
    ahead: bool,
    catalogue: Path | None,
    rank_all: bool,
    redshift: float | None,
    redshifts: Path | None,
    model: Path | None,
    autoencoder: Path | None,
    flow: Path | None,
    baselines: Path | None,
    device: str,
) -> None:
    """Show ranked outliers in a browser and explain the selected one.

    FILES are your own files or folders, of any kind that is read; by default the embedded, simulated survey.
    """
    from app.server.server import check_address
    from app.survey.survey import demo_survey, survey_of_files

    check_address(address, port, allow_origin)  # before minutes of scoring
    own = [*files, *spectra]
    if own:
        from imo_engine.bundle.loading import load_baselines, load_model, load_null
        from imo_engine.ranking.score_catalogue import read_scores
        from imo_engine.system.devices import all_devices

        scores = read_scores(catalogue) if catalogue else None
        devices = all_devices(device)
        outlier_model = load_model(model, autoencoder, flow, devices[0])
        doing = "Reading" if scores else "Reading and scoring"
        click.echo(f"{doing} with {outlier_model.name} on {outlier_model.device_name} ...")
        survey = survey_of_files(
            own,
            outlier_model,
            lambda rows: load_baselines(outlier_model, baselines, model, autoencoder is not None, rows),
            redshift=redshift,
            redshifts=redshifts,
            devices=devices,
            null=lambda loaded: load_null(
                loaded, model, published=autoencoder is not None, own_baselines=baselines is not None
            ),
            ordinary=_ordinary(outlier_model, model, published=autoencoder is not None),
            scores=scores,
            rank_all=rank_all,
        )
        if scores is not None and scores.model not in ("", f"{outlier_model.name} ({outlier_model.fingerprint})"):
            click.echo(f"{scores.name}: made with {scores.model}; explained with {outlier_model.name}")
        if survey.files:
            click.echo(survey.files)
        for row in range(len(survey.spectra)):
            if survey.spectra.problem[row]:
                click.echo(f"not scored: target {survey.spectra.target_id[row]}: {survey.spectra.problem[row]}")
            elif reason := survey.why_not_ranked(row):
                click.echo(f"not ranked: target {survey.spectra.target_id[row]}: {reason}")
    else:
        if model or autoencoder or flow or baselines or catalogue:
            raise click.UsageError(
                "--model, --autoencoder, --flow, --baselines and --catalogue need FILES (or --spectra)"
            )
        survey = demo_survey(device=device, devices=_devices_of_demo(device))

    from app.computing.explainer import Settings
    from app.server.server import serve as serve_page

    precomputed = None
    if not own:
        from app.findings.precomputed import DEMO_RESULTS
        from imo_engine.system.embedded import embedded_file

        try:
            precomputed = embedded_file(DEMO_RESULTS)
        except ImoError:
            pass  # then they are computed

    settings = Settings(window_sizes=windows, n_baselines=n_baselines, weights=weights, evaluator=evaluator)
    serve_page(
        survey,
        settings,
        address=address,
        port=port,
        allow_origin=allow_origin,
        open_browser=open_browser,
        labels=labels,
        user=user,
        cache=cache,
        ahead=ahead,
        precomputed=precomputed,
    )


def _ordinary(model: "OutlierModel", file: Path | None, *, published: bool) -> "NDArray[np.float32] | None":
    """Return log p of the model's validation spectra; None, and one line that says why, if they cannot be had."""
    from imo_engine.bundle.loading import load_reference

    try:
        return load_reference(model, file, published=published)
    except ImoError as error:
        click.echo(f"not compared with ordinary spectra: {error}")
        return None


def _devices_of_demo(name: str) -> "Sequence[str | None]":
    """Return what the demo is computed on; torch, which knows, is slow to import and asked only if it could matter."""
    if name != "cuda" and not (name == "auto" and len(list(Path("/dev").glob("nvidia[0-9]*"))) > 1):
        return (None,)
    from imo_engine.system.devices import all_devices

    return all_devices(name)
