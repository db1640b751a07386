"""Spectra in pickles, Parquet and HDF5: each layout made small here, and what a stranger could make of it."""

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from helpers.browser import write_desi_model
from helpers.fits_files import GRID, OXYGEN
from pyarrow import parquet

from app.commands.export import export
from app.survey.uploads import read_upload
from imo_engine.commands.explain import explain
from imo_engine.commands.figure import figure
from imo_engine.commands.rank import rank
from imo_engine.errors import SpectrumFileError
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.readers import read_spectra, read_survey
from imo_engine.readers.plain_pickle import array_or_value, load_plain_pickle
from imo_engine.spectra.instrument import sky_line_mask

IDS = [39633272110123456, 39633272110123457, 39633272110123458]
"""Above 2**53: they differ in digits that a double does not hold."""
Z, N = 0.1, len(GRID)
SKY = sky_line_mask(GRID)


def galaxies(n=3, wave=GRID):
    """A flat continuum with noise and [O III], (n, N)."""
    line = 5 * np.exp(-0.5 * ((wave - OXYGEN * (1 + Z)) / 3) ** 2)
    return (1 + line + np.random.default_rng(3).normal(0, 0.1, (n, len(wave)))).astype(np.float32)


def weights(n=3):
    """ivar 100 with sky lines at 0, as spender keeps it."""
    return np.tile(np.where(SKY, 0, 100).astype(np.float32), (n, 1))


def outliers(flux=None, **changes):
    """What the authors' pickle holds; ``changes`` of the entry of rank 2."""
    flux, weight = galaxies() if flux is None else flux, weights()
    found = {
        rank: {
            "spectrum": flux[rank - 1],
            "weight": weight[rank - 1],
            "target_id": np.int64(IDS[rank - 1]),
            "z": np.float32(Z),
            "ra": np.float64(150.0),
            "dec": 2.0,
            "-logP": np.float32(100 + rank),
        }
        for rank in (3, 1, 2)
    }
    found[2] |= changes
    return found


def shard(**changes):
    """Columns of a shard of spender's."""
    columns = {"spec": list(galaxies()), "w": list(weights()), "z": [Z] * 3, "norm": [2.0] * 3, "target_id": IDS}
    return {name: values for name, values in (columns | changes).items() if values is not None}


def records(**changes):
    """Records as SPARCL's client returns them, of different lengths."""
    rows = []
    for row, end in enumerate((9000, 9400, 9800)):
        wave = GRID[GRID < end]
        rows.append(
            {
                "sparcl_id": f"0000-{row}",
                "specid": IDS[row],
                "redshift": Z,
                "redshift_warning": 4 * (row == 1),
                "spectype": ["GALAXY", "GALAXY", "QSO"][row],
                "instrument": "DESI",
                "ra": 150.0 + row,
                "dec": 2.0,
                "data_release": "DESI-EDR",
                "wavelength": wave.tolist(),
                "flux": galaxies(1, wave)[0].tolist(),
                "ivar": [25.0] * len(wave),
                "mask": [0] * (len(wave) - 10) + [1] * 10,
            }
            | changes
        )
    return rows


def write_parquet(path, columns):
    """Write a Parquet file of columns or of records."""
    parquet.write_table(pa.table(columns) if isinstance(columns, dict) else pa.Table.from_pylist(columns), path)
    return path


def multimodal(path, **changes):
    """Write an HDF5 file in the layout of the Multimodal Universe."""
    arrays = {
        "spectrum_flux": galaxies(),
        "spectrum_ivar": np.full((3, N), 25, np.float32),
        "spectrum_lambda_min": np.full(3, 3600, np.float32),
        "spectrum_lambda_max": np.full(3, 9824, np.float32),
        "object_id": np.array(IDS),
        "TARGETID": np.array(IDS),
        "Z": np.full(3, Z),
        "ZWARN": np.array([0, 4, 0]),
        "SPECTYPE": np.array([b"GALAXY", b"GALAXY", b"STAR  "]),
        "OBJTYPE": np.array([b"TGT", b"BAD", b"TGT"]),
        "ra": np.full(3, 150.0),
        "dec": np.full(3, 2.0),
    }
    with h5py.File(path, "w") as file:
        for name, values in (arrays | changes).items():
            if values is not None:
                file[name] = values
    return path


