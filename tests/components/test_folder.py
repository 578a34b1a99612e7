"""The cohort of a folder: tags from names of folders or a table, masks by name, splits, groups."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from wsseg import Box, Case, InputError, ScribbleValues
from wsseg.components.folder import Folder


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Make empty files below a folder, which listing cases does not open."""

    def make(*places: str) -> Path:
        for place in places:
            path = tmp_path / "pictures" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "pictures"

    return make


def by_name(cases: Iterable[Case]) -> dict[str, Case]:
    return {case.name: case for case in cases}


def test_folders_are_classes_except_those_named_for_no_defect(files: Callable[..., Path]) -> None:
    root = files("good/1.png", "crack/2.png", "hole/3.jpg", "hole/notes.txt", ".cache/4.png")
    cases = by_name(Folder(path=root).cases())
    assert {name: dict(case.tags) for name, case in cases.items()} == {
        "1": {"crack": False, "hole": False},
        "2": {"crack": True, "hole": False},
        "3": {"crack": False, "hole": True},
    }
    assert cases["3"].image == root / "hole/3.jpg"
    assert [case.patient for case in cases.values()] == list(cases)


def test_background_names_the_folders_without_a_class(files: Callable[..., Path]) -> None:
    root = files("A/1.png", "B/2.png")
    cases = by_name(Folder(path=root, background=("A",)).cases())
    assert [dict(cases[name].tags) for name in "12"] == [{"B": False}, {"B": True}]
    with pytest.raises(InputError, match="background: no image has the class 'C'; possible: A, B"):
        Folder(path=root, background=("C",)).cases()


def test_classes_join_folders_and_leave_others_out(files: Callable[..., Path]) -> None:
    root = files("good/1.png", "crack/2.png", "hole/3.png", "stain/4.png", "hole/3_mask.png")
    cases = by_name(Folder(path=root, classes={"defect": ("crack", "hole")}).cases())
    assert [cases[name].tags["defect"] for name in "1234"] == [False, True, True, False]
    assert cases["3"].masks == {"defect": root / "hole/3_mask.png"}
    with pytest.raises(InputError, match=r"classes.defect: no image has the class 'cracks'"):
        Folder(path=root, classes={"defect": ("cracks",)}).cases()


def test_images_without_folders_of_classes_have_no_tags(files: Callable[..., Path]) -> None:
    root = files("images/1.png", "images/2.png", "masks/1.png", "masks/2_mask.png")
    cases = by_name(Folder(path=root, class_name="polyp").cases())
    assert [dict(case.tags) for case in cases.values()] == [{}, {}]
    assert {name: case.masks["polyp"].name for name, case in cases.items()} == {
        "1": "1.png",
        "2": "2_mask.png",
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("crack/1.jpg", "crack/1.png"),
        ("crack/1.jpg", "crack/1_mask.png"),
        ("crack/a (1).png", "crack/a (1)_mask.png"),
        ("crack/Part5.jpg", "crack/Part5_label.bmp"),
        ("test/crack/1.png", "ground_truth/crack/1_mask.png"),
        ("images/crack/1.png", "masks/crack/1.png"),
        ("crack/images/1.png", "crack/masks/1.tif"),
        ("train/images/crack/1.png", "train/masks/crack/1.png"),
        ("crack/1.nii.gz", "crack/1_seg.nii.gz"),
        ("crack/1.png", "labels/1.png"),
    ],
)
def test_a_mask_is_found_by_the_name_of_its_image(
    files: Callable[..., Path], image: str, mask: str
) -> None:
    root = files(image, mask, "good/2.png")
    case = next(case for case in Folder(path=root).cases() if case.image == root / image)
    assert case.masks == {"crack": root / mask}
    assert case.tags == {"crack": True}


def test_a_mask_in_a_folder_of_a_class_belongs_to_that_class(files: Callable[..., Path]) -> None:
    root = files("images/1.png", "images/2.png", "masks/crack/1.png", "masks/hole/1.png", "a.csv")
    (root / "a.csv").write_text("image,class\n1,crack|hole\n2,good\n")
    one, two = Folder(path=root, tags=root / "a.csv").cases()
    assert one.masks == {"crack": root / "masks/crack/1.png", "hole": root / "masks/hole/1.png"}
    assert one.tags == {"crack": True, "hole": True}
    assert (two.masks, two.tags) == ({}, {"crack": False, "hole": False})


