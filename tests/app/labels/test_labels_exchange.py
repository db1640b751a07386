"""Files of labels: prospect's columns, every digit and character kept, and errors that name file, row and column."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.labels import Inspection, Label, LabelRecord, LabelStore, exchange
from app.labels.exchange import inspections, read_csv, to_csv, to_ecsv, vi_file_name, write_file
from app.labels.records import DEFAULT_CLASSES
from app.labels.vi_columns import COLUMNS, OWN_COLUMNS, VI_COLUMNS, escape_formula, unescape_formula
from app.survey.survey import demo_survey
from imo_engine.errors import ImoError, InputError, SpectrumFileError

PROSPECT = [
    "TARGETID",
    "EXPID",
    "NIGHT",
    "TILEID",
    "Spec_version",
    "Redrock_version",
    "Template_version",
    "Redrock_spectype",
    "Redrock_z",
    "Redrock_deltachi2",
    "VI_scanner",
    "VI_quality",
    "VI_issue",
    "VI_z",
    "VI_spectype",
    "VI_comment",
]
"""As in prospect.utilities.vi_file_fields (prospect 1.2.0 and later)."""

LINES = (
    Inspection(
        "39633345008634465",
        "ann",
        Label("sky residual", 4, "RS", 0.1 + 0.2, "QSO", 'a "quoted", comment; Hα\nsecond line', True),
        expid=12345,
        night=20200703,
        tileid=65432,
        spec_version="0.33.3",
        redrock_version="0.22.2",
        template_version="1.0",
        redrock_spectype="GALAXY",
        redrock_z=0.22000000000000003,
        redrock_deltachi2=1234.5,
        rank=1,
        log_prob=-1234.5678901234567,
    ),
    Inspection("9007199254740993", "ann", Label(quality=0, comment="=1+1"), redrock_z=-0.0003, rank=2, log_prob=-2.0),
    Inspection("-17", "@bob", Label(comment="-1", star=True)),
)


def cells(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_the_columns_are_prospects_then_ours():
    assert list(VI_COLUMNS) == PROSPECT
    assert list(COLUMNS) == PROSPECT + list(OWN_COLUMNS)
    assert OWN_COLUMNS == ("IMO_class", "IMO_star", "IMO_rank", "IMO_log_prob")


def test_what_is_written():
    first, second, third = cells(to_csv(LINES))
    assert first["TARGETID"] == "39633345008634465" and first["VI_z"] == "0.30000000000000004"
    assert first["IMO_log_prob"] == "-1234.5678901234567" and first["VI_issue"] == "RS"
    assert (second["VI_comment"], second["Redrock_z"], second["IMO_star"]) == ("'=1+1", "-0.0003", "0")
    missing = {"EXPID": "-1", "Spec_version": "-1", "Redrock_z": "-1", "VI_quality": "-1", "VI_z": "", "VI_issue": ""}
    assert third.items() >= missing.items()
    assert (third["TARGETID"], third["VI_scanner"], third["VI_comment"]) == ("-17", "'@bob", "-1")
    assert (third["IMO_rank"], third["IMO_log_prob"], third["IMO_class"]) == ("", "", "")


def test_desis_merge_scripts_find_what_they_need(tmp_path):
    """They read with these options, average VI_quality, and put redrock's values where the inspector gave none."""
    path = tmp_path / vi_file_name("tile 80605", "ann")
    other = Inspection(LINES[0].target_id, "bob", Label(quality=2, comment="really?"), redrock_z=0.22)
    write_file(path, to_csv([*LINES, other]))
    vi = pd.read_csv(path, delimiter=",", engine="python", keep_default_na=False)
    assert list(vi.columns) == list(COLUMNS)
    assert vi["TARGETID"].tolist() == [39633345008634465, 9007199254740993, -17, 39633345008634465]
    assert vi["VI_quality"].dtype == np.int64
    assert vi.groupby("TARGETID")["VI_quality"].transform("mean").tolist() == [3, 0, -1, 3]
    best_z = vi["VI_z"].where(vi["VI_z"] != "", vi["Redrock_z"]).astype(float)
    assert best_z.tolist() == [0.1 + 0.2, -0.0003, -1, 0.22]
    assert vi["VI_comment"][0] == LINES[0].label.comment
    assert set("".join(vi["VI_issue"])) <= set("RCS")
    explicit = pd.read_csv(path, dtype={"TARGETID": str, "VI_comment": str, "VI_z": float, "IMO_rank": "Int64"})
    assert explicit["TARGETID"][0] == "39633345008634465" and explicit["VI_z"][0] == 0.1 + 0.2


