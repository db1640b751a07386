"""The tables of ``imo evaluate model``, as text and as a page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import ModelFileError
from imo_engine.evaluation.model.credibility import (
    AlignedBaselines,
    latent_redshift,
    rank_survey,
    read_truth,
    reconstruction_chi2,
    report_ranking,
)
from imo_engine.evaluation.model.outlier_four import OutlierFour
from imo_engine.evaluation.model.reality import (
    RealObject,
    archetypes,
    quasars,
    real_objects,
    score_real,
    signal_to_noise,
)
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.results.report import line_plot, write_report

__all__ = ["Page"]

Row = tuple[object, ...]


class Page:
    """Collects tables and plots of one evaluation."""

    def __init__(self, model: OutlierModel, reference: NDArray[np.float64]) -> None:
        self.model, self.reference = model, reference
        self.tables: dict[str, list[Row]] = {}
        self.plots: list[str] = []

    def add_aligned(self, results: Sequence[AlignedBaselines]) -> None:
        """Add baselines moved to other redshifts."""
        rows: list[Row] = [("redshift", "median log p", "its quantile", "inside central 90 %")]
        rows += [(r.redshift, f"{r.median:.2f}", f"{r.quantile:.3f}", f"{r.inside:.2f}") for r in results]
        self.tables["Baselines aligned to a redshift"] = rows

    def add_survey(self, folder: Path) -> None:
        """Rank a simulated survey; add reconstruction, redshift in the latents, and outliers kind by kind."""
        ranking = rank_survey(self.model, folder)
        truth = read_truth(folder)
        report = report_ranking(ranking, truth)
        ordinary = ~np.isin(ranking.spectra.target_id, truth["target_id"]) & (ranking.rank > 0)
        chi2 = reconstruction_chi2(self.model, ranking)[ordinary]
        known = latent_redshift(ranking.latents[ordinary], ranking.spectra.redshift[ordinary])
        quality = np.quantile(signal_to_noise(ranking.spectra), [0.1, 0.5, 0.9])
        self.tables["Held-out simulated galaxies"] = [
            ("quantity", "value"),
            ("targets", len(ranking.rank)),
            ("signal-to-noise per pixel, 10, 50, 90 %", ", ".join(f"{v:.1f}" for v in quality)),
            ("reconstruction chi2 per pixel, median", f"{np.median(chi2):.3f}"),
            ("reconstruction chi2 per pixel, 90 %", f"{np.quantile(chi2, 0.9):.3f}"),
            ("R2 of z from latents, linear", f"{known.linear:.3f}"),
            ("R2 of z from latents, small network", f"{known.nonlinear:.3f}"),
        ]
        rows: list[Row] = [
            ("kind", "number", "ROC area", "ROC area, stronger half", "found in lowest 3 %, stronger", "weaker")
        ]
        for kind in report.kinds:
            shares = (kind.area, kind.area_strong, kind.found_strong, kind.found_weak)
            rows.append((kind.kind, kind.count, *(f"{value:.2f}" for value in shares)))
        rows.append(("all", len(truth), "", "", f"{report.found_strong:.2f}", f"{report.found_weak:.2f}"))
        self.tables["Injected outliers among the lowest 3 % of log p"] = rows
        curves = {k.kind: [(float(x), float(y)) for x, y in enumerate(k.curve)] for k in report.kinds}
        names = sorted(curves)
        for part in (names[:7], names[7:]):
            self.plots.append(
                line_plot(
                    {name: curves[name] for name in part},
                    title="Receiver operating curves, stronger half",
                    x_label="ordinary targets below, %",
                    y_label="share found",
                )
            )

    def add_real(self, folder: Path) -> None:
        """Score real spectra object by object, archetypes and quasar templates."""
        spectra, names, kinds = real_objects(folder)
        objects = score_real(self.model, spectra, names, kinds, self.reference)
        rows: list[Row] = [("object", "kind", "z", "S/N", "log p", "quantile", "inside central 99 %", "chi2")]
        for o in objects:
            inside = "yes" if 0.005 <= o.quantile <= 0.995 else "no"
            numbers = (f"{o.redshift:.3f}", f"{o.signal_to_noise:.1f}", f"{o.log_prob:.2f}", f"{o.quantile:.4f}")
            rows.append((o.name, o.kind, *numbers, inside, f"{o.chi2:.2f}"))
        self.tables["Real spectra"] = rows
        summary: list[Row] = [("group", "number", "inside central 99 %", "median quantile")]
        galaxies = [o for o in objects if o.kind == "galaxy" and o.signal_to_noise > 5]
        groups = {"ordinary galaxies, S/N > 5": galaxies, "broad-line": [o for o in objects if o.kind == "broad-line"]}
        templates = {"redrock's archetypes": archetypes, "redrock's quasar template": quasars}
        for name, read in templates.items():
            found = read(folder)
            labels = [str(i) for i in range(len(found))]
            groups[name] = score_real(self.model, found, labels, [name] * len(found), self.reference)
        summary += [_summary(name, group) for name, group in groups.items() if group]
        self.tables["Reality in short"] = summary

    def add_outlier_four(self, found: OutlierFour) -> None:
        """Add what the map of the simulated outlier 4 shows."""
        rows: list[Row] = [("what", "found"), ("target, log p", f"{found.target_id}, {found.log_prob:.1f}")]
        self.tables["Analogue of outlier 4"] = [*rows, *found.findings.items()]

    def text(self) -> str:
        """Return all tables as text."""
        blocks = []
        for heading, rows in self.tables.items():
            texts = [[str(cell) for cell in row] for row in rows]
            widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
            lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in texts]
            blocks.append("\n".join([heading, "-" * len(heading), *(line.rstrip() for line in lines)]))
        return "\n\n".join(blocks)

    def write(self, path: Path) -> None:
        """Write an HTML page.

        Raises:
            ModelFileError: the disk refuses.
        """
        try:
            write_report(path, f"How credible is {self.model.name}?", self.tables, self.plots)
        except OSError as error:
            raise ModelFileError(f"{path}: cannot be written: {error}") from None


def _summary(name: str, group: Sequence[RealObject]) -> Row:
    quantiles = np.array([o.quantile for o in group])
    inside = (quantiles >= 0.005) & (quantiles <= 0.995)
    return name, len(group), f"{inside.mean():.2f}", f"{np.median(quantiles):.4f}"
