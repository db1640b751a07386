"""``imo evaluate reasons``: is what is said of an outlier true?"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from imo_engine.commands.options import check_output

if TYPE_CHECKING:
    from imo_engine.evaluation.reasons.judgement import Judgement
    from imo_engine.model.outlier_model import OutlierModel

__all__ = ["evaluate_reasons"]


@click.command(name="reasons")
@click.argument("survey", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Page to write (.md).")
@click.option(
    "--per-kind", default=20, show_default=True, type=click.IntRange(1), help="Outliers of a kind, lowest log p."
)
@click.option(
    "--ordinary", default=400, show_default=True, type=click.IntRange(0), help="Ordinary spectra, for false alarms."
)
@click.option(
    "--demo", default=40, show_default=True, type=click.IntRange(0), help="Lowest ranks of the embedded demo."
)
@click.option("--real", type=click.Path(path_type=Path, exists=True), help="Folder of real spectra (sdss/, desi/).")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
def evaluate_reasons(
    survey: Path,
    output: Path,
    page: Path | None,
    per_kind: int,
    ordinary: int,
    demo: int,
    real: Path | None,
    processes: int,
    model: Path | None,
) -> None:
    """Judge what is said of the outliers of SURVEY, a folder of imo simulate with a large --outliers, by the truth.

    Attributions are kept in OUTPUT: run it again to go on after an interruption, or to judge other words.
    """
    from imo_engine.evaluation.cases import read_cases
    from imo_engine.evaluation.reasons.page import demo_table, kinds_table, summary_lines, write_reasons_page
    from imo_engine.evaluation.reasons.runner import chosen_cases, judge_cases
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.system.embedded import model_or_embedded

    if page is not None:
        check_output(page)
    file = model_or_embedded(model)
    network = OutlierModel.load(file, device="cpu")
    cases = chosen_cases(read_cases(survey, network), per_kind, network)
    with _bar("outliers", len(cases)) as bar:
        judged = judge_cases(
            file,
            cases,
            output / "attributions",
            processes=processes,
            on_done=lambda done, _: bar.update(done - bar.pos),
        )
    (output / "reasons.json").write_text(json.dumps([one.to_dict() for one in judged], indent=1) + "\n")
    summary, parts = summary_lines(judged), [("Simulated outliers", kinds_table(judged))]
    if ordinary:
        summary.append(_false_alarms(file, survey, {case.target_id for case in cases}, ordinary, processes, network))
    for line in summary:
        click.echo(line)
    parts.insert(0, ("In short", "\n".join(f"- {line}" for line in summary)))
    if demo:
        rows = _demo(file, network, demo, output / "attributions")
        known = [one for _, _, one, _ in rows if one is not None]
        parts.append(("The demo's lowest ranks", demo_table(rows)))
        click.echo(f"\nthe demo's lowest {demo}, of which {len(known)} were injected")
        for line in summary_lines(known):
            click.echo(line)
    if real is not None:
        parts.append(("Real spectra", _real(file, real, output / "attributions")))
    if page is not None:
        made = json.loads((survey / "simulation.json").read_text())
        simulated = f"imo simulate {survey.name} --number {made['number']} --seed {made['seed']}"
        command = (
            f"{simulated} --outliers {made['outlier_fraction']}\n"
            f"imo evaluate reasons {survey.name} -o results --per-kind {per_kind} --page docs/reasons.md"
        )
        write_reasons_page(page, command, parts)
        click.echo(f"{page}: written")


def _bar(label: str, length: int) -> "click._termui_impl.ProgressBar[int]":
    return click.progressbar(length=length, label=label, show_eta=True, file=sys.stderr)


def _false_alarms(file: Path, survey: Path, odd: set[str], number: int, processes: int, network: "OutlierModel") -> str:
    """Say for how many ordinary spectra another redshift is named."""
    from imo_engine.evaluation.cases import read_cases
    from imo_engine.evaluation.reasons.runner import other_redshifts
    from imo_engine.readers import read_spectra

    spectra = read_spectra(survey, wavelength=network.wavelength)
    odd = odd | {case.target_id for case in read_cases(survey, network)}
    rows = np.flatnonzero(spectra.scorable & ~np.isin(spectra.target_id, sorted(odd)))[:number]
    with _bar("ordinary spectra", len(rows)) as bar:
        found = other_redshifts(
            file, spectra[rows], processes=processes, on_done=lambda done, _: bar.update(done - bar.pos)
        )
    alarms = sum(one is not None for one in found)
    return f"another redshift named for {alarms} of {len(rows)} ordinary spectra ({alarms / max(len(rows), 1):.2%})"


def _demo(
    file: Path, network: "OutlierModel", number: int, folder: Path
) -> "list[tuple[int, str, Judgement | None, str]]":
    from astropy.table import Table

    from imo_engine.evaluation.cases import read_truth
    from imo_engine.evaluation.reasons.judgement import judge
    from imo_engine.evaluation.reasons.runner import said_of
    from imo_engine.readers import read_spectra
    from imo_engine.system.embedded import DEMO_SPECTRA, embedded_file

    coadd = embedded_file(DEMO_SPECTRA)
    catalogue = Table.read(embedded_file("demo-catalogue.ecsv"))
    cases = {case.target_id: case for case in read_truth(embedded_file("demo-truth.fits.gz"), coadd, network)}
    spectra, rows = read_spectra(coadd, wavelength=network.wavelength), []
    for line in sorted(catalogue, key=lambda line: line["rank"])[:number]:
        target = str(line["target_id"])
        found, words = said_of(file, spectra[[spectra.row(target)]], folder)
        case = cases.get(target)
        rows.append((int(line["rank"]), target, None if case is None else judge(case, found, words), words))
    return rows


def _real(file: Path, folder: Path, kept: Path) -> str:
    from imo_engine.evaluation.model.reality import real_objects
    from imo_engine.evaluation.reasons.runner import said_of

    spectra, names, kinds = real_objects(folder)
    lines = ["| spectrum | class | instrument | verdict of the first reason | what is said |"] + ["| --- " * 5 + "|"]
    for row, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        one = spectra[[row]]
        found, words = said_of(file, one, kept)
        verdict = found.features[0].verdict if found.features else ""
        lines.append(f"| {name} | {kind} | {one.instrument[0] or 'not named'} | {verdict} | {words} |")
    return "\n".join(lines)