def refused(path, *words):
    """Assert that a file is refused in one line that begins with its name, and has some words."""
    with pytest.raises(SpectrumFileError) as caught:
        read_spectra(path)
    message = str(caught.value)
    assert message.startswith(path.name) and "\n" not in message
    for word in words:
        assert word in message
    return message


@pytest.fixture
def every_layout(tmp_path):
    """One file of each layout."""
    (tmp_path / "outliers.pkl").write_bytes(pickle.dumps(outliers(), protocol=4))
    write_parquet(tmp_path / "train-00000.parquet", shard())
    write_parquet(tmp_path / "sparcl.parquet", records())
    multimodal(tmp_path / "001-of-001.hdf5")
    return sorted(tmp_path.iterdir())


class TestOutlierList:
    @pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
    def test_is_read_by_rank_whatever_the_protocol(self, tmp_path, protocol):
        path = tmp_path / "DESI_EDR_top200_outliers.pkl"
        path.write_bytes(pickle.dumps(outliers(), protocol=protocol))
        spectra = read_spectra(path)
        assert spectra.target_id.tolist() == [str(one) for one in IDS]
        assert spectra.redshift == pytest.approx([Z] * 3)
        assert spectra.ra.tolist() == [150.0] * 3 and spectra.dec.tolist() == [2.0] * 3
        assert set(spectra.problem) == {""} and set(spectra.instrument) == {"DESI"}
        assert "number 2 of the list, -log p 102 there" in spectra.note[1]
        assert spectra.flux * spectra.norm[:, None] == pytest.approx(galaxies(), rel=1e-4, abs=1e-4)

    def test_sky_lines_are_measured_and_their_noise_is_not_known(self, tmp_path):
        weight, flux = weights()[1], galaxies()
        dead = np.flatnonzero(~SKY)[50:60]
        weight[dead] = 0
        flux[1, np.flatnonzero(SKY)[:5]] = 0
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(outliers(flux, weight=weight)))
        spectra = read_spectra(path)
        assert spectra.measured[0].all()
        assert (spectra.ivar[0] > 0).tolist() == (~SKY).tolist()
        assert np.flatnonzero(~spectra.measured[1]).tolist() == sorted([*dead, *np.flatnonzero(SKY)[:5]])
        assert "noise not known on bright sky lines" in spectra.note[0]

    @pytest.mark.parametrize(
        ("found", "words"),
        [
            ([1, 2], "a pickled list"),
            ({}, "a pickled dict"),
            ({"a": {}}, "'a' is not a rank"),
            ({1: 5}, "'1' is not a rank"),
            ({1: {"spectrum": 1}}, "number 1 has no weight"),
            (outliers(spectrum=np.ones(7)), "spectrum of number 2 is (7,); expected 7781"),
            (outliers(weight={"a": 1}), "weight of number 2 is dict"),
            (outliers(target_id=1.5), "lost digits"),
            (outliers(z="far"), "z is not a column of numbers"),
        ],
    )
    def test_what_is_no_list_is_refused(self, tmp_path, found, words):
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(found))
        refused(path, words)

    def test_a_missing_redshift_is_a_problem_of_one_target(self, tmp_path):
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(outliers(z=None)))
        assert read_spectra(path).problem.tolist() == ["", "no redshift: it is nan in x.pkl", ""]
        assert read_spectra(path, redshift={str(IDS[1]): Z}).problem.tolist() == [""] * 3


