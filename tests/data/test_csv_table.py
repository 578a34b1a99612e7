"""CSV files are read with every cell in a known column, or refused with one error."""

from pathlib import Path

import pytest

from wsseg.data.csv_table import read_csv_table
from wsseg.errors import InputError

COLUMNS = ("case", "image", "tag.*")


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_cells_lose_their_spaces_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    table = read_csv_table(
        write(tmp_path, " case , image\n\n a b ,x.nii \n,\n"), COLUMNS, ("case",)
    )
    assert table.columns == ("case", "image")
    assert [dict(row.cells) for row in table.rows] == [{"case": "a b", "image": "x.nii"}]


def test_a_row_names_its_line_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'case,image\n\n"a\nb",x\nc,y\n')
    rows = read_csv_table(path, COLUMNS, ()).rows
    assert [row.place for row in rows] == [f"{path}, line 4", f"{path}, line 5"]


def test_columns_with_a_prefix_are_returned_by_name(tmp_path: Path) -> None:
    (row,) = read_csv_table(write(tmp_path, "case,tag.x,tag.y\na,1,\n"), COLUMNS, ()).rows
    assert row.with_prefix("tag") == {"x": "1", "y": ""}
    assert row.get("image") == ""


def test_empty_cells_after_the_last_column_are_ignored(tmp_path: Path) -> None:
    table = read_csv_table(write(tmp_path, "case,image,,\na,x,,,\n"), COLUMNS, ())
    assert [list(row.cells.values()) for row in table.rows] == [["a", "x"]]


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    table = read_csv_table(write(tmp_path, "case,anything\n"), ("*",), ("case",))
    assert (table.columns, table.rows) == (("case", "anything"), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty. Its first line must name its columns: case, image, tag"),
        ("case;image\na;b\n", "separated by ';'. Separate them by commas"),
        ("case,imag\na,b\n", "unknown column 'imag'.*image"),
        ("case,tag.\na,b\n", "unknown column 'tag.'"),
        ("case,case\na,b\n", "has the column 'case' twice"),
        ("image\nb\n", "has no column 'case'; its columns: image"),
        ("case,image\na\n", "line 2: has 1 cells, but the header has 2"),
        ('case,image\n"a,b\n', "cannot be read as CSV in UTF-8"),
    ],
)
def test_an_invalid_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_csv_table(write(tmp_path, text), COLUMNS, ("case",))
    assert str(caught.value).startswith(str(tmp_path / "table.csv"))