def test_files_of_prospect_are_read(tmp_path):
    path = tmp_path / "desi-vi_tile.csv"
    header = [name for name in PROSPECT if name != "Redrock_deltachi2"]  # as before 1.2.0
    rows = [
        '39633345008634465,12345,20200703,65432,0.33.3,0.22.2,1.0,GALAXY,0.22,Desi Arnaz,1,R,0.23,QSO,"one, two"',
        "987654321,-1,-1,-1,-1,-1,-1,STAR,0.0003, ,-1,,,,Blazar?",
    ]
    path.write_text("\n".join([",".join(header), *rows, ""]), encoding="utf-8-sig")
    first, second = read_csv(path, scanner="lucy")
    assert (first.target_id, first.scanner, first.redrock_z, first.night) == (
        "39633345008634465",
        "Desi Arnaz",
        0.22,
        20200703,
    )
    assert first.label == Label("", 1, "R", 0.23, "QSO", "one, two")
    assert (second.scanner, second.label) == ("lucy", Label(comment="Blazar?"))
    with pytest.raises(SpectrumFileError, match="row 3, column VI_scanner: 'scanner' is ''"):
        read_csv(path)


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
tricky = st.sampled_from("=+-@'\t\r\n, \"").flatmap(lambda first: names.map(lambda rest: first + rest))
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | tricky
finite = st.none() | st.floats(allow_nan=False, allow_infinity=False)
lines = st.builds(
    Inspection,
    target_id=st.integers(-(2**63), 2**63 - 1).map(str) | names.filter(lambda t: not re.match(r"[+-]?\d.*[eE.]", t)),
    scanner=names | tricky.map(str.strip).filter(bool),
    label=st.builds(
        Label,
        label_class=st.just("") | names | st.sampled_from(["=cmd|' /C calc'!A0", "'=x", "''+1", "-", "-1"]),
        quality=st.none() | st.integers(0, 4),
        issues=st.text("RCS"),
        redshift=st.none() | st.floats(-1, 20, exclude_min=True),
        spectype=st.sampled_from(["", "STAR", "GALAXY", "QSO"]),
        comment=texts,
        star=st.booleans(),
    ),
    expid=st.integers(-1, 10**12),
    night=st.integers(-1, 10**8),
    tileid=st.integers(-1, 10**6),
    spec_version=st.just("-1") | names,
    redrock_spectype=st.just("") | names,
    redrock_z=finite,
    redrock_deltachi2=finite,
    rank=st.none() | st.integers(1, 10**9),
    log_prob=finite,
)
files = st.lists(lines, max_size=5, unique_by=lambda line: (line.scanner, line.target_id)).map(tuple)


@settings(max_examples=200, deadline=None)
@given(files)
def test_a_csv_file_comes_back_exactly(written):
    data = to_csv(written)
    read = read_csv(data)
    assert repr(read) == repr(written)  # 0.0 == -0.0
    assert to_csv(read) == data
    for row in cells(data):
        for column, cell in row.items():
            number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell)
            assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), (column, cell)


@pytest.mark.parametrize(
    "comment", ["a\rb", "\r", "a\nb\r\nc", '"', "'=x", "''", " ", "=1", "\t@", "\uff1d1", "-1e5", "é\u2028\x85"]
)
def test_awkward_comments_come_back(comment):
    (read,) = read_csv(to_csv([Inspection("1", "ann", Label(comment=comment))]))
    assert read.label.comment == comment


@given(st.text("'=+-@\t1.e x") | texts)
def test_escaping_can_be_undone(text):
    assert unescape_formula(escape_formula(text)) == text


def test_an_ecsv_line_cannot_begin_as_a_comment():
    with pytest.raises(InputError, match="'#1' cannot be written as ECSV"):
        to_ecsv([Inspection("#1", "ann", Label())], model="m", data="d")


