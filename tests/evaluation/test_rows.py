import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows, warnings_by_case, write_rows

ROWS: list[dict[str, object]] = [
    {"dice": 0.1 + 0.2, "case": "007", "method": "phi2", "seed": 0, "tag.consolidation": True},
    {
        "dice": math.nan,
        "case": "1e5",
        "method": "phi2",
        "seed": 0,
        "patient": "NA",
        "tag.consolidation": None,
        "hd95_mm": np.float32(2.5),
    },
]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    frame = read_rows(tmp_path / "rows.csv")
    assert frame["case"].tolist() == ["007", "1e5"]
    assert frame["patient"].tolist() == ["", "NA"]
    assert frame["dice"].tolist() == pytest.approx([0.1 + 0.2, math.nan], abs=0, nan_ok=True)
    assert frame["hd95_mm"].tolist() == pytest.approx([math.nan, 2.5], nan_ok=True)
    assert frame["tag.consolidation"].tolist() == pytest.approx([1, math.nan], nan_ok=True)
    assert frame["seed"].dtype.kind == "i"


def test_rows_saved_by_a_spreadsheet_with_decimal_commas_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("case;seed;dice\na;1;0,25\nb;1;\n")
    frame = read_rows(tmp_path / "rows.csv")
    assert frame["dice"].tolist() == pytest.approx([0.25, math.nan], nan_ok=True)
    (tmp_path / "rows.csv").write_text('case,dice\na,"0,25"\n')
    with pytest.raises(InputError, match="'0,25' is not a finite number"):
        read_rows(tmp_path / "rows.csv")


def test_warnings_about_scans_are_text_and_are_listed_once_per_case(tmp_path: Path) -> None:
    rows = [
        {
            "method": method,
            "case": case,
            "dice": 0.5,
            **({"warnings": "odd"} if case == "b" else {}),
        }
        for method in ("phi1", "phi2")
        for case in "ab"
    ]
    write_rows(tmp_path / "rows.csv", rows)
    assert warnings_by_case(read_rows(tmp_path / "rows.csv")) == {"b": "odd"}
    write_rows(tmp_path / "rows.csv", rows[:1])
    assert warnings_by_case(read_rows(tmp_path / "rows.csv")) == {}


def test_columns_start_with_method_seed_case_and_patient_then_tags(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    header = (tmp_path / "rows.csv").read_text().splitlines()[0]
    assert header == "method,seed,case,patient,tag.consolidation,dice,hd95_mm"


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r")).map(str.strip),
            st.floats(allow_infinity=False),
        ),
        unique_by=lambda row: row[0],
        max_size=5,
    ).map(lambda rows: [row for row in rows if row[0]])
)
@settings(max_examples=50)
def test_any_name_and_any_number_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_rows(path, [{"case": name, "dice": number} for name, number in pairs] or [{"case": "a"}])
    frame = read_rows(path)
    if pairs:
        assert frame["case"].tolist() == [name for name, _ in pairs]
        assert frame["dice"].tolist() == pytest.approx([x for _, x in pairs], abs=0, nan_ok=True)


def test_a_table_of_cases_and_numbers_gets_a_default_method_seed_fold_and_patient(
    tmp_path: Path,
) -> None:
    (tmp_path / "rows.csv").write_text("case,severity\nA,0.5\n")
    row = read_rows(tmp_path / "rows.csv").iloc[0]
    assert (row["method"], row["seed"], row["fold"], row["patient"]) == ("", 0, "", "A")


def test_a_table_without_rows_is_read_as_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("method,case,dice\n")
    assert read_rows(tmp_path / "rows.csv").empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must contain the names of the columns: case"),
        (b"method,dice\na,1\n", "no column is called 'case'"),
        (b"case,dice,dice\na,1,2\n", "the column 'dice' appears twice"),
        (b"case,dice\na,good\n", "line 2, column 'dice': 'good' is not a finite number"),
        (b"case,dice\na,inf\n", "not a finite number"),
        (b"case,dice\na,1\nb,1,2\n", "line 3: there are 3 cells, but the header has 2"),
        (b"case,seed\na,first\n", "column 'seed': 'first' is not an integer"),
        (
            b"case,dice\na,1\na,2\n",
            "several rows have the same method, seed, fold and case: method",
        ),
        (b"\xff\xfe\x00case", "cannot be read"),
        (b'case,dice\n"a,1\n', "cannot be read"),
    ],
)
def test_a_file_that_is_not_a_table_of_rows_is_an_input_error_of_three_lines_at_most(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(path)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.csv: file not found"):
        read_rows(tmp_path / "rows.csv")


def test_rows_that_cannot_be_written_leave_the_old_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, ROWS)
    before = path.read_bytes()

    class Unwritable:
        def __str__(self) -> str:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_rows(path, [*ROWS, {"case": Unwritable()}])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_all_columns_except_the_identity_are_floats(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    frame = read_rows(tmp_path / "rows.csv")
    assert all(frame[name].dtype == float for name in ("dice", "hd95_mm", "tag.consolidation"))


def test_columns_of_runs_are_text_after_all_numbers(tmp_path: Path) -> None:
    row = {"method": "em", "case": "a", "run.threads": "02", "run.commit": "0123", "dice": 0.5}
    write_rows(tmp_path / "rows.csv", [row, {"method": "em", "case": "b", "dice": 1}])
    assert (tmp_path / "rows.csv").read_text().splitlines() == [
        "method,case,dice,run.commit,run.threads",
        "em,a,0.5,0123,02",
        "em,b,1,,",
    ]
    frame = read_rows(tmp_path / "rows.csv")
    assert frame["run.commit"].tolist() == ["0123", ""]
    assert "run.health" not in frame
