"""A triage with its table, labels and filters, without a browser."""

from collections import deque
from uuid import uuid4

from app.labels import LabelStore
from app.labels.said import Said
from app.state.choices import Choices
from app.state.keyboard import on_key
from app.state.labels import UserLabels
from app.state.triage import Triage
from helpers.surveys import tiny_survey

HTML = "<img src=x onerror=alert(1)>"


class Table:
    """State, triage and desk as the page has them; what is submitted waits until :meth:`drain`."""

    def __init__(self, folder, *, survey=None, user="ann"):
        self.survey = survey or tiny_survey()
        self.store = LabelStore(folder / "labels.sqlite")
        self.work = deque()
        self.state = Choices()
        self.desk = UserLabels(self.store, user, submit=self.work.append, schedule=self.work.append)
        self.triage = Triage(self.state, self.survey, self.desk.label_of)
        self.state.param.watch(lambda event: self.desk.open(event.new), "target_id")

    def drain(self):
        while self.work:
            self.work.popleft()()

    def key(self, *actions):
        """Press keys; those about the label say what they come to, as the browser does."""
        for action in actions:
            name, _, value = action.partition("-")
            label = self.desk.record.label
            if name == "quality":
                self.say(quality=int(value))
            elif name == "star":
                self.say(star=not label.star)
            elif name == "issue":
                self.say(issues=label.issues.replace(value, "") if value in label.issues else label.issues + value)
            elif name in ("undo", "redo"):
                self.say(name)
            else:
                on_key(self.triage, self.state, action)

    def say(self, kind="save", target=None, *, settles=False, base=None, **fields):
        desk = self.desk
        target = desk.record.target_id if target is None else target
        base = desk.base if base is None else base
        desk.say(Said(f"tab.{uuid4().hex}", kind, target, fields, base, settles))

    def kept(self):
        return {target: record.label for target, record in self.store.labels(self.desk.scanner).items()}
