"""Boxes are read from COCO files by the names of images and categories."""

import json
from pathlib import Path
from typing import Any

import pytest

from wsseg.core.weak_labels import Box
from wsseg.data.coco import boxes_of_file, check_images_match, read_coco_boxes
from wsseg.errors import InputError

COCO: dict[str, Any] = {
    "info": {"year": 2024},
    "images": [{"id": 1, "file_name": "a.png", "width": 9}, {"id": 2, "file_name": "sub/b.png"}],
    "categories": [{"id": 7, "name": "crack"}, {"id": 8, "name": "hole"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [3, 4, 10, 2]},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [0.5, 0, 1, 1]},
        {"id": 3, "image_id": 2, "category_id": 8, "bbox": [1, 1, 2, 2]},
    ],
}


def written(folder: Path, content: Any) -> Path:
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def test_each_image_has_the_boxes_of_all_classes(tmp_path: Path) -> None:
    assert read_coco_boxes(written(tmp_path, COCO)) == {
        "a.png": {"crack": (Box(3, 4, 10, 2), Box(0.5, 0, 1, 1)), "hole": ()},
        "sub/b.png": {"crack": (), "hole": (Box(1, 1, 2, 2),)},
    }


def test_an_image_is_found_by_the_end_of_its_path(tmp_path: Path) -> None:
    coco = read_coco_boxes(written(tmp_path, COCO))
    assert boxes_of_file(coco, Path("/data/images/a.png"))["crack"]
    assert boxes_of_file(coco, Path("/data/sub/b.png"))["hole"]
    assert boxes_of_file(coco, Path("/data/other/b.png")) == {}


def test_a_box_that_starts_before_the_image_keeps_its_end(tmp_path: Path) -> None:
    annotation = {"image_id": 1, "category_id": 7, "bbox": [-3, -1, 10, 5]}
    coco = read_coco_boxes(written(tmp_path, COCO | {"annotations": [annotation]}))
    [box] = coco["a.png"]["crack"]
    assert (box.x_range, box.y_range) == ((-3, 7), (-1, 4))


def test_a_file_about_other_images_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, COCO)
    coco = read_coco_boxes(path)
    check_images_match(coco, path, [Path("/data/other.png"), Path("/data/sub/b.png")])
    with pytest.raises(InputError, match=r"no image of the cohort .* lists a\.png"):
        check_images_match(coco, path, [Path("/data/other.png"), Path("/data/b.png")])
    with pytest.raises(InputError, match="lists no image"):
        check_images_match({}, path, [Path("/data/a.png")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, r"not a COCO file with boxes \(images: .*It needs images"),
        (
            {"annotations": [{"image_id": 1, "category_id": 7}]},
            r"annotations.0.bbox: Field required",
        ),
        (
            {"images": []},
            "an annotation refers to image 1 and category 7, but the file does not list",
        ),
        (
            {"annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 1, 0, 3]}]},
            "a box of a.png is 0 x 3 pixels; remove it",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_coco_boxes(written(tmp_path, COCO | change))


def test_a_file_that_is_missing_or_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file not found"):
        read_coco_boxes(tmp_path / "boxes.json")
    (tmp_path / "boxes.json").write_text("{")
    with pytest.raises(InputError, match="not a COCO file with boxes"):
        read_coco_boxes(tmp_path / "boxes.json")
