"""Scores of attribution methods: points with error bars, and a map of kinds beside them on the same rows."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, FactorRange, HoverTool, LinearColorMapper, Model, Range
from bokeh.models.annotations import ColorBar, Span, TeeHead, Title, Whisker
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.findings.method_scores import FAMILIES, ScoreTable
from app.plots.colours import Colours

__all__ = ["choices_figure", "kinds_figure", "scores_figure"]

_ROW = 19  # pixels
_LETTERS = "11px"
_BELOW = 95  # pixels for the names of kinds, also where there are none: rows of two figures are level


def scores_figure(table: ScoreTable, colours: Colours) -> figure:
    """Return every contender's score with its error, best on top, coloured by family, over the chance level."""
    order = table.best_first()
    labels = [table.labels[k] for k in order]
    panel = _panel(FactorRange(factors=labels[::-1]), len(labels), colours, width=620, title="All kinds")
    tones = dict(zip(FAMILIES, _family_tones(colours), strict=True))
    for family, words in FAMILIES.items():
        rows = [k for k in order if table.families[k] == family]
        if rows:
            _points(panel, table, rows, tones[family], colours, legend=words)
    if table.chance is not None:
        panel.add_layout(
            Span(location=table.chance, dimension="height", line_dash="dashed", line_color=colours.muted, line_width=1)
        )
    _each(panel.legend,
        location="bottom_right", background_fill_color=colours.background, background_fill_alpha=0.85,
        label_text_color=colours.text, border_line_color=colours.grid, label_text_font_size=_LETTERS,
        spacing=0, padding=4, glyph_height=14,
    )  # fmt: skip
    return panel


def kinds_figure(
    table: ScoreTable, scores: NDArray[np.float64], kinds: Sequence[str], rows: Range, colours: Colours
) -> figure:
    """Return a map of the score by kind of outlier, (contender, kind), on the rows of :func:`scores_figure`."""
    scores = np.where(np.isfinite(table.mean)[:, None], scores, np.nan)
    measured = np.asarray(np.isfinite(scores).any(axis=0))
    scores, kinds = scores[:, measured], [kind for kind, there in zip(kinds, measured, strict=True) if there]
    panel = _panel(
        rows, len(table.best_first()), colours, width=90 + 44 * len(kinds), title="By kind of outlier",
        columns=FactorRange(factors=list(kinds)),
    )  # fmt: skip
    _each(panel.xaxis, major_label_orientation=0.9, major_label_text_color=colours.text)
    panel.yaxis.visible = False
    contender, kind = np.nonzero(np.isfinite(scores))
    values = scores[contender, kind]
    low, high = min(0.0, float(values.min(initial=0.0))), max(float(values.max(initial=0.0)), 1e-9)
    low = max(low, -high)
    mapper = LinearColorMapper(palette=Viridis256, low=low, high=high)
    light = values > 0.6 * high + 0.4 * low
    source = ColumnDataSource(
        {
            "label": [table.labels[k] for k in contender],
            "kind": [kinds[k] for k in kind],
            "value": values,
            "text": [f"{value:.2f}".replace("0.", ".", 1).replace("-", "−") for value in values],
            "ink": np.where(light, "#101010", "#ffffff").tolist(),
        }
    )
    cells = panel.rect(
        "kind", "label", width=0.97, height=0.94, source=source, line_color=None,
        fill_color={"field": "value", "transform": mapper},
    )  # fmt: skip
    panel.text("kind", "label", text="text", source=source, text_color="ink", text_font_size="10px",
               text_align="center", text_baseline="middle")  # fmt: skip
    panel.add_tools(HoverTool(renderers=[cells], tooltips=[("", "@label"), ("", "@kind"), ("score", "@value{0.000}")]))
    bar = ColorBar(
        color_mapper=mapper, width=8, padding=4, major_label_text_color=colours.text, background_fill_alpha=0,
        major_label_text_font_size=_LETTERS, bar_line_color=None, major_tick_line_color=colours.text,
    )  # fmt: skip
    panel.add_layout(bar, "right")
    return panel


