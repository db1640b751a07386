"""Words of the method have their meaning where they are shown; what is said of a feature is said in words."""

import re
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.surveys import TARGETS, tiny_survey

from app.findings.findings import Finding, Findings, Mark
from app.findings.groups import find_groups
from app.findings.reasons import Reason
from app.html.explanation import explanation_html
from app.html.glossary import GLOSSARY, explained, glossary_html, meaning
from app.html.header import header_html
from app.html.repair import repair_html
from app.html.table_cells import finding_cells, label_cell
from app.html.toolbar import toolbar_html
from app.html.why import because, why_html
from app.labels import Label
from app.state.asking import Question
from app.state.choices import Choices
from app.state.repair import RepairState
from app.views.dialogs.groups import groups_html
from app.views.reasons.ask import ask_html
from app.views.spectrum.methods import methods_bar
from app.views.spectrum.target import TargetStrip
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING
from imo_engine.reasons.evidence import Evidence
from imo_engine.reasons.features import Feature
from imo_engine.reasons.features import Findings as Found

WORDS = {
    "log p": r"[−-]?log p\b",
    "nat": r"\bnats?\b",
    "W": r"\bW = ",
    "window size": r"\bwindow sizes?\b",
    "baselines": r"\bbaselines?\b",
    "scatter": r"\bscatter\b",
    "twin": r"\btwin\b",
    "unclear": r"\bunclear\b",
    "combined map": r"\bcombined\b",
    "scale map": r"\bscale map\b",
    "attribution": r"\battributions?\b",
    "latent space": r"\blatent space\b",
}


def feature(**given):
    values = {
        "pixels": (100, 140), "observed": (8635.0, 8702.0), "rest": (6542.0, 6592.0), "peak": 8660.0,
        "peak_rest": 6564.6, "kind": "narrow", "p_value": 0.003, "share": 0.23, "log_prob_drop": 3.0,
        "window_size": 256, "significance": 5.0, "deviation": 63.4, "deviation_width": 40.0, "noise_sigma": 128.6,
        "lines": (), "line_names": "Hα + [N II]", "place": "", "evidence": (), "verdict": "unclear",
    }  # fmt: skip
    return Feature(**(values | given))


def reason(*features, likely=()):
    words = "Hα + [N II] at 8635–8702 Å: missing flux, odd in itself, but it hardly lowers log p."
    return Reason(Found(features, tuple(likely), None, 0.002, 0.003), words, np.zeros(3), None, "no <null> here")


