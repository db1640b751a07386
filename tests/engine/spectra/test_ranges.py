"""How ranges are written."""

import pytest

from imo_engine.spectra.ranges import range_words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (6555.2, 6570.4, "6555–6570 Å"),
        (6562.4, 6564.8, "6562.4–6564.8 Å"),
        (5000.04, 5009.96, "5000.0–5010.0 Å"),
        (5000.0, 5010.0, "5000–5010 Å"),
        (6562.4, 6562.4, "6562.4 Å"),
        (3600.0, 9824.0, "3600–9824 Å"),
    ],
)
def test_have_decimals_where_they_matter(low, high, words):
    assert range_words(low, high) == words
