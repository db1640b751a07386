"""Results that ship with the demo survey: what stands out of its outliers, and the attributions of the first ones.

They are used only where model, spectrum, baselines, settings and algorithm are those they were made with: each is
filed under the same key as in the cache on disk (:func:`app.computing.result_cache.result_key`).
"""

import json
import logging
import lzma
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.computing.computation import Inputs
from app.computing.events import Settings
from app.computing.result_cache import ALGORITHM, AttributionStore
from app.findings.findings import Finding, Mark
from app.survey.survey import Survey
from imo_engine.attribution.record import Attribution, WindowFacts
from imo_engine.attribution.tiling import Tiling, tile
from imo_engine.errors import ImoError
from imo_engine.reasons.profiles import BIN_EDGES, FRAMES
from imo_engine.system.files import write_atomically

__all__ = ["DEMO_RESULTS", "Layers", "Precomputed", "Result", "write_results"]

log = logging.getLogger(__name__)

DEMO_RESULTS = "demo-results.npz"

_FORMAT = 1
_BITS = 8  # of the mantissa that are kept of half precision's 10
_LARGEST = 30000.0  # to which the largest value of a window size is scaled; half precision ends at 65504
_ROUNDING = "0.25 %"  # half of the last of these bits, and half of the last that half precision has


@dataclass(frozen=True, eq=False)
class Result:
    """What is written of one target; without its attribution only what stands out."""

    target_id: str
    key: str
    finding: Finding
    attribution: Attribution | None


def write_results(path: str | Path, results: Sequence[Result], settings: Settings, fingerprint: str) -> None:
    """Write results of one model, given by its fingerprint, with one choice of settings.

    Raises:
        ImoError: the disk refuses.
    """
    packed = [one for one in results if one.attribution is not None]
    blobs = [_pack(one.attribution) for one in packed if one.attribution is not None]
    header = {
        "format": _FORMAT,
        "algorithm": ALGORITHM,
        "settings": settings.exactly.described(),
        "model": fingerprint,
        "findings": [
            {
                "target_id": one.target_id,
                "key": one.key,
                "brief": one.finding.brief,
                "instrument": one.finding.instrument,
                "p": one.finding.p_value,
                "marks": [[mark.low, mark.high, mark.verdict] for mark in one.finding.marks],
            }
            for one in results
        ],
        "attributions": [
            {
                "key": one.key,
                "scales": _scales(one.attribution),
                "baseline_log_prob": one.attribution.baseline_log_prob.tolist(),
                "provenance": one.attribution.provenance,
                "facts": [asdict(facts) for facts in one.attribution.facts],
            }
            for one in packed
            if one.attribution is not None
        ],
    }
    contents: dict[str, Any] = {
        "header": np.array(json.dumps(header, default=str)),
        "lengths": np.array([len(blob) for blob in blobs], np.int64),
        "values": np.frombuffer(b"".join(blobs), np.uint8),
        **{frame: np.array([one.finding.profiles[frame] for one in results], np.float16) for frame in FRAMES},
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **contents)

    try:
        write_atomically(path, write)
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None


class Precomputed:
    """The results in a file that fit a survey; safe to use from any thread.

    Whatever is wrong with the file is one line in the log, and then it is as if there were none.
    """

    def __init__(self, path: Path, survey: Survey, settings: Settings) -> None:
        """Read nothing yet: the model, which it must fit, is loaded by then."""
        self._path, self._survey, self._settings = path, survey, settings
        self._lock = threading.Lock()
        self._opened = False
        self._found: dict[str, tuple[str, Finding]] = {}  # key and target, not yet compared with the survey
        self._packed: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def findings(self) -> dict[str, Finding]:
        """Return what stands out, by target."""
        self._open()
        fitting = {target: one for key, (target, one) in self._found.items() if self._inputs(key) is not None}
        if len(fitting) < len(self._found):
            log.info("%s: %d of %d results fit these spectra", self._path, len(fitting), len(self._found))
        return fitting

    def get(self, key: str) -> Attribution | None:
        """Return the attribution under a key, its values rounded to 0.25 %, or None."""
        self._open()
        packed = self._packed.get(key)
        inputs = None if packed is None else self._inputs(key)
        if packed is None or inputs is None:
            return None
        try:
            return _unpack(*packed, inputs)
        except Exception as error:  # of several kinds, by what is damaged
            log.warning("%s: a result is damaged and will be computed: %s", self._path, error)
            self._packed.pop(key, None)
            return None

    def _inputs(self, key: str) -> Inputs | None:
        """Return what the target under a key depends on now; None unless that is what the key stands for."""
        try:
            inputs = Inputs.of(self._survey, self._found[key][0], self._settings)
        except ImoError:
            return None
        return inputs if inputs.digest() == key else None

    def _open(self) -> None:
        with self._lock:
            if self._opened:
                return
            self._opened = True
            try:
                self._read()
            except Exception as error:
                self._found, self._packed = {}, {}
                log.warning("%s is not used: %s", self._path, error)

    def _read(self) -> None:
        with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            lengths, values = stored["lengths"], stored["values"].tobytes()
            profiles = {frame: stored[frame].astype(np.float32) for frame in FRAMES}
        model, _ = self._survey.engine.get()
        wanted = {
            "format": _FORMAT, "algorithm": ALGORITHM, "model": model.fingerprint,
            "settings": json.loads(json.dumps(self._settings.exactly.described())),
        }  # fmt: skip
        for name, value in wanted.items():
            if header.get(name) != value:
                raise ImoError(f"it was made with {name} {header.get(name)}, not {value}")
        shape = (len(header["findings"]), len(BIN_EDGES) - 1)
        if any(table.shape != shape for table in profiles.values()):
            raise ImoError("its profiles are not those of this version")
        for row, one in enumerate(header["findings"]):
            marks = tuple(Mark(*mark) for mark in one["marks"])
            own = {frame: table[row] for frame, table in profiles.items()}
            finding = Finding(one["brief"], marks, own, one["instrument"], one.get("p"))  # older files have none
            self._found[one["key"]] = one["target_id"], finding
        ends = np.cumsum(lengths)
        for end, length, one in zip(ends.tolist(), lengths.tolist(), header["attributions"], strict=True):
            self._packed[one["key"]] = (values[end - length : end], one)


