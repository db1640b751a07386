"""Files that people brought, through the dialog *Add spectrum* of a real Chromium, and a folder with a bad one."""

import pytest
from helpers.browser import chromium, serving, visit, write_desi_model
from helpers.fits_files import write_sdss

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of a folder with a good file, a bad one and one of another kind."""
    folder = tmp_path_factory.mktemp("cases-page")
    survey = folder / "survey" / "deep"
    survey.mkdir(parents=True)
    content = write_sdss(survey / "galaxy.fits").read_bytes()
    write_sdss(survey / "other.fits", z=0.06, header={"FIBERID": 8})
    (survey / "bad.fits").write_bytes(content[:9000])
    (survey / "notes.md").write_text("about them\n")
    write_desi_model(folder)
    arguments = [
        folder / "survey", "--model", folder / "narrow.safetensors", "--device", "cpu", "--n-baselines", 2,
        "--windows", "256,64", "--labels", folder / "labels.sqlite", "--user", "ann", "--cache", folder / "cache",
    ]  # fmt: skip
    with chromium() as browser, serving(*arguments, threads=1) as server:
        seen = visit(browser, server.url)
        yield seen
        seen.page.close()


def add(page, *files):
    """Choose files, (name, content) each or paths, in the dialog and return what it says when it is done."""
    seen = page.page
    seen.get_by_role("button", name="Add spectrum").click()
    field = seen.locator('input[type="file"]').first
    field.wait_for(state="attached")
    field.set_input_files(
        [
            {"name": file[0], "mimeType": "application/octet-stream", "buffer": file[1]}
            if isinstance(file, tuple)
            else file
            for file in files
        ]
    )
    done = seen.locator('[data-intake="done"], [data-intake="failed"], [data-intake="redshift"]')
    done.wait_for()
    text = done.inner_text()
    seen.get_by_role("button", name="Close").click()
    return text


def test_what_was_passed_over_and_lost_is_said(page):
    seen = page.page
    note = seen.locator('[role="note"]', has_text="passed over")
    note.wait_for()
    assert note.inner_text() == "1 file passed over: 1 text with other columns; bad.fits cannot be read"
    assert seen.locator(".tabulator-row").count() == 3


@pytest.mark.parametrize(
    "case",
    ["sdss_half_flagged/spec-0001-50000-0001.fits", "text/excel.csv", "text/without_noise.csv", "text/tab.tsv"],
)
def test_a_case_is_scored(page, cases, case):
    assert "would be rank" in add(page, cases / case)


def test_a_coadd_with_its_table_inside(page, cases):
    assert "would be rank" in add(page, cases / "desi_redshifts_inside" / "coadd-x.fits")


def test_good_ones_are_added_and_the_reason_of_the_bad_one_is_told(page, tmp_path):
    good = write_sdss(tmp_path / "mine.fits", z=0.07, header={"FIBERID": 9}).read_bytes()
    text = add(page, ("mine.fits", good), ("broken.fits", good[:9000]))
    assert "would be rank" in text and "broken.fits not read: " in text and "truncated" in text


def test_what_is_of_no_kind_says_the_way_out(page):
    assert "neither a FITS file nor a text table but a damaged zip archive" in add(
        page, ("x.docx", b"PK\x03\x04" + bytes(50))
    )
