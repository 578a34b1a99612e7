import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from typing_extensions import override

from wsseg.components.regions import Everything, FileRegion, Nonzero
from wsseg.core.case import Case
from wsseg.core.image_unit import ImageUnit
from wsseg.core.input import Input, Thick
from wsseg.core.interfaces import Region
from wsseg.core.volume import Volume
from wsseg.data.prepare import prepare, prepare_mask, prepare_region
from wsseg.data.reading import read_case
from wsseg.data.scan_grid import to_scan_grid
from wsseg.errors import InputError

PLAIN = Input(size=32)
THICK = Thick(thinner_than_mm=4, to_mm=5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ball(shape: tuple[int, int, int] = (48, 40, 30)) -> NDArray[np.bool_]:
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    middle = [(n - 1) / 2 + 3 for n in shape]
    return np.asarray((x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 < 64)


def scan(
    folder: Path,
    array: NDArray[Any] | None = None,
    spacing_mm: tuple[float, float, float] = (1, 1, 2),
    **known: Any,
) -> Case:
    """Write a scan in RAS orientation: rows run against y, columns against x."""
    affine = np.diag([*spacing_mm, 1.0])
    voxels = (ball() * 500 - 900).astype(np.int16) if array is None else array
    nib.save(nib.Nifti1Image(voxels, affine), folder / "image.nii.gz")
    nib.save(nib.Nifti1Image(ball().astype(np.uint8), affine), folder / "ball.nii.gz")
    masks = {"ball": folder / "ball.nii.gz"}
    return Case("p1", "p1", folder / "image.nii.gz", masks=masks, **known)


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_prepared_images_have_the_size_and_spacing_of_the_networks_grid(tmp_path: Path) -> None:
    case = scan(tmp_path, (ball() * 500 - 900).astype(np.int16))
    prepared = prepare(case, Input(size=24, thick=THICK))
    assert prepared.spacing_mm == pytest.approx((5, 40 / 24, 48 / 24))  # z, row, column
    assert (
        prepared.image.shape == (1, *prepared.shape) == (1, 12, 24, 24)
    )  # 60 mm are 12 slices of 5
    assert prepared.image.dtype == np.int16
    assert prepared.grid.shape == (48, 40, 30)


def test_voxels_do_not_change_if_the_grid_does_not(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (32, 32, 5)).astype(np.int16)
    prepared = prepare(scan(tmp_path, array), PLAIN)
    assert np.array_equal(prepared.image[0], array[::-1, ::-1].T)


@pytest.mark.parametrize("z_mm", [0.5, 0.7, 0.703125, 0.8, 1, 1.25, 2, 2.5, 3, 4, 5, 10])
@pytest.mark.parametrize("factor", [1 - 1e-6, 1 + 1e-6, 1 + 1e-13])
def test_rounding_errors_of_the_spacing_change_no_prepared_voxel(
    tmp_path: Path, z_mm: float, factor: float
) -> None:
    array = np.random.default_rng(0).integers(-1000, 100, (48, 40, 30)).astype(np.int16)
    masks = []
    for name, spacing_mm in (("exact", (0.8, 0.8, z_mm)), ("almost", (0.8, 0.8, z_mm * factor))):
        (tmp_path / name).mkdir()
        prepared = prepare(scan(tmp_path / name, array, spacing_mm), Input(size=24, thick=THICK))
        mask = prepare_mask(prepared, "ball")
        masks.append((prepared.positions, prepared.image, mask, to_scan_grid(prepared, mask > 0)))
    (positions, *exact), (almost_positions, *almost) = masks
    assert almost_positions == positions
    for one, other in zip(exact, almost, strict=True):
        assert np.array_equal(one, other)


def test_a_ramp_is_resampled_at_the_centres_of_voxels(tmp_path: Path) -> None:
    z = 10 * np.broadcast_to(np.arange(20), (4, 4, 20)).astype(np.int16)
    prepared = prepare(scan(tmp_path, z, (1, 1, 1)), Input(size=4, thick=THICK))
    # 4 slices of 5 mm; the first is centred on slice 2, where a ramp's smoothed value is its own,
    # but for what the Gaussian misses below slice 0
    assert prepared.image[0, :, 0, 0] == pytest.approx([20, 70, 120, 170], abs=2)
    x = np.broadcast_to(100 * np.arange(64)[:, None, None], (64, 64, 2)).astype(np.int16)
    prepared = prepare(scan(tmp_path, x), PLAIN)
    assert prepared.image[0, 0, 0, :3].tolist() == [6250, 6050, 5850]  # mean of 63 and 62, ...


@final
class Grey(ImageUnit):
    """A unit of whole numbers that are not negative."""

    name = "grey"
    whole_numbers = True

    @override
    def mismatch(self, lowest: float, highest: float) -> str:
        return "" if lowest >= 0 else "another image. Use the right one"


def test_float_images_are_rounded_to_int16_only_if_their_unit_has_whole_numbers(
    tmp_path: Path,
) -> None:
    array = np.linspace(0, 100, 32 * 32).reshape(32, 32, 1).astype(np.float32)
    case = scan(tmp_path, array)
    assert prepare(case, PLAIN).image.dtype == np.float32
    rounded = prepare(case, Input(size=32, unit=Grey())).image
    assert rounded.dtype == np.int16
    assert np.abs(rounded - array[::-1, ::-1].T).max() <= 0.5


def test_standardized_voxels_have_mean_0_and_sd_1_inside_the_region(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 200, (32, 32, 10)).astype(np.int16)
    case = scan(tmp_path, array)
    inside = np.zeros((32, 32, 10), np.uint8)
    inside[8:24, 4:20] = 1
    nib.save(nib.Nifti1Image(inside, np.diag([1, 1, 2, 1.0])), tmp_path / "ball.nii.gz")
    settings = PLAIN.model_copy(update={"standardize": "b"})
    regions = {"a": Everything(), "b": FileRegion(mask="ball")}
    prepared = prepare(case, settings, regions)
    values = prepared.image[0][prepare_region(prepared, regions["b"]) > 0]
    assert prepared.image.dtype == np.float32
    assert (values.mean(), values.std()) == pytest.approx((0, 1), abs=1e-5)
    raw = np.asarray(prepare(case, PLAIN).image, np.float32)
    within = array[inside > 0]
    assert np.allclose(prepared.image, (raw - within.mean()) / within.std(), atol=1e-5)


def test_the_image_is_read_once_for_all_regions_to_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, reads = scan(tmp_path), list[Case]()
    regions: dict[str, Region] = {"a": Everything(), "b": Nonzero(), "c": FileRegion(mask="ball")}

    def read(case: Case) -> Volume:
        reads.append(case)
        return read_case(case)

    monkeypatch.setattr("wsseg.data.prepare.read_case", read)
    prepared = prepare(case, PLAIN, regions, find=["a", "b"])
    assert reads == [case]
    found = [np.array(prepare_region(prepared, regions[name])) for name in "ab"]
    assert prepare(case, PLAIN, regions, find="ab").key == prepared.key
    assert reads == [case]  # everything is in the cache
    prepare_region(prepared, regions["c"])
    assert len(reads) == 2
    shutil.rmtree(prepared.folder)
    alone = prepare(case, PLAIN)
    for name, together in zip("ab", found, strict=True):
        assert np.array_equal(prepare_region(alone, regions[name]), together)


def test_standardized_voxels_do_not_depend_on_gain_and_offset_of_the_scanner(
    tmp_path: Path,
) -> None:
    array = np.random.default_rng(0).normal(size=(16, 16, 4)).astype(np.float32)
    settings = Input(size=16, standardize="all")
    images = []
    for gain, offset in ((1, 0), (50, 7)):
        case = scan(tmp_path, array * gain + offset)
        images.append(np.array(prepare(case, settings, {"all": Everything()}).image))
    first, second = images
    assert np.allclose(first, second, atol=1e-4)


def test_the_region_to_standardize_by_is_part_of_the_cache_key(tmp_path: Path) -> None:
    case = scan(tmp_path)
    settings = PLAIN.model_copy(update={"standardize": "a"})
    keys = {
        prepare(case, PLAIN).key,
        prepare(case, settings, {"a": Everything()}).key,
        prepare(case, settings, {"a": Nonzero()}).key,
    }
    assert len(keys) == 3


@pytest.mark.parametrize(("array", "what"), [(np.zeros((8, 8, 4)), "none"), (None, "all alike")])
def test_a_case_without_contrast_in_the_region_is_refused_by_name(
    tmp_path: Path, array: NDArray[Any] | None, what: str
) -> None:
    region: Region = Nonzero() if array is not None else FileRegion(mask="ball")
    with pytest.raises(InputError, match=f"^case p1: its image cannot be standardized .*: {what}"):
        prepare(
            scan(tmp_path, None if array is None else array.astype(np.int16)),
            PLAIN.model_copy(update={"standardize": "a"}),
            {"a": region},
        )


def test_standardizing_and_a_unit_exclude_each_other() -> None:
    with pytest.raises(
        ValueError, match="standardized images are no longer in the unit grey; write unit: any"
    ):
        Input(unit=Grey(), standardize="organ")


def test_an_image_that_cannot_be_in_its_unit_is_refused_with_the_name_of_its_case(
    tmp_path: Path,
) -> None:
    case = scan(tmp_path)  # from -900 to -400
    assert prepare(case, PLAIN).image.min() == -900
    with pytest.raises(
        InputError, match=r"^case p1: .*image.nii.gz: the image is not in grey: .* -900 to"
    ):
        prepare(case, Input(size=32, unit=Grey()))


def test_each_prepared_slice_has_its_slice_number_in_the_file(tmp_path: Path) -> None:
    case = scan(tmp_path, np.zeros((4, 4, 10), np.int16), (1, 1, 1))
    prepared = prepare(case, Input(size=4, thick=THICK))
    assert prepared.slice_of == (2, 7)
    image = nib.Nifti1Image(np.zeros((4, 4, 10), np.int16), np.diag([1, 1, -1, 1]))
    nib.save(image, tmp_path / "down.nii.gz")
    turned = replace(case, image=tmp_path / "down.nii.gz")
    assert prepare(turned, Input(size=4, thick=THICK)).slice_of == (7, 2)


def test_a_frame_is_prepared_as_one_slice(tmp_path: Path) -> None:
    array = np.zeros((32, 32, 4), np.int16)
    array[..., 2] = 7
    prepared = prepare(scan(tmp_path, array, frame=2), Input(size=32))
    assert prepared.shape == (1, 32, 32)
    assert prepared.slice_of == (2,)
    assert (prepared.image == 7).all()


def test_a_tag_of_a_slice_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    case = scan(tmp_path, slice_tags={30: {"x": True}})
    with pytest.raises(InputError, match=r"case p1: slice 30 has a tag, but .* has 30 slices"):
        prepare(case, PLAIN)


@pytest.mark.parametrize("size", [20, 48, 100])
@pytest.mark.parametrize("thick", [None, THICK])
def test_a_mask_resampled_back_to_the_scan_overlaps_the_original(
    tmp_path: Path, size: int, thick: Thick | None
) -> None:
    prepared = prepare(scan(tmp_path), Input(size=size, thick=thick))
    back = to_scan_grid(prepared, prepare_mask(prepared, "ball") > 0)
    assert back.shape == prepared.grid.canonical_shape
    assert dice(prepared.grid.to_file(back), ball()) > (0.85 if thick or size == 20 else 0.97)


def test_the_networks_grid_may_have_other_numbers_of_rows_and_columns(tmp_path: Path) -> None:
    prepared = prepare(scan(tmp_path), Input(size=(20, 36)))
    assert prepared.image.shape == (1, 30, 20, 36)
    assert prepared.spacing_mm == pytest.approx((2, 40 / 20, 48 / 36))
    back = to_scan_grid(prepared, prepare_mask(prepared, "ball") > 0)
    assert dice(prepared.grid.to_file(back), ball()) > 0.9


@pytest.mark.parametrize("fill", [-1000, None])
def test_padding_keeps_the_ratio_of_the_sides_and_has_the_fill(
    tmp_path: Path, fill: float | None
) -> None:
    """A scan of 20 rows and 40 columns of 1 mm is in the middle of 32 x 32 pixels of 1.25 mm."""
    array = np.random.default_rng(0).integers(-900, 100, (40, 20, 3)).astype(np.int16)
    image = nib.Nifti1Image(array, np.eye(4))
    nib.save(image, tmp_path / "flat.nii.gz")
    everything = nib.Nifti1Image(np.ones(array.shape, np.uint8), np.eye(4))
    nib.save(everything, tmp_path / "all.nii.gz")
    case = Case("a", "a", tmp_path / "flat.nii.gz", masks={"all": tmp_path / "all.nii.gz"})
    padded = prepare(case, Input(size=32, fit="pad", fill=fill))
    stretched = prepare(case, Input(size=(16, 32), fill=fill))
    assert padded.spacing_mm == stretched.spacing_mm == pytest.approx((1, 1.25, 1.25))
    inside = slice(8, 24)
    assert np.array_equal(padded.image[:, :, inside], stretched.image)
    outside = np.delete(padded.image, inside, axis=2)
    assert (outside == (stretched.image.min() if fill is None else fill)).all()
    for found in (prepare_mask(padded, "all"), prepare_region(padded, Everything())):
        assert (found[:, inside] == 1).all()
        assert found.sum() == 3 * 16 * 32
    assert to_scan_grid(padded, prepare_mask(padded, "all") > 0).all()
    assert to_scan_grid(padded, np.ones(padded.shape, np.bool_)).all()


def test_padding_changes_nothing_in_a_slice_with_the_shape_of_the_grid(tmp_path: Path) -> None:
    case = scan(tmp_path)
    stretched, padded = (prepare(case, Input(size=(40, 48), fit=fit)) for fit in ("stretch", "pad"))
    assert np.array_equal(stretched.image, padded.image)
    assert stretched.key != padded.key


def test_a_mask_resampled_back_to_the_scan_ends_halfway_between_slices(tmp_path: Path) -> None:
    prepared = prepare(
        scan(tmp_path, np.zeros((4, 4, 10), np.int16), (1, 1, 1)), Input(size=4, thick=THICK)
    )
    mask = np.zeros((2, 4, 4), bool)
    mask[0] = True  # slice 2; the other one is slice 7
    assert to_scan_grid(prepared, mask).all(axis=(1, 2)).tolist() == [True] * 5 + [False] * 5
    assert not to_scan_grid(prepared, np.zeros_like(mask)).any()


def test_a_prepared_case_is_pickled_without_its_voxels(tmp_path: Path) -> None:
    prepared = prepare(scan(tmp_path), PLAIN)
    sent = pickle.dumps(prepared)
    assert len(sent) < 4000
    assert np.array_equal(pickle.loads(sent).image, prepared.image)  # noqa: S301 - our own bytes


def test_the_cache_key_depends_only_on_content_and_grid(tmp_path: Path) -> None:
    case = scan(tmp_path)
    key = prepare(case, PLAIN).key
    same = tmp_path / "copy.nii.gz"
    same.write_bytes(case.image.read_bytes())
    assert prepare(replace(case, image=same, name="other"), PLAIN).key == key
    assert prepare(case, PLAIN.model_copy(update={"slices": 3, "fill": 0})).key == key
    others = [
        prepare(case, Input(size=16)).key,
        prepare(case, Input(size=32, thick=Thick(thinner_than_mm=4, to_mm=6))).key,
        prepare(replace(case, frame=3), PLAIN).key,
        prepare(replace(case, axes="LPS"), PLAIN).key,
        prepare(scan(tmp_path, (ball() * 400).astype(np.int16)), PLAIN).key,
    ]
    assert len({key, *others}) == 6


class Counted(Region):
    """A region that counts its calls in a file, since it may be called in another process."""

    file: Path

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        self.file.write_text(self.file.read_text() + "x" if self.file.exists() else "x")
        return np.asarray(volume.channel() > -500)


def test_a_region_is_computed_once(tmp_path: Path) -> None:
    region = Counted(file=tmp_path / "count")
    prepared = prepare(scan(tmp_path), Input(size=48))
    first, second = prepare_region(prepared, region), prepare_region(prepared, region)
    assert (tmp_path / "count").read_text() == "x"
    assert np.array_equal(first, second)
    assert np.array_equal(first, prepare_mask(prepared, "ball"))
    assert first.dtype == np.uint8
    assert Path(str(first.filename)).is_relative_to(tmp_path / "cache")


def test_a_changed_mask_file_gives_another_region(tmp_path: Path) -> None:
    prepared = prepare(scan(tmp_path), PLAIN)
    before = prepare_region(prepared, FileRegion(mask="ball"))
    changed = nib.Nifti1Image((~ball()).astype(np.uint8), np.diag([1.0, 1, 2, 1]))
    nib.save(changed, prepared.case.masks["ball"])
    after = prepare_region(prepared, FileRegion(mask="ball"))
    assert np.array_equal(before, 1 - after)


def test_two_regions_have_two_cache_entries(tmp_path: Path) -> None:
    prepared = prepare(scan(tmp_path, ball().astype(np.int16)), PLAIN)
    assert prepare_region(prepared, Everything()).all()
    assert not prepare_region(prepared, Nonzero()).all()


def test_a_missing_mask_is_refused_with_the_name_of_its_case(tmp_path: Path) -> None:
    prepared = prepare(scan(tmp_path), PLAIN)
    with pytest.raises(InputError, match=r"^case p1: no mask is called 'bal'; possible: ball"):
        prepare_mask(prepared, "bal")
    prepared.case.masks["ball"].unlink()
    with pytest.raises(InputError, match=r"ball.nii.gz"):
        prepare_mask(prepared, "ball")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"garbage" * 100)


@pytest.mark.parametrize("harm", [truncate, empty, overwrite, Path.unlink])
def test_a_damaged_cache_entry_is_computed_again(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    case = scan(tmp_path)
    prepared = prepare(case, PLAIN)
    image, mask = np.array(prepared.image), np.array(prepare_mask(prepared, "ball"))
    for file in prepared.folder.iterdir():
        harm(file)
    assert np.array_equal(prepare(case, PLAIN).image, image)
    assert np.array_equal(prepare_mask(prepared, "ball"), mask)


def test_a_scan_that_cannot_be_prepared_leaves_no_file_in_the_cache(
    tmp_path: Path, cache: Path
) -> None:
    array = np.zeros((8, 8, 8))
    array[7, 7, 7] = np.nan
    with pytest.raises(InputError, match=r"case p1: .*NaN"):
        prepare(scan(tmp_path, array), PLAIN)
    assert [path for path in cache.glob("prepared/**/*") if path.is_file()] == []


def _prepared_sum(case: Case) -> float:
    return float(np.asarray(prepare(case, PLAIN).image, np.float64).sum())


def test_several_processes_can_prepare_the_same_scan_at_once(tmp_path: Path, cache: Path) -> None:
    case = scan(tmp_path, np.random.default_rng(0).integers(-999, 99, (64, 64, 20), np.int16))
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(3, mp_context=context) as pool:  # ends its workers without signals
        sums = set(pool.map(_prepared_sum, [case] * 6))
    assert len(sums) == 1
    assert [path.name for path in cache.glob("prepared/**/*") if path.is_file()] == ["image.npy"]