class Touch:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestHostilePickle:
    @pytest.mark.parametrize("protocol", range(6))
    @pytest.mark.parametrize("name", ["x.pkl", "x.pickle"])
    def test_a_class_is_refused_and_never_called(self, tmp_path, protocol, name):
        touched = tmp_path / "touched"
        content = pickle.dumps({1: Touch(touched)}, protocol)
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "a pickle that calls", "could run code")
        assert not touched.exists()
        pickle.loads(content)  # it would have worked
        assert touched.exists()

    @pytest.mark.parametrize(
        "one",
        [OrderedDict(a=1), np.array(["a"]), np.array([None]), np.datetime64("2020-01-01"), np.random.default_rng()],
    )
    def test_only_numbers_and_plain_values(self, one):
        with pytest.raises(SpectrumFileError, match=r"^x: "):
            load_plain_pickle(pickle.dumps(one), "x")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x80\x04",
            b"\x80\x04\x95",
            b"\x80\x04r\xff\xff\xff\xffN.",  # a memo of 4,294,967,295 places
            b"\x80\x04Nr\xff\xff\xff\xff.",
            b"\x80\x05\x8e" + struct.pack("<Q", 1 << 60) + b"x.",  # bytes that are not there
            b"\x80\x05\x97.",  # a buffer from outside
            b"\x80\x02c__builtin__\neval\n(X\x01\x00\x00\x001tR.",
            b"(i__builtin__\neval\n.",
            b"\x80\x02cnumpy\nndarray\n}\x86b.",  # changes what it may call
            b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
            b"cnumpy.core.multiarray\nscalar\n(NNtR.",
        ],
    )
    def test_damage_and_bombs_are_one_line(self, content):
        with pytest.raises(SpectrumFileError, match=r"^x: .+"):
            load_plain_pickle(content, "x")

    def test_an_array_that_claims_more_than_it_holds(self):
        content = pickle.dumps(np.zeros(4), protocol=2).replace(b"K\x04\x85", b"J\x00\x00\x00\x40\x85")
        with pytest.raises(SpectrumFileError, match="damaged pickle"):
            load_plain_pickle(content, "x")

    @pytest.mark.parametrize("protocol", range(6))
    @pytest.mark.parametrize("kind", ["<f4", ">f8", "i8", "u2", "?"])
    def test_arrays_come_back_as_they_were(self, protocol, kind):
        for array in (
            np.arange(6).reshape(2, 3).astype(kind),
            np.asfortranarray(np.arange(6).reshape(2, 3).astype(kind)),
        ):
            found = array_or_value(load_plain_pickle(pickle.dumps(array, protocol), "x"))
            assert found.dtype == array.dtype
            assert found.tolist() == array.tolist()

    def test_a_pickle_of_torch_names_what_it_calls(self, tmp_path):
        import torch

        path = tmp_path / "DESIchunk1024_0.pkl"
        path.write_bytes(pickle.dumps([torch.ones(3)]))
        refused(path, "torch._utils._rebuild_tensor_v2")


def test_noise_that_means_nothing_is_counted_in_each(tmp_path):
    bad = np.flatnonzero(~SKY)[[100, 200, 300]]
    weight, ivar = weights(), np.full((3, N), 25, np.float32)
    for noise in (weight, ivar):
        noise[1, bad] = np.inf, -1, -1
    record = records()
    record[1]["ivar"][100], record[1]["ivar"][101], record[1]["ivar"][102] = np.inf, -1.0, -1.0
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(outliers(weight=weight[1])))
    for path, name in (
        (tmp_path / "x.pkl", "weight"),
        (write_parquet(tmp_path / "shard.parquet", shard(w=list(weight))), "weight"),
        (write_parquet(tmp_path / "sparcl.parquet", record), "ivar"),
        (multimodal(tmp_path / "x.hdf5", spectrum_ivar=ivar), "ivar"),
    ):
        spectra = read_spectra(path)
        said = f"{path.name}: 1 pixel with infinite {name} and 2 pixels with negative {name}, treated as not measured"
        assert [said in note for note in spectra.note] == [False, True, False]
        assert (spectra.measured[0] & ~spectra.measured[1]).sum() == 3


