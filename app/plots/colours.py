"""Colours of the plots, light and dark; hues are Okabe & Ito's, which colour-blind readers can tell apart."""

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
    spectrum: str
    noise: str
    baseline: str
    combined: str
    window: str
    emission: str
    absorption: str
    negative: str
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
    spectrum="#111418",
    noise="#9aa4b0",
    baseline="#8d96a1",
    combined="#c44601",
    window="#0b66a8",
    emission="#00795a",
    absorption="#8a3d83",
    negative="#0b66a8",
    model="#0b66a8",
    sky="#e69f00",
    telluric="#56b4e9",
    overlap="#8d96a1",
    brush="#b58900",
    repair="#c2006b",
    zero="#808890",
)

DARK = Colours(
    background="#121212",
    text="#e7eaee",
    muted="#a3adb8",
    grid="#2a3038",
    spectrum="#f2f4f7",
    noise="#5d6875",
    baseline="#77818d",
    combined="#ff8a4c",
    window="#63b3ed",
    emission="#3ecf9f",
    absorption="#d58fd0",
    negative="#63b3ed",
    model="#63b3ed",
    sky="#f0b429",
    telluric="#3d8fc4",
    overlap="#9aa4b0",
    brush="#f0d25a",
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