@settings(max_examples=30, deadline=None)
@given(files)
def test_an_ecsv_table_comes_back_exactly(written):
    assume(not any(line.target_id.startswith("#") for line in written))
    table = Table.read(to_ecsv(written, model="m (abc)", data="d").decode(), format="ascii.ecsv")
    assert len(table) == len(written) and table.colnames == list(COLUMNS)
    for row, line in zip(table, written, strict=True):

        def cell(name, row=row, otherwise=None):
            return otherwise if np.ma.is_masked(row[name]) else row[name]

        label = line.label
        assert cell("TARGETID") == line.target_id
        assert (cell("VI_scanner"), cell("IMO_class", otherwise="")) == (line.scanner, label.label_class)
        assert (cell("VI_comment"), bool(cell("IMO_star"))) == (label.comment, label.star)
        assert (cell("VI_quality"), cell("VI_z")) == (label.quality, label.redshift)
        assert (cell("Redrock_z"), cell("IMO_log_prob"), cell("IMO_rank")) == (line.redrock_z, line.log_prob, line.rank)


def test_an_ecsv_table_says_what_made_it(tmp_path):
    path = tmp_path / "labels.ecsv"
    write_file(path, to_ecsv(LINES, model="simulated (0123abcd)", data="Simulated demo survey, 10000 spectra"))
    table = Table.read(path)
    assert table["TARGETID"].dtype.kind == "U" and table["TARGETID"][1] == "9007199254740993"
    assert (table.meta["model"], table.meta["data"]) == ("simulated (0123abcd)", "Simulated demo survey, 10000 spectra")
    assert {"imo-explorer", "python", "numpy", "astropy", "sqlalchemy"} <= table.meta["software"].keys()
    assert re.match(r"\d{4}-\d\d-\d\dT", table.meta["written"])
    assert set(table.meta["VI_quality"]) == set("01234") and set(table.meta["VI_issue"]) == set("RCS")
    assert table["IMO_log_prob"].unit == "nat"


HEADER = ",".join(COLUMNS)
GOOD = dict(
    zip(COLUMNS, ["1", *["-1"] * 6, "", "-1", "-1", "ann", "4", "", "", "", "", "star", "0", "1", "-2"], strict=True)
)


def one_row(**changed):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerow(GOOD)
    writer.writerow({**GOOD, "TARGETID": "2", **changed})
    return text.getvalue().encode()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("TARGETID", "", "'target_id' is ''; expected 1 to 200 characters"),
        ("TARGETID", "3.96333E+16", "'3.96333E+16' where an identifier with all its digits"),
        ("TARGETID", "39633345008634464.0", "'39633345008634464.0' where an identifier with all its digits"),
        ("TARGETID", "x" * 201, "'target_id' is"),
        ("EXPID", "twelve", "'twelve' where an integer was expected"),
        ("NIGHT", "1e30", "'1e30' where an integer was expected"),
        ("Redrock_z", "0,2", "'0,2' where a number was expected"),
        ("Redrock_z", "nan", "'nan' where a number was expected"),
        ("Redrock_deltachi2", "1e999", "'redrock_deltachi2' is inf"),
        ("VI_quality", "5", "'quality' is 5; expected 0 to 4"),
        ("VI_quality", "3.5", "'3.5' where an integer was expected"),
        ("VI_quality", "١", "where an integer was expected"),
        ("VI_issue", "RZ", "'issues' is 'RZ'; expected letters of RCS"),
        ("VI_z", "high", "'high' where a number was expected"),
        ("VI_z", "-1", "'redshift' is -1.0"),
        ("VI_spectype", "NOVA", "'spectype' is 'NOVA'; expected one of"),
        ("VI_comment", "x" * 4001, "'comment' has 4001 characters"),
        ("VI_comment", "a\0b", "'comment'"),
        ("IMO_class", "a\nb", "'label_class' is"),
        ("IMO_star", "yes", "'yes' where 1 or 0 was expected"),
        ("IMO_rank", "first", "'first' where an integer was expected"),
        ("TARGETID", "1", "1 by ann is in row 2 already"),
    ],
)
def test_errors_name_file_row_and_column(column, value, message):
    with pytest.raises(SpectrumFileError) as caught:
        read_csv(one_row(**{column: value}), name="theirs.csv")
    assert str(caught.value).startswith(f"theirs.csv: row 3, column {column}: ")
    assert message in str(caught.value) and len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "row 1: column TARGETID, VI_scanner, VI_quality, .* is missing; expected prospect's columns"),
        (b"\xff\xfe\0", "byte 0 is not UTF-8 text"),
        (HEADER.encode() + b"\n1,2\n", "row 2: 2 cells, the header has 20"),
        (HEADER.encode() + b",VI_z\n", "row 1: column VI_z is there twice"),
        ((HEADER + ",x" * 60).encode(), "80 columns; at most 64 are read"),
        (HEADER.encode() + b'\n"1,2\n3,4', "near row 2: not CSV: unexpected end of data"),
        (HEADER.encode() + b"\n" + b"x" * 200_000, "near row 2: not CSV: field larger than field limit"),
        (b"TARGETID,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype\n", "row 1: column VI_comment is missing"),
    ],
)
def test_files_that_are_something_else(data, message):
    with pytest.raises(SpectrumFileError, match=f"^upload: {message}"):
        read_csv(data)


