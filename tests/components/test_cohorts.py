import json
from pathlib import Path
from typing import Literal, TypeAlias
from unicodedata import normalize

import pytest
from pydantic import ValidationError

from wsseg.components.cohorts import Table
from wsseg.core.weak_labels import Box, ScribbleValues
from wsseg.errors import InputError

Form: TypeAlias = Literal["NFC", "NFD"]


def table(folder: Path, text: str, slices: str | None = None, encoding: str = "utf-8") -> Table:
    for name in ("a.nii.gz", "b.nii.gz", "m.nii.gz"):
        (folder / name).touch()
    (folder / "cohort.csv").write_text(text, encoding=encoding)
    if slices is not None:
        (folder / "slices.csv").write_text(slices)
    return Table(path=folder / "cohort.csv")


def refused(folder: Path, text: str, message: str, slices: str | None = None) -> None:
    with pytest.raises(InputError, match=message) as caught:
        table(folder, text, slices).cases()
    assert len(str(caught.value).splitlines()) <= 3
    assert str(folder) in str(caught.value)


def test_a_row_becomes_a_case_with_its_files_and_tags(tmp_path: Path) -> None:
    columns = "case,patient,site,split,image,mask.lung,mask.infection,tag.infection,tag.effusion"
    rows = "a,p1,north,train,a.nii.gz,m.nii.gz,,1,\nb,p2,south,test,b.nii.gz,,,0,1\n"
    first, second = table(tmp_path, f"{columns}\n{rows}").cases()
    assert (first.name, first.patient, first.site, first.split) == ("a", "p1", "north", "train")
    assert first.image == tmp_path / "a.nii.gz"
    assert first.masks == {"lung": tmp_path / "m.nii.gz"}
    assert first.tags == {"infection": True, "effusion": None}
    assert second.masks == {}
    assert second.tags == {"infection": False, "effusion": True}


def test_the_columns_case_and_image_are_enough(tmp_path: Path) -> None:
    (case,) = table(tmp_path, "case,image\na,a.nii.gz\n").cases()
    assert (case.patient, case.site, case.split) == ("a", "", "")


def test_a_byte_order_mark_spaces_and_blank_lines_are_ignored(tmp_path: Path) -> None:
    text = "case, image ,tag.x\r\n a ,a.nii.gz, 1 \r\n\r\n,,\r\n"
    (case,) = table(tmp_path, text, encoding="utf-8-sig").cases()
    assert (case.name, case.tags) == ("a", {"x": True})


def test_empty_columns_of_a_spreadsheet_are_ignored(tmp_path: Path) -> None:
    (case,) = table(tmp_path, "case,image,,\na,a.nii.gz,,\n").cases()
    assert case.name == "a"
    refused(tmp_path, "case,image,,\na,a.nii.gz,,x\n", "there are 4 cells, but the header has 2")
    refused(tmp_path, "case,,image\na,,a.nii.gz\n", "unknown column ''")


def test_a_column_in_capitals_is_refused_with_the_right_spelling(tmp_path: Path) -> None:
    refused(tmp_path, "case,IMAGE\na,a.nii.gz\n", "unknown column 'IMAGE'.*Did you mean 'image'")


def test_the_tag_of_a_slice_takes_precedence_over_the_tag_of_its_case(tmp_path: Path) -> None:
    slices = "case,slice,tag.x\na,0,0\na,2,\n"
    case, _ = table(
        tmp_path, "case,image,tag.x\na,a.nii.gz,1\nb,b.nii.gz,0\n", slices=slices
    ).cases()
    assert [case.tag("x", z) for z in range(3)] == [False, True, None]


def test_tags_in_an_empty_column_are_unknown(tmp_path: Path) -> None:
    cases = table(tmp_path, "case,image,tag.x\na,a.nii.gz,\nb,b.nii.gz,\n").cases()
    assert [case.tags for case in cases] == [{"x": None}, {"x": None}]


