"""Mistakes in the files and the table of a cohort, a function for each."""

import nibabel as nib
import numpy as np

from tests.data.checks.hospital import AFFINE, SHAPE, Array, Hospital


def noise(low: float, high: float) -> Array:
    return np.random.default_rng(9).integers(int(low), int(high), SHAPE).astype(np.int16)


def picture(h: Hospital) -> None:
    h.save("c", noise(0, 256))


def without_intercept(h: Hospital) -> None:
    h.save("c", (h.voxels("c") + 1024).astype(np.int16))


def normalised(h: Hospital) -> None:
    h.save("c", (h.voxels("c") / 1000).astype(np.float32))


def padded(h: Hospital) -> None:
    voxels = h.voxels("c").copy()
    voxels[:2] = -3024
    h.save("c", voxels)


def windowed(h: Hospital) -> None:
    h.save("c", h.voxels("c").clip(-1000, 40))


def identity(h: Hospital) -> None:
    h.save("c", h.voxels("c"), np.eye(4))


def rectangular(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -5.0, 5.0, 1.0]))


def a_hundred_times(h: Hospital) -> None:
    turn(h, np.diag([-0.04, -0.04, 0.05, 1.0]))


def far_apart(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -4.0, 40.0, 1.0]))


def coronal(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -12.0, 4.0, 1.0]))


def tilted(h: Hospital) -> None:
    c, s = np.cos(0.5), np.sin(0.5)
    turn(h, np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]]) @ AFFINE)


def turn(h: Hospital, affine: Array) -> None:
    """Give a case's image and masks another affine."""
    for name in ("c", "c-lung", "c-lesion"):
        h.save(name, h.voxels(name), affine)


def turned_in_one_affine(h: Hospital) -> None:
    """Flip x and y of the qform: a corner is then sqrt(184² + 152²) mm away."""
    image = nib.Nifti1Image(h.voxels("c"), AFFINE)
    image.set_qform(np.diag([4.0, 4.0, 5.0, 1.0]), code="scanner")
    nib.save(image, h.file("c"))


def shifted(h: Hospital) -> None:
    affine = AFFINE.copy()
    affine[0, 3] = 3
    h.save("c-lesion", h.voxels("c-lesion"), affine)


def smaller(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion")[1:])


def labelled(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion") * 7)


def resampled_labels(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion") * np.float32(0.9995))


def emptied(h: Hospital) -> None:
    h.save("c-lung", h.voxels("c-lung") * 0)


def cleared(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion") * 0)


def drawn(h: Hospital) -> None:
    h.save("f-lesion", h.voxels("c-lesion"))


def exchanged_files(h: Hospital) -> None:
    h.change("c.nii.gz,c-lung.nii.gz", "c-lung.nii.gz,c.nii.gz")


def exchanged_classes(h: Hospital) -> None:
    h.change("c-lung.nii.gz,c-lesion.nii.gz", "c-lesion.nii.gz,c-lung.nii.gz")


def copied(h: Hospital) -> None:
    """Use the same scan in another file: not compressed, with another orientation."""
    image = nib.Nifti1Image.from_filename(h.file("a"))
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PRI"))
    nib.save(turned, h.folder / "copy.nii")
    h.change("d.nii.gz", "copy.nii")


def in_both_splits(h: Hospital) -> None:
    h.change("patient-g", "patient-c")


def finer(h: Hospital) -> None:
    h.save("c", h.voxels("c"), np.diag([-1.5, -1.5, 5.0, 1.0]))
    for name in ("c-lung", "c-lesion"):
        h.save(name, h.voxels(name), np.diag([-1.5, -1.5, 5.0, 1.0]))


def thicker(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -4.0, 11.0, 1.0]))


def fewer(h: Hospital) -> None:
    for name in "ab":
        h.change(f"{name}-lesion.nii.gz,1", ",0")


def untagged(h: Hospital) -> None:
    h.table.write_text(h.table.read_text().replace(".nii.gz,1\n", ".nii.gz,\n"))
    h.change("f-lesion.nii.gz,0", "f-lesion.nii.gz,")
    h.change("f-lesion.nii.gz", "")


def truncated(h: Hospital) -> None:
    data = h.file("c").read_bytes()
    h.file("c").write_bytes(data[: len(data) // 2])


def misspelt(h: Hospital) -> None:
    h.change("c.nii.gz", "see.nii.gz")


def twice(h: Hospital) -> None:
    h.change("b,patient-b", "a,patient-b")


def scribbled(h: Hospital, case: str, value: int) -> None:
    """Give a case scribbles of two pixels."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[9, 7:9, 2] = value
    h.save("scribbles", labels)
    add_column(h, "scribble.lesion", case, "scribbles.nii.gz")


def add_column(h: Hospital, name: str, case: str, cell: str) -> None:
    header, *rows = h.table.read_text().splitlines()
    rows = [f"{row},{cell if row.startswith(f'{case},') else ''}" for row in rows]
    h.table.write_text("\n".join([f"{header},{name}", *rows]) + "\n")


def scribbled_with_another_value(h: Hospital) -> None:
    scribbled(h, "c", 5)


def scribbled_nothing(h: Hospital) -> None:
    scribbled(h, "c", 0)


def scribbled_where_it_is_absent(h: Hospital) -> None:
    scribbled(h, "f", 1)


def scribbled_with_the_mask(h: Hospital) -> None:
    add_column(h, "scribble.lesion", "c", "c-lesion.nii.gz")


def boxed_outside(h: Hospital) -> None:
    add_column(h, "box.lesion", "c", "30 2 4 4")


def boxed_beyond_the_edge(h: Hospital) -> None:
    add_column(h, "box.lesion", "c", "10 2 40 4")


def boxed_where_it_is_absent(h: Hospital) -> None:
    add_column(h, "box.lesion", "f", "3 2 4 4")


def graded_where_it_is_absent(h: Hospital) -> None:
    add_column(h, "share.lesion", "f", "25-50 %")
