"""CSV files are read with every cell in a known column, or refused with one error."""

from pathlib import Path
from unicodedata import normalize

import pytest

from wsseg.data.csv_table import column_names, parse_columns, read_csv_table
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
        ("", "is empty. Its first line must contain the names of the columns: case, image, tag"),
        ("case|image\na|b\n", "unknown column 'case|image'"),
        ("case,imag\na,b\n", "unknown column 'imag'.*image"),
        ("case,tag.\na,b\n", "unknown column 'tag.'"),
        ("case,case\na,b\n", "the column 'case' appears twice"),
        (
            "case;image\na;b;c\n",
            "there are 3 cells, but the header has 2. Put cells that contain ';'",
        ),
        ("image\nb\n", "no column is called 'case'; the columns are: image"),
        ("case,image\na\n", "line 2: there are 1 cells, but the header has 2"),
        ('case,image\n"a,b\n', "cannot be read as CSV"),
    ],
)
def test_an_invalid_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_csv_table(write(tmp_path, text), COLUMNS, ("case",))
    assert str(caught.value).startswith(str(tmp_path / "table.csv"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_tables_saved_by_spreadsheets_are_read(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    path = tmp_path / "table.csv"
    lines = (("case", "image"), ("Müller", '"a,b;c\td"'), ("Größe", ""))
    path.write_bytes("\r\n".join(map(separator.join, lines)).encode(encoding))
    table = read_csv_table(path, COLUMNS, ("case",))
    assert [dict(row.cells) for row in table.rows] == [
        {"case": "Müller", "image": "a,b;c\td"},
        {"case": "Größe", "image": ""},
    ]


def test_separators_in_quotes_do_not_separate_columns(tmp_path: Path) -> None:
    path = write(tmp_path, '"a;b;c;d",case\n1,2\n')
    assert read_csv_table(path, ("*",), ("case",)).columns == ("a;b;c;d", "case")


@pytest.mark.parametrize("stated", ["sep=;", '"sep=;"', "sep=|", "sep=\t"])
def test_a_separator_stated_for_excel_is_used(tmp_path: Path, stated: str) -> None:
    separator = stated.strip('"')[-1]
    rows = (("case", "image"), ("a", "1,5,2"))
    path = write(tmp_path, "\r\n".join((stated, *map(separator.join, rows))))
    table = read_csv_table(path, COLUMNS, ("case",))
    assert column_names(path) == ["case", "image"]
    assert [dict(row.cells) for row in table.rows] == [{"case": "a", "image": "1,5,2"}]
    assert table.rows[0].line == 3


@pytest.mark.parametrize(
    ("separator", "cell", "number"),
    [
        (";", "0,5", "0.5"),
        ("\t", "-1,5e-3", "-1.5e-3"),
        (";", "0.5", "0.5"),
        (";", "1.234,5", "1.234,5"),  # no number: refused where it is needed
        (",", '"1,234"', "1,234"),  # 1234 in English
    ],
)
def test_numbers_have_decimal_commas_unless_commas_separate_columns(
    tmp_path: Path, separator: str, cell: str, number: str
) -> None:
    path = write(tmp_path, f"case{separator}dice\na{separator}{cell}\n")
    (row,) = read_csv_table(path, ("*",), ()).rows
    assert row.number("dice") == number


def test_a_workbook_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"PK\x03\x04\x14\x00")
    with pytest.raises(
        InputError, match=r"this is a workbook, not a CSV file\. Save it as CSV \(UTF-8\)"
    ):
        read_csv_table(path, COLUMNS, ())


def test_columns_are_renamed_and_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "Fall-Nr;Bild;Alter\na;x.nii;51\n")
    renamed = parse_columns(["Fall-Nr=case,Bild=image", "Alter="])
    table = read_csv_table(path, COLUMNS, ("case",), renamed)
    assert table.columns == ("case", "image")
    assert dict(table.rows[0].cells) == {"case": "a", "image": "x.nii"}
    with pytest.raises(
        InputError, match=r"'Fal-Nr', so it cannot be renamed;.*Did you mean 'Fall-Nr'"
    ):
        read_csv_table(path, COLUMNS, (), {"Fal-Nr": "case"})
    with pytest.raises(InputError, match="the column 'case' appears twice"):
        read_csv_table(path, COLUMNS, (), {**renamed, "Bild": "case"})


def test_a_column_is_renamed_whatever_the_unicode_form_of_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, f"{normalize('NFD', 'Prüfung')},case\nx,a\n")
    assert read_csv_table(path, COLUMNS, (), {"Prüfung": "image"}).columns == ("image", "case")


@pytest.mark.parametrize("words", [["Pat-ID"], ["=patient"], ["a=b,a=c"], ["a=b,"]])
def test_an_invalid_renaming_is_refused_with_an_example(words: list[str]) -> None:
    with pytest.raises(InputError, match="--columns Pat-ID=patient,Befund=report"):
        parse_columns(words)
