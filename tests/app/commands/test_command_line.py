"""The program ``imo``: help, what it refuses and how, and what its commands write."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import xarray
from astropy.table import Table
from helpers.browser import IMO, ROOT, write_desi_model
from helpers.fits_files import GRID, write_coadd, write_redrock, write_sdss
from safetensors.numpy import save_file

from app.commands.program import main
from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING
from imo_engine.commands.program import COMMANDS
from imo_engine.errors import ImoError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.ranking.reference import REFERENCE_FILE
from imo_engine.readers import read_spectra
from imo_engine.results.ecsv import read_attribution_table
from imo_engine.system.embedded import EMBEDDED_MODEL, embedded_file

GALAXY, Z = "39633345008634465", 0.36874355163716493
"""The DESI target among the shared files, and the redshift that redrock found."""
IDS = [39627866878511337, 39627866878511338, 39627866878511339]
"""Beyond 2**53: they differ in digits that a double cannot hold."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A narrow random model with its baselines, three DESI targets of which one has no redshift, an SDSS target."""
    folder = tmp_path_factory.mktemp("survey")
    write_desi_model(folder)
    write_coadd(folder / "coadd-x.fits", IDS)
    write_redrock(folder / "redrock-x.fits", [IDS[1], IDS[0]], [0.2, 0.1])
    write_sdss(folder / "spec-x.fits", z=0.05)
    return folder


@pytest.fixture
def model(folder):
    return ["--model", folder / "narrow.safetensors", "--device", "cpu"]


