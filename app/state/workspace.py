"""What all sessions of a process share: survey, engine, labels, and what was found out."""

import getpass
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from astropy.io import fits

from app.computing.explainer import Explainer, Settings
from app.computing.shelf import Shelf
from app.findings.reasons import Reasons
from app.labels import LabelStore
from app.survey.kept_candidates import CandidateFiles
from app.survey.latents import Latents
from app.survey.survey import Survey
from imo_engine.errors import ImoError
from imo_engine.system.embedded import DEMO_SPECTRA, embedded_file

__all__ = ["IDLE_TARGETS", "Workspace", "default_labels", "system_user"]

IDLE_TARGETS = 100
"""How many of the lowest ranks are explained while nobody waits."""

_TRUTH = "demo-truth.fits.gz"


@dataclass(eq=False)
class Workspace:
    """Made once a process.

    Attributes:
        survey: As it was opened, without anybody's own files.
        explainer: The queue.
        settings: How targets are explained.
        store: Where labels are kept.
        user: Whose labels, where there is no login.
        ahead: Whether targets are computed when nobody waits: those next in the table, then the lowest ranks.
        reasons: Why targets are odd.
        latents: Where they are in latent space.
        saving: Writes labels, in order.
        thinking: Works out reasons, reads uploads.
        asking: Answers questions about ranges.
        pages: Keys of the pages that sessions have open.
        truth: What was injected, in words, by target of the embedded survey; empty for any other.
        shelf: Everybody's own files, of the sessions there are.
        candidates: The same on disk, for the next time; None: they are not kept.
    """

    survey: Survey
    explainer: Explainer
    settings: Settings
    store: LabelStore
    user: str
    ahead: bool = True
    reasons: Reasons = field(default_factory=Reasons)
    latents: Latents = field(default_factory=Latents)
    saving: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "imo-labels"))
    thinking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "imo-reasons"))
    asking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "imo-asking"))
    pages: set[str] = field(default_factory=set)
    candidates: CandidateFiles | None = None
    truth: dict[str, str] = field(init=False)
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.explainer)
        self.explainer.on_ahead = lambda target, found: self.reasons.of(self.explainer.survey, target, found)
        self.truth = _truth(self.survey)

    def unexplained(self) -> list[str]:
        """Return which of the targets with the lowest ranks nobody has asked about yet, by rank."""
        survey = self.survey
        lowest = survey.spectra.target_id[survey.order()[:IDLE_TARGETS]].tolist()
        return [target for target in lowest if self.reasons.findings.get(target) is None]

    def close(self) -> None:
        """Finish what is being written and stop."""
        self.saving.shutdown(wait=True)
        for pool in (self.thinking, self.asking):
            pool.shutdown(wait=False, cancel_futures=True)
        self.explainer.close()
        self.store.close()


def default_labels(survey: Survey) -> Path:
    """Return where the labels of a survey are kept unless somebody says otherwise: in the user's data folder."""
    name = re.sub(r"[^a-z0-9]+", "-", survey.title.casefold()).strip("-")[:60] or "survey"
    return platformdirs.user_data_path("imo-explorer") / f"{name}.sqlite"


def system_user() -> str:
    """Return the name of who started the program."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return re.sub(r"[^\w.@-]+", "-", name).strip("-")[:60] or "user"


def _truth(survey: Survey) -> dict[str, str]:
    """Return in words what was injected into the targets of the embedded survey; nothing for any other."""
    if not survey.simulated or not any(str(source) == DEMO_SPECTRA for source in survey.spectra.source[:1]):
        return {}
    try:
        with fits.open(embedded_file(_TRUTH)) as file:
            rows = file["OUTLIERS"].data
            return {
                str(row["TARGETID"]): f"{str(row['KIND']).strip().replace('_', ' ')}, strength {row['STRENGTH']}"
                for row in rows
            }
    except (ImoError, OSError, KeyError):
        return {}
