"""Stars, quasars and more that people bring: the cases kept beside the repository, as they come."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.survey.candidates import score_candidates
from app.survey.survey import demo_survey, survey_of_files
from app.survey.uploads import read_upload
from imo_engine.bundle.loading import load_model
from imo_engine.commands.rank import rank
from imo_engine.ranking.ranking import read_catalogue

REASONS = {
    "desi_star": "class STAR: the model was made for galaxies",
    "desi_quasar": "class QSO: the model was made for galaxies",
    "desi_zero": "redshift 0 is outside the model's training, 0.02 to 0.6",
    "desi_beyond": "redshift 0.75 is outside the model's training, 0.02 to 0.6",
    "desi_objtype_BAD": "not a target: OBJTYPE is BAD",
    "desi_objtype_NON": "not a target: OBJTYPE is NON",
    "desi_objtype_empty": "not a target: OBJTYPE is blank",
}
TARGET = "39633345008634465"


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Folder of the cases, made anew; skipped where what makes them is absent."""
    maker = Path(__file__).parents[4] / "shared" / "cases" / "make_cases.py"
    if not maker.is_file():
        pytest.skip("../shared/cases is not on this machine")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, str(maker), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def model():
    return load_model(None, None, None, "cpu")


@pytest.mark.parametrize("case", REASONS)
def test_by_command(cases, tmp_path, case):
    output = tmp_path / "ranked.ecsv"
    arguments = [str(cases / case / "coadd-x.fits"), "-o", str(output), "--device", "cpu"]
    done = CliRunner().invoke(rank, arguments, catch_exceptions=False)
    assert f"not ranked: target {TARGET} (coadd-x.fits), log p " in done.output
    assert done.output.strip().endswith(REASONS[case])
    (row,) = read_catalogue(output)
    assert row["not_ranked"] == REASONS[case] and not row["rank"] and row["log_prob"] < 0
    CliRunner().invoke(rank, [*arguments, "--rank-all"], catch_exceptions=False)
    (row,) = read_catalogue(output)
    assert row["rank"] == 1 and REASONS[case] in row["note"]


@pytest.mark.parametrize("case", REASONS)
def test_in_the_survey(cases, model, case):
    survey = survey_of_files([cases / case / "coadd-x.fits"], model, lambda spectra: None)
    assert survey.size == 0 and survey.why_not_ranked(0) == REASONS[case]


@pytest.mark.parametrize("case", ["desi_star", "desi_beyond", "desi_objtype_BAD"])
def test_uploaded_to_the_demo(cases, case):
    files = [(path.name, path.read_bytes()) for path in sorted((cases / case).iterdir())]
    survey = demo_survey(device="cpu")
    model, _ = survey.engine.get()
    (one,) = score_candidates(read_upload(files, wavelength=model.wavelength), survey)
    assert one.rank is None and one.not_ranked == REASONS[case]
