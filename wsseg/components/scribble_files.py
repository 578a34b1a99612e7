"""Files of scribbles in a folder, by the names of their images."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from wsseg.data.image_files import FoundImage, FoundMask, find_images
from wsseg.errors import InputError


def scribbles_of(images: Sequence[FoundImage], folder: Path) -> dict[Path, list[FoundMask]]:
    """Return the scribbles below a folder by the path of their image, which has the same name.

    If several images have the same name, the folders of the scribbles must be those of the image.
    Files with other names are left out.

    Raises:
        InputError: There is no such folder, or no file in it has the name of an image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder. Give the folder that contains the scribbles")
    by_stem: dict[str, list[FoundImage]] = defaultdict(list)
    for image in images:
        by_stem[image.stem].append(image)
    found: dict[Path, list[FoundMask]] = defaultdict(list)
    for drawn in find_images(folder):
        named = by_stem[drawn.stem]
        in_same = [image for image in named if image.folders == drawn.folders]
        if in_same:
            found[in_same[0].path].append(FoundMask(drawn.path, ()))
        elif len(named) == 1:
            found[named[0].path].append(FoundMask(drawn.path, drawn.folders))
    if images and not found:
        raise InputError(
            f"{folder}: no file of scribbles has the name of an image. Name each like its image, "
            f"such as {images[0].stem}"
        )
    return found
