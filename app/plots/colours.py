"""Colours of the plots, light and dark: each has one meaning, and colour-blind readers can tell them apart.

Black is the spectrum and grey what is ordinary; vermilion is what lowers log p, purple what raises it. Green comes from
the source, amber from instrument and sky. Magenta is a repair, teal the model, blue what the user chose.
"""

from dataclasses import dataclass

from bokeh.colors import RGB

__all__ = ["DARK", "LIGHT", "Colours", "diverging"]


@dataclass(frozen=True)
class Colours:
    """One set of colours, as CSS."""

    background: str
    text: str
    muted: str
    grid: str
    accent: str
    spectrum: str
    noise: str
    baseline: str
    combined: str
    window: str
    emission: str
    absorption: str
    negative: str
    source: str
    instrument: str
    model: str
    sky: str
    telluric: str
    overlap: str
    brush: str
    repair: str
    zero: str


LIGHT = Colours(
    background="#ffffff",
    text="#1b1f24",
    muted="#5b6470",
    grid="#e6e9ed",
    accent="#0b66a8",
    spectrum="#111418",
    noise="#9aa4b0",
    baseline="#8d96a1",
    combined="#c44601",
    window="#c44601",
    emission="#5b6470",
    absorption="#5b6470",
    negative="#7b3294",
    source="#00795a",
    instrument="#8a5a00",
    model="#00808f",
    sky="#e69f00",
    telluric="#56b4e9",
    overlap="#8d96a1",
    brush="#0b66a8",
    repair="#c2006b",
    zero="#808890",
)

DARK = Colours(
    background="#121212",
    text="#e7eaee",
    muted="#a3adb8",
    grid="#2a3038",
    accent="#63b3ed",
    spectrum="#f2f4f7",
    noise="#5d6875",
    baseline="#77818d",
    combined="#ff8a4c",
    window="#ff8a4c",
    emission="#a3adb8",
    absorption="#a3adb8",
    negative="#b79cf0",
    source="#3ecf9f",
    instrument="#f0b429",
    model="#4dd0e1",
    sky="#f0b429",
    telluric="#3d8fc4",
    overlap="#9aa4b0",
    brush="#63b3ed",
    repair="#ff7ab8",
    zero="#8f98a1",
)


def diverging(colours: Colours, steps: int = 129) -> list[str]:
    """Return a palette from ``negative`` through the background to ``combined``."""
    low, middle, high = (_rgb(c) for c in (colours.negative, colours.background, colours.combined))
    palette = []
    for step in range(steps):
        position = 2 * step / (steps - 1) - 1
        end, amount = (high, position) if position > 0 else (low, -position)
        mixed = [round(m + (e - m) * amount) for m, e in zip(middle, end, strict=True)]
        palette.append(RGB(*mixed).to_hex())
    return palette


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