def choices_figure(table: ScoreTable, colours: Colours) -> figure:
    """Return what each choice scores, a point for each weighting, beside the usual choice's score."""
    labels = list(dict.fromkeys(table.labels))
    weightings = list(dict.fromkeys(table.families))
    panel = _panel(FactorRange(factors=labels[::-1]), 1.6 * len(labels), colours, width=760, title=table.text)
    tones = [colours.combined, colours.accent, colours.source, colours.negative]
    for number, weighting in enumerate(weightings):
        rows = [k for k, family in enumerate(table.families) if family == weighting]
        shift = 0.22 * (number - (len(weightings) - 1) / 2)
        _points(panel, table, rows, tones[number % len(tones)], colours, legend=weighting, shift=-shift)
    usual = float(table.mean[table.reference])
    if np.isfinite(usual):
        panel.add_layout(Span(location=usual, dimension="height", line_dash="dotted", line_color=colours.muted))
    _each(panel.legend,
        orientation="horizontal", background_fill_alpha=0, label_text_color=colours.text, border_line_color=None,
        label_text_font_size=_LETTERS, padding=0,
    )  # fmt: skip
    panel.add_layout(panel.legend[0], "above")
    return panel


def _family_tones(colours: Colours) -> list[str]:
    return [
        colours.combined,
        colours.sky,
        colours.accent,
        colours.source,
        colours.negative,
        colours.muted,
        colours.baseline,
    ]


def _each(models: Sequence[Model], **properties: object) -> None:
    for model in models:
        model.update(**properties)


def _panel(
    rows: Range, count: float, colours: Colours, *, width: int, title: str, columns: FactorRange | None = None
) -> figure:
    panel = figure(
        x_range=columns or DataRange1d(),
        y_range=rows,
        height=round(_ROW * count) + _BELOW + 30,
        width=width,
        title=Title(text=title, text_color=colours.text, text_font_size="13px", text_font_style="bold"),
        toolbar_location=None,
        tools="",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=colours.grid,
        min_border_right=20,
        min_border_bottom=_BELOW,
    )
    _each(panel.axis,
        axis_line_color=colours.muted, major_tick_line_color=colours.muted, minor_tick_line_color=None,
        major_label_text_color=colours.text, major_label_text_font_size=_LETTERS,
        axis_label_text_color=colours.text, axis_label_text_font_size=_LETTERS, axis_label_text_font_style="normal",
    )  # fmt: skip
    _each(panel.grid, grid_line_color=colours.grid)
    panel.ygrid.grid_line_alpha = 0.5
    return panel


def _points(
    panel: figure,
    table: ScoreTable,
    rows: Sequence[int],
    tone: str,
    colours: Colours,
    *,
    legend: str,
    shift: float = 0.0,
) -> None:
    chosen = [k for k in rows if np.isfinite(table.mean[k])]
    mean, error = table.mean[chosen], np.nan_to_num(table.error[chosen])
    places = [(table.labels[k], shift) for k in chosen] if shift else [table.labels[k] for k in chosen]
    source = ColumnDataSource(
        {
            "place": places,
            "label": [table.labels[k] for k in chosen],
            "mean": mean,
            "error": error,
            "low": mean - error,
            "high": mean + error,
            "difference": table.difference[chosen],
            "difference_error": np.nan_to_num(table.difference_error[chosen]),
            "seconds": [f"{table.seconds[k]:.2g} s" if np.isfinite(table.seconds[k]) else "–" for k in chosen],
            "size": [11 if k == table.reference else 7 for k in chosen],
        }
    )
    whisker = Whisker(
        base="place", lower="low", upper="high", dimension="width", source=source, line_color=tone, line_width=1.4,
        lower_head=TeeHead(size=0), upper_head=TeeHead(size=0),
    )  # fmt: skip
    panel.add_layout(whisker)
    points = panel.scatter("mean", "place", size="size", source=source, color=tone, legend_label=legend)
    panel.add_tools(
        HoverTool(
            renderers=[points],
            tooltips=[
                ("", "@label"),
                ("score", "@mean{0.000} ± @error{0.000}"),
                ("to the paper's", "@difference{+0.000} ± @difference_error{0.000}"),
                ("time a spectrum", "@seconds"),
            ],
        )
    )
