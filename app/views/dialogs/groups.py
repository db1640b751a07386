"""Groups of outliers with the same cause: a list in a dialog, and the mark above the table that filters it."""

from collections.abc import Callable
from html import escape

import numpy as np
import panel as pn
import panel_material_ui as pmui

from app.browser.channel import tells
from app.findings.findings import Findings
from app.findings.groups import Group
from app.html.glossary import TERM_STYLE, explained
from app.state.groups import CauseGroups
from app.state.triage import Subset, Triage
from app.views.dialogs.one_at_a_time import Sheet
from imo_engine.reasons.profiles import BIN_EDGES
from imo_engine.spectra.ranges import range_words

__all__ = ["GroupsDialog", "SubsetMark", "groups_html"]

_WIDTH, _HEIGHT = 170.0, 30.0


class GroupsDialog(pn.viewable.Viewer):
    """Follows the desk; a button of each group filters the table."""

    def __init__(
        self,
        desk: CauseGroups,
        triage: Triage,
        findings: Findings,
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Build the dialog, closed; it changes in turn with everything else (see ``ProgressStrip``)."""
        super().__init__()
        self._desk, self._triage, self._findings, self._schedule = desk, triage, findings, schedule
        self.list = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[TERM_STYLE, _STYLE], margin=0)
        close = pmui.Button(
            label="Close", size="small", variant="outlined", margin=(10, 0, 0, 0), on_click=lambda _: self.close()
        )
        self.dialog = Sheet(
            self.list, close, title="Outliers with the same cause", title_variant="h6", close_on_click=True,
            width_option="md",
        )  # fmt: skip
        desk.param.watch(lambda _: schedule(self._update), "groups")

    def open(self) -> None:
        """Show the dialog."""
        self._schedule(self._write)
        self.dialog.open = True

    def close(self) -> None:
        """Put the dialog away."""
        self.dialog.open = False

    def _update(self) -> None:
        if self.dialog.open:
            self._write()

    def _write(self) -> None:
        total = len(self._triage.targets)
        self.list.object = groups_html(self._desk.groups, self._findings, self._desk.known, total)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.dialog


class SubsetMark(pn.viewable.Viewer):
    """Says above the table that it shows a subset only, with a button that shows all again."""

    def __init__(self, triage: Triage, cleared: Callable[[], None]) -> None:
        """Follow the triage; ``cleared`` is called when the subset is given up here."""
        super().__init__()
        self._triage, self._cleared = triage, cleared
        self.pane = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        triage.param.watch(lambda event: self._follow(event.new), "within")

    def clear(self, word: str = "") -> None:
        """Show all targets again."""
        self._triage.within = None
        self._cleared()

    def _follow(self, subset: Subset | None) -> None:
        button = f'<button type="button" onclick="{tells("subset-clear")}" aria-label="Show all targets">✕</button>'
        words = "" if subset is None else f"<span>{escape(subset.words)}</span>{button}"
        self.pane.object = f'<div class="subset" role="status">{words}</div>' if words else ""

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def groups_html(groups: tuple[Group, ...], findings: Findings, known: int, total: int) -> str:
    """Return the list of groups, each with its mean profile."""
    about = (
        f"{known:,} of {total:,} targets are explained so far. Those whose attribution lies at the same "
        "wavelengths are put together: in the observed frame what looks instrumental, all else in the rest frame."
    )
    rows = "".join(_row(one, findings) for one in groups)
    none = "" if groups else "<p>No two of them are alike yet.</p>"
    return f'<p class="quiet">{explained(about)}</p>{none}<div class="scroll" data-groups="{len(groups)}">{rows}</div>'


def _row(group: Group, findings: Findings) -> str:
    shown = ", ".join(group.targets[:3]) + (" …" if len(group.targets) > 3 else "")
    known = [one for target in group.targets if (one := findings.get(target)) is not None]
    mean = np.mean([one.profiles[group.frame] for one in known], axis=0)
    return (
        f'<div class="group">{_profile(mean, group)}<div class="words"><b>{escape(group.name)}</b>'
        f'<span class="quiet">{escape(shown)}</span></div><button type="button" data-word="{group.number}" '
        f'onclick="{tells("group")}">Show in the table</button></div>'
    )


def _profile(mean: np.ndarray, group: Group) -> str:
    """Draw a mean profile, (B,), over the wavelengths where any spectrum has one, with what is shared marked."""
    filled = np.flatnonzero(mean > 0)
    first, last = int(filled[0]), int(filled[-1]) + 1
    count = 85
    edges = np.linspace(first, last, count + 1).astype(int)
    bars = np.array([mean[a : max(b, a + 1)].max() for a, b in zip(edges[:-1], edges[1:], strict=True)])
    height = (_HEIGHT - 1) * bars / bars.max()
    x = np.linspace(0, _WIDTH, count + 1)
    path = "".join(
        f"M{x[k]:.1f} {_HEIGHT:g}V{_HEIGHT - height[k]:.1f}H{x[k + 1]:.1f}V{_HEIGHT:g}Z" for k in range(count)
    )
    start, stop = (
        _WIDTH * (np.searchsorted(BIN_EDGES, one) - first) / (last - first) for one in (group.low, group.high)
    )
    span = range_words(BIN_EDGES[first], BIN_EDGES[last])
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="attribution at {span}, {group.frame} frame">'
        f'<rect x="{start:.1f}" width="{max(stop - start, 1.5):.1f}" height="{_HEIGHT:g}"/><path d="{path}"/></svg>'
    )


_STYLE = """
.scroll { max-height: 60vh; overflow: auto; }
.group { display: flex; gap: 12px; align-items: center; padding: 6px 2px; border-top: 1px solid var(--imo-line);
  font-size: 13px; color: var(--imo-text); font-variant-numeric: tabular-nums; }
.words { flex: 1; min-width: 0; display: flex; flex-direction: column; }
p { font-size: 13px; color: var(--imo-text); margin: 4px 0 8px; }
.quiet { color: var(--imo-muted); font-size: 12px; overflow: hidden; text-overflow: ellipsis; }
svg { flex: 0 0 170px; height: 30px; border-bottom: 1px solid var(--imo-line); }
svg path { fill: var(--imo-text); fill-opacity: 0.8; } svg rect { fill: var(--imo-accent); fill-opacity: 0.22; }
button { font: inherit; color: var(--imo-accent); background: none; border: 1px solid var(--imo-line); cursor: pointer;
  border-radius: 5px; padding: 3px 9px; white-space: nowrap; }
button:hover { background: var(--imo-hover); }
button:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.subset { display: flex; gap: 8px; align-items: baseline; margin: 2px 8px 4px; padding: 3px 8px; border-radius: 5px;
  border: 1px solid var(--imo-accent); color: var(--imo-text); font-size: calc(12px * var(--imo-type, 1)); }
.subset span { flex: 1; } .subset button { border: none; padding: 0 4px; }
"""
