"""Is what is said of an outlier true? Reasons of simulated outliers against what was done to them, and against ivar."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from imo_engine.evaluation.cases import Case
from imo_engine.reasons.features import Feature, Findings
from imo_engine.reasons.other_redshift import count_emission_lines
from imo_engine.simulation.artefacts import ARTEFACTS
from imo_engine.spectra.landmarks import LINES, names

__all__ = ["Judgement", "judge"]

_SEEN = 3.0  # sigma of the true change in a range, for it to lie on the truth
_SAME_REDSHIFT = 0.002  # of 1 + z
_EMISSION = 4  # lines, for a galaxy with emission
_STEP = 0.1  # of a true step that must not be denied
_NOWHERE = ("wrong_redshift", "star_as_galaxy", "dusty_red")


@dataclass(frozen=True)
class Judgement:
    """What is right and wrong in what was said of one outlier.

    ``None`` where a question does not arise.
    """

    target_id: str
    kind: str
    strength: int
    significant: int
    """Number of features that are significant."""
    insignificant_listed: int
    """Numbered features that are not."""
    lead_on_truth: bool | None
    """Of outliers with a place and anything significant."""
    sign_right: bool | None
    """Whether excess or missing flux is what was done there."""
    verdict: str
    """"right", "wrong" or "unclear": that of the lead, whether significant or only likely."""
    line_named: str
    """"right", "wrong", or empty if no line is named."""
    redshift_named: str
    """"right", "wrong", "missed" (wrong redshifts of galaxies with emission only) or empty."""
    contradictions: tuple[str, ...]
    """Statements that contradict the truth or the file's ivar."""
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def judge(case: Case, found: Findings, sentence: str) -> Judgement:
    """Compare what is said of an outlier with the truth."""
    listed = found.features or found.likely
    lead = listed[0] if listed else None
    change = case.flux.astype(np.float64) - case.clean
    placed = case.kind not in _NOWHERE
    on_truth = lead is not None and bool(_true_change(case, change, lead)[0] >= _SEEN)
    redshift_named = _redshift(case, found)
    return Judgement(
        target_id=case.target_id,
        kind=case.kind,
        strength=case.strength,
        significant=sum(one.is_significant for one in found.features),
        insignificant_listed=sum(not one.is_significant for one in found.features),
        lead_on_truth=on_truth if placed and found.features else None,
        sign_right=_sign(case, change, lead) if placed and found.features and on_truth else None,
        verdict=_verdict(case, found, lead),
        line_named=_line(case, found.features),
        redshift_named=redshift_named,
        contradictions=tuple(_contradictions(case, change, found, redshift_named)),
        sentence=sentence,
    )


def _true_change(case: Case, change: np.ndarray, one: Feature | None) -> tuple[float, float]:
    """Return by how many sigma a range was changed in all, and on average with its sign."""
    if one is None:
        return 0.0, 0.0
    inside = slice(*one.pixels)
    weight = np.where(case.valid[inside], case.ivar[inside], 0.0)
    square = float(weight.sum())
    mean = float((change[inside] * weight).sum()) / np.sqrt(square) if square > 0 else 0.0
    return float(np.sqrt((change[inside] ** 2 * weight).sum())), mean


def _sign(case: Case, change: np.ndarray, lead: Feature | None) -> bool | None:
    mean = _true_change(case, change, lead)[1]
    return None if lead is None or abs(mean) < _SEEN else bool((mean > 0) == lead.excess)


def _verdict(case: Case, found: Findings, lead: Feature | None) -> str:
    said = "source" if found.other is not None else "unclear" if lead is None else lead.verdict
    if said == "unclear":
        return said
    return "right" if said == ("instrument" if case.kind in ARTEFACTS else "source") else "wrong"


def _line(case: Case, features: Sequence[Feature]) -> str:
    """Judge the name of the lead: its lines lie in its range at the true redshift, and it is no artefact."""
    if not features or not features[0].line_names or features[0].verdict == "instrument":
        return ""
    if case.kind in ARTEFACTS:
        return "wrong"
    low, high = (edge / (1 + case.true_redshift) for edge in features[0].observed)
    slack = max(0.002, (high - low) / (high + low))
    inside = [line for line in LINES if low * (1 - slack) <= line.wavelength <= high * (1 + slack)]
    said = set(features[0].line_names.removesuffix(" and others").split(" + "))
    return "right" if said <= set(names(inside, limit=99).split(" + ")) else "wrong"


def _redshift(case: Case, found: Findings) -> str:
    if case.kind == "wrong_redshift":
        lines = count_emission_lines(
            case.wavelength, case.clean.astype(float), case.ivar, case.valid, case.true_redshift
        )
        if found.other is None or not found.other.instead:
            return "missed" if lines >= _EMISSION else ""
        return "right" if _same(found.other.redshift, case.true_redshift) else "wrong"
    if found.other is None:
        return ""
    true = float(case.parameters.get("other_redshift", np.nan)) if case.kind == "blend" else np.nan
    return "right" if _same(found.other.redshift, true) else "wrong"


def _same(one: float, other: float) -> bool:
    return bool(abs(one - other) <= _SAME_REDSHIFT * (1 + other))


def _contradictions(case: Case, change: np.ndarray, found: Findings, redshift_named: str) -> list[str]:
    wrong = ["the redshift"] if redshift_named == "wrong" else []
    for one in (*found.features, *found.likely):
        inside = slice(*one.pixels)
        for evidence in one.evidence:
            if evidence.about == "negative flux":
                size = int(evidence.text.split("over ")[1].split()[0]) if "over " in evidence.text else 1
                weight = np.where(case.valid[inside], case.spectrum.ivar[0, inside], 0.0)
                flux = case.flux[inside].astype(float)
                total = np.convolve(flux * weight, np.ones(size), "valid")
                noise = np.sqrt(np.maximum(np.convolve(weight, np.ones(size), "valid"), 1e-12))
                if not len(total) or float((total / noise).min()) > -5:
                    wrong.append("negative flux")
            if evidence.about == "step":
                known = case.kind == "calibration_step" and "B/R" in evidence.text
                if known and ("rises" in evidence.text) != (float(case.parameters["factor"]) < 1):
                    wrong.append("a step's sign")
                if case.kind in ("cosmic_ray", "bad_column", "sky_residual", "line_ratios", "outflow_wings"):
                    wrong.append("a step that is not there")
            if evidence.about == "no step" and case.kind == "calibration_step" and "B/R" in evidence.text:
                if abs(float(case.parameters["factor"]) - 1) > _STEP:
                    wrong.append("a step that is there is denied")
            if evidence.about == "sky lines" and case.kind != "sky_residual":
                wrong.append("sky lines where none were left")
    return wrong