class Layers:
    """A store before another one: what the first lacks comes from the second; only the first is written to."""

    def __init__(self, first: AttributionStore, second: Precomputed) -> None:
        self._first, self._second = first, second

    def get(self, key: str) -> Attribution | None:
        """Return what is kept under ``key``, or None."""
        found = self._first.get(key)
        return self._second.get(key) if found is None else found

    def put(self, key: str, attribution: Attribution) -> None:
        """Keep ``attribution`` under ``key``."""
        self._first.put(key, attribution)


def _chunks(usable: NDArray[np.bool_], sizes: Iterable[int]) -> list[tuple[Tiling, NDArray[np.int64]]]:
    """Return the tiles of each window size, and which of them hold usable pixels."""
    before = np.concatenate([[0], np.cumsum(usable)])
    tilings = [tile(len(usable), size) for size in sizes]
    return [(one, np.flatnonzero(before[one.stops] > before[one.starts])) for one in tilings]


def _scales(attribution: Attribution) -> list[float]:
    largest = [float(np.nanmax(np.abs(values), initial=0.0)) for values in attribution.values]
    return [one / _LARGEST if one > 0 else 1.0 for one in largest]


def _pack(attribution: Attribution) -> bytes:
    """Return the values, one a chunk, (chunk, baseline), scaled to half precision and rounded."""
    if any(attribution.offsets) or attribution.strides != attribution.window_sizes:
        raise ImoError("only attributions of plain tiles can be packed")
    parts, drop = [], 10 - _BITS
    tiles = _chunks(attribution.valid, attribution.window_sizes)
    before = np.concatenate([[0], np.cumsum(attribution.valid)])
    usable = np.flatnonzero(attribution.valid)
    for values, scale, (tiling, occupied) in zip(attribution.values, _scales(attribution), tiles, strict=True):
        first = usable[before[tiling.starts[occupied]]]  # the first usable pixel of each chunk
        half = (values[:, first] / scale).T.astype(np.float16).view(np.uint16).astype(np.uint32)
        rounded = (((half + (1 << (drop - 1))) >> drop) << drop).astype(np.uint16)
        parts += [(rounded >> 8).astype(np.uint8).tobytes(), (rounded & 255).astype(np.uint8).tobytes()]
    return lzma.compress(b"".join(parts), preset=9)


def _facts(about: dict[str, Any], inputs: Inputs) -> tuple[WindowFacts, ...]:
    """Return what is filed of each window size; files of earlier versions say nothing."""
    if "facts" in about:
        return tuple(WindowFacts(**one) for one in about["facts"])
    local = inputs.model.encoder.config.normalisation == "none"
    own = WindowFacts(local_share=1.0, local_share_error=0.0) if local else WindowFacts()
    return (own,) * len(inputs.settings.window_sizes)


def _unpack(blob: bytes, about: dict[str, Any], inputs: Inputs) -> Attribution:
    from imo_engine.attribution.occlusion import checked_spectrum

    settings, model = inputs.settings, inputs.model
    flux, usable = checked_spectrum(model, inputs.flux, inputs.redshift, inputs.measured)
    count = len(inputs.baselines)
    data = np.frombuffer(lzma.decompress(blob), np.uint8)
    sizes = settings.window_sizes
    values = np.full((len(sizes), count, len(usable)), np.nan)
    place = 0
    for k, (tiling, occupied) in enumerate(_chunks(usable, sizes)):
        number = count * len(occupied)
        high, low = data[place : place + number], data[place + number : place + 2 * number]
        place += 2 * number
        half = ((high.astype(np.uint16) << 8) | low).view(np.float16).reshape(len(occupied), count)
        result = np.full((count, len(tiling)), np.nan)
        result[:, occupied] = half.T.astype(np.float64) * about["scales"][k]
        values[k] = np.where(usable, tiling.paint(result), np.nan)
    if place != len(data) or not np.isfinite(values[:, :, usable]).all():
        raise ValueError("values that do not fit the spectrum")
    redshifts = np.full(count, inputs.redshift)
    return Attribution(
        values=values,
        baselines=model.decode(inputs.baselines.latents, redshifts).astype(np.float32),
        baseline_log_prob=np.array(about["baseline_log_prob"], np.float64),
        flux=flux.astype(np.float32),
        redshift=inputs.redshift,
        wavelength=model.wavelength,
        valid=usable,
        window_sizes=tuple(sizes),
        offsets=(0,) * len(sizes),
        strides=tuple(sizes),
        weighting=settings.weights,
        facts=_facts(about, inputs),
        provenance={**about["provenance"], "rounding": _ROUNDING},
    )
