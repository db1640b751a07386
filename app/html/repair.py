"""What it takes to make a target ordinary, as HTML: a sentence, and the regions, each of which zooms to its range."""

from html import escape

from app.html.glossary import explained
from app.html.numbers import printed
from app.state.keys import keys_of
from app.state.repair import Repaired, RepairState
from app.survey.survey import RankRange
from imo_engine.repair.record import RepairedRegion
from imo_engine.spectra.instrument import INSTRUMENTS
from imo_engine.spectra.landmarks import lines_within, names, place
from imo_engine.spectra.ranges import range_words

__all__ = ["REPAIR_STYLE", "repair_html", "repaired_html"]


_HEAD = "What would make it ordinary?"
_NARROW = 150.0  # Angstrom, rest frame; what is wider is not called after lines
_SLACK = 5e-4  # 150 km/s by which a line may lie outside


def repair_html(state: RepairState) -> str:
    """Return the panel, with the button that fits."""
    key = keys_of("repair")
    if state.kind == "done" and state.found is not None:
        return repaired_html(state.text, state.found)
    if state.kind in ("waiting", "computing"):
        percent = 0 if state.fraction is None else round(100 * state.fraction, 1)
        waits = " waiting" if state.fraction is None else ""
        body = (
            f'<p class="quiet" role="status">{escape(state.text)}</p><div class="row"><span class="track">'
            f'<span class="fill{waits}" style="width:{percent}%"></span></span>'
            f"{_button('repair-stop', 'Stop', '')}</div>"
        )
    else:
        failed = ' class="failed" role="alert"' if state.kind == "failed" else ' class="quiet"'
        say = escape if state.kind == "failed" else explained
        words = state.text or "The fewest regions whose replacement by ordinary spectra would make it ordinary."
        label = "Repair it" if state.kind == "idle" else "Try again"
        body = f"<p{failed}>{say(words)}</p>{_button('repair', label, key)}"
    return f'<section class="repair" aria-label="Repair" data-repair="{state.kind}"><h2>{_HEAD}</h2>{body}</section>'


def repaired_html(text: str, found: Repaired, *, alone: bool = False) -> str:
    """Return sentence and regions of a repair; ``alone``: for a page that has no server."""
    repair = found.repair
    rows = "".join(
        _row(number, one, found.ranks[number - 1] if found.ranks else None, found.instrument)
        for number, one in enumerate(repair.regions, start=1)
    )
    listed = f"<ol>{rows}</ol>" if rows else ""
    show = ""
    if rows and not alone:
        show = _button("repair", "Show or hide it in the spectrum", keys_of("repair"))
    facts = f"Ordinary is log p {printed(repair.target, '.1f')} or more"
    if rows:
        facts += f"; log p as medians over {len(repair.regions[0].log_prob)} baselines that the attribution did not use"
    spent = f". {repair.evaluations:,} spectra scored in {_seconds(repair.seconds)}."
    return (
        f'<section class="repair" aria-label="Repair" data-repair="done"><h2>{_HEAD}</h2>'
        f'<p class="sentence" role="status">{explained(text)}</p>{listed}{show}'
        f'<p class="quiet">{explained(facts + spent)}</p></section>'
    )


def _row(number: int, region: RepairedRegion, rank: RankRange | None, instrument: str) -> str:
    low, high = region.observed
    span, what = range_words(low, high), _what(region, instrument)
    rest = f"rest {range_words(*region.rest)}"
    pixels = f"{region.pixels:,} pixel{'s' if region.pixels != 1 else ''}"
    after = f"log p {printed(region.median, '.1f')} ± {region.scatter:.1f}"
    if rank is not None:
        after += f", {str(rank).removesuffix(f' of {rank.size:,}')}"
    return (
        f'<li><button type="button" class="feature" onclick="window.imo.explorer.zoomTo({low:.2f}, {high:.2f})" '
        f'title="Zoom to {span}"><span class="number">{number}</span><span class="title">{escape(what or span)}</span>'
        f'<span class="pixels">{pixels}</span></button><div class="facts">{f"{span}, " if what else ""}{rest}<br>'
        f"{'then' if number > 1 else 'without it'}: {escape(after)}</div></li>"
    )


def _what(region: RepairedRegion, instrument: str) -> str:
    """Name the part of the spectrograph that a region is, or the lines in it; empty if there is nothing to name."""
    low, high = region.rest
    if high - low > _NARROW:
        return place(*region.observed, INSTRUMENTS.get(instrument))
    return names(lines_within(low * (1 - _SLACK), high * (1 + _SLACK)))


def _button(action: str, label: str, key: str) -> str:
    tip = f' title="{label} ({key})"' if key else ""
    call = "keys.run('repair')" if action == "repair" else "stopRepair()"
    return f'<button type="button" class="do" onclick="window.imo.explorer.{call}"{tip}>{label}</button>'


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 90 else f"{value / 60:.0f} min"


REPAIR_STYLE = """
.repair { padding: 6px 10px; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); line-height: 1.4;
  font-variant-numeric: tabular-nums; border-top: 1px solid var(--imo-line); }
h2 { font-size: calc(12.5px * var(--imo-type, 1)); margin: 2px 0; font-weight: 600; color: var(--imo-muted); }
.sentence { font-size: calc(13.5px * var(--imo-type, 1)); }
p { margin: 2px 0 6px; }
.quiet, .facts, .pixels { color: var(--imo-muted); }
.quiet, .facts { font-size: calc(11.5px * var(--imo-type, 1)); }
.failed { color: var(--imo-warning); }
ol { list-style: none; margin: 0 0 6px; padding: 0; }
ol > li { padding: 3px 0; border-top: 1px solid var(--imo-line); }
.feature { display: flex; gap: 7px; align-items: baseline; width: 100%; padding: 1px 0; font: inherit; color: inherit;
  background: none; border: none; text-align: left; cursor: pointer; border-radius: 4px; }
.feature:hover .title { text-decoration: underline; }
.feature:focus-visible, .do:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.number { flex: none; width: 1.4em; text-align: center; font-weight: 600; color: var(--imo-repair); }
.title { flex: 1; font-weight: 600; min-width: 0; }
.facts { padding-left: calc(1.4em + 7px); }
.do { font: inherit; color: var(--imo-text); background: var(--imo-surface); border: 1px solid var(--imo-edge);
  border-radius: 5px; padding: 2px 10px; min-height: 26px; cursor: pointer; margin-bottom: 4px; }
.do:hover { background: var(--imo-hover); }
.row { display: flex; align-items: center; gap: 10px; }
.track { flex: 1; height: 4px; border-radius: 2px; background: var(--imo-line); overflow: hidden; }
.fill { display: block; height: 100%; background: var(--imo-accent); transition: width 0.25s linear; }
.fill.waiting { width: 30% !important; animation: slide 1.2s ease-in-out infinite alternate; }
@keyframes slide { from { margin-left: 0 } to { margin-left: 70% } }
"""
