"""Boxes in COCO files, the JSON format of many annotation programs."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from wsseg.core.weak_labels import Box
from wsseg.errors import InputError


class _Image(BaseModel):
    id: int
    file_name: str


class _Category(BaseModel):
    id: int
    name: str


class _Annotation(BaseModel):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]  # x, y, width, height


class _Coco(BaseModel):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def read_coco_boxes(path: Path) -> dict[str, dict[str, tuple[Box, ...]]]:
    """Return the boxes of each image, by its file name and then by class.

    Every image has an entry for every class; an empty one means that the class is absent.

    Raises:
        InputError: The file cannot be read, or is not a COCO file with boxes.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg.tools import read_coco_boxes
        >>> path = Path(mkdtemp()) / "boxes.json"
        >>> _ = path.write_text(json.dumps({
        ...     "images": [{"id": 1, "file_name": "a.png"}],
        ...     "categories": [{"id": 7, "name": "crack"}],
        ...     "annotations": [{"image_id": 1, "category_id": 7, "bbox": [3, 4, 10, 2]}],
        ... }))
        >>> read_coco_boxes(path)["a.png"]["crack"]
        (Box(x=3.0, y=4.0, width=10.0, height=2.0, slices=None),)
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    try:
        found = _Coco.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{path}: not a COCO file with boxes ({'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}). It needs images with id and file_name, categories with id and name, "
            "and annotations with image_id, category_id and bbox"
        ) from error
    names = {image.id: image.file_name for image in found.images}
    classes = {category.id: category.name for category in found.categories}
    boxes: dict[tuple[str, str], list[Box]] = defaultdict(list)
    for each in found.annotations:
        if each.image_id not in names or each.category_id not in classes:
            raise InputError(
                f"{path}: an annotation refers to image {each.image_id} and category "
                f"{each.category_id}, but the file does not list both. Correct or remove it"
            )
        x, y, width, height = each.bbox
        if min(width, height) <= 0:
            raise InputError(
                f"{path}: a box of {names[each.image_id]} is {width:g} x {height:g} pixels; "
                "remove it"
            )
        boxes[names[each.image_id], classes[each.category_id]].append(Box(x, y, width, height))
    return {
        name: {kind: tuple(boxes[name, kind]) for kind in classes.values()}
        for name in names.values()
    }


def boxes_of_file(
    coco: Mapping[str, dict[str, tuple[Box, ...]]], path: Path
) -> dict[str, tuple[Box, ...]]:
    """Return the boxes of an image file, which COCO names by the end of its path."""
    parts = path.parts
    for start in range(len(parts)):
        if (name := "/".join(parts[start:])) in coco:
            return coco[name]
    return {}


def check_images_match(
    coco: Mapping[str, dict[str, tuple[Box, ...]]], path: Path, images: Collection[Path]
) -> None:
    """Raise `InputError` if a COCO file lists none of the images of a cohort."""
    if not any(boxes_of_file(coco, image) for image in images):
        listed = f"lists {next(iter(coco))}" if coco else "lists no image"
        raise InputError(
            f"{path}: no image of the cohort is in this file, which {listed}. Each file_name must "
            "be the name of an image, or the end of its path"
        )