class Shown(HTMLParser):
    """Words that are seen, and those that are over or under a title which has the meaning of a word."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.titles, self.text, self.meant = [], [], {word: False for word in WORDS}
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag not in ("input", "br", "path", "rect", "line", "circle"):
            given = dict(attributes)
            self.titles.append((tag, given.get("title") or "", "unseen" in (given.get("class") or "")))

    def handle_endtag(self, tag):
        while self.titles and self.titles.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if any(unseen for *_, unseen in self.titles):
            return
        self.text.append(data)
        for word, form in WORDS.items():
            if re.search(form, data, re.I) and any(GLOSSARY[word] in title for _, title, _ in self.titles):
                self.meant[word] = True


def parts():
    """Each part of the page that has such words, as HTML."""
    made = {
        target: Finding("something", (Mark(5000, 5020, "source"),), profiles)
        for target, profiles in zip("ab", [dict.fromkeys(("rest", "observed"), _profile())] * 2, strict=True)
    }
    findings = Findings()
    findings.learn(made)
    strip = TargetStrip(SimpleNamespace(survey=tiny_survey()), Choices(), lambda callback: None)
    return {
        "why": why_html(reason(feature(), feature(window_size=4))),
        "repair": repair_html(RepairState("stopped", "Without it log p would be 3 nats more over 4 baselines.")),
        "ask": ask_html(Question("idle")),
        "toolbar": toolbar_html((1, 4, 256), RECOMMENDED_WEIGHTING),
        "strip": strip.html(TARGETS[0]),
        "methods": methods_bar().object,
        "groups": groups_html(find_groups(made), findings, 2, 3),
        "glossary": glossary_html(),
    }


def _profile():
    from imo_engine.reasons.profiles import BIN_EDGES

    profile = np.zeros(len(BIN_EDGES) - 1, np.float32)
    profile[300:303] = 0.2
    return profile / profile.sum()


@pytest.mark.parametrize("name", ["why", "repair", "toolbar", "strip", "methods", "groups"])
def test_each_word_of_the_method_has_its_meaning_where_it_is_shown(name):
    shown = Shown(parts()[name])
    text = " ".join(shown.text)
    here = [word for word, form in WORDS.items() if re.search(form, text, re.I)]
    assert here, "there are such words in this part"
    assert [word for word in here if not shown.meant[word]] == []


def test_all_words_can_be_read_without_a_mouse():
    text = unescape(re.sub("<[^>]*>", " ", explanation_html((1, 16))))
    for word, words in GLOSSARY.items():
        assert word in text and words in text
        assert words.endswith(".") and words.count(". ") == 0, "one sentence"


def test_a_word_is_explained_once_a_text_and_nothing_in_it_is_markup():
    html = explained("<b>log p</b> over baselines: log p")
    assert html.count("<abbr") == 2 and "<b>" not in html
    assert html.index("<abbr") < html.index("log p</abbr>") and html.endswith("log p")
    assert explained("the wavelength") == "the wavelength"


class TestWhy:
    def test_the_sentence_is_first_and_numbers_are_folded_away(self):
        html = why_html(reason(feature()))
        assert 'class="numbers" open' not in html
        seen, _, folded = html.partition("<details")
        assert 'class="sentence"' in seen and "zoomTo(8635.00, 8702.00)" in seen
        seen, folded = (re.sub("<[^>]*>", "", part) for part in (seen, folded))
        assert "σ" not in seen and "p =" not in seen and "128.6 σ" in folded and "p = 0.003" in folded
        assert 'class="numbers" open' in why_html(reason(feature()), unfolded=True)

    def test_signs_are_words_that_do_not_contradict(self):
        html = why_html(reason(feature(noise_sigma=-13.0, deviation=13.5)))
        assert "on average 13.0 σ of its noise below" in html
        assert "but 40 Å of it are above" in html
        assert "excess flux" not in html and "missing flux ·" not in html
        assert "missing flux ·" in why_html(reason(feature(noise_sigma=-13.0, deviation=-13.5)))
        assert not re.search(r"-\d", re.sub("<[^>]*>", "", html))

    def test_a_chip_says_what_it_comes_from_and_why(self):
        evidence = (
            Evidence("source", 2, "lines", "Hα is <broad>"),
            Evidence("instrument", 1, "sky", "a sky line is near"),
        )
        one = feature(evidence=evidence, verdict="source")
        words = because(one)
        assert words.startswith(f"Source: {meaning('source')}")
        assert "For the source: Hα is <broad>." in words and "For the instrument: a sky line is near." in words
        html = why_html(reason(one))
        chip = re.search(r'<span class="verdict source" title="([^"]*)">.*?<span class="unseen">([^<]*)', html)
        assert unescape(chip[1]) == unescape(chip[2]) == words, "for the mouse and for screen readers"
        assert "no evidence either way" in because(feature())
        assert "<broad>" not in html and "<null>" not in html


class TestCells:
    def test_nothing_is_below_where_nothing_is_known(self):
        assert "brief" not in finding_cells("1", None, False)["target"]
        assert label_cell(Label()) == ""

    def test_what_the_narrow_table_leaves_out_is_in_its_tooltip(self):
        finding = Finding("red end of the Z arm, instrument", (Mark(9573, 9806, "instrument"),), {}, "DESI", 0.0042)
        cells = finding_cells("39<28", finding, False)
        assert (cells["verdict"], cells["p"]) == ("instrument", 0.0042)
        title = unescape(re.search(r'title="([^"]*)"', cells["target"])[1])
        assert title == "39<28; red end of the Z arm; instrument; p = 0.004"
        assert "39&lt;28" in cells["target"] and "39<28" not in cells["target"]


def test_the_header_groups_what_is_done_how_it_looks_and_help():
    html = header_html({"details"}, simulated=True, truth=False)
    names = re.findall(r'role="group" aria-label="([^"]+)"', html)
    assert names == ["Spectra and files", "Compare", "View", "View", "Help"]
    assert "Simulated data" in html and "Reveal truth" not in html
    assert "Compare methods" in html and "inverse occlusion (M)" in html and "The method, live (E)" in html
    assert re.search(r'data-switch="details"[^>]* checked', html) and 'aria-pressed="false"' in html
    assert "Reveal truth" in header_html((), simulated=False, truth=True)
