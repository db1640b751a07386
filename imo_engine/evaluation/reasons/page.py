"""The page that says how true the reasons are: ``docs/reasons.md``, written by ``imo evaluate reasons``."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from imo_engine.evaluation.reasons.judgement import Judgement
from imo_engine.simulation.artefacts import ARTEFACTS
from imo_engine.system.files import write_atomically

__all__ = ["demo_table", "kinds_table", "summary_lines", "write_reasons_page"]

_HEAD = """# Are the reasons true?

What *Why is it odd?* says of an outlier, compared with what was done to it: simulated outliers of a seed that nothing
was chosen on, of which both the clean twin and the noise are known, of each kind those of the lowest log p.
Written by

```sh
{command}
```

**Lead**: of the outliers with anything significant (p of 0.05 or less, counted among ordinary spectra), how often the
first reason lies where the spectrum was changed by 3 sigma or more. **Sign**: whether excess or missing flux was said
rightly there. **Verdict** (instrument or source) of those with anything significant: right, wrong, unclear. What is not
significant gets a verdict only by what convinces alone (sky lines, a width below the resolution, negative flux, a step
between arms, another redshift): in brackets. **Line**: named rightly, wrongly. **z**: another redshift named rightly,
wrongly, missed (wrong redshifts of galaxies with four or more emission lines at 4 sigma). **Contradictions**:
statements that contradict what was done, or the file's ivar. Kinds that are nowhere in particular have no lead.

"""

_COLUMNS = ("outliers", "significant", "lead", "sign", "right", "wrong", "unclear", "line", "z", "contradictions")


def _count(rows: Sequence[Judgement], true: Callable[[Judgement], bool]) -> int:
    return sum(map(true, rows))


def kinds_table(judgements: Sequence[Judgement]) -> str:
    """Return a row for each kind, and one for all, in Markdown."""
    kinds = sorted({one.kind for one in judgements}, key=lambda kind: (kind not in ARTEFACTS, kind))
    rows: list[tuple[str, ...]] = [("kind", *_COLUMNS), ("---",) * (len(_COLUMNS) + 1)]
    for kind in kinds:
        rows.append((kind.replace("_", " "), *_row([one for one in judgements if one.kind == kind])))
    rows.append(("all", *_row(judgements)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(mine: Sequence[Judgement]) -> tuple[str, ...]:
    """Return the cells of some outliers."""
    of, likely = ([one for one in mine if bool(one.significant) == wanted] for wanted in (True, False))

    def share(name: str) -> str:
        judged = [getattr(one, name) for one in mine if getattr(one, name) is not None]
        return f"{sum(judged)}/{len(judged)}" if judged else ""

    def verdicts(word: str) -> str:
        significant, rest = (sum(one.verdict == word for one in rows) for rows in (of, likely))
        return f"{significant} ({rest})"

    def named(name: str) -> str:
        counts = Counter(getattr(one, name) for one in mine)
        return ", ".join(f"{count} {word}" for word in ("right", "wrong", "missed") if (count := counts[word]))

    return (
        str(len(mine)),
        str(len(of)),
        share("lead_on_truth"),
        share("sign_right"),
        *(verdicts(word) for word in ("right", "wrong", "unclear")),
        named("line_named"),
        named("redshift_named"),
        str(sum(len(one.contradictions) for one in mine) or ""),
    )


def summary_lines(judgements: Sequence[Judgement]) -> list[str]:
    """Return what the table amounts to, a line a question."""
    of = [one for one in judgements if one.significant]
    leads = [one for one in of if one.lead_on_truth is not None]
    sources = [one for one in of if one.kind not in ARTEFACTS]
    faults = [one for one in of if one.kind in ARTEFACTS]
    on = [one for one in faults if one.lead_on_truth]
    right = _count(leads, lambda one: bool(one.lead_on_truth))
    redshifts = [one for one in judgements if one.kind == "wrong_redshift" and one.redshift_named]
    named = _count(redshifts, lambda one: one.redshift_named == "right")

    def share(number: int, of: int) -> str:
        return f"{number} of {of}" + (f" ({number / of:.1%})" if of else "")

    return [
        f"lead on the truth: {share(right, len(leads))}",
        f"false instrument: {share(_count(sources, lambda one: one.verdict == 'wrong'), len(sources))} sources",
        f"false source: {share(_count(on, lambda one: one.verdict == 'wrong'), len(on))} instrumental faults whose "
        f"lead lies on the fault, {share(_count(faults, lambda one: one.verdict == 'wrong'), len(faults))} of all",
        f"unclear: {share(_count(of, lambda one: one.verdict == 'unclear'), len(of))} with anything significant, "
        f"{share(_count(judgements, lambda one: one.verdict == 'unclear'), len(judgements))} of all",
        f"statements that contradict truth or ivar: {sum(len(one.contradictions) for one in judgements)}",
        f"numbered without being significant: {sum(one.insignificant_listed for one in judgements)}",
        f"wrong redshifts of galaxies with emission named rightly: {share(named, len(redshifts))}",
    ]


def demo_table(rows: Sequence[tuple[int, str, Judgement | None, str]]) -> str:
    """Return what is said of the demo's lowest ranks: rank, target, judgement if it was injected, sentence."""
    lines = ["| rank | injected | verdict | what is said |", "| --- | --- | --- | --- |"]
    for rank, _, judgement, words in rows:
        kind = "" if judgement is None else f"{judgement.kind.replace('_', ' ')} {judgement.strength}"
        verdict = "" if judgement is None else judgement.verdict
        lines.append(f"| {rank} | {kind} | {verdict} | {words} |")
    return "\n".join(lines)


def write_reasons_page(path: Path, command: str, parts: Sequence[tuple[str, str]]) -> None:
    """Write the page from parts, each a heading and its text.

    Raises:
        OSError: the disk refuses.
    """
    text = _HEAD.format(command=command) + "\n\n".join(f"## {title}\n\n{body}" for title, body in parts) + "\n"
    write_atomically(path, lambda name: name.write_text(text, encoding="utf-8"))
