"""The report of a training run: one HTML page that needs no network, plots as SVG."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from imo_engine.system.files import write_atomically

__all__ = ["line_plot", "write_report"]

_COLOURS = ("#1f6feb", "#d1242f", "#2da44e", "#8250df", "#bf8700", "#0a7ea4", "#a40e26", "#57606a")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}"
    "table{border-collapse:collapse}td,th{border:1px solid #d0d7de;padding:.25rem .6rem;text-align:left}"
    "svg{max-width:100%}"
)


def line_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool = False,
) -> str:
    """Return an SVG with one line for each name."""
    points = {name: np.array(curve, float) for name, curve in curves.items() if len(curve)}
    if not points:
        return ""
    everything = np.concatenate(list(points.values()))
    y_all = np.log10(np.maximum(everything[:, 1], 1e-9)) if log_y else everything[:, 1]
    x0, x1 = float(everything[:, 0].min()), float(everything[:, 0].max())
    y0, y1 = float(np.quantile(y_all, 0.001)), float(np.quantile(y_all, 0.999))
    x1, y1 = max(x1, x0 + 1e-9), max(y1, y0 + 1e-9)
    parts = ['<rect x="60" y="30" width="620" height="250" fill="none" stroke="#8c959f"/>']
    for k, (name, curve) in enumerate(points.items()):
        y = np.log10(np.maximum(curve[:, 1], 1e-9)) if log_y else curve[:, 1]
        px = 60 + 620 * (curve[:, 0] - x0) / (x1 - x0)
        py = 280 - 250 * np.clip((y - y0) / (y1 - y0), -0.02, 1.02)
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
        colour = _COLOURS[k % len(_COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(
            f'<text x="{70 + 150 * (k % 4)}" y="{338 + 16 * (k // 4)}" fill="{colour}">{html.escape(name)}</text>'
        )
    for value, y in ((y0, 280), (y1, 38)):
        parts.append(f'<text x="55" y="{y}" text-anchor="end">{10**value if log_y else value:.3g}</text>')
    for value, x in ((x0, 60), (x1, 680)):
        parts.append(f'<text x="{x}" y="298" text-anchor="middle">{value:.4g}</text>')
    parts.append(f'<text x="60" y="20" font-weight="600">{html.escape(title)}</text>')
    parts.append(f'<text x="370" y="316" text-anchor="middle">{html.escape(x_label)}</text>')
    parts.append(
        f'<text x="14" y="155" transform="rotate(-90 14 155)" text-anchor="middle">{html.escape(y_label)}</text>'
    )
    height = 350 + 16 * (len(points) // 4)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" width="700" font-size="12" '
        f'font-family="system-ui,sans-serif" role="img" aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
    )


def write_report(
    path: Path, title: str, tables: Mapping[str, Sequence[Sequence[object]]], plots: Sequence[str]
) -> None:
    """Write a page of tables (the first row is the head) and SVG plots."""
    blocks = []
    for heading, rows in tables.items():
        cells = [
            "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row) + "</tr>"
            for row, tag in ((row, "th" if number == 0 else "td") for number, row in enumerate(rows))
        ]
        blocks.append(f"<h2>{html.escape(heading)}</h2><table>{''.join(cells)}</table>")
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1>{''.join(plots)}{''.join(blocks)}</html>\n"
    )
    write_atomically(path, lambda name: name.write_text(page, encoding="utf-8"))
