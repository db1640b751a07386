"""``imo evaluate attribution``: which method finds what is odd? Tables, files and a page."""

import sys
from pathlib import Path
from typing import Any

import click

__all__ = ["evaluate_attribution"]


@click.command(name="attribution")
@click.argument("survey", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Page to write (.md).")
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="Small summary to write (.json).")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes of one thread.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of every draw.")
@click.option(
    "--n-baselines", "baselines", default=8, show_default=True, type=click.IntRange(2), help="For every outlier."
)
@click.option(
    "--per-cell", default=5, show_default=True, type=click.IntRange(1), help="Outliers per kind and strength."
)
@click.option(
    "--choices", default=2, show_default=True, type=click.IntRange(0), help="Outliers per kind for open choices."
)
@click.option("--sanity", default=4, show_default=True, type=click.IntRange(0), help="Outliers for sanity checks.")
@click.option("--kind", "kinds", multiple=True, help="Only outliers of this kind; may be repeated.")
@click.option("--report-only", is_flag=True, help="Write files from the results that are there.")
def evaluate_attribution(
    survey: Path,
    output: Path,
    model: Path | None,
    page: Path | None,
    summary: Path | None,
    workers: int,
    seed: int,
    baselines: int,
    per_cell: int,
    choices: int,
    sanity: int,
    kinds: tuple[str, ...],
    report_only: bool,
) -> None:
    """Score all attribution methods on the outliers of SURVEY, a folder of imo simulate with a large --outliers.

    Run it again to continue after an interruption. OUTPUT receives a file for each outlier, scores.ecsv and
    scores.json. Beside the model, baselines.safetensors is read, and null.safetensors if there is one.
    """
    from imo_engine.commands.options import check_output
    from imo_engine.evaluation.methods.files import write_summary, write_table
    from imo_engine.evaluation.methods.page import write_page
    from imo_engine.evaluation.methods.runner import Plan, prepare_results, run_tasks
    from imo_engine.evaluation.methods.scoring import Protocol
    from imo_engine.evaluation.methods.summary import summarise
    from imo_engine.evaluation.methods.tables import main_table
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.system.embedded import NULL_DISTRIBUTION, model_or_embedded

    for path in (page, summary):
        if path is not None:
            check_output(path)
    file = model_or_embedded(model)
    plan = Plan(
        survey=survey,
        model=file,
        baselines=file.with_name("baselines.safetensors"),
        results=output,
        null=null if (null := file.with_name(NULL_DISTRIBUTION)).is_file() else None,
        protocol=Protocol(seed=seed, n_baselines=baselines),
        per_cell=per_cell,
        choices_per_kind=choices,
        sanity_cases=sanity,
        kinds=kinds,
    )
    network = OutlierModel.load(file, device="cpu")
    description = prepare_results(plan, network)
    if not report_only:
        with click.progressbar(length=1000, label="scoring outliers", show_eta=True, file=sys.stderr) as bar:
            run_tasks(plan, workers=workers, on_done=lambda done, total: bar.update(1000 * done // total - bar.pos))
    document = summarise(output, description, network)
    write_summary(output / "scores.json", document)
    write_table(output / "scores.ecsv", document)
    rows = main_table(document)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if summary is not None:
        write_summary(summary, document)
    if page is not None:
        write_page(page, document, _command(document, per_cell, choices, sanity))
    for path in (output / "scores.ecsv", output / "scores.json", summary, page):
        if path is not None:
            click.echo(f"{path}: written")


def _command(document: dict[str, Any], per_cell: int, choices: int, sanity: int) -> str:
    made = document["survey"]
    simulate = (
        f"imo simulate survey --number {made['number']} --seed {made['seed']} --outliers {made['outlier_fraction']}; "
        if made
        else ""
    )
    return (
        f"{simulate}imo evaluate attribution survey -o results --per-cell {per_cell} --choices {choices} "
        f"--sanity {sanity} --summary data/attribution-scores.json --page docs/attribution.md"
    )
