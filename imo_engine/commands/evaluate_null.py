"""``imo evaluate null``: the null distribution of inverse occlusion, and how often it errs on spectra not seen."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from imo_engine.commands.options import check_output, integers

if TYPE_CHECKING:
    from imo_engine.evaluation.ordinary.null_fit import NullSample

__all__ = ["evaluate_null"]

_LEVELS = (0.01, 0.05, 0.1, 0.2)


@click.command(name="null")
@click.option(
    "--survey",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="Ordinary spectra: folder of imo simulate --outliers 0.",
)
@click.option(
    "--held-out", type=click.Path(path_type=Path, exists=True), help="The same with another seed, to test it."
)
@click.option("--outliers", type=click.Path(path_type=Path, exists=True), help="Spectra that are expected to be odd.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write (.safetensors).")
@click.option(
    "--samples",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("null-samples"),
    show_default=True,
    help="Folder for the result of each spectrum; run again, only what is missing is computed.",
)
@click.option("--number", default=500, show_default=True, type=click.IntRange(20), help="Ordinary spectra.")
@click.option("--held-out-number", default=250, show_default=True, type=click.IntRange(1))
@click.option("--windows", default="1,4,16,64,256", show_default=True, callback=integers, help="Window sizes, pixels.")
@click.option("--n-baselines", default=8, show_default=True, type=click.IntRange(2))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the draw of baselines.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
def evaluate_null(
    survey: Path,
    held_out: Path | None,
    outliers: Path | None,
    output: Path,
    samples: Path,
    number: int,
    held_out_number: int,
    windows: tuple[int, ...],
    n_baselines: int,
    seed: int,
    processes: int,
    model: Path | None,
) -> None:
    """Make the null distribution that p-values of attributions are counted in, and test it.

    Beside the model, baselines.safetensors is read. About four seconds a spectrum on a free core.
    """
    from imo_engine.evaluation.ordinary.null_fit import fit_null, smallest_p, smallest_p_in_turns
    from imo_engine.evaluation.ordinary.null_sample import explain_survey
    from imo_engine.reasons.null_distribution import NullSettings
    from imo_engine.system.embedded import model_or_embedded

    check_output(output)
    model_file = model_or_embedded(model)
    settings = NullSettings(windows, n_baselines)

    def explained(of: Path, count: int) -> "NullSample":
        with click.progressbar(length=1000, label=of.name, show_eta=True) as bar:
            return explain_survey(
                model_file,
                model_file.with_name("baselines.safetensors"),
                of,
                samples,
                settings,
                number=count,
                seed=seed,
                processes=processes,
                on_done=lambda done, total: bar.update(1000 * done // max(total, 1) - bar.pos),
            )

    sample = explained(survey, number)
    null = fit_null(sample, {"survey": survey.name, "spectra": len(sample), "baseline_seed": seed})
    null.save(output)
    click.echo(f"{output}: {len(null)} ordinary spectra, {output.stat().st_size:,} bytes")
    if held_out is not None:
        other = explained(held_out, held_out_number)
        shared = np.isin(other.target_id, sample.target_id).sum()
        click.echo(f"\nshare of {len(other)} held-out spectra with something significant ({shared} in both)")
        click.echo(_rates(smallest_p(null, other), settings.maps, expected=True))
        every = sample.with_more(other)
        click.echo(f"\nthe same of all {len(every)}, each compared with the three quarters it is not in")
        click.echo(_rates(smallest_p_in_turns(every), settings.maps, expected=True))
    if outliers is not None:
        odd = explained(outliers, 10**6)
        click.echo(f"\nshare of {len(odd)} spectra of {outliers.name} with something significant")
        click.echo(_rates(smallest_p(null, odd), settings.maps, expected=False))


def _rates(p: "np.ndarray", maps: tuple[str, ...], *, expected: bool) -> str:
    """Return a table: a row a level, a column a map and one for everything; p-values (n, map + 1)."""
    rows = [["level", *maps, "anywhere", *(["expected error"] if expected else [])]]
    for level in _LEVELS:
        shares = (p <= level).mean(axis=0)
        error = [f"{np.sqrt(level * (1 - level) / len(p)):.3f}"] if expected else []
        rows.append([f"{level:g}", *(f"{share:.3f}" for share in shares), *error])
    return "\n".join("  ".join(f"{cell:>14}" if k else f"{cell:>6}" for k, cell in enumerate(row)) for row in rows)