def test_mask_values_are_set_for_cases_that_have_the_mask(tmp_path: Path) -> None:
    table(tmp_path, "case,image,mask.lung\na,a.nii.gz,m.nii.gz\nb,b.nii.gz,\n")
    cohort = Table(path=tmp_path / "cohort.csv", mask_values={"lung": (1, 2)})
    assert [case.mask_values for case in cohort.cases()] == [{"lung": (1, 2)}, {}]


@pytest.mark.parametrize("name", ["", "..", ".a", "a/b", "a\\b", "x\ty", "a:b", "a" * 101])
def test_a_case_name_must_be_usable_as_a_file_name(tmp_path: Path, name: str) -> None:
    refused(tmp_path, f'case,image\n"{name}",a.nii.gz\n', "cannot be used as a file name")


def test_a_table_saved_by_a_german_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "Müller.nii.gz").touch()
    text = "Fall;Bild;Alter;tag.x\nMüller;Müller.nii.gz;51,5;ja\nb;b.nii.gz;60;0,0\n"
    slices = "case;slice;tag.x\nMüller;3,0;nein\n".encode("cp1252")
    table(tmp_path, text, encoding="cp1252")
    (tmp_path / "slices.csv").write_bytes(slices)
    columns = {"Fall": "case", "Bild": "image", "Alter": ""}
    first, second = Table(path=tmp_path / "cohort.csv", columns=columns).cases()
    assert (first.name, first.image) == ("Müller", tmp_path / "Müller.nii.gz")
    assert (first.tags, second.tags) == ({"x": True}, {"x": False})
    assert first.slice_tags == {3: {"x": False}}


@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_with_accents_have_one_spelling(
    tmp_path: Path, in_table: Form, on_disk: Form
) -> None:
    (tmp_path / f"{normalize(on_disk, 'é')}.nii.gz").touch()
    written = normalize(in_table, "é")
    slices = f"case,slice,tag.x\n{normalize(on_disk, 'é')},0,1\n"
    text = f"case,patient,image\n{written},{written},{written}.nii.gz\n"
    (case,) = table(tmp_path, text, slices=slices).cases()
    assert (case.name, case.patient) == ("é", "é")
    assert case.image.is_file()
    assert case.slice_tags == {0: {"x": True}}


@pytest.mark.parametrize("cell", ["2", "maybe", "-1", "1.5"])
def test_a_cell_that_is_not_a_tag_is_refused(tmp_path: Path, cell: str) -> None:
    message = f"line 3: case b, tag.x is '{cell}'; possible: 1 or yes .present., 0 or no .absent."
    refused(tmp_path, f"case,image,tag.x\na,a.nii.gz,1\nb,b.nii.gz,{cell}\n", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty. Its first line must contain the names of the columns"),
        ("case,image\n", "has no rows"),
        ("case,image,tags.x\na,a.nii.gz,1\n", "unknown column 'tags.x'.*Did you mean 'tag"),
        ("case,imgae\na,a.nii.gz\n", "unknown column 'imgae'.*Did you mean 'image'"),
        ("case,image,tag.\na,a.nii.gz,1\n", "unknown column 'tag.'"),
        ("case\na\n", "no column is called 'image'; the columns are: case"),
        ("case,image,image\na,a.nii.gz,a.nii.gz\n", "the column 'image' appears twice"),
        ("case|image\na|a.nii.gz\n", "unknown column 'case.image'"),
        ("case,image\na,a.nii.gz,1\n", "line 2: there are 3 cells, but the header has 2"),
        ("case,image\na,a.nii.gz\na,b.nii.gz\n", "case a appears twice"),
        ("case,image\na,no.nii.gz\n", "line 2: case a, image: there is no file .*no.nii.gz"),
        ("case,image\na,\n", "line 2: case a, image: is empty"),
        ("case,image,mask.x\na,a.nii.gz,no.nii.gz\n", "case a, mask.x: there is no file"),
        ("case,image,split\na,a.nii.gz,trian\n", "unknown split 'trian'.*mean 'train'"),
        (
            "case,patient,image,split\na,p,a.nii.gz,train\nb,p,b.nii.gz,test\n",
            "patient p is in the splits test and train",
        ),
        ('case,image\n"a,a.nii.gz\n', "cannot be read as CSV"),
    ],
)
def test_an_invalid_table_is_refused_with_its_problem(
    tmp_path: Path, text: str, message: str
) -> None:
    refused(tmp_path, text, message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("c,0,1\n", "unknown case 'c'"),
        ("a,-1,1\n", "slice '-1' is not a slice number"),
        ("a,x,1\n", "slice 'x' is not a slice number"),
        (f"a,{'9' * 5000},1\n", "slice '999999999' is not a slice number"),
        ("a,²,1\n", "is not a slice number"),
        ("a,0,1\na,0,0\n", "slice 0 of case a appears twice"),
        ("a,0,7\n", "tag.x is '7'"),
    ],
)
def test_invalid_slice_tags_are_refused_with_their_problem(
    tmp_path: Path, rows: str, message: str
) -> None:
    refused(tmp_path, "case,image\na,a.nii.gz\n", message, slices=f"case,slice,tag.x\n{rows}")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="cannot be read as text"):
        Table(path=tmp_path / "cohort.csv").cases()


