"""The combination of window sizes, and the netCDF file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray
from helpers.attributions import attribution
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imo_engine.attribution.record import WEIGHTINGS, WindowFacts, combination_weights
from imo_engine.errors import ImoError, InputError

quick = settings(max_examples=60, deadline=None)
numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)


@pytest.fixture
def values():
    return np.random.default_rng(1).normal(1, 0.5, (3, 5, 20)) * np.array([3.0, 1.0, 0.2])[:, None, None]


@pytest.mark.parametrize(("weighting", "power"), [("inverse_variance", 1.0), ("inverse_standard_deviation", 0.5)])
def test_combination_is_the_formula_pixel_by_pixel(values, weighting, power):
    result = attribution(values, weighting=weighting)
    for pixel in range(20):
        weights, means, singles = [], [], []
        for window in range(3):
            column = [float(v) for v in values[window, :, pixel]]
            mean = sum(column) / 5
            variance = sum((v - mean) ** 2 for v in column) / 5
            means.append(mean)
            weights.append(1 / variance**power)
            singles.append(column)
        share = [w / sum(weights) for w in weights]
        assert result.combined[pixel] == pytest.approx(sum(s * m for s, m in zip(share, means, strict=True)), rel=1e-10)
        assert result.weights[:, pixel] == pytest.approx(share, rel=1e-10)
        combined_singles = [sum(s * v[j] for s, v in zip(share, singles, strict=True)) for j in range(5)]
        assert result.combined_scatter[pixel] == pytest.approx(np.std(combined_singles), rel=1e-10)


def test_the_weightings_differ(values):
    combined = [attribution(values, weighting=weighting).combined for weighting in WEIGHTINGS]
    assert np.abs(combined[0] - combined[1]).max() > 0.01


def test_equal_weights_are_the_mean_over_windows(values):
    result = attribution(values, weighting="uniform")
    assert result.combined == pytest.approx(values.mean(axis=(0, 1)))
    assert result.weights == pytest.approx(np.full((3, 20), 1 / 3))


@quick
@given(factor=st.floats(1e-6, 1e6), window=st.integers(0, 2))
def test_equal_scale_does_not_care_for_the_unit_of_a_window(factor, window):
    values = np.random.default_rng(1).normal(1, 0.5, (3, 5, 20))
    stretched = values.copy()
    stretched[window] *= factor
    ours, theirs = (attribution(v, weighting="equal_scale") for v in (values, stretched))
    share = ours.weights * ours.mean, theirs.weights * theirs.mean
    assert share[0] / share[0].sum() == pytest.approx(share[1] / share[1].sum(), rel=1e-6)
    scale = np.sqrt((ours.mean**2).mean(axis=1))
    assert ours.weights[:, 0] == pytest.approx(1 / scale / (1 / scale).sum())


def test_the_window_of_largest_signal_to_scatter_has_all_the_weight(values):
    result = attribution(values, weighting="largest_signal_to_scatter")
    best = np.abs(result.signal_to_scatter).argmax(axis=0)
    assert np.array_equal(result.weights.argmax(axis=0), best)
    assert np.array_equal(result.weights.max(axis=0), np.ones(20))
    assert result.combined == pytest.approx(result.mean[best, np.arange(20)])


def test_signal_to_scatter_is_mean_over_standard_deviation(values):
    values[0, :, 3] = 0.5
    result = attribution(values)
    scatter = values.std(axis=1)
    assert result.signal_to_scatter[0, 3] == 0
    others = np.ones((3, 20), bool)
    others[0, 3] = False
    assert np.allclose(result.signal_to_scatter[others], values.mean(axis=1)[others] / scatter[others])


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_window_without_scatter_neither_gives_nan_nor_takes_all_the_weight(values, weighting):
    values[1, :, 4] = 0.75
    values[:, :, 9] = np.array([1.0, 2.0, 6.0])[:, None]
    result = attribution(values, weighting=weighting)
    assert np.isfinite(result.combined).all()
    assert result.weights[1, 4] == 0
    left = attribution(values[[0, 2]], weighting=weighting)
    assert result.combined[4] == pytest.approx(left.combined[4])
    assert result.weights[:, 9] == pytest.approx([1 / 3] * 3)
    assert result.combined[9] == pytest.approx(3.0)


@quick
@given(
    mean=arrays(float, (3, 4), elements=numbers),
    variance=arrays(float, (3, 4), elements=st.floats(0, 1e6, allow_nan=False)),
    weighting=st.sampled_from(list(WEIGHTINGS)),
)
def test_weights_are_shares_whatever_the_variance(mean, variance, weighting):
    weights = combination_weights(mean, variance, weighting)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert weights.sum(axis=0) == pytest.approx([1.0] * 4)


def test_weights_of_the_smallest_variances_a_float_can_hold():
    variance = np.array([[5e-324], [1e-300], [1.0]])
    assert combination_weights(np.zeros((3, 1)), variance)[:, 0].tolist() == pytest.approx([1, 0, 0])


@quick
@given(values=arrays(float, (2, 4, 6), elements=numbers), order=st.permutations(range(4)))
def test_the_order_of_baselines_does_not_matter(values, order):
    ours, theirs = attribution(values), attribution(values[:, list(order)])
    scale = np.abs(values).max() + 1e-9
    assert np.allclose(ours.mean, theirs.mean, rtol=0, atol=1e-12 * scale)
    assert np.allclose(ours.variance, theirs.variance, rtol=0, atol=1e-12 * scale**2)


def test_a_pixel_without_meaning_is_nan_and_others_are_not(values):
    valid = np.ones(20, bool)
    valid[[0, 7]] = False
    result = attribution(values, valid=valid)
    whole = attribution(values)
    for name in ("mean", "variance", "combined", "combined_scatter"):
        array = getattr(result, name)
        assert np.isnan(array[..., ~valid]).all(), name
        assert np.array_equal(array[..., valid], getattr(whole, name)[..., valid]), name


def test_a_window_without_a_value_is_left_out_and_a_pixel_without_any_is_nan(values):
    values[1, 0, 5] = np.nan  # log p of one hybrid was not a number
    values[:, 2, 6] = np.nan
    result = attribution(values)
    assert result.combined[5] == pytest.approx(attribution(values[[0, 2]]).combined[5])
    assert np.isnan(result.combined[6])
    assert np.isnan(result.combined_scatter[6])
    assert np.isfinite(np.delete(result.combined, 6)).all()


def test_refuses_an_unknown_weighting(values):
    with pytest.raises(InputError, match="'weights' is 'median'"):
        combination_weights(values.mean(1), values.var(1), "median")


def test_netcdf_holds_the_same_numbers_with_units(values, tmp_path):
    valid = np.ones(20, bool)
    valid[3] = False
    result = attribution(values, valid=valid)
    result.to_netcdf(tmp_path / "one.nc")
    with xarray.open_dataset(tmp_path / "one.nc") as file:
        data = file.load()
    for name in ("values", "mean", "variance", "combined", "combined_scatter", "baselines", "flux"):
        ours = np.asarray(getattr(result, name))
        assert data[name].shape == ours.shape
        assert np.array_equal(data[name].values, ours.astype(np.float32), equal_nan=True), name
    assert np.array_equal(data["baseline_log_prob"].values, result.baseline_log_prob)
    assert np.isnan(data["values"].values[..., 3]).all()
    assert not np.isnan(data["values"].values[..., valid]).any()
    assert data["valid"].values.tolist() == valid.astype(int).tolist()
    assert data["values"].dims == ("window", "baseline", "pixel")
    assert data["window"].values.tolist() == [1, 4, 16]
    assert np.array_equal(data["wavelength"].values, result.wavelength)
    assert np.allclose(data["rest_wavelength"], result.wavelength / 1.25)
    units = {name: data[name].attrs.get("units") for name in data.variables}
    assert {units[name] for name in ("values", "mean", "combined", "combined_scatter")} == {"nat / pixel"}
    assert units["variance"] == "(nat / pixel)^2"
    assert units["baseline_log_prob"] == "nat"
    assert units["wavelength"] == units["rest_wavelength"] == "Angstrom"
    assert data["wavelength"].attrs["medium"] == "vacuum"
    assert data.attrs["redshift"] == 0.25
    assert data.attrs["weighting"] == "inverse_variance"
    assert data.attrs["model"] == "tiny"
    assert data.attrs["evaluations"] == 7
    assert data["measured_error"].values.tolist() == [0, 0, 0]
    assert data["exact_share"].values.tolist() == [1, 1, 1]


def test_another_window_changes_that_window_alone(values):
    rough = WindowFacts(0.01, 0.2)
    quick = replace(attribution(values), facts=(rough, rough, WindowFacts()))
    assert not quick.exact and quick.measured_error == 0.01
    better = quick.with_window(1, values[0] + 1, WindowFacts())
    assert np.array_equal(better.values[0], values[0] + 1) and np.array_equal(better.values[1:], values[1:])
    assert np.array_equal(better.mean[0], (values[0] + 1).mean(axis=0))  # nothing is left of what was worked out
    assert better.facts == (WindowFacts(), rough, WindowFacts()) and not better.exact
    assert better.with_window(4, values[1], WindowFacts()).exact
    data = quick.to_xarray()
    assert data["measured_error"].values.tolist() == [0.01, 0.01, 0]
    assert data["exact_share"].values.tolist() == [0.2, 0.2, 1]


def test_netcdf_takes_any_provenance(values, tmp_path):
    provenance = {"flag": True, "number": np.float32(0.5), "list": [1, 2], "nothing": None, "text": "[O III] λ5007"}
    attribution(values, provenance=provenance).to_netcdf(tmp_path / "one.nc")
    with xarray.open_dataset(tmp_path / "one.nc") as file:
        assert file.attrs["text"] == "[O III] λ5007"
        assert str(file.attrs["list"]) == "[1, 2]"
        assert str(file.attrs["flag"]) in ("True", "1")


def test_netcdf_replaces_a_file_and_leaves_nothing_else(values, tmp_path):
    path = tmp_path / "one.nc"
    path.write_text("old")
    attribution(values).to_netcdf(path)
    assert [p.name for p in tmp_path.iterdir()] == ["one.nc"]
    with xarray.open_dataset(path) as file:
        assert "combined" in file


@pytest.mark.parametrize("name", ["nowhere/one.nc", "plain/one.nc", "folder"])
def test_an_unwritable_path_is_one_error_that_names_it(values, tmp_path, name):
    (tmp_path / "plain").write_text("a file, not a folder")
    (tmp_path / "folder").mkdir()
    path = tmp_path / Path(name)
    with pytest.raises(ImoError, match="cannot be written") as caught:
        attribution(values).to_netcdf(path)
    assert str(caught.value).startswith(str(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "plain"]