@pytest.fixture
def imo(capfd):
    """Runs the program in this process; returns its status, output and errors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def refused(result, status, *words):
    """Check an error: its status, and one line on stderr that has the words."""
    code, _, errors = result
    assert errors.count("\n") == 1 and errors.startswith("imo: "), errors
    for word in words:
        assert str(word) in errors
    assert code == status, errors


class TestHelp:
    def test_lists_the_commands(self, imo):
        code, out, _ = imo("--help")
        assert code == 0
        for command in (*COMMANDS, "serve"):
            assert f"\n  {command} " in out

    @pytest.mark.parametrize("command", [*COMMANDS, "serve"])
    def test_of_every_command_lists_its_options(self, imo, command):
        code, out, _ = imo(command, "--help")
        assert code == 0
        assert f"Usage: imo {command}" in out
        options = [line.split()[0] for line in out.splitlines() if line.startswith("  -")]
        assert "--help" in options
        assert len(options) >= 3 or "Commands:" in out

    @pytest.mark.parametrize("command", ["rank", "explain", "serve"])
    def test_says_where_the_model_comes_from(self, imo, command):
        _, out, _ = imo(command, "--help")
        for option in ("--model", "--autoencoder", "--flow", "--baselines", "--device", "--redshift"):
            assert option in out

    def test_in_a_process_of_its_own_is_quick_and_quiet(self):
        """Without torch and Panel, which take seconds to import."""
        code = "import sys; from app.commands.program import main\ntry: main()\nfinally: print(*sys.modules)"
        ran = subprocess.run([IMO[0], "-c", code, "--help"], capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert ran.returncode == 0
        assert ran.stderr == ""
        assert "Commands:" in ran.stdout
        assert not {"torch", "panel", "bokeh", "astropy"} & set(ran.stdout.split())


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["nonsense"], "'nonsense'"),
            (["--nonsense"], "--nonsense"),
            (["rank"], "FILES"),
            (["rank", "x.fits"], "--output"),
            (["rank", "--nonsense", "x.fits"], "--nonsense"),
            (["explain"], "FILE"),
            (["explain", "x.fits", "-o", "x.nc", "--weights", "equal"], "--weights"),
            (["explain", "x.fits", "-o", "x.nc", "--windows", "1,,4"], "1,4,16"),
            (["rank", "x.fits", "-o", "x.ecsv", "--redshift", "far"], "--redshift"),
            (["serve", "--port", "99999"], "--port"),
            (["serve", "--n-baselines", "1"], "--n-baselines"),
            (["serve", "--model", "x.safetensors"], "--spectra"),
        ],
    )
    def test_ends_with_2_and_one_line(self, imo, arguments, word):
        refused(imo(*arguments), 2, word, "--help)")

    def test_in_a_process_of_its_own(self):
        ran = subprocess.run([*IMO, "rank", "--nonsense"], capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == "imo: No such option '--nonsense'. (see imo rank --help)\n"

    def test_a_missing_file_in_a_process_of_its_own(self, folder):
        command = [*IMO, "rank", "none.fits", "-o", "x.ecsv", "--model", folder / "narrow.safetensors"]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert ran.returncode == 1
        assert ran.stderr.count("\n") == 1 and ran.stderr.startswith("imo: none.fits")


class TestWrongFiles:
    """Status 1, one line that names the file or the option, no traceback, and nothing is written."""

    @pytest.fixture
    def out(self, tmp_path):
        path = tmp_path / "out" / "x.ecsv"
        path.parent.mkdir()
        yield path
        assert not any(path.parent.iterdir())

    def test_missing_spectra(self, imo, model, out):
        refused(imo("rank", "none.fits", "-o", out, *model), 1, "none.fits")

    def test_not_spectra(self, imo, model, out, tmp_path):
        path = tmp_path / "coadd-x.fits"
        path.write_text("hello")
        refused(imo("rank", path, "-o", out, *model), 1, "coadd-x.fits")

    def test_truncated_spectra(self, imo, model, out, tmp_path, folder):
        path = tmp_path / "coadd-x.fits"
        path.write_bytes((folder / "coadd-x.fits").read_bytes()[:100_000])
        refused(imo("rank", path, "-o", out, *model), 1, "coadd-x.fits")

    def test_missing_model(self, imo, folder, out):
        refused(imo("rank", folder / "coadd-x.fits", "-o", out, "--model", "none.safetensors"), 1, "none.json")

    @pytest.mark.parametrize("name", ["narrow.safetensors", "narrow.json"])
    def test_corrupt_model(self, imo, folder, out, tmp_path, name):
        for file in ("narrow.safetensors", "narrow.json"):
            shutil.copy(folder / file, tmp_path)
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:300])
        given = "--model", tmp_path / "narrow.safetensors"
        refused(imo("rank", folder / "coadd-x.fits", "-o", out, *given), 1, name)

    def test_corrupt_published_weights(self, imo, folder, out, tmp_path):
        path = tmp_path / "x.pt"
        path.write_bytes(b"hello")
        given = "--autoencoder", path, "--flow", path
        refused(imo("rank", folder / "coadd-x.fits", "-o", out, *given), 1, "x.pt")

    def test_half_of_the_published_weights(self, imo, folder, out):
        refused(imo("rank", folder / "coadd-x.fits", "-o", out, "--flow", "x.pt"), 1, "--autoencoder and --flow")

    def test_two_models(self, imo, folder, out):
        given = "--model", "a.safetensors", "--autoencoder", "x.pt", "--flow", "y.pt"
        refused(imo("rank", folder / "coadd-x.fits", "-o", out, *given), 1, "not both")

    def test_no_such_device(self, imo, folder, out, model):
        refused(imo("rank", folder / "coadd-x.fits", "-o", out, *model, "--device", "abacus"), 1, "'abacus'")

    @pytest.mark.parametrize("command", [["rank"], ["explain", "--windows", "256"]], ids=["rank", "explain"])
    def test_nowhere_to_write(self, imo, folder, out, model, command):
        path = out.parent / "none" / "x.nc"
        refused(imo(*command, folder / "spec-x.fits", "-o", path, *model), 1, path)

    @pytest.mark.parametrize(
        "content",
        [
            b"hello",
            b"",
            b"PK\x03\x04hello",
        ],
        ids=["text", "empty", "zip"],
    )
    def test_baselines_that_are_no_array(self, imo, folder, out, model, tmp_path, content):
        path = tmp_path / "b.npy"
        path.write_bytes(content)
        refused(imo("explain", folder / "spec-x.fits", "-o", out, *model, "--baselines", path), 1, "b.npy")

    def test_baselines_on_another_grid(self, imo, folder, out, model, tmp_path):
        path = tmp_path / "b.npy"
        np.save(path, np.ones((4, 100)))
        refused(imo("explain", folder / "spec-x.fits", "-o", out, *model, "--baselines", path), 1, "b.npy", "(4, 100)")

    def test_baselines_of_another_model(self, imo, folder, out, model, tmp_path):
        path = tmp_path / "b.safetensors"
        BaselinePool(np.ones((4, 3), np.float32), np.ones(4), np.ones(4, np.float32), "another").save(path)
        refused(imo("explain", folder / "spec-x.fits", "-o", out, *model, "--baselines", path), 1, "another")

    def test_no_baselines_at_all(self, imo, folder, out, tmp_path):
        for file in ("narrow.safetensors", "narrow.json"):
            shutil.copy(folder / file, tmp_path)
        given = "--model", tmp_path / "narrow.safetensors", "--device", "cpu"
        refused(imo("explain", folder / "spec-x.fits", "-o", out, *given), 1, "--baselines", "fewer than two")

    @pytest.mark.parametrize(
        ("option", "value", "word"),
        [
            ("--windows", "0", "window_sizes"),
            ("--windows", "10000", "7781 pixels"),
            ("--offsets", "1", "offsets"),
            ("--stride", "0", "stride"),
            ("--n-baselines", "1", "at least 2"),
            ("--n-baselines", "0", "count"),
            ("--redshift", "nan", "redshift"),
            ("--redshift", "12", "cannot be normalised"),
        ],
    )
    def test_numbers_that_do_not_fit(self, imo, folder, out, model, option, value, word):
        refused(imo("explain", folder / "spec-x.fits", "-o", out, *model, option, value), 1, word)

    def test_a_negative_seed_is_a_wrong_use(self, imo, folder, out, model):
        refused(imo("explain", folder / "spec-x.fits", "-o", out, *model, "--seed", "-1"), 2, "--seed")


class TestRank:
    def test_writes_a_catalogue(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.ecsv"
        code, out, errors = imo("rank", folder / "coadd-x.fits", folder / "spec-x.fits", "-o", path, *model)
        assert (code, errors) == (0, "")
        assert "3 of 4 spectra scored with narrow" in out
        assert f"not scored: target {IDS[2]} (coadd-x.fits): no redshift" in out
        table = read_catalogue(path)
        assert sorted(table["target_id"]) == sorted([*map(str, IDS), "1234-55555-7"])
        row = {target: index for index, target in enumerate(table["target_id"])}
        assert table["redshift"][[row[str(IDS[0])], row[str(IDS[1])]]].tolist() == [0.1, 0.2]
        assert table["rank"][:3].tolist() == [1, 2, 3]
        assert (np.diff(table["log_prob"][:3]) >= 0).all()  # the DESI spectra are equal
        assert row[str(IDS[2])] == 3
        assert table["rank"].mask[3] and table["log_prob"].mask[3]
        assert "redshift" in table["problem"][3]
        assert f"target {table['target_id'][0]}" in out

    def test_the_scores_are_the_model_s(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.ecsv"
        imo("rank", folder / "spec-x.fits", "-o", path, *model)
        scorer = OutlierModel.load(folder / "narrow.safetensors", device="cpu")
        spectra = read_spectra(folder / "spec-x.fits")
        assert Table.read(path)["log_prob"][0] == pytest.approx(scorer.log_prob(scorer.prepare(spectra))[0], rel=1e-5)

    def test_a_redshift_of_the_user_comes_first(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.ecsv"
        code, out, _ = imo("rank", folder / "coadd-x.fits", "-o", path, "--redshift", "0.3", *model)
        assert code == 0
        assert "3 of 3 spectra scored" in out
        assert read_catalogue(path)["redshift"].tolist() == [0.3] * 3

    def test_a_catalogue_of_other_targets_is_named(self, imo, folder, model, tmp_path):
        (tmp_path / "z.csv").write_text("target_id,z\n77,0.2\n")
        said = f"{tmp_path / 'z.csv'}: none of its 1 row is of a target of the files"
        given = "-o", tmp_path / "x.ecsv", "--redshifts", tmp_path / "z.csv"
        code, out, errors = imo("rank", folder / "coadd-x.fits", *given, *model)
        assert (code, errors) == (0, "") and out.startswith(said)
        code, out, errors = imo("rank", folder / "coadd-x.fits", *given, "--redshifts", tmp_path / "none.csv", *model)
        assert code == 1 and errors == f"imo: {tmp_path / 'none.csv'}: no such file\n"

    def test_a_folder(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.ecsv"
        imo("rank", folder, "-o", path, *model)
        assert len(read_catalogue(path)) == 4

    def test_real_files(self, imo, shared_data, model, tmp_path):
        path = tmp_path / "x.ecsv"
        files = [
            shared_data / "desi" / "coadd-4-80613-thru20210324.fits",
            shared_data / "desi" / "coadd-sv3-dark-26065.fits",
            *sorted((shared_data / "sdss").glob("test_spectrum_*.fits")),
        ]
        code, out, errors = imo("rank", *files, "-o", path, *model)
        assert (code, errors) == (0, "")
        assert "4 of 9 spectra scored" in out
        table = read_catalogue(path)
        row = {target: index for index, target in enumerate(table["target_id"])}
        assert table["redshift"][row[GALAXY]] == Z  # redrock's, joined on TARGETID
        unscored = ["-2713437", "-2713415", "39627866878511337", "616088619186127404", "39627866878514741"]
        assert list(table["target_id"][4:]) == unscored
        for target in unscored:
            problem = table["problem"][row[target]]
            assert "no measured pixel" in problem or "no redshift" in problem
            assert f"not scored: target {target} (coadd-sv3-dark-26065.fits): {problem}" in out
        sdss = {"285-51930-309": 0.06456, "349-51699-582": 0.08428, "286-51999-359": 0.02067}
        for target, z in sdss.items():
            assert table["redshift"][row[target]] == pytest.approx(z, abs=5e-5)
            assert table["rank"][row[target]] > 0

    def test_published_weights(self, imo, shared_data, shared_oracles, tmp_path):
        path = tmp_path / "x.ecsv"
        file = shared_data / "desi" / "coadd-4-80613-thru20210324.fits"
        autoencoder = shared_oracles / "desi.autoencoder.pt"
        flow = shared_data / "weights" / "galaxy-flow-state_dict.pt"
        given = "--autoencoder", autoencoder, "--flow", flow, "--device", "cpu"
        code, _, errors = imo("rank", file, "-o", path, *given)
        assert (code, errors) == (0, "")
        table = read_catalogue(path)
        assert list(table["target_id"]) == [GALAXY]
        published = OutlierModel.from_published(autoencoder, flow, device="cpu")
        expected = published.log_prob(published.prepare(read_spectra(file)))
        assert table["log_prob"][0] == pytest.approx(expected[0], rel=1e-4)
        assert "desi.autoencoder + galaxy-flow-state_dict" in table.meta["model"]

    def test_the_embedded_model_is_the_default(self, imo, folder, tmp_path):
        try:
            embedded_file(EMBEDDED_MODEL)
        except ImoError:
            refused(imo("rank", folder / "spec-x.fits", "-o", tmp_path / "x.ecsv"), 1, "embedded")
            pytest.skip("no embedded model in this checkout")
        code, out, _ = imo("rank", folder / "spec-x.fits", "-o", tmp_path / "x.ecsv", "--device", "cpu")
        assert code == 0
        assert "1 of 1 spectra scored" in out


class TestExplain:
    WINDOWS = "--windows", "64,256", "--n-baselines", "2"

    def test_writes_what_xarray_opens(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.nc"
        code, out, errors = imo("explain", folder / "spec-x.fits", "-o", path, *self.WINDOWS, *model)
        assert (code, errors) == (0, "")
        assert "highest attribution at" in out
        scorer = OutlierModel.load(folder / "narrow.safetensors", device="cpu")
        target = read_spectra(folder / "spec-x.fits")
        pool = BaselinePool.load(folder / "baselines.safetensors", scorer).draw(2, seed=0)
        expected = inverse_multiscale_occlusion(
            scorer,
            scorer.prepare(target)[0],
            target.redshift[0],
            pool,
            (64, 256),
            weights=RECOMMENDED_WEIGHTING,
            valid=target.measured[0],
        )
        with xarray.open_dataset(path) as found:
            assert found.attrs["target_id"] == "1234-55555-7"
            assert found.attrs["source"] == "spec-x.fits"
            assert found.attrs["model"] == "narrow"
            assert found.attrs["redshift"] == pytest.approx(0.05)
            assert found["window"].values.tolist() == [64, 256]
            assert found["values"].shape == (2, 2, len(GRID))
            np.testing.assert_allclose(found["wavelength"], GRID, atol=1e-6)
            scale = np.nanmax(np.abs(expected.values))
            np.testing.assert_allclose(found["values"], expected.values, atol=1e-4 * scale)
            np.testing.assert_array_equal(np.isfinite(found["combined"]), expected.valid)
            np.testing.assert_allclose(found["combined"], expected.combined, atol=1e-4 * scale)
            assert found.attrs["weighting"] == RECOMMENDED_WEIGHTING

    def test_the_paper_s_weights_are_there_by_name(self, imo, folder, model, tmp_path):
        found = []
        for weights in ("inverse_variance", RECOMMENDED_WEIGHTING):
            path = tmp_path / f"{weights}.nc"
            given = "--weights", weights, *self.WINDOWS, *model
            assert imo("explain", folder / "spec-x.fits", "-o", path, *given)[0] == 0
            with xarray.open_dataset(path) as data:
                mean, variance = data["mean"].values, data["variance"].values
                raw = 1 / variance if weights == "inverse_variance" else np.ones_like(mean)
                expected = np.sum(mean * raw, axis=0) / np.sum(raw, axis=0)
                scale = np.nanmax(np.abs(expected))
                np.testing.assert_allclose(data["combined"], expected, atol=1e-5 * scale)
                found.append(data["combined"].values)
        assert np.nanmax(np.abs(found[0] - found[1])) > 0.01 * np.nanmax(np.abs(found[0]))

    def test_repairs_when_asked(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.nc"
        code, out, errors = imo("explain", folder / "spec-x.fits", "-o", path, "--repair", *self.WINDOWS, *model)
        assert (code, errors) == (0, "")
        with xarray.open_dataset(path) as found:
            told = json.loads(found.attrs["repair"])
            assert told["own_log_prob"] == pytest.approx(found.attrs["log_prob"], abs=1e-3)
        scorer = OutlierModel.load(folder / "narrow.safetensors", device="cpu")
        pool = BaselinePool.load(folder / "baselines.safetensors", scorer)
        assert told["target_log_prob"] == pytest.approx(float(np.quantile(pool.log_prob, 0.1)))
        assert len([line for line in out.splitlines() if line.startswith("repair ")]) == len(told["regions"])
        assert out.splitlines()[-1].startswith("repair: ")
        table = tmp_path / "x.ecsv"
        assert imo("explain", folder / "spec-x.fits", "-o", table, "--repair", *self.WINDOWS, *model)[0] == 0
        assert json.loads(read_attribution_table(table).meta["repair"])["regions"] == told["regions"]

    def test_writes_a_table_too(self, imo, folder, model, tmp_path):
        given = "--target-id", IDS[1], "--seed", "3", *self.WINDOWS, *model
        for name in ("x.ecsv", "x.nc"):
            assert imo("explain", folder / "coadd-x.fits", "-o", tmp_path / name, *given)[0] == 0
        found = read_attribution_table(tmp_path / "x.ecsv")
        assert (found.target_id, found.window_sizes, found.meta["seed"]) == (str(IDS[1]), (64, 256), 3)
        assert found.meta["model"] == "narrow"
        with xarray.open_dataset(tmp_path / "x.nc") as other:
            np.testing.assert_allclose(found.combined, other["combined"], rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(found.mean, other["mean"], rtol=1e-4, atol=1e-7)

    def test_says_how_right_quick_values_are(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.nc"
        given = "--windows", "16,256", "--n-baselines", "2", *model
        code, out, errors = imo("explain", folder / "spec-x.fits", "-o", path, "--evaluator", "local_update", *given)
        assert (code, errors) == (0, "")
        with xarray.open_dataset(path) as found:
            assert found.attrs["evaluator"] == "within 2 %"
            error, share = found["measured_error"].values, found["exact_share"].values
        assert 0 < error[0] <= 0.02 and share[0] < 1
        assert (error[1], share[1]) == (0, 1)  # few chunks are all computed exactly
        assert f"W = 16: {100 * error[0]:.2g} %, W = 256: 0 %" in out

    def test_frozen_statistics_go_by_their_name(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.nc"
        given = "--windows", "256", "--n-baselines", "2", *model
        assert imo("explain", folder / "spec-x.fits", "-o", path, "--evaluator", "frozen_statistics", *given)[0] == 0
        with xarray.open_dataset(path) as found:
            assert found.attrs["evaluator"] == "frozen statistics"

    def test_needs_to_know_which_target(self, imo, folder, model, tmp_path):
        result = imo("explain", folder / "coadd-x.fits", "-o", tmp_path / "x.nc", *self.WINDOWS, *model)
        refused(result, 1, "3 targets", "--target-id")

    def test_of_one_target_among_several(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.nc"
        given = "--target-id", IDS[1], "-o", path, *self.WINDOWS, *model
        assert imo("explain", folder / "coadd-x.fits", *given)[0] == 0
        with xarray.open_dataset(path) as found:
            assert found.attrs["target_id"] == str(IDS[1])
            assert found.attrs["redshift"] == pytest.approx(0.2)

    def test_unknown_target(self, imo, folder, model, tmp_path):
        given = "--target-id", "7", "-o", tmp_path / "x.nc", *model
        refused(imo("explain", folder / "coadd-x.fits", *given), 1, "'7'")

    def test_a_target_without_redshift_needs_one(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.nc"
        given = "--target-id", IDS[2], "-o", path, *self.WINDOWS, *model
        refused(imo("explain", folder / "coadd-x.fits", *given), 1, IDS[2], "redshift")
        assert imo("explain", folder / "coadd-x.fits", *given, "--redshift", "0.3")[0] == 0
        with xarray.open_dataset(path) as found:
            assert found.attrs["redshift"] == pytest.approx(0.3)

    def test_a_real_galaxy(self, imo, shared_data, model, tmp_path):
        path = tmp_path / "x.nc"
        file = shared_data / "desi" / "coadd-4-80613-thru20210324.fits"
        code, out, errors = imo("explain", file, "-o", path, *self.WINDOWS, *model)
        assert (code, errors) == (0, ""), errors
        with xarray.open_dataset(path) as found:
            assert found.attrs["target_id"] == GALAXY
            assert found.attrs["redshift"] == pytest.approx(Z)


class TestExport:
    def test_writes_a_page(self, imo, folder, model, tmp_path):
        path = tmp_path / "x.html"
        given = "--target-id", IDS[1], "--windows", "256", "--n-baselines", "2", "--dark", *model
        code, out, errors = imo("export", folder / "coadd-x.fits", "-o", path, *given)
        assert (code, errors) == (0, "")
        text = path.read_text(encoding="utf-8")
        assert f"{len(text.encode()) / 1e6:.1f} MB" in out
        assert f"<title>{IDS[1]}" in text and 'class="mui-dark"' in text and "−log p" in text

    def test_refuses_as_explain_does(self, imo, folder, model, tmp_path):
        given = "-o", tmp_path / "x.html", *model
        refused(imo("export", folder / "coadd-x.fits", *given), 1, "3 targets", "--target-id")
        refused(imo("export", folder / "none.fits", *given), 1, "none.fits")
        refused(imo("export", folder / "spec-x.fits", "-o", tmp_path / "none" / "x.html", *model), 1, "no folder")
        assert list(tmp_path.iterdir()) == []


class TestServe:
    @pytest.fixture
    def served(self, imo, folder, model, monkeypatch):
        """Returns what the server would show, with some options, and what is printed."""
        shown = []
        monkeypatch.setattr(
            "app.server.server.serve", lambda survey, settings, **options: shown.append((survey, settings))
        )

        def run(*options):
            code, out, errors = imo("serve", "--spectra", folder / "spec-x.fits", *options, *model)
            assert (code, errors) == (0, "")
            return *shown.pop(), out

        return run

    def test_weights_are_equal_unless_told_otherwise(self, served):
        assert served()[1].weights == RECOMMENDED_WEIGHTING
        assert served("--weights", "inverse_variance")[1].weights == "inverse_variance"

    def test_files_are_given_as_to_rank(self, imo, folder, model, monkeypatch):
        shown = []
        monkeypatch.setattr("app.server.server.serve", lambda survey, settings, **options: shown.append(survey))
        for given in (
            [folder / "spec-x.fits", folder / "coadd-x.fits"],
            ["--spectra", folder / "coadd-x.fits", folder / "spec-x.fits"],
            ["--spectra", folder / "spec-x.fits", "--spectra", folder / "coadd-x.fits"],
        ):
            code, _, errors = imo("serve", *given, *model)
            assert (code, errors) == (0, "")
            assert len(shown.pop().spectra) == 4

    def test_what_was_passed_over_is_printed_and_on_the_page(self, imo, folder, model, monkeypatch, tmp_path):
        shown = []
        monkeypatch.setattr("app.server.server.serve", lambda survey, settings, **options: shown.append(survey))
        (tmp_path / "spec-x.fits").write_bytes((folder / "spec-x.fits").read_bytes())
        (tmp_path / "bad.fits").write_bytes((folder / "spec-x.fits").read_bytes()[:9000])
        (tmp_path / "notes.md").write_text("about them\n")
        code, out, _ = imo("serve", tmp_path, *model)
        words = "1 file passed over: 1 text with other columns; bad.fits cannot be read"
        assert code == 0 and words in out and "not scored: target bad: not read: " in out
        assert shown.pop().files == words

    def test_few_spectra_are_compared_with_ordinary_ones_if_these_are_known(self, served, folder):
        assert served()[0].ordinary is None
        beside = folder / REFERENCE_FILE
        try:
            scorer = OutlierModel.load(folder / "narrow.safetensors", device="cpu")
            values = np.array([-3.0, -9.0, -1.0], np.float32)
            save_file({"log_prob": values}, beside, {"model": scorer.fingerprint})
            np.testing.assert_array_equal(served()[0].ordinary, [-9, -3, -1])
            save_file({"log_prob": values}, beside, {"model": "another"})
            survey, _, out = served()
            assert survey.ordinary is None
            assert "not compared with ordinary spectra: " in out and REFERENCE_FILE in out
        finally:
            beside.unlink(missing_ok=True)
