"""A browser session without a browser, from the first target to the last."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.surveys import TARGETS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def triage(tmp_path_factory):
    found = subprocess.run(
        [sys.executable, "-m", "helpers.whole_triage", str(tmp_path_factory.mktemp("triage"))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_needs_neither_bokeh_nor_panel(triage):
    assert triage["modules"] == []


def test_every_target_is_seen_and_answered_in_turn(triage):
    assert set(triage["order"]) == set(TARGETS) == set(triage["seen"])
    for target, seen in triage["seen"].items():
        assert seen["selected"] == seen["similar"] == target
        if target == "unscored":
            assert (seen["status"], seen["asked"], seen["repair"]) == ("unscored", "idle", "idle")
        else:
            assert (seen["status"], seen["asked"], seen["repair"]) == ("done", "answered", "done")
            assert seen["sentence"].endswith(".") and seen["methods"] == ["Occlusion"]
    assert triage["last"] == "That was the last target"


def test_every_label_is_saved_under_its_own_target(triage):
    assert triage["labels"] == {target: [k, f"the {k}th"] for k, target in enumerate(triage["order"])}


def test_is_drawn_spectrum_first_and_what_belongs_to_it_after(triage):
    drawn = triage["drawn"]
    spectra = [what[1] for what in drawn if isinstance(what, list)]
    assert spectra == [*triage["order"], triage["own"]]
    first = drawn[: drawn.index(["spectrum", spectra[1]])]
    places = [first.index(what) for what in ("baselines", "window", "attribution", "features", "repair")]
    assert places == sorted(places) and drawn[0] in (["spectrum", spectra[0]], "methods")


def test_what_the_user_adds_is_selected(triage):
    assert triage["own"] not in TARGETS and "mine" in triage["own"]


def test_nothing_is_drawn_for_a_closed_session(triage):
    assert triage["drawn after it was closed"] == 0
