"""Scribbles, boxes, shares and tags in doubt reach the E-step; true masks do not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsseg.components.priors import TagOdds
from wsseg.components.regions import Nonzero
from wsseg.components.registry import registry
from wsseg.config.stages import EmStage, Stage, TagsStage
from wsseg.core.batch import Batch, StepContext
from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.core.weak_labels import Box, ScribbleValues
from wsseg.data.augment import StandardAugment
from wsseg.data.batches import SliceDraw, Slices, StageScan, collate
from wsseg.data.prepare import Prepared, prepare, prepare_box, prepare_scribble
from wsseg.inference.pipeline import Pipeline
from wsseg.runtime.device import open_fabric
from wsseg.training.em import e_step
from wsseg.training.training_set import training_scans
from wsseg.training.weak_labels import (
    shares_of_slices,
    tags_of,
    weak_labels_of,
    with_bounds_of_slices,
)

SIZE = 8
INPUT = Input(slices=1, size=SIZE)
NETWORK: dict[str, Any] = {
    "classes": ["x"],
    "backbone": {"use": "additive-unet", "width": 2},
    "epochs": 1,
    "optimizer": {"lr": 0.01},
}
EM = {
    **NETWORK,
    "learn": "em",
    "prior": {"use": "tag-odds", "share": 0.2},
    "estep": {"use": "adapt", "share": 0},
    "loss": {"use": "smooth-dice"},
}


def em_stage(**changes: Any) -> EmStage:
    return EmStage.model_validate(EM | changes, context=registry())


def tags_stage() -> TagsStage:
    return TagsStage.model_validate(
        NETWORK | {"learn": "tags", "loss": {"use": "noisy-or", "instances": 9}}, context=registry()
    )


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A scan of 16 x 16 x 3 voxels whose columns are x and whose rows are y."""
    save(tmp_path / "image.nii.gz", np.random.default_rng(0).integers(1, 99, (16, 16, 3)))
    return Case("a", "a", tmp_path / "image.nii.gz")


def save(path: Path, array: np.ndarray[Any, Any]) -> Path:
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])
    nib.save(nib.Nifti1Image(array.astype(np.int16), affine), path)
    return path


def with_scribbles(case: Case, *marks: tuple[int, int, int, int], **values: Any) -> Case:
    """Return a case with scribbles: x, y, z and the value of each pixel."""
    labels = np.zeros((16, 16, 3))
    for x, y, z, value in marks:
        labels[x, y, z] = value
    path = save(case.image.with_name("scribbles.nii.gz"), labels)
    return replace(case, scribbles={"x": path}, scribble_values=values)


def prepared(case: Case) -> Prepared:
    return prepare(case, INPUT)


def scan_of(case: Case, stage: Stage) -> StageScan:
    pipeline = Pipeline({"body": Nonzero()}, {}, INPUT, open_fabric("float32"))
    return training_scans("weak", stage, [prepared(case)], pipeline)[0]


def batch_of(scan: StageScan, *slices: int, augment: StandardAugment | None = None) -> Batch:
    drawn = Slices([scan], INPUT, augment or StandardAugment())
    return collate([drawn[SliceDraw(0, z)] for z in slices])[0]


def test_single_points_are_kept_on_a_coarser_grid(case: Case) -> None:
    """Every second pixel of 16 is not the nearest one of any of the 8 pixels of the network."""
    marks = [(x, 0, 0, 1) for x in range(16)] + [(15, 15, 2, 2)]
    known = prepare_scribble(prepared(with_scribbles(case, *marks)), "x")
    assert known.shape == (3, SIZE, SIZE)
    assert known[0, 0].tolist() == [1] * SIZE
    assert known[2, 7, 7] == -1
    assert np.count_nonzero(known) == SIZE + 1


def test_a_pixel_with_equally_many_marks_of_both_kinds_is_unknown(case: Case) -> None:
    known = prepare_scribble(prepared(with_scribbles(case, (0, 0, 0, 1), (1, 1, 0, 2))), "x")
    assert not known.any()


def test_a_mark_on_a_finer_grid_covers_the_pixels_of_its_voxel(case: Case) -> None:
    marked = with_scribbles(case, (3, 5, 1, 1))
    known = prepare_scribble(prepare(marked, Input(slices=1, size=32)), "x")
    assert np.argwhere(known > 0).tolist() == [[1, 10, 6], [1, 10, 7], [1, 11, 6], [1, 11, 7]]


def test_values_of_scribbles_can_have_other_meanings(case: Case) -> None:
    values = ScribbleValues(present=(3,), absent=(0,), unknown=(4,))
    path = save(case.image.with_name("scribbles.nii.gz"), np.full((16, 16, 3), 4))
    labels = np.full((16, 16, 3), 4)
    labels[0:2, 0:2, 0], labels[4:6, 0:2, 0] = 3, 0
    save(path, labels)
    marked = replace(case, scribbles={"x": path}, scribble_values={"x": values})
    known = prepare_scribble(prepared(marked), "x")
    assert known[0, 0].tolist() == [1, 0, -1, 0, 0, 0, 0, 0]
    other = replace(marked, scribble_values={})
    with pytest.raises(Exception, match=r"case a: .*has unknown labels 3, 4"):
        prepare_scribble(prepared(other), "x")