def test_sizes_are_limited(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    path.write_bytes(to_csv(LINES))
    assert read_csv(path) == LINES
    monkeypatch.setattr(exchange, "MAX_ROWS", 2)
    with pytest.raises(SpectrumFileError, match="labels.csv: more than 2 rows"):
        read_csv(path)
    monkeypatch.setattr(exchange, "MAX_BYTES", 100)
    for source in (path, path.read_bytes()):
        with pytest.raises(SpectrumFileError, match="larger than 0 MB"):
            read_csv(source)
    with pytest.raises(SpectrumFileError, match="nothing.csv: cannot be read: No such file"):
        read_csv(tmp_path / "nothing.csv")


def test_columns_of_others_and_blank_lines_are_passed_over():
    header, *rows = to_csv(LINES[1:]).decode().splitlines()
    data = "\n".join([f"{header},remark", "", *(f"{row},mine" for row in rows)])
    assert read_csv(data.encode()) == LINES[1:]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "labels.csv"
    write_file(path, b"before")
    with pytest.raises(ImoError, match="labels.csv: cannot be written: No such file or directory"):
        write_file(tmp_path / "nowhere" / "labels.csv", b"x")
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.csv"]


def test_from_one_store_to_another(tmp_path):
    """All labels of one database, through a file, are the labels of the other."""
    with LabelStore(tmp_path / "mine.sqlite") as mine, LabelStore(tmp_path / "theirs.sqlite") as theirs:
        mine.classes.add("=lens")
        for number, (name, _) in enumerate([*DEFAULT_CLASSES[:3], ("=lens", "")]):
            label = Label(name, number, comment=f"-{name}\r\n<b>", star=number == 1)
            mine.save(str(2**60 + number), label, scanner="ann", client_id=name, expected_version=0)
        path = tmp_path / "labels.csv"
        write_file(path, to_csv(inspections(mine.labels("ann").values())))
        summary = theirs.import_labels(read_csv(path), client_id="import")
        assert (summary.added, summary.new_classes) == (4, ("=lens",))
        expected = {target: record.label for target, record in mine.labels("ann").items()}
        assert {target: record.label for target, record in theirs.labels("ann").items()} == expected


def test_labels_get_the_numbers_of_their_survey():
    survey = demo_survey()
    best = survey.order()[0]
    target = str(survey.spectra.target_id[best])
    records = [
        LabelRecord("elsewhere", "ann", Label("star"), 1),
        LabelRecord(str(survey.spectra.target_id[survey.order()[3]]), "ann", Label("star"), 1),
        LabelRecord(target, "ann", Label("merger"), 1),
        LabelRecord("taken back", "ann", Label(), 2),
    ]
    first, second, third = inspections(records, survey)
    assert (first.target_id, first.rank) == (target, 1)
    assert (first.log_prob, first.redrock_z) == (survey.log_prob[best], survey.spectra.redshift[best])
    assert second.rank > 1
    assert (third.target_id, third.rank, third.log_prob, third.redrock_z) == ("elsewhere", None, None, None)


def test_file_names_are_harmless():
    assert vi_file_name("../../etc", "a\nb<c>") == "desi-vi_etc_a-b-c.csv"
    assert Path(vi_file_name("..", "/")).name == "desi-vi__.csv"
