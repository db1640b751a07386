"""Addresses: of a target within this page, and of its place on the sky in other people's services."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["Place", "SkyLink", "place_in", "sky_links"]

_VIEWS_MAX = 40


@dataclass(frozen=True)
class Place:
    """What an address asks for.

    Attributes:
        target_id: Empty if none. Text from a stranger.
        view: Name of a view of lines; empty if none.
        observed: Wavelength range, observed frame, Angstrom; None if none.
        compare: Names of methods to compare with; None if they are not to be shown.
    """

    target_id: str = ""
    view: str = ""
    observed: tuple[float, float] | None = None
    compare: tuple[str, ...] | None = None

    def query(self) -> str:
        """Return it as the part of an address after the question mark.

        >>> Place("39628000000000001", "halpha").query()
        'target=39628000000000001&view=halpha'
        >>> Place("a&b", observed=(6500, 6600.25)).query()
        'target=a%26b&range=6500-6600.2'
        >>> Place("7", compare=("occlusion", "lime")).query()
        'target=7&compare=occlusion,lime'
        """
        parts = [f"target={quote(self.target_id, safe='')}"] if self.target_id else []
        if self.view:
            parts.append(f"view={quote(self.view, safe='')}")
        elif self.observed is not None:
            parts.append("range={:.6g}-{:.6g}".format(*(round(edge, 1) for edge in self.observed)))
        if self.compare is not None:
            parts.append(f"compare={quote(','.join(self.compare) or 'none', safe=',')}")
        return "&".join(parts)


def place_in(arguments: Mapping[str, Sequence[bytes]]) -> Place:
    """Return what the arguments of a request ask for; what cannot be understood is passed over.

    >>> place_in({"target": [b"39628000000000001"], "range": [b"6500-6600.5"]})
    Place(target_id='39628000000000001', view='', observed=(6500.0, 6600.5), compare=None)
    >>> place_in({"view": [b"halpha"], "range": [b"6600-6500"]})
    Place(target_id='', view='halpha', observed=None, compare=None)
    >>> place_in({"compare": [b"occlusion,lime"]}).compare
    ('occlusion', 'lime')
    """
    low, _, high = _last(arguments, "range").partition("-")
    try:
        edges: tuple[float, float] | None = (float(low), float(high))
    except ValueError:
        edges = None
    if edges is not None and not (all(map(math.isfinite, edges)) and edges[0] < edges[1]):
        edges = None
    compare = tuple(_last(arguments, "compare").split(",")) if "compare" in arguments else None
    return Place(_last(arguments, "target"), _last(arguments, "view")[:_VIEWS_MAX], edges, compare)


def _last(arguments: Mapping[str, Sequence[bytes]], name: str) -> str:
    values = arguments.get(name, ())
    return values[-1].decode("utf-8", "replace") if values else ""


@dataclass(frozen=True)
class SkyLink:
    """Where another service shows a place on the sky."""

    name: str
    address: str
    about: str


def sky_links(ra: float, dec: float) -> tuple[SkyLink, ...]:
    """Return links for coordinates (degrees, ICRS); none if they are no coordinates.

    >>> [link.name for link in sky_links(150.1, 2.2)]
    ['Legacy Survey', 'SIMBAD', 'NED', 'SDSS']
    >>> sky_links(float("nan"), 2.2)
    ()
    """
    if not (math.isfinite(ra) and math.isfinite(dec) and 0 <= ra <= 360 and -90 <= dec <= 90):
        return ()
    a, d = f"{ra:.6f}", f"{dec:.6f}"
    signed = quote(f"{dec:+.6f}")
    simbad = "https://simbad.cds.unistra.fr/simbad/sim-coo"
    ned = "https://ned.ipac.caltech.edu/conesearch"
    sdss = "https://skyserver.sdss.org/dr18/VisualTools/explore/summary"
    return (
        SkyLink("Legacy Survey", f"https://www.legacysurvey.org/viewer?ra={a}&dec={d}&zoom=16&mark={a},{d}", "images"),
        SkyLink("SIMBAD", f"{simbad}?Coord={a}d{signed}d&Radius=10&Radius.unit=arcsec", "within 10 arcsec"),
        SkyLink("NED", f"{ned}?search_type=Near%20Position%20Search&ra={a}d&dec={d}d&radius=0.17", "within 10 arcsec"),
        SkyLink("SDSS", f"{sdss}?ra={a}&dec={d}", "object explorer"),
    )