def test_the_coordinates_of_a_box_are_voxels_of_the_file(case: Case, tmp_path: Path) -> None:
    box = Box(x=2, y=4, width=4, height=3, slices=(1, 2))
    assert prepare_box(prepared(case), box) == (slice(1, 3), slice(2, 4), slice(1, 3))
    array = np.random.default_rng(0).integers(1, 99, (16, 16, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1, -5, 1])), tmp_path / "turned.nii.gz")
    turned = prepared(replace(case, image=tmp_path / "turned.nii.gz"))
    assert prepare_box(turned, box) == (slice(0, 2), slice(4, 6), slice(5, 7))
    with pytest.raises(Exception, match=r"case a: a box from x 20 to 24 .* lies outside"):
        prepare_box(prepared(case), replace(box, x=20))


def test_scribbles_and_boxes_are_moved_with_the_slices_that_padding_surrounds(case: Case) -> None:
    """16 x 16 pixels are in the middle of 8 x 12, which is 8 x 8."""
    wide = prepare(with_scribbles(case, (2, 4, 1, 1)), Input(slices=1, size=(8, 12), fit="pad"))
    assert np.argwhere(prepare_scribble(wide, "x")).tolist() == [[1, 2, 3]]
    box = Box(x=2, y=4, width=4, height=3, slices=(1, 2))
    assert prepare_box(wide, box) == (slice(1, 3), slice(2, 4), slice(3, 5))


def test_a_case_without_a_tag_counts_as_tagged_where_scribbles_show_or_may_show_the_class(
    case: Case,
) -> None:
    positive = prepared(with_scribbles(case, (0, 0, 0, 1)))
    assert tags_of(em_stage(), positive) == [[True], [True], [True]]
    negative = prepared(with_scribbles(case, (0, 0, 1, 2)))
    assert tags_of(em_stage(), negative) == [[None], [True], [None]]
    tagged = replace(with_scribbles(case, (0, 0, 1, 2)), tags={"x": False})
    assert tags_of(em_stage(), prepared(tagged)) == [[False], [False], [False]]


def test_only_slices_with_a_box_have_the_class_in_a_case_with_boxes(case: Case) -> None:
    boxed = replace(case, boxes={"x": (Box(0, 0, 4, 4, slices=(1, 1)),)})
    assert tags_of(em_stage(), prepared(boxed)) == [[False], [True], [False]]
    unsure = replace(boxed, tags={"x": 0.5})
    assert tags_of(em_stage(), prepared(unsure)) == [[False], [0.5], [False]]


def test_stages_without_em_leave_out_images_with_an_uncertain_tag(case: Case) -> None:
    unsure = prepared(replace(case, tags={"x": 0.5}, slice_tags={0: {"x": True}}))
    assert tags_of(tags_stage(), unsure) == [[True], [None], [None]]


def test_known_pixels_boxes_and_probabilities_are_in_the_batch(case: Case) -> None:
    marked = with_scribbles(case, (0, 0, 1, 1), (15, 15, 1, 2))
    marked = replace(marked, tags={"x": 0.5}, boxes={"x": (Box(0, 0, 8, 8, slices=(1, 1)),)})
    batch = batch_of(scan_of(marked, em_stage()), 1)
    known = torch.full((1, 1, SIZE, SIZE), -1, dtype=torch.int8)
    known[..., :4, :4] = 0
    known[..., 0, 0] = 1
    assert batch.known is not None
    assert torch.equal(batch.known, known)
    assert batch.boxes is not None
    assert batch.boxes.shape == (1, 1, 1, SIZE, SIZE)
    assert batch.boxes[0, 0, 0].nonzero().max() == 3
    assert batch.tag_probability is not None
    assert batch.tag_probability.tolist() == [[0.5]]
    assert batch.bounds is None
    assert batch.support.sum() == 16


def test_a_stage_with_tags_only_has_no_other_weak_labels_in_its_batches(case: Case) -> None:
    batch = batch_of(scan_of(replace(case, tags={"x": True}), em_stage()), 0)
    fields = (batch.known, batch.boxes, batch.bounds, batch.tag_probability)
    assert fields == (None, None, None, None)


def test_known_pixels_and_boxes_are_flipped_with_the_image(case: Case) -> None:
    marked = with_scribbles(case, (0, 0, 1, 1), (15, 0, 1, 2))
    marked = replace(marked, boxes={"x": (Box(0, 0, 16, 8, slices=(1, 1)),)})
    scan = scan_of(marked, em_stage())
    plain = batch_of(scan, 1)
    flip = StandardAugment(flip=("left-right",))
    drawn = Slices([scan], INPUT, flip)
    seen = [collate([drawn[SliceDraw(0, 1, epoch)]])[0] for epoch in range(8)]
    flipped = [each for each in seen if not torch.equal(each.image, plain.image)]
    assert 0 < len(flipped) < len(seen)
    for each in flipped:
        assert torch.equal(each.image, plain.image.flip(-1))
        assert each.known is not None
        assert plain.known is not None
        assert torch.equal(each.known, plain.known.flip(-1))
        assert each.boxes is not None
        assert plain.boxes is not None
        assert torch.equal(each.boxes, plain.boxes.flip(-1))


