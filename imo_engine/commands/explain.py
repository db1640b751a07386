"""``imo explain``: inverse multiscale occlusion of one target, written as netCDF or as an ECSV table."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from imo_engine.attribution.record import Attribution, local_share_words
from imo_engine.bundle.loading import load_baselines, load_model, load_null
from imo_engine.commands.options import (
    check_output,
    evaluator_option,
    integers,
    model_options,
    read_files,
    redshift_option,
    weights_option,
)
from imo_engine.errors import InputError
from imo_engine.spectra.eligibility import redshift_range_of, why_not_ranked
from imo_engine.spectra.ranges import range_words
from imo_engine.spectra.spectra import Spectra

if TYPE_CHECKING:
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.reasons.null_distribution import NullDistribution
    from imo_engine.reasons.significance import Significance
    from imo_engine.repair.regions import Repair

__all__ = ["Explained", "explain", "explain_options", "explain_target"]


@dataclass(frozen=True, eq=False)
class Explained:
    """One explained target.

    Attributes:
        spectrum: The one spectrum.
        attribution: Its attribution, whose provenance has target, file and log p.
        settings: The seed of the draw of baselines.
        model: What scored it.
        pool: Where its baselines were drawn from.
        null: What ordinary spectra show with this model; None if that is not known.
    """

    spectrum: Spectra
    attribution: Attribution
    settings: dict[str, int]
    model: "OutlierModel"
    pool: "BaselinePool"
    null: "NullDistribution | None" = None


def explain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the file, the target and all options of :func:`explain_target` to a command."""
    options: list[Callable[..., Any]] = [
        click.argument("file", type=click.Path(path_type=Path)),
        click.option("--target-id", help="Which target of FILE; not needed if there is only one."),
        click.option(
            "--windows", default="1,4,16,64,256", show_default=True, callback=integers, help="Window sizes, pixels."
        ),
        click.option(
            "--offsets", callback=integers, help="Where the first full chunk begins, one for each window size."
        ),
        click.option("--stride", type=int, help="Pixels from chunk to chunk, for overlapping windows."),
        weights_option,
        click.option("--n-baselines", default=8, show_default=True, help="How many baselines to draw from the pool."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of that draw."),
        evaluator_option,
        redshift_option,
        model_options,
    ]
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


def explain_target(
    file: Path,
    *,
    target_id: str | None,
    windows: tuple[int, ...],
    offsets: tuple[int, ...] | None,
    stride: int | None,
    weights: str,
    n_baselines: int,
    seed: int,
    evaluator: str,
    redshift: float | None,
    redshifts: Path | None,
    model: Path | None,
    autoencoder: Path | None,
    flow: Path | None,
    baselines: Path | None,
    device: str,
) -> Explained:
    """Explain one target of ``file`` as the options say, with a bar on the terminal.

    Raises:
        ImoError: a file or an option that cannot be used.
    """
    from imo_engine.attribution.occlusion import inverse_multiscale_occlusion

    outlier_model = load_model(model, autoencoder, flow, device)
    spectra = read_files([file], outlier_model, redshift, redshifts).spectra
    if target_id is None and len(spectra) != 1:
        raise InputError(f"{file} has {len(spectra)} targets; say which with --target-id")
    row = 0 if target_id is None else spectra.row(target_id)
    if spectra.problem[row]:
        raise InputError(f"target {spectra.target_id[row]}: {spectra.problem[row]}")
    target = spectra[[row]]
    pool = load_baselines(outlier_model, baselines, model, autoencoder is not None, spectra)
    null = load_null(outlier_model, model, published=autoencoder is not None, own_baselines=baselines is not None)
    flux = outlier_model.prepare(target)
    with click.progressbar(length=100, label=f"{outlier_model.device_name}", show_eta=True) as bar:
        result = inverse_multiscale_occlusion(
            outlier_model,
            flux[0],
            float(target.redshift[0]),
            pool.draw(min(n_baselines, len(pool)), seed=seed),
            windows,
            offsets=offsets,
            stride=stride,
            weights=weights,
            evaluator=evaluator,
            valid=target.measured[0],
            on_progress=lambda done, total: bar.update(100 * done // total - bar.pos),
        )
    result.provenance["target_id"] = str(target.target_id[0])
    result.provenance["source"] = str(target.source[0])
    result.provenance["log_prob"] = float(outlier_model.log_prob(flux)[0])
    return Explained(target, result, {"seed": seed}, outlier_model, pool, null)


@click.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Attribution to write: a table if its name ends in .ecsv, else netCDF.",
)
@click.option(
    "--repair",
    "repairs",
    is_flag=True,
    help="Find the fewest regions whose replacement would make it ordinary too; listed, and written as JSON.",
)
@explain_options
def explain(file: Path, output: Path, repairs: bool, **options: Any) -> None:  # noqa: ANN401 - of explain_target
    """Find out which parts of one spectrum of FILE make it an outlier."""
    from imo_engine.reasons.significance import significance_or_why
    from imo_engine.results.ecsv import write_attribution_table
    from imo_engine.spectra.noise import noise_variables

    check_output(output)
    found = explain_target(file, **options)
    result = found.attribution
    known, why_not = significance_or_why(result, found.null)
    result.provenance["significance"] = why_not or f"p-values from {len(found.null or ())} ordinary spectra"
    repaired = _repair(found, options["model"]) if repairs else None
    if repaired is not None:
        result.provenance["repair"] = json.dumps(repaired.to_dict())
    if output.suffix.lower() == ".ecsv":
        write_attribution_table(output, result, found.spectrum, settings=found.settings, significance=known)
    else:
        result.to_netcdf(output, noise_variables(found.spectrum) | ({} if known is None else known.variables()))
    peak = int(np.nanargmax(result.combined))
    wave = result.wavelength[peak]
    click.echo(
        f"{output}: {result.provenance['evaluations']} evaluations in {result.provenance['seconds']:.1f} s; highest "
        f"attribution at {wave:.1f} Angstrom observed, {wave / (1 + result.redshift):.1f} rest frame"
    )
    for reason in why_not_ranked(found.spectrum, redshift_range_of(found.model.provenance)):
        if reason:
            click.echo(f"not what the model was made for: {reason}")
    if words := local_share_words(result):
        click.echo(words)
    if not result.exact:
        click.echo("largest error measured, of each window's largest value: " + _by_window(result, "measured_error"))
        click.echo("computed exactly: " + _by_window(result, "exact_share"))
    click.echo(f"significance: {why_not if known is None else _significance_words(known)}")
    if repaired is not None:
        click.echo("\n".join(_repair_lines(repaired)))


def _significance_words(known: "Significance") -> str:
    from imo_engine.reasons.significance import LEVEL, p_in_words

    count = len(known.regions())
    return (
        f"{p_in_words(known.spectrum_p, known.smallest)} for anywhere in the spectrum; {count} range"
        f"{'' if count == 1 else 's'} with p of {LEVEL:g} or less, corrected for all places and window sizes"
    )


def _by_window(result: Attribution, name: str) -> str:
    pairs = zip(result.window_sizes, result.facts, strict=True)
    return ", ".join(f"W = {size}: {100 * getattr(facts, name):.2g} %" for size, facts in pairs)


def _repair(found: Explained, model_file: Path | None) -> "Repair":
    from imo_engine.ranking.reference import ordinary_log_prob
    from imo_engine.repair.fill import held_out
    from imo_engine.repair.regions import repair

    target = ordinary_log_prob(found.model, found.pool, model_file=model_file)
    seed = found.settings["seed"]
    used = found.pool.draw(len(found.attribution.baselines), seed=seed)
    with click.progressbar(length=100, label="repairing") as bar:
        return repair(
            found.model,
            found.model.prepare(found.spectrum)[0],
            found.attribution.redshift,
            held_out(found.pool, used, target),
            found.attribution,
            target_log_prob=target,
            valid=found.spectrum.measured[0],
            instrument=str(found.spectrum.instrument[0]),
            seed=seed,
            on_progress=lambda done, total: bar.update(100 * done // total - bar.pos),
        )


def _repair_lines(found: "Repair") -> list[str]:
    """Return what was found, a line a region."""
    level = f"{found.target:.2f} (ordinary)"
    lines = []
    for number, one in enumerate(found.regions, start=1):
        lines.append(
            f"repair {number}: {range_words(*one.observed)}, rest {range_words(*one.rest)}, {one.pixels} pixels; "
            f"then log p {one.median:.2f} +- {one.scatter:.2f}"
        )
    if found.reached and not found.regions:
        lines.append(f"repair: not needed, log p {found.own:.2f} is above {level}")
    elif found.reached:
        lines.append(
            f"repair: {found.pixels} pixels bring log p from {found.own:.2f} to {found.median:.2f}, above {level}"
        )
    else:
        needed = f"{found.needed} of {found.usable}" if found.needed else f"more than all {found.usable}"
        lines.append(f"repair: no few regions bring log p to {level}; that takes {needed} pixels")
    return lines