class TestShards:
    def test_desi(self, tmp_path):
        spectra = read_spectra(write_parquet(tmp_path / "train-00000.parquet", shard()))
        assert spectra.target_id.tolist() == [str(one) for one in IDS]
        assert set(spectra.instrument) == {"DESI"} and set(spectra.problem) == {""}
        assert spectra.norm == pytest.approx([2.0] * 3, rel=0.02)
        assert spectra.measured.all()
        assert (spectra.ivar > 0).tolist() == np.tile(~SKY, (3, 1)).tolist()
        assert spectra.flux * (spectra.norm / 2)[:, None] == pytest.approx(galaxies(), rel=1e-4, abs=1e-4)

    def test_sdss(self, tmp_path):
        wave = 10 ** (3.578 + 1e-4 * np.arange(3921))
        keys = {"plate": [266, 266], "mjd": [51630, 51630], "fiberid": [1, 2]}
        flux = galaxies(2, wave)
        columns = {"spec": list(flux), "w": list(np.full_like(flux, 9)), "z": [Z, np.nan], **keys}
        spectra = read_spectra(write_parquet(tmp_path / "x.parquet", columns))
        assert spectra.target_id.tolist() == ["266-51630-1", "266-51630-2"]
        assert set(spectra.instrument) == {"SDSS"}
        assert spectra.problem.tolist() == ["", "no redshift: it is nan in x.parquet"]
        peak = spectra.wavelength[np.argmax(spectra.flux[0])]
        assert peak == pytest.approx(OXYGEN * (1 + Z), abs=1)
        own = read_spectra(tmp_path / "x.parquet", wavelength=wave)
        assert own.flux[0] * own.norm[0] == pytest.approx(flux[0], rel=1e-4, abs=1e-4)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"w": None}, "expected columns spec and w"),
            ({"target_id": None}, "no identifiers"),
            ({"target_id": [float(one) for one in IDS]}, "lost digits"),
            ({"spec": [np.ones(5)] * 3, "w": [np.ones(5)] * 3}, "spectra of 5 pixels; expected 7781"),
            ({"spec": [np.ones(N), np.ones(4), np.ones(N)]}, "lists of 4 to 7781"),
            ({"w": [np.ones(4)] * 3}, "spec and w have 7781 and 4"),
            ({"spec": [["a"] * 3] * 3}, "is not a list of numbers"),
            ({"spec": [1.0, 2.0, 3.0]}, "is not a list of numbers"),
            ({"z": ["far"] * 3}, "z is not a column of numbers"),
        ],
    )
    def test_what_is_no_shard(self, tmp_path, changes, words):
        refused(write_parquet(tmp_path / "x.parquet", shard(**changes)), words)

    def test_no_rows(self, tmp_path):
        parquet.write_table(pa.table(shard()).slice(0, 0), tmp_path / "x.parquet")
        refused(tmp_path / "x.parquet", "without rows")

    def test_types_of_their_own(self, tmp_path):
        tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(galaxies())
        refused(write_parquet(tmp_path / "x.parquet", shard(spec=tensors)), "spec has a type of its own")

    def test_damage(self, tmp_path):
        content = write_parquet(tmp_path / "x.parquet", shard()).read_bytes()
        for bad in (
            content[:500],
            b"PAR1",
            content[:-20] + b"\xff" * 12 + content[-8:],
            content[:2000] + content[3000:],
        ):
            (tmp_path / "x.parquet").write_bytes(bad)
            refused(tmp_path / "x.parquet")

    def test_a_list_that_is_small_in_the_file_and_huge_in_memory(self, tmp_path):
        one = pa.array([np.zeros(1 << 22, np.float32)] * 2)
        path = write_parquet(tmp_path / "x.parquet", {"spec": one, "w": one, "z": [Z] * 2, "target_id": IDS[:2]})
        assert path.stat().st_size < 1 << 20
        refused(path, "values in 2 rows")


