"""Scores of attribution methods as the page reads and draws them; no browser is needed."""

import json

import numpy as np
import pytest
from bokeh.models import Span
from bokeh.models.glyphs import Scatter

from app.findings.method_scores import FAMILIES, SCORES_FILE, MethodScores, read_scores
from app.plots.colours import DARK, LIGHT
from app.plots.scores import choices_figure, kinds_figure, scores_figure
from imo_engine.errors import ImoError
from imo_engine.system.embedded import embedded_file

CONTENDERS = [
    ("imo", "IMO (paper)", "combination", ""),
    ("near", "Near it", "gradient", ""),
    ("above", "Above it", "control", ""),
    ("below", "Below it", "replacement", ""),
    ("refused", "Refused", "gradient", "it does not apply"),
    ("truth", "Truth", "oracle", ""),
]
MEAN = [0.5, 0.49, 0.7, 0.1, None, 1.0]


def content():
    def table(mean, reference):
        error = [None if one is None else 0.02 for one in mean]
        difference = [None if one is None else one - mean[reference] for one in mean]
        return {"mean": mean, "error": error, "difference": difference, "difference_error": error}

    return {
        "schema": 1,
        "model": "a model",
        "reference": "imo",
        "metrics": {
            "hit": {"text": "the highest place lies on the cause", "best": 1, "chance": None},
            "soft": {"text": "how early", "best": 1, "chance": 0.0},
            "lost": {"text": "not measured", "best": 1, "chance": 0.0},
        },
        "kinds": [{"kind": "cosmic_ray", "cases": 3}, {"kind": "broad_line_agn", "cases": 4}],
        "chance": {"all": {"hit": 0.25}},
        "contenders": [
            {"name": n, "label": label, "family": family, "seconds": None if why else 0.1, "refused": why}
            for n, label, family, why in CONTENDERS
        ],
        "scores": {"all": {"hit": table(MEAN, 0), "soft": table(MEAN, 0)}, "seen": {"soft": table(MEAN, 0)}},
        "by_kind": {"hit": {"mean": [[one, one] for one in MEAN], "error": [[0.1, 0.1] for _ in MEAN]}},
        "choices": {
            "cases": 5,
            "labels": {"few": "4 baselines", "usual": "8 baselines"},
            "names": ["few/uniform", "few/inverse_variance", "usual/uniform", "usual/inverse_variance"],
            "reference": "usual/inverse_variance",
            "scores": {"hit": table([0.1, 0.2, 0.3, 0.4], 3)},
        },
    }


@pytest.fixture
def scores():
    return MethodScores(content())


class TestTable:
    def test_the_best_come_first_and_those_without_a_score_last(self, scores):
        table = scores.table("hit")
        assert [table.labels[k] for k in table.best_first()] == [
            "Truth", "Above it", "IMO (paper)", "Near it", "Below it", "Refused",
        ]  # fmt: skip

    def test_the_chance_level_is_that_of_the_cases_where_it_depends_on_them(self, scores):
        assert scores.table("hit").chance == 0.25
        assert scores.table("soft").chance == 0.0

    def test_the_verdict_names_what_is_higher_and_counts_the_rest(self, scores):
        words = scores.table("hit").verdict()
        assert words.startswith("IMO (paper): 0.50 ± 0.02 (chance 0.25). 1 other methods are lower")
        assert "1 not told apart" in words and words.endswith("higher: Above it.")

    def test_the_verdict_begins_with_what_is_used(self, scores):
        scores.content["contenders"][2] |= {"name": "imo_uniform", "label": "IMO, equal weights"}
        assert scores.table("hit").verdict().startswith("IMO, equal weights: 0.70 ± 0.02, used here. IMO (paper): 0.50")

    def test_none_is_higher_is_said(self, scores):
        scores.content["scores"]["all"]["hit"]["difference"][2] = 0.03
        assert scores.table("hit").verdict().endswith("2 not told apart from it; none is higher.")

    def test_what_was_not_measured_is_not_offered(self, scores):
        assert list(scores.metrics.values()) == ["hit", "soft"]
        assert scores.table("hit", seen=True) is None and scores.table("soft", seen=True) is not None
        assert scores.by_kind("soft") is None and scores.choices("soft") is None

    def test_choices_are_pairs_of_a_choice_and_a_weighting(self, scores):
        table = scores.choices("hit")
        assert table.labels[table.reference] == "8 baselines"
        assert table.families[table.reference] == "1/variance"
        np.testing.assert_array_equal(table.mean, [0.1, 0.2, 0.3, 0.4])


class TestFigures:
    @pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
    def test_every_score_is_a_point_in_its_familys_colour(self, scores, colours):
        figure = scores_figure(scores.table("hit"), colours)
        points = [one for one in figure.renderers if isinstance(one.glyph, Scatter)]
        drawn = {label: one for one in points for label in one.data_source.data["label"]}
        assert set(drawn) == {label for _, label, _, why in CONTENDERS if not why}
        assert drawn["Above it"].glyph.fill_color == colours.muted
        assert figure.y_range.factors[-1] == "Truth" and figure.y_range.factors[0] == "Refused"
        assert [one.location for one in figure.center if isinstance(one, Span)] == [0.25]

    def test_the_map_of_kinds_has_a_cell_for_every_score(self, scores):
        table = scores.table("hit")
        rows = scores_figure(table, LIGHT).y_range
        figure = kinds_figure(table, scores.by_kind("hit"), scores.kinds, rows, LIGHT)
        cells = figure.renderers[0].data_source.data
        assert len(cells["value"]) == 5 * 2
        assert set(cells["kind"]) == {"cosmic ray", "broad line AGN"}
        assert figure.y_range is rows

    def test_choices_have_a_point_for_each_weighting(self, scores):
        figure = choices_figure(scores.choices("hit"), LIGHT)
        assert [len(one.data_source.data["mean"]) for one in figure.renderers] == [2, 2]


class TestReading:
    def test_the_shipped_scores_can_be_drawn(self):
        scores = read_scores(embedded_file(SCORES_FILE))
        assert scores.cases >= 200 and len(scores.kinds) >= 10
        for metric in scores.metrics.values():
            table = scores.table(metric)
            assert set(table.families) <= set(FAMILIES)
            assert "IMO" in table.labels[table.reference] and table.verdict()
            scores_figure(table, LIGHT)

    @pytest.mark.parametrize(
        ("text", "word"),
        [("", "cannot be read"), ("[]", "cannot be read"), (json.dumps({"schema": 7}), "version 7, expected 1")],
    )
    def test_a_damaged_file_is_named(self, tmp_path, text, word):
        path = tmp_path / "scores.json"
        path.write_text(text)
        with pytest.raises(ImoError, match=f"scores.json.*{word}"):
            read_scores(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(ImoError, match=r"none\.json"):
            read_scores(tmp_path / "none.json")