def test_a_missing_table_or_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match="file not found"):
            Table(path=path).cases()


def test_scribbles_boxes_and_shares_are_read_by_class(tmp_path: Path) -> None:
    columns = "case,image,scribble.x,box.x,share.x,tag.x"
    text = f"{columns}\na,a.nii.gz,m.nii.gz,1 2 3 4,25-50 %,0.5\nb,b.nii.gz,,,,\n"
    first, second = table(tmp_path, text).cases()
    assert first.scribbles == {"x": tmp_path / "m.nii.gz"}
    assert first.boxes == {"x": (Box(1, 2, 3, 4),)}
    assert first.shares == {"x": (0.25, 0.5)}
    assert first.tags == {"x": 0.5}
    assert (second.scribbles, second.boxes, second.shares) == ({}, {}, {})


def test_boxes_and_shares_of_slices_are_read_from_their_table(tmp_path: Path) -> None:
    slices = "case,slice,box.x,share.x,tag.x\na,3,1 2 3 4,<25 %,1\na,5,2 2 2 2,,\n"
    text = "case,image,box.x\na,a.nii.gz,0 0 0 9 9 2\n"
    (case,) = table(tmp_path, text, slices).cases()
    assert case.boxes == {
        "x": (
            Box(0, 0, 9, 9, slices=(0, 1)),
            Box(1, 2, 3, 4, slices=(3, 3)),
            Box(2, 2, 2, 2, slices=(5, 5)),
        )
    }
    assert case.slice_shares == {3: {"x": (0, 0.25)}}
    assert case.slice_tags == {3: {"x": True}, 5: {"x": None}}


def test_a_wrong_box_or_share_is_refused_with_its_place(tmp_path: Path) -> None:
    message = r"line 2: case a, box.x is '1 2 3'; possible: x y width height"
    refused(tmp_path, "case,image,box.x\na,a.nii.gz,1 2 3\n", message)
    message = r"line 2: case a, share.x is 'CT-2'; possible: 0.25-0.5"
    refused(tmp_path, "case,image,share.x\na,a.nii.gz,CT-2\n", message)


def test_an_image_without_a_box_of_a_class_in_a_coco_file_lacks_the_class(tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 1, "file_name": "a.nii.gz"}, {"id": 2, "file_name": "b.nii.gz"}],
        "categories": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(coco))
    text = "case,image,tag.y\na,a.nii.gz,1\nb,b.nii.gz,\n"
    cohort = table(tmp_path, text).model_copy(update={"boxes": tmp_path / "boxes.json"})
    first, second = cohort.cases()
    assert first.boxes == {"x": (Box(1, 2, 3, 4),)}
    assert first.tags == {"y": True}
    assert second.tags == {"x": False, "y": False}


def test_a_value_of_scribbles_has_only_one_meaning() -> None:
    with pytest.raises(ValidationError, match="the value 1 has more than one meaning"):
        ScribbleValues(absent=(1,))
