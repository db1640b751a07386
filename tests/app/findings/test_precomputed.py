"""Results that ship: they fit, they are what the engine computes, and whatever does not fit is passed over."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from helpers.deviating import beside_baselines
from helpers.surveys import TARGETS, tiny_survey

from app.computing.computation import Inputs, explain
from app.computing.events import Settings
from app.computing.result_cache import ResultCache
from app.findings.findings import Finding
from app.findings.precomputed import DEMO_RESULTS, Layers, Precomputed, Result, write_results
from app.findings.reasons import Reasons
from app.survey.survey import demo_survey
from imo_engine.errors import ImoError
from imo_engine.reasons.features import find_features
from imo_engine.reasons.sentences import in_brief
from imo_engine.system.embedded import embedded_file

FIRST, SECOND, THIRD, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(1, 4, 16), n_baselines=4)


def explained(survey, target, settings=SETTINGS):
    return explain(Inputs.of(survey, target, settings), lambda event: None, lambda: False)


def finding_of(one):
    found = find_features(one, beside_baselines(one))
    return Finding.of(one, found.features, in_brief(found), "DESI")


@pytest.fixture(scope="module")
def survey():
    return tiny_survey()


@pytest.fixture(scope="module")
def attributions(survey):
    return {target: explained(survey, target) for target in (FIRST, SECOND)}


@pytest.fixture(scope="module")
def written(survey, attributions, tmp_path_factory):
    """A file with the attribution of the first target, and what stands out of the first two."""
    path = tmp_path_factory.mktemp("results") / "results.npz"
    results = []
    for target, one in attributions.items():
        finding = finding_of(one)
        key = Inputs.of(survey, target, SETTINGS).digest()
        results.append(Result(target, key, finding, one if target == FIRST else None))
    write_results(path, results, SETTINGS, survey.engine.get()[0].fingerprint)
    return path


def key_of(survey, target):
    return Inputs.of(survey, target, SETTINGS).digest()


def test_an_attribution_comes_back_within_its_rounding(survey, attributions, written):
    found = Precomputed(written, survey, SETTINGS).get(key_of(survey, FIRST))
    original = attributions[FIRST]
    np.testing.assert_array_equal(np.isfinite(found.values), np.isfinite(original.values))
    known = np.isfinite(original.values)
    largest = np.nanmax(np.abs(original.values), axis=(1, 2), keepdims=True)
    off = np.abs(found.values - original.values)
    assert (off <= 0.0025 * np.abs(original.values) + 1e-8 * largest)[known].all()
    assert off[known].max() > 0
    for name in ("baselines", "baseline_log_prob", "flux", "wavelength", "valid"):
        np.testing.assert_allclose(getattr(found, name), getattr(original, name), rtol=1e-5)
    for name in ("redshift", "window_sizes", "offsets", "strides", "weighting"):
        assert getattr(found, name) == getattr(original, name)
    assert found.provenance["rounding"] == "0.25 %"
    assert found.provenance["evaluations"] == original.provenance["evaluations"]


def test_findings_come_back(survey, attributions, written):
    found = Precomputed(written, survey, SETTINGS).findings()
    assert set(found) == {FIRST, SECOND}
    for target, one in attributions.items():
        expected = finding_of(one)
        assert (found[target].brief, found[target].marks) == (expected.brief, expected.marks)
        assert found[target].instrument == "DESI"
        for frame, profile in expected.profiles.items():
            np.testing.assert_allclose(found[target].profiles[frame], profile, rtol=1e-3, atol=1e-7)


def test_what_is_not_there_is_none(survey, written):
    results = Precomputed(written, survey, SETTINGS)
    assert results.get(key_of(survey, SECOND)) is None and results.get("0" * 64) is None


def changed_flux(survey):
    flux = survey.spectra.flux.copy()
    flux[0, 100] += 1
    return replace(survey, spectra=replace(survey.spectra, flux=flux))


def changed_redshift(survey):
    redshift = survey.spectra.redshift.copy()
    redshift[0] += 1e-6
    return replace(survey, spectra=replace(survey.spectra, redshift=redshift))


@pytest.mark.parametrize("change", [changed_flux, changed_redshift])
def test_another_spectrum_is_not_answered_for(survey, written, change, caplog):
    other = change(survey)
    results = Precomputed(written, other, SETTINGS)
    with caplog.at_level(logging.INFO):
        assert set(results.findings()) == {SECOND}
    assert "1 of 2 results fit these spectra" in caplog.text
    assert results.get(key_of(survey, FIRST)) is None and results.get(key_of(other, FIRST)) is None


@pytest.mark.parametrize(
    "settings", [replace(SETTINGS, seed=1), replace(SETTINGS, n_baselines=3), replace(SETTINGS, window_sizes=(1, 4))]
)
def test_other_settings_make_it_one_line_in_the_log(survey, written, settings, caplog):
    results = Precomputed(written, survey, settings)
    assert results.findings() == {} and results.get(key_of(survey, FIRST)) is None
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "is not used: it was made with settings" in caplog.text


def test_another_model_makes_it_one_line_in_the_log(survey, written, fresh_model, caplog):
    import torch

    with torch.no_grad():
        next(fresh_model.encoder.parameters()).mul_(1.001)
    other = tiny_survey(fresh_model)
    assert Precomputed(written, other, SETTINGS).findings() == {}
    assert len(caplog.records) == 1 and "is not used: it was made with model" in caplog.text


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text"])
def test_a_damaged_file_is_passed_over(survey, written, tmp_path, damage, caplog):
    path = tmp_path / "damaged.npz"
    content = written.read_bytes()
    if damage != "missing":
        path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "text": b"no numbers"}[damage])
    results = Precomputed(path, survey, SETTINGS)
    assert results.findings() == {} and results.get(key_of(survey, FIRST)) is None
    assert len(caplog.records) == 1


def test_damaged_values_are_computed_instead(survey, written, tmp_path, caplog):
    with np.load(written) as stored:
        contents = dict(stored)
    contents["values"] = np.roll(contents["values"], 7)
    path = tmp_path / "rolled.npz"
    np.savez(path, **contents)
    results = Precomputed(path, survey, SETTINGS)
    assert results.get(key_of(survey, FIRST)) is None and results.get(key_of(survey, FIRST)) is None
    assert len(caplog.records) == 1 and "is damaged and will be computed" in caplog.text


def test_layers_ask_the_disk_first_and_write_to_it_alone(survey, attributions, written, tmp_path):
    disk = ResultCache(tmp_path)
    layers = Layers(disk, Precomputed(written, survey, SETTINGS))
    key = key_of(survey, FIRST)
    assert "rounding" in layers.get(key).provenance
    layers.put(key, attributions[FIRST])
    assert "rounding" not in layers.get(key).provenance
    np.testing.assert_array_equal(layers.get(key).values, attributions[FIRST].values)


def test_sliding_windows_cannot_be_packed(survey, attributions, tmp_path):
    one = replace(attributions[FIRST], strides=(1, 2, 8))
    finding = Finding.of(one, [], "nothing stands out")
    with pytest.raises(ImoError, match="plain tiles"):
        write_results(tmp_path / "no.npz", [Result(FIRST, "0", finding, one)], SETTINGS, "")


class TestShipped:
    """The embedded file itself; if this fails, run scripts/precompute.py again."""

    @pytest.fixture(scope="class")
    @classmethod
    def demo(cls):
        return demo_survey(device="cpu")

    def test_fits_model_spectra_and_settings(self, demo, caplog):
        results = Precomputed(embedded_file(DEMO_RESULTS), demo, Settings())
        lowest = [target for target in demo.spectra.target_id[demo.order()].tolist()]
        findings = results.findings()
        assert caplog.records == [], "run scripts/precompute.py again"
        assert set(lowest[:200]) == set(findings)
        for target in lowest[:60:20]:
            found = results.get(Inputs.of(demo, target, Settings()).digest())
            told = Reasons()
            told.of(demo, target, found)
            assert told.findings.get(target).brief == findings[target].brief
            assert findings[target].instrument == "DESI"

    def test_is_small(self):
        files = [one for one in embedded_file(DEMO_RESULTS).parent.iterdir() if one.is_file()]
        assert sum(one.stat().st_size for one in files) < 25e6

    def test_says_what_made_it(self):
        with np.load(embedded_file(DEMO_RESULTS), allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
        assert len(header["attributions"]) == 60
        assert {one["provenance"]["model_fingerprint"] for one in header["attributions"]} == {header["model"]}