class TestRecords:
    def test_lists_of_different_length(self, tmp_path):
        spectra = read_spectra(write_parquet(tmp_path / "sparcl.parquet", records()))
        assert spectra.target_id.tolist() == [str(one) for one in IDS]
        assert spectra.spectype.tolist() == ["GALAXY", "GALAXY", "QSO"] and spectra.zwarn.tolist() == [0, 4, 0]
        assert spectra.note.tolist() == ["", "ZWARN 4 (SMALL_DELTA_CHI2)", "the survey calls it a QSO"]
        assert set(spectra.instrument) == {"DESI"} and spectra.ra.tolist() == [150, 151, 152]
        last = [GRID[np.flatnonzero(measured)[-1]] for measured in spectra.measured]
        assert last == pytest.approx([8991.2, 9391.2, 9791.2])  # ten masked pixels before each end

    def test_the_mask_of_sdss_speaks_of_fibres(self, tmp_path):
        rows = records(instrument="BOSS")
        for row in rows:
            row["mask"] = [1 << 4] * (len(row["mask"]) - 10) + [1 << 20] * 10
        spectra = read_spectra(write_parquet(tmp_path / "x.parquet", rows))
        assert set(spectra.problem) == {""}
        assert spectra.measured[0].sum() == len(rows[0]["mask"]) - 10

    def test_without_identifiers_of_the_survey(self, tmp_path):
        rows = [{key: value for key, value in row.items() if key not in ("specid", "mask", "ra")} for row in records()]
        spectra = read_spectra(write_parquet(tmp_path / "x.parquet", rows))
        assert spectra.target_id.tolist() == ["0000-0", "0000-1", "0000-2"]
        assert np.isnan(spectra.ra).all()

    def test_nested_as_in_the_multimodal_universe(self, tmp_path):
        rows = [
            {
                "object_id": row["specid"],
                "Z": Z,
                "spectrum": {"flux": row["flux"], "ivar": row["ivar"], "lambda": row["wavelength"]},
            }
            for row in records()
        ]
        spectra = read_spectra(write_parquet(tmp_path / "x.parquet", rows))
        assert spectra.target_id.tolist() == [str(one) for one in IDS] and set(spectra.problem) == {""}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"flux": [1.0, 2.0]}, "lists of different length for target"),
            ({"wavelength": GRID[GRID < 9000][::-1].tolist()}, "does not increase"),
        ],
    )
    def test_what_is_no_record(self, tmp_path, changes, words):
        refused(write_parquet(tmp_path / "x.parquet", [records()[0] | changes, records()[1]]), words)

    def test_a_record_without_wavelengths(self, tmp_path):
        rows = records()
        rows[1]["wavelength"] = None
        refused(
            write_parquet(tmp_path / "x.parquet", rows), f"lists of different length for target {IDS[1]}: wavelength 0"
        )


