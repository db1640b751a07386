"""Labels and attributions as files: a dialog with downloads and an import."""

import io
from collections.abc import Callable
from html import escape
from uuid import uuid4

import panel as pn
import panel_material_ui as pmui

from app.labels import exchange
from app.labels.records import Inspection
from app.state.candidates import NO_CONTENT
from app.state.session import Session
from app.survey.uploads import UploadLimits
from app.views.dialogs.candidate import BoundedFileInput
from app.views.dialogs.object_files import ObjectDownloads
from app.views.dialogs.one_at_a_time import Sheet
from app.views.downloads import Downloads
from imo_engine.errors import ImoError

__all__ = ["FilesDialog"]


class FilesDialog(pn.viewable.Viewer):
    """Downloads are made when they are asked for."""

    def __init__(self, session: Session, dark: Callable[[], bool]) -> None:
        """Build the dialog, closed; the session gives what is written, ``dark`` whether colours are."""
        super().__init__()
        self._session, self._desk = session, session.labels
        desk = session.labels
        name = exchange.vi_file_name(session.survey.title, desk.scanner)
        style = {"size": "small", "variant": "outlined", "margin": (4, 6, 4, 0)}
        self.labels = Downloads(
            ("Labels, CSV", self._csv, name),
            ("Labels, ECSV", self._ecsv, f"{name.removesuffix('.csv')}.ecsv"),
            **style,
        )
        self.object = ObjectDownloads(session, dark, lambda: self.dialog.open, style)
        limits = UploadLimits(files=1, bytes=exchange.MAX_BYTES)
        self.upload = BoundedFileInput(
            limits,
            lambda: self._refuse(NO_CONTENT),
            label="Import labels (CSV)",
            variant="outlined",
            size="small",
            margin=(4, 0),
        )
        self.words = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        close = pmui.Button(label="Close", size="small", variant="outlined", margin=(10, 0, 0, 0), on_click=self._close)
        self.dialog = Sheet(
            pn.Column(
                _heading("Labels", "All of yours, in the columns of DESI's visual inspections."),
                self.labels,
                _heading(
                    "This object",
                    "Its attribution as a table or netCDF; the plots as a page that needs no server; a figure for an "
                    "article, with the methods that are compared on the page.",
                ),
                self.object,
                _heading("Import", "Adds labels that are missing here; labels that differ are left as they are."),
                self.upload,
                self.words,
                close,
                sizing_mode="stretch_width",
                margin=0,
            ),
            title="Files",
            title_variant="h6",
            close_on_click=True,
            width_option="sm",
        )
        self.upload.param.watch(self._on_import, "value")

    def open(self) -> None:
        """Show the dialog."""
        self.words.object = ""
        self.labels.say("")
        self.object.downloads.say("")
        self.object.update()  # first: one that changes while it is being drawn stays as it was
        self.dialog.open = True

    def _close(self, event: object) -> None:
        self.dialog.open = False

    def _lines(self) -> tuple[Inspection, ...]:
        records = self._desk.store.labels(self._desk.scanner).values()
        return exchange.inspections(records, self._session.survey)

    def _csv(self) -> io.BytesIO:
        return io.BytesIO(exchange.to_csv(self._lines()))

    def _ecsv(self) -> io.BytesIO:
        model, _ = self._session.survey.engine.get()
        data = f"{self._session.survey.title}, {len(self._session.survey.spectra)} spectra"
        return io.BytesIO(exchange.to_ecsv(self._lines(), model=f"{model.name} ({model.fingerprint})", data=data))

    def _on_import(self, event: object) -> None:
        values, names = self.upload.value, self.upload.filename
        if not values:
            return
        content, name = (one[0] if isinstance(one, list) else one for one in (values, names))
        self.upload.clear()
        try:
            lines = exchange.read_csv(bytes(content), name=str(name)[-80:], scanner=self._desk.scanner)
            done = self._desk.store.import_labels(lines, client_id=f"{self._desk.tab}.{uuid4().hex}")
        except ImoError as error:
            self._refuse(str(error))
            return
        self._desk.reload()
        text = f"{done.added} added, {done.unchanged} already here, {len(done.kept)} differ and were left as they are"
        self.words.object = f'<p role="status" data-import="done">{escape(text)}</p>'

    def _refuse(self, why: str) -> None:
        self.words.object = f'<p class="failed" role="alert" data-import="failed">{escape(why)}</p>'

    def __panel__(self) -> pn.viewable.Viewable:
        return self.dialog


def _heading(title: str, words: str) -> pn.viewable.Viewable:
    return pn.pane.HTML(f"<h3>{title}</h3><p>{words}</p>", stylesheets=[_STYLE], margin=0)


_STYLE = """
h3 { font-size: 14px; margin: 8px 0 0; color: var(--imo-text); }
p { margin: 2px 0; font-size: 13px; color: var(--imo-muted); overflow-wrap: anywhere; }
.failed { color: var(--imo-warning); font-weight: 600; }
"""
