"""wsseg init: a folder or a table becomes a recipe that checks, trains and predicts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import SHARED, Wsseg
from tests.picture_files import write_pictures


def recipe(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def test_a_folder_of_pictures_becomes_masks_and_overlays_in_four_commands(
    wsseg: Wsseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures")
    epochs = "stages.crack.epochs=1"
    for words in (
        ("init", "pictures", "--out", "recipe.yaml"),
        ("data", "check", "recipe.yaml"),
        ("train", "recipe.yaml", "--out", "run", "--set", epochs),
        ("predict", "run", "pictures/crack", "--out", "masks", "--overlays", "--pictures"),
    ):
        ended = wsseg(*words)
        assert ended.code == 0, f"{words}\n{ended.err}"
    names = {f"{seed:03}.png" for seed in range(1, 24, 2)}
    assert {path.name for path in (tmp_path / "masks").glob("*.png")} == names
    for folder in ("overlays", "pictures"):
        assert {path.name for path in (tmp_path / "masks" / folder).iterdir()} == names
    with Image.open(tmp_path / "masks" / "001.png") as mask:
        assert (mask.mode, mask.size) == ("L", (32, 32))
        assert set(np.unique(np.asarray(mask)).tolist()) <= {0, 1}
    header = (tmp_path / "masks" / "scores.csv").read_text().splitlines()[0]
    assert header == "case,crack_px"
    ended = wsseg("score", "run")
    assert ended.code == 0, ended.err
    header = (tmp_path / "run" / "scores.csv").read_text().splitlines()[0]
    assert "hd95_px" in header
    assert "area_error_px" in header
    assert not any(word in header for word in ("_mm", "_ml", "warnings"))


@pytest.mark.parametrize(("spot", "polarity"), [(80, "bright"), (-60, "dark")])
def test_the_prior_has_the_direction_in_which_tagged_pictures_differ(
    wsseg: Wsseg, tmp_path: Path, spot: float, polarity: str
) -> None:
    write_pictures(tmp_path / "pictures", spot=spot)
    ended = wsseg("init", tmp_path / "pictures", "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["cohort"] == {"use": "folder", "path": "pictures", "split": {"test": 0.2}}
    assert written["input"]["size"] == 32
    assert written["input"]["offset"] == pytest.approx(100, abs=5)
    stage = written["stages"]["crack"]
    assert (stage["learn"], stage["classes"]) == ("em", ["crack"])
    assert (stage["prior"]["use"], stage["prior"]["polarity"]) == ("local-contrast", polarity)
    assert 0.02 < stage["estep"]["share"] < 0.1  # 64 of 1024 pixels


def test_masks_do_not_change_the_recipe(wsseg: Wsseg, tmp_path: Path) -> None:
    texts = []
    for name in ("with", "without"):
        folder = write_pictures(tmp_path / name / "pictures")
        if name == "without":
            for mask in folder.glob("*/*_mask.png"):
                mask.unlink()
        wsseg("init", folder, "--out", tmp_path / name / "a.yaml")
        texts.append(recipe(tmp_path / name / "a.yaml"))
    assert texts[0] == texts[1]


def test_pictures_whose_masks_contradict_their_tags_are_left_out(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "pictures")
    mask = folder / "crack" / "003_mask.png"
    with Image.open(mask) as drawn:
        empty = Image.new(drawn.mode, drawn.size)
    empty.save(mask)
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["cohort"]["leave_out"] == ["003"]
    ended = wsseg("data", "check", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err


def test_pictures_without_tags_but_with_masks_are_learnt_from_masks(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "all") / "crack"
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    stage = recipe(tmp_path / "a.yaml")["stages"]["object"]
    assert (stage["learn"], stage["loss"]) == ("masks", {"use": "smooth-dice"})


def test_a_table_of_tags_is_found_with_its_columns(wsseg: Wsseg, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures")
    rows = [
        f"{path.parent.name}/{path.name},{n},{'crack' if n % 2 else 'none'}"
        for n, path in enumerate(sorted(folder.glob("*/*[0-9].png"), key=lambda p: p.name))
    ]
    (folder / "tiles.csv").write_text("\n".join(["photo,number,finding", *rows]))
    ended = wsseg("init", folder / "tiles.csv", "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["cohort"] == {
        "use": "folder",
        "path": "pictures",
        "tags": "pictures/tiles.csv",
        "columns": {"photo": "image", "finding": "class"},
        "split": {"test": 0.2},
    }


def table_of_pictures(folder: Path, header: str, crack: str, good: str) -> Path:
    """Write a table with a picture, its class and a plate of two pictures in each row."""
    paths = sorted(folder.glob("*/*[0-9].png"), key=lambda path: path.name)
    rows = [f"{path.name},{crack if n % 2 else good},plate{n // 2}" for n, path in enumerate(paths)]
    (folder / "table.csv").write_text("\n".join([header, *rows]))
    return folder / "table.csv"


@pytest.mark.parametrize("good", ["control", "no_crack", "Crack-free"])
def test_a_column_with_any_name_can_contain_the_classes_if_a_word_means_background(
    wsseg: Wsseg, tmp_path: Path, good: str
) -> None:
    table = table_of_pictures(
        write_pictures(tmp_path / "a"), "file,condition,plate", "cracked", good
    )
    ended = wsseg("init", table, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["cohort"]["columns"] == {"file": "image", "condition": "class"}
    assert written["stages"]["cracked"]["classes"] == ["cracked"]
    text = (tmp_path / "a.yaml").read_text()
    assert "# not used: plate; to name the patient or object, add {COLUMN: patient}" in text
    assert "background" not in text


def test_a_recipe_explains_how_to_name_the_background(wsseg: Wsseg, tmp_path: Path) -> None:
    table = table_of_pictures(write_pictures(tmp_path / "a"), "file,condition,patient", "a", "b")
    ended = wsseg("init", table, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["stages"]["classes"]["classes"] == ["a", "b"]
    assert "# background: [NAME]" in (tmp_path / "a.yaml").read_text()


def test_a_folder_with_a_table_that_is_not_understood_names_it(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "pictures") / "good"
    (folder / "notes.csv").write_text("file,remark\n000.png,a\n002.png,b\n")
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    ended.refused("columns image and class; notes.csv has no such columns")


def test_scribbles_alone_are_learnt_by_em_from_the_marked_pixels(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "all", number=4) / "crack"
    (folder / "scribbles").mkdir()
    for mask in folder.glob("*_mask.png"):
        mask.rename(folder / "scribbles" / mask.name.replace("_mask", ""))
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["cohort"]["scribbles"] == "all/crack/scribbles"
    stage = written["stages"]["object"]
    assert (stage["learn"], stage["estep"]) == ("em", {"use": "soft"})
    assert stage["prior"] == {"use": "tag-odds", "share": 0.5}
    assert "# object: scribbles of 4" in (tmp_path / "a.yaml").read_text()


def test_boxes_fill_targets_and_count_as_tags(wsseg: Wsseg, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    paths = sorted(write_pictures(folder).glob("*/*[0-9].png"))
    rows = [f"{path.name},{'2 3 20 25' if path.parent.name == 'crack' else ''}" for path in paths]
    (folder / "boxes.csv").write_text("\n".join(["image,box.crack", *rows]))
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    estep = recipe(tmp_path / "a.yaml")["stages"]["crack"]["estep"]
    assert estep == {"use": "fill-boxes", "share": 0.2, "estep": {"use": "soft"}}
    tagged = [
        f"{row},{int(path.parent.name == 'crack')}" for row, path in zip(rows, paths, strict=True)
    ]
    (folder / "boxes.csv").write_text("\n".join(["image,box.crack,tag.crack", *tagged]))
    ended = wsseg("init", folder, "--out", tmp_path / "b.yaml")
    assert ended.code == 0, ended.err
    stage = recipe(tmp_path / "b.yaml")["stages"]["crack"]
    assert (stage["prior"]["use"], stage["estep"]["estep"]["use"]) == (
        "local-contrast",
        "proportion",
    )


def test_several_classes_become_one_if_there_are_pictures_without_any(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "pictures")
    (folder / "hole").mkdir()
    for name in ("001", "003", "005"):
        (folder / "crack" / f"{name}.png").rename(folder / "hole" / f"{name}.png")
        (folder / "crack" / f"{name}_mask.png").unlink()
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["cohort"]["classes"] == {"object": ["crack", "hole"]}
    assert list(written["stages"]) == ["object"]


def test_the_channel_is_found_in_which_tagged_pictures_differ(wsseg: Wsseg, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", colours=3)
    ended = wsseg("init", tmp_path / "pictures", "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["stages"]["crack"]["prior"]["channel"] == "red"
    assert len(written["input"]["offset"]) == 3


def test_a_table_of_sequences_becomes_a_recipe_whose_region_names_one(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows = ["case,image.t1,image.flair,tag.tumour"]
    for case in range(8):
        for name in ("t1", "flair"):
            image = random.normal(300, 40, (32, 32, 4)).astype(np.float32)
            image[:, :3] = 0
            nib.save(
                nib.Nifti1Image(image, np.diag([-1, -1, 3, 1])), tmp_path / f"{case}{name}.nii"
            )
        rows.append(f"{case},{case}t1.nii,{case}flair.nii,{case % 2}")
    (tmp_path / "cohort.csv").write_text("\n".join(rows))
    ended = wsseg("init", tmp_path, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["regions"] == {
        "body": {"use": "foreground", "channel": "t1"}
    }
    assert wsseg("data", "check", tmp_path / "a.yaml").code == 0


def test_only_one_channel_of_grey_pictures_saved_in_colour_is_used(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "pictures")
    for path in folder.glob("*/*[0-9].png"):
        with Image.open(path) as picture:
            coloured = picture.convert("RGB")
        coloured.save(path)
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["input"]["channels"] == ["red"]
    assert "channel" not in written["stages"]["crack"]["prior"]


def test_a_mixture_of_grey_and_colour_pictures_is_refused(wsseg: Wsseg, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", number=4)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / "good" / "000.png")
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    ended.refused("the images have different channels: image (", "); red, green, blue (")


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([(64, 96)], {"size": [64, 96]}),  # (rows, columns)
        ([(512, 1024)], {"size": [128, 256]}),
        ([(60, 62)], {"size": 64}),
        ([(64, 96), (96, 64), (64, 96)], {"size": [64, 96], "fit": "pad"}),
    ],
)
def test_the_grid_has_the_ratio_of_most_pictures_and_others_are_padded(
    wsseg: Wsseg, tmp_path: Path, sides: list[tuple[int, int]], expected: dict[str, Any]
) -> None:
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    for number, side in enumerate(4 * sides):
        name = folder / ("crack" if number % 2 else "good")
        name.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, side, np.uint8)).save(name / f"{number}.png")
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")["input"]
    assert {key: written[key] for key in ("size", "fit") if key in written} == expected


def test_padding_does_not_count_in_the_share_of_the_class(wsseg: Wsseg, tmp_path: Path) -> None:
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    for number in range(24):
        pixels = random.normal(100, 6, (64, 96) if number % 3 else (96, 64))
        if number % 2:
            row, column = random.integers(0, 50, 2)
            pixels[row : row + 12, column : column + 12] -= 60
        name = folder / ("crack" if number % 2 else "good")
        name.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(name / f"{number}.png")
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["input"]["fit"] == "pad"
    stage = written["stages"]["crack"]
    assert stage["prior"]["polarity"] == "dark"
    assert stage["estep"]["share"] == pytest.approx(12**2 / (64 * 96), rel=0.15)


def test_a_new_split_is_drawn_if_classes_occur_only_in_test_pictures(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    written = write_pictures(tmp_path / "written")
    folder = tmp_path / "bottle"
    for path in written.glob("*/*[0-9].png"):
        is_test = path.parent.name == "crack" or path.stem > "012"
        place = folder / ("test" if is_test else "train") / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    for path in written.glob("crack/*_mask.png"):
        place = folder / "ground_truth" / "crack" / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["cohort"]["split"] == {"test": 0.2}
    assert "12 with it, 12 without, 0 unknown; masks of 12" in (tmp_path / "a.yaml").read_text()


def test_the_magnetic_tiles_become_a_valid_recipe(wsseg: Wsseg, tmp_path: Path) -> None:
    tiles = SHARED / "data" / "magnetic-tile"
    if not tiles.is_dir():
        pytest.skip(f"needs the pictures of magnetic tiles in {tiles}")
    ended = wsseg("init", tiles, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    cohort = recipe(tmp_path / "a.yaml")["cohort"]
    assert cohort["columns"] == {"image": "image", "defect": "class"}
    assert cohort["classes"] == {"object": ["blowhole", "break", "crack", "fray", "uneven"]}
    assert wsseg("recipe", "check", tmp_path / "a.yaml").code == 0


@pytest.mark.parametrize(
    ("without", "having"),
    [
        ("Apple___healthy", "Apple___Black_rot"),  # as in PlantVillage
        ("non_cracked", "cracked"),
        ("good tiles", "not good tiles"),
    ],
)
def test_a_folder_whose_name_has_a_word_for_no_defect_is_the_background(
    wsseg: Wsseg, tmp_path: Path, without: str, having: str
) -> None:
    folder = write_pictures(tmp_path / "pictures")
    (folder / "good").rename(folder / without)
    (folder / "crack").rename(folder / having)
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["cohort"]["classes"] == {having: [having]}
    (stage,) = written["stages"].values()
    assert stage["classes"] == [having]
    assert f"# {having}: 12 with it, 12 without" in (tmp_path / "a.yaml").read_text()
    assert wsseg("recipe", "check", tmp_path / "a.yaml").code == 0


def test_a_column_of_tags_for_healthy_pictures_is_the_background(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "pictures")
    rows = [
        f"{path.stem},{int(path.parent.name == 'good')},{int(path.parent.name == 'crack')}"
        for path in sorted(folder.glob("*/*[0-9].png"))
    ]
    (folder / "train.csv").write_text("\n".join(["image_id,healthy,rust", *rows]))
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["stages"]["rust"]["classes"] == ["rust"]


def test_a_column_of_probabilities_is_a_column_of_tags(wsseg: Wsseg, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures")
    paths = sorted(folder.glob("*/*[0-9].png"))
    tags = ["1" if path.parent.name == "crack" else "0" for path in paths]
    tags[:2] = ["0.5", "0.5"]
    rows = [f"{path.name},{tag}" for path, tag in zip(paths, tags, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["file,crack", *rows]))
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert recipe(tmp_path / "a.yaml")["cohort"]["columns"]["crack"] == "tag.crack"


def test_classes_further_down_than_other_folders_are_refused(wsseg: Wsseg, tmp_path: Path) -> None:
    for site in ("a", "b"):
        write_pictures(tmp_path / "pictures" / f"site-{site}")
    ended = wsseg("init", tmp_path / "pictures", "--out", tmp_path / "a.yaml")
    ended.refused("the folder good is below site-a, so site-a would be a class")


def test_a_table_whose_classes_are_unclear_is_named_if_folders_are_no_classes(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    crack = write_pictures(folder) / "crack"
    for path in sorted((folder / "good").glob("*.png")):
        path.rename(crack / path.name)
    rows = [f"{number:03}.png,{number % 2},plate{number // 2}" for number in range(24)]
    rows = [row.replace(",0,", ",keine,").replace(",1,", ",Kratzer,") for row in rows]
    (folder / "labels.csv").write_text("\n".join(["name,result,plate", *rows]))
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    ended.refused(
        "no training image is without crack",
        "The folders of the images were taken as classes",
        "add a CSV file with the columns image and class; labels.csv has no such columns",
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [((128,), (128,)), ((1, 2), (1, 2)), ((1,), None), ((255,), None)],
)
def test_the_values_of_masks_are_found(
    wsseg: Wsseg, tmp_path: Path, values: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    folder = write_pictures(tmp_path / "pictures")
    for number, path in enumerate(sorted(folder.glob("*/*_mask.png"))):
        with Image.open(path) as mask:
            labels = np.asarray(mask) * np.uint8(values[number % len(values)])
        Image.fromarray(labels).save(path)
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    found = recipe(tmp_path / "a.yaml")["cohort"].get("mask_values")
    assert found == (None if expected is None else {"crack": list(expected)})
    assert wsseg("data", "check", tmp_path / "a.yaml").code == 0


def test_a_coco_file_in_a_folder_of_annotations_is_found(wsseg: Wsseg, tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    pictures = write_pictures(tmp_path / "pictures")
    (folder / "train2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images, boxes = [], []
    for number, path in enumerate(sorted(pictures.glob("*/*[0-9].png"))):
        path.rename(folder / "train2017" / path.name)
        images.append({"id": number, "file_name": path.name})
        if path.parent.name == "crack":
            boxes.append({"image_id": number, "category_id": 1, "bbox": [1, 1, 30, 30]})
    content = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "crack"}],
    }
    (folder / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    ended = wsseg("init", folder, "--out", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    written = recipe(tmp_path / "a.yaml")
    assert written["cohort"]["boxes"] == "coco/annotations/instances_train2017.json"
    assert written["stages"]["crack"]["classes"] == ["crack"]
    assert wsseg("data", "check", tmp_path / "a.yaml").code == 0


def test_the_command_in_a_recipe_can_be_copied_if_the_path_has_spaces(
    wsseg: Wsseg, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "my pictures")
    assert wsseg("init", folder, "--out", tmp_path / "a.yaml").code == 0
    assert f"`wsseg init '{folder}'`" in (tmp_path / "a.yaml").read_text()


def test_a_path_without_usable_images_is_refused(wsseg: Wsseg, tmp_path: Path) -> None:
    out = tmp_path / "a.yaml"
    wsseg("init", tmp_path / "none", "--out", out).refused("not found. Give a folder")
    (tmp_path / "empty").mkdir()
    wsseg("init", tmp_path / "empty", "--out", out).refused("no images found")
    (tmp_path / "a.nii.gz").touch()
    wsseg("init", tmp_path / "a.nii.gz", "--out", out).refused("is an image. Give the folder")
    (tmp_path / "a.csv").write_text("name,age\nx,3\n")
    wsseg("init", tmp_path / "a.csv", "--out", out).refused(
        "the table needs a column with the names of images"
    )
    folder = write_pictures(tmp_path / "pictures")
    good = folder / "good"
    wsseg("init", good, "--out", out).refused("no labels found for its images")
    (folder / "crack").rename(folder / "Apple___healthy")
    wsseg("init", folder, "--out", out).refused("no labels found for its images")
    assert not out.exists()


def test_a_recipe_is_never_overwritten(wsseg: Wsseg, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures")
    (tmp_path / "a.yaml").write_text("mine")
    wsseg("init", tmp_path / "pictures", "--out", tmp_path / "a.yaml").refused("already exists")
    wsseg("init", tmp_path / "pictures", "--out", tmp_path / "a.txt").refused("ends in .yaml")
    assert (tmp_path / "a.yaml").read_text() == "mine"
