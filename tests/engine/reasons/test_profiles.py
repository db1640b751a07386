"""Attribution profiles: what is the same in one frame is near in it, whatever the redshift."""

import pytest
from helpers.profiles import made_attribution
from hypothesis import given
from hypothesis import strategies as st

from imo_engine.errors import InputError
from imo_engine.reasons.profiles import BIN_EDGES, FRAMES, attribution_profile, profile_distances


def distance(first, second, frame):
    one, other = (attribution_profile(attribution, frame)[None] for attribution in (first, second))
    return float(profile_distances(one, other)[0, 0])


@pytest.mark.parametrize("frame", FRAMES)
def test_sums_to_one_where_the_peak_is(frame):
    profile = attribution_profile(made_attribution(0.2, 6000.0), frame)
    assert profile.sum() == pytest.approx(1, abs=1e-5) and profile.shape == (len(BIN_EDGES) - 1,)
    place = BIN_EDGES[profile.argmax()]
    assert place == pytest.approx(6000 / 1.2 if frame == "rest" else 6000, rel=0.004)


def test_a_line_is_the_same_in_the_rest_frame_at_any_redshift():
    near, far = made_attribution(0.1, 5008 * 1.1), made_attribution(0.4, 5008 * 1.4)
    assert distance(near, far, "rest") < 0.3 < 0.95 < distance(near, far, "observed")


def test_a_bad_column_is_the_same_in_the_observed_frame():
    near, far = made_attribution(0.1, 7000.0), made_attribution(0.4, 7000.0)
    assert distance(near, far, "observed") < 1e-3 < 0.95 < distance(near, far, "rest")


@given(st.floats(0.01, 100.0))
def test_the_height_does_not_matter(height):
    plain, scaled = made_attribution(0.1, 5000.0), made_attribution(0.1, 5000.0)
    scaled = made_attribution(0.1, 5000.0, height=1.0)
    scaled.values[...] *= height
    assert distance(plain, scaled, "rest") < 1e-3


def test_nothing_positive_is_like_nothing():
    nothing = attribution_profile(made_attribution(0.1), "rest")
    assert nothing.sum() == 0
    assert profile_distances(nothing[None], nothing[None])[0, 0] == 1


def test_an_unknown_frame_is_refused():
    with pytest.raises(InputError, match="'frame' is 'galactic'; expected one of rest, observed"):
        attribution_profile(made_attribution(0.1, 5000.0), "galactic")
