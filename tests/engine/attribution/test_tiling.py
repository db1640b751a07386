"""Chunks cover the spectrum, and painting gives each pixel the values of its chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imo_engine.attribution.tiling import tile
from imo_engine.errors import InputError

quick = settings(max_examples=60, deadline=None)
sizes = st.integers(1, 80)


def times_covered(tiling):
    covered = np.zeros(tiling.n_pixel, int)
    for start, stop in zip(tiling.starts, tiling.stops, strict=True):
        covered[start:stop] += 1
    return covered


@quick
@given(n_pixel=sizes, window=sizes, offset=st.integers(0, 100))
def test_tiles_cover_every_pixel_exactly_once(n_pixel, window, offset):
    tiling = tile(n_pixel, window, offset=offset)
    assert (times_covered(tiling) == 1).all()
    lengths = tiling.stops - tiling.starts
    assert (lengths > 0).all()
    full = lengths[1:-1] if offset else lengths[:-1]
    assert (full == window).all()
    if offset:
        assert lengths[0] == min(offset, n_pixel)


@quick
@given(n_pixel=sizes, window=sizes, offset=st.integers(0, 100), data=st.data())
def test_sliding_windows_cover_every_pixel(n_pixel, window, offset, data):
    stride = data.draw(st.integers(1, window))
    tiling = tile(n_pixel, window, offset=offset, stride=stride)
    assert (times_covered(tiling) >= 1).all()
    assert len(set(zip(tiling.starts.tolist(), tiling.stops.tolist(), strict=True))) == len(tiling)
    sliding = tiling.starts[1:] if offset else tiling.starts
    assert (np.diff(sliding) == stride).all()
    assert (tiling.stops == n_pixel).sum() == 1  # no chunk is a mere remainder of the one before


@quick
@given(n_pixel=sizes, window=sizes, offset=st.integers(0, 100), data=st.data())
def test_paint_is_the_mean_of_the_chunks_over_a_pixel(n_pixel, window, offset, data):
    stride = data.draw(st.integers(1, window))
    tiling = tile(n_pixel, window, offset=offset, stride=stride)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = rng.normal(size=(2, len(tiling)))
    values[rng.random(values.shape) < 0.2] = np.nan
    painted = tiling.paint(values)
    assert painted.shape == (2, n_pixel)
    for row in range(2):
        for pixel in range(n_pixel):
            over = values[row, (tiling.starts <= pixel) & (pixel < tiling.stops)]
            known = over[np.isfinite(over)]
            if len(known):
                assert painted[row, pixel] == pytest.approx(known.mean(), rel=1e-12, abs=1e-12)
            else:
                assert np.isnan(painted[row, pixel])


def test_plain_tiles_are_painted_without_rounding():
    tiling = tile(10, 4, offset=1)
    values = np.array([0.1, 1e17, 0.3, 0.7])
    assert tiling.paint(values).tolist() == [0.1, *[1e17] * 4, *[0.3] * 4, 0.7]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_pixel": 0, "window_size": 1}, "n_pixel"),
        ({"n_pixel": 5, "window_size": 0}, "window_size"),
        ({"n_pixel": 5, "window_size": 2, "offset": -1}, "offset"),
        ({"n_pixel": 5, "window_size": 2, "stride": 0}, "stride"),
        ({"n_pixel": 5, "window_size": 2, "stride": 3}, "stride"),
    ],
)
def test_refuses_what_would_leave_gaps(arguments, named):
    with pytest.raises(InputError, match=named):
        tile(**arguments)
