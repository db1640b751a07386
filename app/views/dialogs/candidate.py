"""A dialog that takes a new candidate in: choose or drop files, give a redshift where one is missing, see the rank."""

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.browser.channel import tells
from app.state.candidates import CandidateIntake, Intake
from app.survey.candidates import REDSHIFTS
from app.survey.uploads import UploadLimits
from app.views.dialogs.one_at_a_time import Sheet

__all__ = ["BoundedFileInput", "CandidateDialog"]


class BoundedFileInput(pmui.FileInput):
    """A file input whose limits hold on the server too, whatever the browser sends."""

    def __init__(self, limits: UploadLimits, empty: Callable[[], None], **params: Any) -> None:  # noqa: ANN401
        """Accept what ``limits`` allow; ``empty`` is called where files have come and nothing was in them.

        The widget itself (panel-material-ui 0.16) says nothing then. ``params`` are the widget's.
        """
        self._limits, self._received, self._empty = limits, 0, empty
        super().__init__(multiple=True, max_file_size=limits.bytes, max_total_file_size=limits.bytes, **params)

    def _handle_msg(self, msg: Any) -> None:  # noqa: ANN401 - a message of the browser
        if msg.get("status") == "finished" and not self._buffer:
            self._empty()
        if msg.get("status") in ("initializing", "finished"):
            self._received = 0
        elif msg.get("status") == "upload_event":
            self._received += len(msg.get("data", b""))
            files = len({*self._file_buffer, msg.get("name")})
            if self._received > self._limits.bytes or files > self._limits.files:
                self._file_buffer.clear()
                self._buffer.clear()
                self._send_msg({"status": "error", "error": "too large"})
                return
        super()._handle_msg(msg)


class CandidateDialog(pn.viewable.Viewer):
    """Follows the desk's intake; the first of what was found is selected when it is done."""

    def __init__(self, desk: CandidateIntake) -> None:
        """Build the dialog, closed."""
        super().__init__()
        self._desk = desk
        megabytes = desk.limits.bytes >> 20
        self.files = BoundedFileInput(
            desk.limits,
            lambda: desk.read([]),
            label="Choose or drop files",
            variant="outlined",
            sizing_mode="stretch_width",
            margin=(6, 0),
        )
        about = (
            "DESI coadd (with its redrock file), SDSS or BOSS spec file, other FITS spectra, text or ECSV with "
            "wavelength and flux, Parquet of spender or SPARCL; "
            f"up to {desk.limits.files} files, {megabytes} MB in all. They stay on this page's server, where nobody "
            "else sees them, and are there again when you come back, until you remove them."
        )
        self.about = pn.pane.HTML(f'<p class="about">{escape(about)}</p>', stylesheets=[_STYLE], margin=0)
        self.state = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        self.kept = pn.pane.HTML(_kept(desk), sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        self.redshift = pmui.TextInput(label="Redshift", value="", size="small", width=140, margin=(4, 8, 4, 0))
        self.give = pmui.Button(label="Score", size="small", margin=(8, 8, 4, 0), on_click=lambda _: self._give())
        self.skip = pmui.Button(
            label="Without it",
            size="small",
            variant="outlined",
            margin=(8, 0),
            on_click=lambda _: desk.give_redshift(None),
        )
        self.missing = pn.Row(self.redshift, self.give, self.skip, visible=False, margin=0)
        close = pmui.Button(label="Close", size="small", variant="outlined", margin=(10, 0, 0, 0), on_click=self._close)
        self.dialog = Sheet(
            pn.Column(
                self.about,
                self.files,
                self.state,
                self.missing,
                self.kept,
                close,
                sizing_mode="stretch_width",
                margin=0,
            ),
            title="Add your own spectrum",
            title_variant="h6",
            close_on_click=True,
            width_option="sm",
        )
        self.files.param.watch(self._on_files, "value")
        desk.param.watch(lambda _: self.kept.param.update(object=_kept(desk)), "kept")
        desk.param.watch(lambda event: self._follow(event.new), "intake")

    def open(self) -> None:
        """Show the dialog; what is under way goes on."""
        if not self._desk.busy:
            self._desk.cancel()
        self.dialog.open = True

    def _close(self, event: object) -> None:
        self.dialog.open = False

    def _on_files(self, event: object) -> None:
        values, names = self.files.value, self.files.filename
        if not values:
            return
        values = values if isinstance(values, list) else [values]
        names = names if isinstance(names, list) else [names]
        self._desk.read([(str(name), bytes(value)) for name, value in zip(names, values, strict=True)])
        self.files.clear()

    def _give(self) -> None:
        low, high = REDSHIFTS
        try:
            redshift = float(self.redshift.value_input or self.redshift.value)
        except ValueError:
            redshift = float("nan")
        if not low < redshift <= high:
            self.state.object = (
                f'<p class="failed" role="alert">The redshift is a number above {low:g}, up to {high:g}.</p>'
            )
            return
        self._desk.give_redshift(redshift)

    def _follow(self, intake: Intake) -> None:
        self.missing.visible = intake.kind == "redshift"
        self.state.object = _intake(intake)
        if intake.kind == "done":
            self.redshift.value = ""

    def __panel__(self) -> pn.viewable.Viewable:
        return self.dialog


def _kept(desk: CandidateIntake) -> str:
    rows = "".join(
        f'<li><span>{escape(one.name)}</span><button type="button" data-word="{escape(one.target_id)}" '
        f'onclick="{tells("forget-candidate")}" aria-label="Remove {escape(one.name)}">Remove</button></li>'
        for one in desk.kept
    )
    return f"<h3>Your spectra</h3><ul>{rows}</ul>" if rows else ""


def _intake(intake: Intake) -> str:
    if intake.kind == "idle":
        return ""
    names = ", ".join(intake.unknown[:5]) + (" …" if len(intake.unknown) > 5 else "")
    more = f"<br>Redshift of {escape(names)}:" if intake.unknown else ""
    bar = '<span class="bar"></span>' if intake.kind in ("reading", "scoring") else ""
    return f'<p class="{intake.kind}" role="status" data-intake="{intake.kind}">{escape(intake.text)}{more}</p>{bar}'


_STYLE = """
p { margin: 4px 0; font-size: 13px; color: var(--imo-text); overflow-wrap: anywhere; line-height: 1.45; }
.about { color: var(--imo-muted); }
.failed { color: var(--imo-warning); font-weight: 600; }
h3 { font-size: 13px; margin: 8px 0 2px; color: var(--imo-text); }
ul { list-style: none; margin: 0; padding: 0; max-height: 22vh; overflow: auto; font-size: 13px; }
li { display: flex; gap: 10px; padding: 3px 0; border-top: 1px solid var(--imo-line); color: var(--imo-text); }
li span { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
button { font: inherit; color: var(--imo-text); background: none; border: 1px solid var(--imo-edge);
  border-radius: 5px; padding: 0 8px; min-height: 24px; cursor: pointer; }
button:hover { background: var(--imo-hover); }
button:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.done { font-weight: 600; }
.bar { display: block; height: 4px; width: 30%; border-radius: 2px; background: var(--imo-accent);
  animation: slide 1.2s ease-in-out infinite alternate; }
@keyframes slide { from { margin-left: 0 } to { margin-left: 70% } }
"""
