"""The page of the documentation that ``imo evaluate attribution --page`` writes, in Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imo_engine.errors import ImoError
from imo_engine.evaluation.methods.tables import (
    choices_table,
    kind_table,
    kinds_table,
    main_table,
    sanity_table,
    secondary_table,
)
from imo_engine.system.files import write_atomically

__all__ = ["markdown", "write_page"]

NOTES = ("<!-- notes: kept when the page is written again -->", "<!-- end of notes -->")

_PROTOCOL = """\
**Truth.** Each outlier has a twin without its cause and with the same noise. After both are normalised, a pixel
is true where they differ by more than {first} of its noise ({others} in a second table). At 3 sigma most pixels
of a faint step or bend would count as false although they are part of it. Cases without a true pixel are left
out of localisation; the soft area needs no threshold. Kinds that are nowhere in particular (wrong redshift,
star, dust) are scored by repair alone.

**Scores.** *AP, normalised*: (average precision - share of true pixels) / (1 - that share); 0 is chance, 1
perfect; equal values are one step. *hit@1, hit@3*: the highest one or three places lie on the truth, which is
widened by {resolution} pixels; a place is a run of equal values and counts by its share of true pixels; nothing
within {suppression} pixels of a place is another one. *Repair*: the 256 highest pixels are replaced by those of
{held_out} baselines that took no part in the attribution; (log p gained) / (log p of the twin - log p of the
outlier), limited to -1 ... 1, less the same for equally wide regions elsewhere. *Restoration*: the same with
the twin's pixels. Both only for outliers whose log p lies {deficit:g} nats or more below that of the twin:
those are called *seen*. *Faithfulness*: correlation between the sum of a map over random 64-pixel ranges and
what replacing them gains. Errors are standard deviations of a bootstrap by spectrum within kind and strength;
scores are means over kinds and strengths, so rare ones count as much as others; differences are paired, bold
beyond two errors.

**Signs and ties.** Positive values mark what lowers log p. No absolute values are taken but where the name has
bars; the signed map is ranked. Ties: AP takes equal values as one step, hits and ROC area the mean over random
orders, repair takes whole runs and cuts the last to its middle. Inverse occlusion is constant over its windows:
"of 0.47" is the best that a map constant over such windows can score (the share of true pixels in each).

**Baselines.** {n_baselines} from the pool for each outlier, drawn anew for each, the same for all methods.
Inverse occlusion is computed once with windows {windows} and without offsets; rows for single windows give the
cost of that window. Noise for "|Residual| / noise" is the file's own, also on sky lines.
"""

_SCALED = """\
**Scaled down.** To let {count} methods run on some hundred spectra within an hour, integrated gradients take 24
steps of a Gauss-Legendre rule (8 for each baseline of the ensemble; the library's default adapts to 1 %
completeness), expected gradients 4 samples a baseline (64), GradientSHAP 32 samples (256), SmoothGrad 16 (50),
LIME 200 neighbours (1000). Occlusion and ablation are not scaled down: they are inverse occlusion with swapped
roles and run on the same evaluators.
"""

_FROZEN = """\
**Frozen statistics.** The embedded model's encoder does not normalise, so there are no statistics to freeze:
inverse occlusion with frozen statistics is the same map, and has no row. It has one for models with instance
normalisation.
"""


def markdown(document: dict[str, Any], command: str, notes: str = "") -> str:
    """Return the page.

    Args:
        document: From :func:`imo_engine.evaluation.methods.summary.summarise`.
        command: That made it.
        notes: What people wrote about the numbers.
    """
    protocol = document["protocol"]
    first, *others = (f"{sigma:g} sigma" for sigma in protocol["thresholds"])
    text = _PROTOCOL.format(
        first=first,
        others=" and ".join(others) or "none",
        resolution=protocol["resolution"],
        suppression=protocol["suppression"],
        held_out=protocol["n_held_out"],
        deficit=protocol["least_deficit"],
        n_baselines=protocol["n_baselines"],
        windows=", ".join(map(str, document["window_sizes"])),
    )
    tail = first.replace(" ", "")
    total, local = sum(k["cases"] for k in document["kinds"]), sum(k["local"] for k in document["kinds"])
    frozen = not any(one["name"] == "imo_frozen_statistics" for one in document["contenders"])
    blocks = [
        "# Attribution methods side by side",
        f"{total} simulated outliers of {len(document['kinds'])} kinds, {local} of which have a place in the "
        f"spectrum; model `{document['model']}` ({document['model_fingerprint']}). One model: what is said here holds "
        f"for this one. Command: `{command}`.",
        "## What the numbers say",
        *([NOTES[0], notes.strip() or _nothing_yet(), NOTES[1]]),
        "## Scores",
        _table(main_table(document)),
        *_refusals(document),
        "## How it was measured",
        text,
        _SCALED.format(count=len(document["contenders"])),
        *([_FROZEN] if frozen else []),
        "## Kinds",
        _table(kinds_table(document)),
        "### Normalised average precision, kind by kind",
        _table(kind_table(document, f"average_precision_{tail}", local=True)),
        "### hit@3, kind by kind",
        _table(kind_table(document, f"hit_at_3_{tail}", local=True)),
        "### Restoration of 256 pixels, kind by kind",
        _table(kind_table(document, "restoration_256")),
        "## Other scores",
        _table(secondary_table(document)),
        "## Choices that the paper leaves open",
        f"{document['choices']['cases']} of the stronger outliers of the kinds that have a place, all choices on the "
        "same ones. Differences are to 8 baselines at random with the paper's windows and weights.",
        _table(choices_table(document)),
        "## Sanity",
        f"Mean over {document['sanity']['cases']} outliers of: "
        + "; ".join(f"*{c.replace('_', ' ')}*, {t}" for c, t in document["sanity"]["checks"].items())
        + ".",
        _table(sanity_table(document)),
    ]
    return "\n\n".join(block.strip() for block in blocks if block.strip()) + "\n"


def _nothing_yet() -> str:
    return "(nothing written yet)"


def _refusals(document: dict[str, Any]) -> list[str]:
    return [f"{one['refused']}." for one in document["contenders"] if one["refused"]]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "(not computed)"
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def write_page(path: Path, document: dict[str, Any], command: str) -> None:
    """Write the page; notes of one that is there already are kept.

    Raises:
        ImoError: it cannot be read or written.
    """
    notes = ""
    try:
        if path.exists():
            before = path.read_text(encoding="utf-8")
            if NOTES[0] in before and NOTES[1] in before:
                notes = before.split(NOTES[0])[1].split(NOTES[1])[0]
        text = markdown(document, command, notes)
        write_atomically(path, lambda name: name.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None
