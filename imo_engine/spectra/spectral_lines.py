"""Spectral lines of galaxies and the wavelength ranges around them that astronomers look at.

All wavelengths are vacuum, rest frame, in Angstrom. Emission lines follow NIST as listed by
fastspecfit 3 (https://github.com/desihub/fastspecfit, BSD-3); absorption lines are the NIST air
values of the SDSS list converted to vacuum with Morton (2000).
"""

from dataclasses import dataclass

__all__ = ["ABSORPTION_LINES", "EMISSION_LINES", "LINE_VIEWS", "LineView", "SpectralLine", "line_view"]


@dataclass(frozen=True)
class SpectralLine:
    """One line: its usual name, its wavelength (vacuum, rest frame, Angstrom), whether it is major."""

    name: str
    wavelength: float
    major: bool = False


@dataclass(frozen=True)
class LineView:
    """A named wavelength range to zoom to (vacuum, rest frame, Angstrom); None means everything."""

    name: str
    label: str
    low: float | None
    high: float | None


EMISSION_LINES: tuple[SpectralLine, ...] = (
    SpectralLine("Mg II 2796", 2796.352),
    SpectralLine("Mg II 2803", 2803.530, True),
    SpectralLine("[Ne V] 3346", 3346.79),
    SpectralLine("[Ne V] 3426", 3426.85),
    SpectralLine("[O II] 3726", 3727.10),
    SpectralLine("[O II] 3729", 3729.86, True),
    SpectralLine("[Ne III] 3869", 3869.86),
    SpectralLine("Hε", 3971.198),
    SpectralLine("Hδ", 4102.892),
    SpectralLine("Hγ", 4341.692, True),
    SpectralLine("[O III] 4363", 4364.436),
    SpectralLine("He II 4686", 4687.02),
    SpectralLine("Hβ", 4862.71, True),
    SpectralLine("[O III] 4959", 4960.295, True),
    SpectralLine("[O III] 5007", 5008.240, True),
    SpectralLine("[N II] 5755", 5756.191),
    SpectralLine("He I 5876", 5877.249),
    SpectralLine("[O I] 6300", 6302.046),
    SpectralLine("[O I] 6364", 6365.536),
    SpectralLine("[N II] 6548", 6549.861),
    SpectralLine("Hα", 6564.60, True),
    SpectralLine("[N II] 6584", 6585.273, True),
    SpectralLine("[S II] 6716", 6718.294, True),
    SpectralLine("[S II] 6731", 6732.674, True),
    SpectralLine("[Ar III] 7135", 7137.77),
    SpectralLine("[S III] 9069", 9071.1),
    SpectralLine("[S III] 9532", 9533.2),
)

ABSORPTION_LINES: tuple[SpectralLine, ...] = (
    SpectralLine("Ca K", 3934.777, True),
    SpectralLine("Ca H", 3969.591, True),
    SpectralLine("G band", 4305.61),
    SpectralLine("Mg b 5167", 5168.761),
    SpectralLine("Mg b 5173", 5174.125, True),
    SpectralLine("Mg b 5184", 5185.048),
    SpectralLine("Na D2", 5891.583, True),
    SpectralLine("Na D1", 5897.558, True),
    SpectralLine("Ca II 8498", 8500.36),
    SpectralLine("Ca II 8542", 8544.44),
    SpectralLine("Ca II 8662", 8664.52),
)

LINE_VIEWS: tuple[LineView, ...] = (
    LineView("full", "Full", None, None),
    LineView("oii", "[O II]", 3660.0, 3800.0),
    LineView("cahk", "Ca H+K", 3850.0, 4050.0),
    LineView("hbeta", "Hβ+[O III]", 4780.0, 5090.0),
    LineView("mgb", "Mg b", 5080.0, 5280.0),
    LineView("nad", "Na D", 5820.0, 5970.0),
    LineView("halpha", "Hα+[N II]", 6470.0, 6660.0),
    LineView("sii", "[S II]", 6650.0, 6800.0),
)


def line_view(name: str) -> LineView:
    """Return the view called ``name``.

    >>> line_view("halpha").label
    'Hα+[N II]'
    """
    for view in LINE_VIEWS:
        if view.name == name:
            return view
    raise KeyError(f"no line view {name!r}; there are {', '.join(v.name for v in LINE_VIEWS)}")
