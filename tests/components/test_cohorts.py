from pathlib import Path

import pytest

from wsseg.components.cohorts import Table
from wsseg.errors import InputError


def table(folder: Path, text: str, slices: str | None = None, encoding: str = "utf-8") -> Table:
    for name in ("a.nii.gz", "b.nii.gz", "m.nii.gz"):
        (folder / name).touch()
    (folder / "cohort.csv").write_text(text, encoding=encoding)
    if slices is not None:
        (folder / "slices.csv").write_text(slices)
    return Table(path=folder / "cohort.csv")


def refused(folder: Path, text: str, said: str, slices: str | None = None) -> None:
    with pytest.raises(InputError, match=said) as caught:
        table(folder, text, slices).cases()
    assert len(str(caught.value).splitlines()) <= 3
    assert str(folder) in str(caught.value)


def test_a_row_is_a_case_with_all_that_is_known(tmp_path: Path) -> None:
    columns = "case,patient,site,split,image,mask.lung,mask.infection,tag.infection,tag.effusion"
    rows = "a,p1,north,train,a.nii.gz,m.nii.gz,,1,\nb,p2,south,test,b.nii.gz,,,0,1\n"
    first, second = table(tmp_path, f"{columns}\n{rows}").cases()
    assert (first.name, first.patient, first.site, first.split) == ("a", "p1", "north", "train")
    assert first.image == tmp_path / "a.nii.gz"
    assert first.masks == {"lung": tmp_path / "m.nii.gz"}
    assert first.tags == {"infection": True, "effusion": None}
    assert second.masks == {}
    assert second.tags == {"infection": False, "effusion": True}


def test_case_and_image_are_enough(tmp_path: Path) -> None:
    (case,) = table(tmp_path, "case,image\na,a.nii.gz\n").cases()
    assert (case.patient, case.site, case.split) == ("a", "", "")


def test_excels_byte_order_mark_spaces_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    text = "case, image ,tag.x\r\n a ,a.nii.gz, 1 \r\n\r\n,,\r\n"
    (case,) = table(tmp_path, text, encoding="utf-8-sig").cases()
    assert (case.name, case.tags) == ("a", {"x": True})


def test_columns_that_a_spreadsheet_left_empty_do_not_matter(tmp_path: Path) -> None:
    (case,) = table(tmp_path, "case,image,,\na,a.nii.gz,,\n").cases()
    assert case.name == "a"
    refused(tmp_path, "case,image,,\na,a.nii.gz,,x\n", "has 4 cells, its header 2")
    refused(tmp_path, "case,,image\na,,a.nii.gz\n", "unknown column ''")


def test_a_column_in_capitals_is_recognised(tmp_path: Path) -> None:
    refused(tmp_path, "case,IMAGE\na,a.nii.gz\n", "unknown column 'IMAGE'.*Did you mean 'image'")


def test_a_slices_tag_overrules_its_cases(tmp_path: Path) -> None:
    slices = "case,slice,tag.x\na,0,0\na,2,\n"
    case, _ = table(
        tmp_path, "case,image,tag.x\na,a.nii.gz,1\nb,b.nii.gz,0\n", slices=slices
    ).cases()
    assert [case.tag("x", z) for z in range(3)] == [False, True, None]


def test_an_entirely_empty_tag_column_is_all_unknown(tmp_path: Path) -> None:
    cases = table(tmp_path, "case,image,tag.x\na,a.nii.gz,\nb,b.nii.gz,\n").cases()
    assert [case.tags for case in cases] == [{"x": None}, {"x": None}]


def test_mask_values_go_to_the_cases_that_have_the_mask(tmp_path: Path) -> None:
    table(tmp_path, "case,image,mask.lung\na,a.nii.gz,m.nii.gz\nb,b.nii.gz,\n")
    cohort = Table(path=tmp_path / "cohort.csv", mask_values={"lung": (1, 2)})
    assert [case.mask_values for case in cohort.cases()] == [{"lung": (1, 2)}, {}]


@pytest.mark.parametrize("name", ["", "..", ".a", "a/b", "a\\b", "x\ty", "a:b", "a" * 101])
def test_a_case_name_must_name_a_file(tmp_path: Path, name: str) -> None:
    refused(tmp_path, f'case,image\n"{name}",a.nii.gz\n', "cannot name a file")


@pytest.mark.parametrize("cell", ["2", "yes", "-1", "1.0", "True"])
def test_a_tag_is_0_1_or_nothing(tmp_path: Path, cell: str) -> None:
    said = f"line 3: case b, tag.x is '{cell}'; possible: 1 .present., 0 .absent., nothing"
    refused(tmp_path, f"case,image,tag.x\na,a.nii.gz,1\nb,b.nii.gz,{cell}\n", said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty. Its first line names its columns"),
        ("case,image\n", "has no rows"),
        ("case,image,tags.x\na,a.nii.gz,1\n", "unknown column 'tags.x'.*Did you mean 'tag"),
        ("case,imgae\na,a.nii.gz\n", "unknown column 'imgae'.*Did you mean 'image'"),
        ("case,image,tag.\na,a.nii.gz,1\n", "unknown column 'tag.'"),
        ("case\na\n", "has no column 'image'; its columns: case"),
        ("case,image,image\na,a.nii.gz,a.nii.gz\n", "has the column 'image' twice"),
        ("case;image\na;a.nii.gz\n", "separated by ';'"),
        ("case\timage\na\ta.nii.gz\n", r"separated by '\\t'"),
        ("case,image\na,a.nii.gz,1\n", "line 2: has 3 cells, its header 2"),
        ("case,image\na,a.nii.gz\na,b.nii.gz\n", "case a is there twice"),
        ("case,image\na,no.nii.gz\n", "line 2: case a, image: there is no file .*no.nii.gz"),
        ("case,image\na,\n", "line 2: case a, image: is empty"),
        ("case,image,mask.x\na,a.nii.gz,no.nii.gz\n", "case a, mask.x: there is no file"),
        ("case,image,split\na,a.nii.gz,trian\n", "unknown split 'trian'.*mean 'train'"),
        (
            "case,patient,image,split\na,p,a.nii.gz,train\nb,p,b.nii.gz,test\n",
            "patient p is in the splits test and train",
        ),
        ('case,image\n"a,a.nii.gz\n', "is not CSV"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    refused(tmp_path, text, said)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("c,0,1\n", "unknown case 'c'"),
        ("a,-1,1\n", "slice '-1' is no number"),
        ("a,x,1\n", "slice 'x' is no number"),
        (f"a,{'9' * 5000},1\n", "slice '999999999' is no number"),
        ("a,²,1\n", "is no number"),
        ("a,0,1\na,0,0\n", "slice 0 of case a is there twice"),
        ("a,0,7\n", "tag.x is '7'"),
    ],
)
def test_a_wrong_slice_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    refused(tmp_path, "case,image\na,a.nii.gz\n", said, slices=f"case,slice,tag.x\n{rows}")


def test_other_encodings_and_binary_files_are_refused(tmp_path: Path) -> None:
    for content in ("case,image\nä,a.nii.gz\n".encode("latin-1"), bytes(range(256))):
        (tmp_path / "cohort.csv").write_bytes(content)
        with pytest.raises(InputError, match="is not CSV in UTF-8"):
            Table(path=tmp_path / "cohort.csv").cases()


def test_a_missing_table_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            Table(path=path).cases()