def test_known_pixels_are_targets_whatever_the_estep_computes(case: Case) -> None:
    marked = with_scribbles(case, (0, 0, 1, 1), (15, 15, 1, 2))
    stage = em_stage(estep={"use": "hard"})
    batch = batch_of(scan_of(marked, stage), 1)
    for logit in (-50.0, 50.0):
        y = e_step(stage, batch, torch.full((1, 1, SIZE, SIZE), logit), StepContext(0.5, 1, {}))
        assert y[0, 0, 0, 0] == 1
        assert y[0, 0, 7, 7] == 0


@given(
    st.lists(st.lists(st.sampled_from([0.1, 0.5, 0.9]), max_size=5), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_shares_of_slices_add_up_to_the_share_of_the_case(
    phi: list[list[float]], share: float
) -> None:
    pixels = share * sum(map(len, phi))
    found = shares_of_slices([torch.tensor(each) for each in phi], pixels)
    assert all(0 <= each <= 1 for each in found)
    total = sum(each * len(own) for each, own in zip(found, phi, strict=True))
    assert total == pytest.approx(pixels, abs=1e-4)


def test_slices_get_the_most_probable_pixels_of_the_case() -> None:
    """The 3 most probable of 6 pixels: 0.9, 0.8 and one of two pixels with 0.5, half for each."""
    phi = [torch.tensor([0.9, 0.5]), torch.tensor([0.5, 0.1]), torch.tensor([0.8, 0.2])]
    assert shares_of_slices(phi, 3) == [0.75, 0.25, 0.5]
    assert shares_of_slices(phi, 0) == [0, 0, 0]
    assert shares_of_slices(phi, 9) == [1, 1, 1]


def test_a_grade_of_a_case_becomes_bounds_of_its_slices(case: Case) -> None:
    """The prior says the same of all pixels, so each slice has the bounds of the case."""
    graded = replace(case, tags={"x": True}, shares={"x": (0.25, 0.5)})
    scan = scan_of(graded, em_stage())
    assert batch_of(scan, 0).bounds is None
    bounded = with_bounds_of_slices(scan, TagOdds(share=0.2), INPUT)
    bounds = batch_of(bounded, 0, 2).bounds
    assert bounds is not None
    assert bounds.tolist() == [[[0.25, 0.5]]] * 2
    own = replace(graded, slice_shares={2: {"x": (0, 0.1)}})
    bounded = with_bounds_of_slices(scan_of(own, em_stage()), TagOdds(share=0.2), INPUT)
    bounds = batch_of(bounded, 0, 2).bounds
    assert bounds is not None
    assert torch.allclose(bounds[1, 0], torch.tensor([0, 0.1]))


def test_bounds_are_not_used_by_an_estep_that_does_not_take_them(case: Case) -> None:
    graded = replace(case, tags={"x": True}, shares={"x": (0.25, 0.5)})
    stage = em_stage(estep={"use": "hard"})
    assert weak_labels_of(stage, graded) == {}
    assert scan_of(graded, stage).weak is None
    assert weak_labels_of(em_stage(), graded) == {"shares": {"x": [0.25, 0.5]}}


def test_the_targets_of_a_phantom_stay_within_its_grade(tmp_path: Path) -> None:
    """Grades as of severity: 40 % of the pixels of a scan are bright, and it is said to have less.

    The bright pixels are in the upper slices, so that the slices have different bounds.
    """
    rng = np.random.default_rng(0)
    array = rng.normal(100, 10, (16, 16, 4))
    array[:, :13, 2:] += 200
    case = Case("a", "a", save(tmp_path / "image.nii.gz", array), tags={"x": True})
    prior = {"use": "threshold", "hu": 200}
    fixed = em_stage(prior=prior, estep={"use": "hard"})
    plain = batch_of(scan_of(case, fixed), 0, 1, 2, 3)
    logits = torch.from_numpy(rng.normal(0, 1, (4, 1, SIZE, SIZE))).float()
    assert e_step(fixed, plain, logits, StepContext()).mean() == pytest.approx(0.4, abs=0.05)
    for grade in ((0.0, 0.25), (0.5, 0.75), (0.75, 1.0)):
        stage = em_stage(prior=prior)
        scan = scan_of(replace(case, shares={"x": grade}), stage)
        bounded = with_bounds_of_slices(scan, stage.prior, INPUT)
        y = e_step(stage, batch_of(bounded, 0, 1, 2, 3), logits, StepContext())
        assert grade[0] - 0.01 <= y.mean() <= grade[1] + 0.01
        shares = y.mean((1, 2, 3))
        assert shares[2:].mean() > shares[:2].mean()