def test_a_mask_without_a_class_is_used_only_if_its_image_has_one(
    files: Callable[..., Path],
) -> None:
    root = files("1.png", "2.png", "masks/1.png", "masks/2.png", "a.csv")
    (root / "a.csv").write_text("image,class\n1,crack|hole\n2,hole\n")
    assert [list(case.masks) for case in Folder(path=root, tags=root / "a.csv").cases()] == [
        [],
        ["hole"],
    ]


def test_several_masks_of_a_class_are_ignored_and_named_once(
    files: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = files("crack/twice.png", "crack/twice_mask.png", "crack/twice_mask_1.png", "good/2.png")
    for _ in range(2):
        assert [list(case.masks) for case in Folder(path=root).cases()] == [[], []]
    assert [record.getMessage() for record in caplog.records] == [
        "crack/twice.png: has 2 files of crack, of which none is used. Join them to one file"
    ]


def test_two_images_with_the_same_name_in_a_folder_are_refused(files: Callable[..., Path]) -> None:
    root = files("crack/1.png", "crack/1.tif")
    with pytest.raises(InputError, match=r"several images are called 1: 1\.png, 1\.tif"):
        Folder(path=root).cases()


def test_names_of_files_that_repeat_get_their_folders(files: Callable[..., Path]) -> None:
    root = files("train/good/0.png", "test/good/0.png", "test/crack/0.png")
    cases = by_name(Folder(path=root).cases())
    assert {name: case.split for name, case in cases.items()} == {
        "test_crack_0": "test",
        "test_good_0": "test",
        "train_good_0": "train",
    }


def test_a_table_gives_tags_patients_and_splits(files: Callable[..., Path]) -> None:
    root = files("images/1.png", "images/2.png", "images/3.png", "images/4.png")
    table = root.parent / "findings.csv"
    table.write_text(
        "Datei;Befund;Pat;split;Kommentar\nimages/1.png;crack;p;train;x\n"
        "2.png;none;q;test;\n3;;p;train;\n"
    )
    columns = {"Datei": "image", "Befund": "class", "Pat": "patient"}
    cases = Folder(path=root, tags=table, columns=columns).cases()
    assert [(c.name, c.patient, c.split, dict(c.tags)) for c in cases] == [
        ("1", "p", "train", {"crack": True}),
        ("2", "q", "test", {"crack": False}),
        ("3", "p", "train", {"crack": None}),
    ]


def test_columns_of_tags_are_read_as_in_a_cohort_table(files: Callable[..., Path]) -> None:
    root = files("1.png", "2.png", "a.csv")
    (root / "a.csv").write_text("image,tag.crack,tag.hole\n1,1,no\n2,,yes\n")
    cases = Folder(path=root, tags=root / "a.csv").cases()
    assert [dict(case.tags) for case in cases] == [
        {"crack": True, "hole": False},
        {"crack": None, "hole": True},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image\n1\n", "no column is called class, tag.CLASS, box.CLASS or share.CLASS; the col"),
        ("file,class\n1,crack\n", "no column is called 'image'"),
        ("image,class\n9.png,crack\n", r"line 2: no image, or more than one, is called '9\.png'"),
        ("image,class\n1,crack\n1.png,hole\n", r"image 1\.png has several rows"),
        ("image,tag.crack\n1,maybe\n", r"line 2: image 1, tag\.crack is 'maybe'"),
        ("image,box.crack\n1,3 4 10\n", r"line 2: image 1, box\.crack is '3 4 10'"),
        ("image,share.crack\n1,much\n", r"line 2: image 1, share\.crack is 'much'"),
        ("image,class,split\n1,crack,first\n", "line 2: unknown split 'first'"),
    ],
)
def test_an_invalid_table_of_tags_is_refused(
    files: Callable[..., Path], text: str, message: str
) -> None:
    root = files("1.png", "2.png", "a.csv")
    (root / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        Folder(path=root, tags=root / "a.csv").cases()


def test_all_invalid_rows_of_a_table_are_listed(files: Callable[..., Path]) -> None:
    root = files("1.png", "a.csv")
    (root / "a.csv").write_text("image,class\n1,crack\n8,crack\n9,crack\n")
    cases, problems = Folder(path=root, tags=root / "a.csv").read()
    assert [case.name for case in cases] == ["1"]
    assert [name for name, _ in problems] == ["8", "9"]


def test_a_share_of_each_class_is_drawn_for_a_split_with_a_seed(
    files: Callable[..., Path],
) -> None:
    root = files(*(f"good/{i}.png" for i in range(20)), *(f"crack/{i + 20}.png" for i in range(10)))
    first = Folder(path=root, split={"test": 0.2, "val": 0.25}).cases()
    number = {
        (split, tag): sum(case.split == split and case.tags["crack"] == tag for case in first)
        for split in ("train", "val", "test")
        for tag in (False, True)
    }
    assert number == {
        ("test", False): 4,
        ("test", True): 2,
        ("val", False): 4,
        ("val", True): 2,
        ("train", False): 12,
        ("train", True): 6,
    }
    assert first == Folder(path=root, split={"test": 0.2, "val": 0.25}).cases()
    assert first != Folder(path=root, split={"test": 0.2, "val": 0.25}, seed=1).cases()


def test_a_split_by_share_has_its_share_of_the_images_with_masks(
    files: Callable[..., Path],
) -> None:
    masked, others = [f"1{i}" for i in range(10)], [f"2{i}" for i in range(40)]
    images = [f"images/crack/{name}.png" for name in (*masked, *others)]
    root = files(*images, *(f"masks/crack/{name}.png" for name in masked))
    for seed in range(5):
        cases = Folder(path=root, split={"test": 0.2}, seed=seed).cases()
        assert sum(case.split == "test" for case in cases) == 10
        assert sum(case.split == "test" and bool(case.masks) for case in cases) == 2


def test_a_split_by_share_never_divides_a_group(files: Callable[..., Path]) -> None:
    root = files(*(f"good/p{i % 7}_{i}.png" for i in range(28)), "crack/p9_1.png")
    cases = Folder(path=root, split={"test": 0.3}, group=r"/(p\d)_").cases()
    splits = {
        patient: {c.split for c in cases if c.patient == patient}
        for patient in {c.patient for c in cases}
    }
    assert set(splits) == {*(f"p{i}" for i in range(7)), "p9"}
    assert all(len(each) == 1 for each in splits.values())
    assert sum("test" in each for each in splits.values()) == 2


def test_a_split_is_a_pattern_in_the_path(files: Callable[..., Path]) -> None:
    root = files("good/a1.png", "good/b2.png", "crack/b3.png")
    cases = Folder(path=root, split={"test": "/b"}).cases()
    assert {case.name: case.split for case in cases} == {"a1": "train", "b2": "test", "b3": "test"}
    with pytest.raises(
        InputError, match=r"split\.test: x matches no path; the first path is crack/b3"
    ):
        Folder(path=root, split={"test": "x"}).cases()


def test_a_patient_in_two_splits_is_refused(files: Callable[..., Path]) -> None:
    root = files("train/good/p1_1.png", "test/crack/p1_2.png")
    with pytest.raises(InputError, match="patient p1 is in the splits test and train"):
        Folder(path=root, group=r"p\d").cases()


def test_numbers_with_small_gaps_are_one_group(files: Callable[..., Path]) -> None:
    numbers = (5, 8, 11, 15, 900)
    root = files(*(f"good/exp{i}_{number}.png" for i, number in enumerate(numbers)))
    cases = Folder(path=root, group=r"_(\d+)", group_gap=3).cases()
    assert {case.name.partition("_")[2]: case.patient for case in cases} == {
        "5": "5",
        "8": "5",
        "11": "5",
        "15": "15",
        "900": "900",
    }


def test_named_images_are_left_out(files: Callable[..., Path]) -> None:
    root = files("good/1.png", "crack/2.png", "crack/3.png")
    cases = Folder(path=root, leave_out=("2",)).cases()
    assert sorted(case.name for case in cases) == ["1", "3"]
    with pytest.raises(InputError, match="leave_out: no image is called '4'; possible: 1, 2, 3"):
        Folder(path=root, leave_out=("4",)).cases()


def test_a_gap_between_words_is_refused(files: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="group_gap: patient 'a' is not a number"):
        Folder(path=files("good/a_1.png"), group="(a)_", group_gap=3).cases()


def test_a_group_that_an_image_lacks_is_refused(files: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"group: p\(\\d\) does not match good/1\.png"):
        Folder(path=files("good/1.png"), group=r"p(\d)").cases()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ((), "not a folder"),
        (("notes.txt",), r"no images found; possible: \.png"),
        (("masks/1.png",), "no images found"),
    ],
)
def test_a_folder_without_images_is_refused(
    files: Callable[..., Path], places: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Folder(path=files(*places)).cases()


@pytest.mark.parametrize(
    "settings", [{"group": "("}, {"split": {"test": 1.5}}, {"split": {"final": 0.5}}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Folder(path="pictures", **settings)


def test_scribbles_have_the_names_of_their_images_and_are_not_read_as_images(
    files: Callable[..., Path],
) -> None:
    root = files("images/1.jpg", "images/2.jpg", "images/3.jpg", "scribbles/1.png")
    folder = Folder(path=root, scribbles=root / "scribbles", class_name="polyp")
    cases = by_name(folder.cases())
    assert set(cases) == {"1", "2", "3"}
    assert cases["1"].scribbles == {"polyp": root / "scribbles/1.png"}
    assert not cases["2"].scribbles


def test_scribbles_of_images_with_the_same_name_are_found_by_their_folders(
    files: Callable[..., Path],
) -> None:
    root = files("p/crack/1.png", "p/good/1.png", "s/crack/1.png", "s/good/1.png")
    values = {"crack": ScribbleValues(present=(5,))}
    folder = Folder(path=root / "p", scribbles=root / "s", scribble_values=values)
    crack, good = folder.cases()
    assert crack.scribbles == {"crack": root / "s/crack/1.png"}
    assert good.scribbles == {"crack": root / "s/good/1.png"}
    assert good.scribble_values == values


def test_a_folder_of_scribbles_without_names_of_images_is_refused(
    files: Callable[..., Path],
) -> None:
    root = files("images/1.png", "scribbles/one.png")
    with pytest.raises(
        InputError,
        match=r"no file of scribbles has the name of an image\. Name each like",
    ):
        Folder(path=root, scribbles=root / "scribbles").cases()
    with pytest.raises(InputError, match="not a folder"):
        Folder(path=root, scribbles=root / "none").cases()


def test_a_table_has_boxes_and_shares(files: Callable[..., Path]) -> None:
    root = files("1.png", "2.png", "3.png", "a.csv")
    (root / "a.csv").write_text(
        "image,tag.crack,box.crack,share.crack\n1,,3 4 10 2 / 0 0 5 5,\n2,1,,25-50 %\n3,0,,\n"
    )
    one, two, three = Folder(path=root, tags=root / "a.csv").cases()
    assert one.boxes == {"crack": (Box(3, 4, 10, 2), Box(0, 0, 5, 5))}
    assert one.tags == {"crack": None}
    assert two.shares == {"crack": (0.25, 0.5)}
    assert (three.boxes, three.shares, three.tags) == ({}, {}, {"crack": False})


def coco_of(*boxes: tuple[int, int]) -> str:
    """Return a COCO file with two images and two categories, crack (0) and hole (1)."""
    return json.dumps(
        {
            "images": [{"id": i, "file_name": f"{i}.png"} for i in (1, 2)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(("crack", "hole"))],
            "annotations": [
                {"image_id": image, "category_id": category, "bbox": [1, 2, 3, 4]}
                for image, category in boxes
            ],
        }
    )


def test_boxes_of_a_coco_file_say_which_images_have_a_class(files: Callable[..., Path]) -> None:
    root = files("images/1.png", "images/2.png", "images/3.png", "masks/1.png", "a.json")
    (root / "a.json").write_text(coco_of((1, 0), (1, 1)))
    folder = Folder(path=root, boxes=root / "a.json", classes={"defect": ("crack", "hole")})
    one, two, three = folder.cases()
    assert one.boxes == {"defect": (Box(1, 2, 3, 4), Box(1, 2, 3, 4))}
    assert one.masks == {"defect": root / "masks/1.png"}
    assert [dict(case.tags) for case in (one, two, three)] == [
        {"defect": None},
        {"defect": False},
        {"defect": None},
    ]


def test_joined_classes_share_boxes_but_need_their_own_share(
    files: Callable[..., Path],
) -> None:
    root = files("1.png", "2.png", "3.png", "a.csv")
    header = "image,class,box.crack,box.hole,share.defect"
    (root / "a.csv").write_text(f"{header}\n1,crack,1 1 2 2,5 5 2 2,10 %\n2,hole,,,\n3,good,,,\n")
    folder = Folder(path=root, tags=root / "a.csv", classes={"defect": ("crack", "hole")})
    case = folder.cases()[0]
    assert case.boxes == {"defect": (Box(1, 1, 2, 2), Box(5, 5, 2, 2))}
    assert case.shares == {"defect": (0.1, 0.1)}
    (root / "a.csv").write_text("image,class,share.crack\n1,crack,10 %\n2,hole,\n3,good,\n")
    with pytest.raises(
        InputError, match=r"share.crack is the share of only a part of class defect"
    ):
        folder.cases()
