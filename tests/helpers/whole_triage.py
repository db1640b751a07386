"""A session driven through a whole triage, and nothing else: run as a program, it says what happened as JSON.

It runs in a process of its own, so that what it imports can be told from what the tests import.
"""

import json
import queue
import sys
import time
from pathlib import Path
from uuid import uuid4

from app.computing.events import Settings
from app.computing.explainer import Explainer
from app.labels import LabelStore
from app.labels.said import Said
from app.state.links import Place
from app.state.session import Session
from app.state.workspace import Workspace
from helpers.surveys import tiny_survey

PATIENCE = 120
SETTINGS = Settings(window_sizes=(16, 64), n_baselines=3)


class Canvas:
    """Remembers what was drawn, by target."""

    def __init__(self):
        self.drawn = []

    def __getattr__(self, name):
        if not name.startswith("show_"):
            raise AttributeError(name)
        return lambda *values, **named: self.drawn.append((name.removeprefix("show_"), values))

    def show_spectrum(self, spectra, row):
        self.drawn.append(("spectrum", str(spectra.target_id[row])))

    def show_methods(self, shown, rows):
        self.drawn.append(("methods", [(row.name, row.state) for row in rows] if shown else []))


class Person:
    """Somebody at a session: what is scheduled runs when they wait for something."""

    def __init__(self, folder):
        survey = tiny_survey()
        self.explainer = Explainer(survey)
        self.store = LabelStore(folder / "labels.sqlite")
        self.workspace = Workspace(survey, self.explainer, SETTINGS, self.store, "ann", ahead=False)
        self.scheduled, self.canvas = queue.Queue(), Canvas()
        self.session = Session(self.workspace, self.canvas, self.scheduled.put)

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.scheduled.get(timeout=max(0.1, deadline - time.monotonic()))()
        while not self.scheduled.empty():
            self.scheduled.get()()

    def say(self, **fields):
        labels = self.session.labels
        labels.say(Said(uuid4().hex, target_id=self.session.choices.target_id, fields=fields, base=labels.base))
        self.wait(lambda: labels.unsaved == 0)


def triage(folder):
    """Return what was seen from the first target to the last."""
    person = Person(folder)
    session, canvas = person.session, person.canvas
    session.begin(Place(compare=("occlusion",)))
    order, seen = list(session.triage.order), {}
    for number, target in enumerate(order):
        person.wait(lambda: session.target.status.kind in ("done", "unscored"))
        scored = session.target.status.kind == "done"
        if scored:
            person.wait(lambda: session.target.reason is not None)
            person.wait(lambda: session.methods.finished)
            session.ask(float(session.survey.spectra.wavelength[100]), float(session.survey.spectra.wavelength[120]))
            person.wait(lambda: session.asking.question.kind == "answered")
            session.act("repair")
            person.wait(lambda: session.repair.state.kind == "done")
        person.say(quality=number, comment=f"the {number}th")
        seen[target] = {
            "selected": session.choices.target_id,
            "status": session.target.status.kind,
            "sentence": session.target.reason.sentence if scored else "",
            "asked": session.asking.question.kind,
            "repair": session.repair.state.kind,
            "similar": session.similar.similar.target_id,
            "methods": [name for name, _ in session.methods.finished],
        }
        session.act("next")
    last = session.triage.words
    wavelength = session.survey.spectra.wavelength
    text = "wavelength,flux\n" + "".join(f"{w},{1 + w % 7}\n" for w in wavelength)
    session.candidates.read([("mine.csv", text.encode())])
    person.wait(lambda: session.candidates.intake.kind == "redshift")
    session.candidates.give_redshift(0.1)
    person.wait(lambda: session.candidates.intake.kind in ("done", "failed"))
    own = session.choices.target_id
    session.close()
    before = len(canvas.drawn)
    while not person.scheduled.empty():  # what was on its way when it was closed
        person.scheduled.get()()
    saved = {record.target_id: record.label for record in person.store.labels("ann").values()}
    person.workspace.close()
    return {
        "order": order,
        "seen": seen,
        "last": last,
        "own": own,
        "drawn": [name if name != "spectrum" else [name, what] for name, what in canvas.drawn],
        "drawn after it was closed": len(canvas.drawn) - before,
        "labels": {target: [label.quality, label.comment] for target, label in saved.items()},
        "modules": sorted({name.partition(".")[0] for name in sys.modules} & {"bokeh", "holoviews", "panel"}),
    }


if __name__ == "__main__":
    print(json.dumps(triage(Path(sys.argv[1]))))