class TestMultimodal:
    def test_desi(self, tmp_path):
        spectra = read_spectra(multimodal(tmp_path / "x.hdf5"))
        assert spectra.target_id.tolist() == [str(one) for one in IDS]
        assert spectra.spectype.tolist() == ["GALAXY", "GALAXY", "STAR"] and spectra.zwarn.tolist() == [0, 4, 0]
        assert spectra.objtype.tolist() == ["TGT", "BAD", "TGT"]
        assert set(spectra.problem) == {""} and set(spectra.instrument) == {"DESI"}
        assert spectra.flux * spectra.norm[:, None] == pytest.approx(galaxies(), rel=1e-4, abs=1e-4)

    def test_a_mask(self, tmp_path):
        mask = np.zeros((3, N), bool)
        mask[1, 100:200] = True
        spectra = read_spectra(multimodal(tmp_path / "x.hdf5", spectrum_mask=mask))
        assert spectra.measured.sum(axis=1).tolist() == [N, N - 100, N]

    def test_sdss_with_rows_filled_up(self, tmp_path):
        wave = 10 ** (3.58 + 1e-4 * np.arange(3800))
        lam, flux, ivar = np.tile(wave, (3, 1)), galaxies(3, wave), np.full((3, 3800), 9.0)
        lam[1, 3000:], flux[1, 3000:], ivar[1, 3000:] = -1, 7, 0
        plates = {"PLATE": np.full(3, 266), "MJD": np.full(3, 51630), "FIBERID": np.arange(3), "TARGETID": None}
        changes = {"spectrum_flux": flux, "spectrum_ivar": ivar, "spectrum_lambda": lam, **plates}
        path = multimodal(tmp_path / "x.hdf5", spectrum_mask=np.ones((3, 3800), bool), **changes)
        spectra = read_spectra(path)
        assert set(spectra.problem) == {""} and set(spectra.instrument) == {"SDSS"}
        ends = [spectra.wavelength[np.flatnonzero(row)[-1]] for row in spectra.measured]
        assert ends == pytest.approx([wave[-1], wave[2999], wave[-1]], abs=1)

    def test_many_rows_are_read_in_blocks(self, tmp_path):
        n = 600
        path = tmp_path / "x.hdf5"
        with h5py.File(path, "w") as file:
            file["flux"], file["ivar"] = np.tile(galaxies(1), (n, 1)), np.full((n, N), 25, np.float32)
            file["object_id"], file["z"] = np.arange(n) + IDS[0], np.full(n, Z)
        spectra = read_spectra(path)
        assert len(spectra) == n and spectra.target_id[-1] == str(IDS[0] + n - 1)
        assert set(spectra.problem) == {""}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"spectrum_flux": None}, "HDF5 without flux"),
            ({"spectrum_flux": np.ones(5)}, "flux has shape (5,)"),
            ({"spectrum_ivar": np.ones((2, N))}, "ivar has shape (2, 7781)"),
            ({"object_id": np.arange(2), "TARGETID": None}, "object_id has shape (2,)"),
            ({"object_id": np.ones(3), "TARGETID": None}, "lost digits"),
            ({"object_id": None, "TARGETID": None}, "no identifiers"),
            ({"spectrum_lambda": np.arange(5.0)}, "lambda has shape (5,)"),
            ({"spectrum_lambda": np.zeros(N)}, "does not increase"),
            (
                {"spectrum_flux": np.ones((3, 9)), "spectrum_ivar": np.ones((3, 9)), "spectrum_lambda_min": None},
                "no array",
            ),
            ({"spectrum_flux": np.zeros((3, N), complex)}, "of type complex128"),
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path, changes, words):
        refused(multimodal(tmp_path / "x.hdf5", **changes), words)

    @pytest.mark.parametrize("link", [h5py.SoftLink("/TARGETID"), h5py.ExternalLink("other.hdf5", "/flux")])
    def test_links_are_not_followed(self, tmp_path, link):
        multimodal(tmp_path / "other.hdf5")
        refused(multimodal(tmp_path / "x.hdf5", ivar=link, spectrum_ivar=None), "a link to elsewhere")

    def test_arrays_in_other_files_are_not_opened(self, tmp_path):
        secret = tmp_path / "secret"
        secret.write_bytes(galaxies().astype("<f4").tobytes())
        with h5py.File(multimodal(tmp_path / "x.hdf5", spectrum_flux=None), "a") as file:
            file.create_dataset("flux", (3, N), "<f4", external=[(str(secret), 0, 12 * N)])
        refused(tmp_path / "x.hdf5", "kept in another file")
        layout = h5py.VirtualLayout((3, N), "<f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "spectrum_flux", (3, N))
        with h5py.File(multimodal(tmp_path / "y.hdf5", spectrum_flux=None), "a") as file:
            file.create_virtual_dataset("flux", layout)
        refused(tmp_path / "y.hdf5", "kept in another file")

    def test_more_is_claimed_than_there_is(self, tmp_path):
        with h5py.File(tmp_path / "x.hdf5", "w") as file:
            for name in ("flux", "ivar"):
                file.create_dataset(name, (10_000_000, N), "f4", chunks=(1, N))
        assert (tmp_path / "x.hdf5").stat().st_size < 100_000
        refused(tmp_path / "x.hdf5", "claims 296821 MiB in a file of 0 MiB")

    def test_a_group_and_damage(self, tmp_path):
        with h5py.File(multimodal(tmp_path / "x.hdf5", spectrum_flux=None), "a") as file:
            file.create_group("flux")
        refused(tmp_path / "x.hdf5", "flux is a group")
        content = multimodal(tmp_path / "y.hdf5").read_bytes()
        (tmp_path / "y.hdf5").write_bytes(content[: len(content) // 2])
        refused(tmp_path / "y.hdf5", "truncated or damaged HDF5 file")


class TestWhatIsNoSpectrum:
    def test_files_of_numpy(self, tmp_path):
        np.save(tmp_path / "baselines.npy", galaxies())
        refused(tmp_path / "baselines.npy", "an array of NumPy", "--baselines")
        np.savez(tmp_path / "x.npz", flux=galaxies(), valid=1)
        refused(tmp_path / "x.npz", "a NumPy archive (.npz) with flux, valid", "bring")

    def test_zip_archives_say_what_they_are(self, tmp_path):
        import zipfile

        import torch

        torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
        refused(tmp_path / "x.pt", "a file of PyTorch")
        for inside, words in (("[Content_Types].xml", "an Office document"), ("coadd-x.fits", "unpack it first")):
            with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
                archive.writestr(inside, "")
            refused(tmp_path / "x.zip", words)

    def test_real_archives(self, shared_data):
        for path in sorted((shared_data / "desi_normalised").glob("*.npz")):
            refused(path, "a NumPy archive (.npz) with", "bring the survey's FITS files")

    def test_a_catalogue_says_what_to_do(self, tmp_path):
        path = tmp_path / "ranked.csv"
        path.write_text("# made by hand\ntarget_id,-logP\n1,2\n")
        refused(path, "a catalogue of log p", "imo serve FILES --catalogue ranked.csv")


class TestCommandsAndUploads:
    def test_rank_reads_every_layout(self, tmp_path, every_layout):
        for path in every_layout:
            output = tmp_path / "ranked.ecsv"
            done = CliRunner().invoke(rank, [str(path), "-o", str(output), "--device", "cpu"], catch_exceptions=False)
            assert "3 of 3 spectra scored" in done.output, path
            assert sorted(read_catalogue(output)["target_id"]) == [str(one) for one in IDS]

    def test_explain_figure_and_export_read_every_layout(self, tmp_path, every_layout):
        folder = tmp_path / "model"
        folder.mkdir()
        model = write_desi_model(folder)  # narrow, so that it takes no time
        for path in every_layout:
            options = [
                "--model",
                str(model),
                str(path),
                "--target-id",
                str(IDS[2]),
                "--windows",
                "256",
                "--n-baselines",
                "2",
                "--device",
                "cpu",
            ]
            for command, name, more in (
                (explain, "x.ecsv", []),
                (figure, "x.png", ["--methods", "none", "--dpi", "40"]),
                (export, "x.html", []),
            ):
                output = tmp_path / name
                arguments = [*options, *more, "-o", str(output)]
                done = CliRunner().invoke(command, arguments, catch_exceptions=False)
                assert done.exit_code == 0 and output.stat().st_size > 1000, (path, done.output)
                output.unlink()
                if command is explain:
                    made_for = path.suffix in (".pkl", ".parquet") and path.name != "sparcl.parquet"
                    assert ("not what the model was made for: class" in done.output) != made_for

    def test_the_same_spectrum_scores_the_same_in_each(self, tmp_path):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(outliers()))
        write_parquet(tmp_path / "x.parquet", shard())
        multimodal(tmp_path / "x.hdf5", spectrum_lambda_min=None)
        flux = [read_spectra(tmp_path / name).flux for name in ("x.pkl", "x.parquet", "x.hdf5")]
        assert flux[1] == pytest.approx(flux[0], rel=1e-4, abs=1e-4)
        assert flux[2] == pytest.approx(flux[0], rel=1e-4, abs=1e-4)

    def test_a_browser_may_bring_parquet(self, tmp_path):
        for columns in (shard(), records()):
            content = write_parquet(tmp_path / "x.parquet", columns).read_bytes()
            found = read_upload([("mine.parquet", content)], wavelength=GRID)
            assert found.target_id.tolist() == [str(one) for one in IDS]
            assert set(found.source) == {"mine.parquet"} and set(found.problem) == {""}

    def test_and_no_pickles_hdf5_and_archives(self, tmp_path):
        stored = io.BytesIO()
        np.savez(stored, flux=np.ones(3))
        for name, content, words in (
            ("top200.pkl", pickle.dumps(outliers()), "imo serve and imo rank read the authors' list"),
            ("x.hdf5", multimodal(tmp_path / "x.hdf5").read_bytes(), "open it with imo serve"),
            ("x.npz", stored.getvalue(), "a NumPy archive (.npz) with flux"),
        ):
            with pytest.raises(SpectrumFileError, match=f"^{name}: ") as caught:
                read_upload([(name, content)], wavelength=GRID)
            assert words in str(caught.value)


class TestAmongOthers:
    """The same files in folders, beside others, and with redshifts from elsewhere."""

    def test_folders_pass_over_what_has_no_spectra(self, tmp_path):
        (tmp_path / "weights.pkl").write_bytes(pickle.dumps({"a": OrderedDict()}))
        (tmp_path / "words.pickle").write_bytes(pickle.dumps(["a"]))
        write_parquet(tmp_path / "table.parquet", {"a": [1, 2]})
        with h5py.File(tmp_path / "result.nc", "w") as file:
            file["combined"] = np.ones(3)
        np.savez(tmp_path / "x.npz", flux=np.ones(3))
        np.save(tmp_path / "x.npy", np.ones(3))
        (tmp_path / "ranked.csv").write_text("target_id,log_prob\n1,-2\n")
        write_parquet(tmp_path / "shard.parquet", shard())
        found = read_survey(tmp_path)
        assert not found.unreadable and len(found.spectra) == len(IDS)
        assert found.passed_over == {
            "a file of Python objects": 1,
            "a pickle that is no list of outliers": 1,
            "Parquet without spectra": 1,
            "HDF5 without spectra": 1,
            "a NumPy archive (.npz)": 1,
            "an array of NumPy": 1,
            "a catalogue of log p": 1,
        }

    def test_a_browser_is_told_why_one_of_several_is_not_read(self, tmp_path):
        good = write_parquet(tmp_path / "x.parquet", shard()).read_bytes()
        files = [("mine.parquet", good), ("x.hdf5", multimodal(tmp_path / "x.hdf5").read_bytes())]
        found = read_upload(files, wavelength=GRID)
        assert found.problem[:-1].tolist() == [""] * len(IDS)
        assert found.problem[-1].startswith("not read: HDF5 is not read from a browser; open it with imo serve")

    def test_redshifts_of_a_catalogue_come_first(self, tmp_path):
        (tmp_path / "z.csv").write_text(f"target_id,z,spectype\n{IDS[1]},0.3,\n{IDS[2]},0.2,QSO\n")
        file = multimodal(tmp_path / "x.hdf5")
        own, spectra = read_spectra(file), read_spectra(file, redshifts=tmp_path / "z.csv")
        assert spectra.redshift[0] == own.redshift[0] and spectra.redshift[1:].tolist() == [0.3, 0.2]
        assert spectra.spectype.tolist() == [*own.spectype[:2], "QSO"]  # what the catalogue leaves out stays
        assert spectra.note[2].count("QSO") == 1 and "the survey calls it" not in spectra.note[2]
