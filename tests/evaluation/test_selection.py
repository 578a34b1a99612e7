"""The criteria by which settings are chosen, with values computed by hand."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage
from wsseg.core.case import Case
from wsseg.data.prepare import Prepared, prepare
from wsseg.errors import InputError
from wsseg.evaluation.selection import Candidate, Criterion
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.pipeline import Pipeline
from wsseg.inference.run import load_run
from wsseg.runtime.device import open_fabric
from wsseg_covid.priors import Constant

SIDE = 4


def rows_of(*rows: str) -> NDArray[np.int16]:
    """Return one slice whose pixels are drawn as #."""
    return np.array([[[pixel == "#" for pixel in row] for row in rows]]).astype(np.int16)


PREDICTED = rows_of("####", "....", "....", "....")
OTHER = rows_of("..##", "..##", "....", "....")  # overlaps in 2 of 4 pixels
SMALL = rows_of("##..", "....", "....", "....")
NONE = rows_of("....", "....", "....", "....")


def case_of(
    folder: Path,
    name: str,
    slices: list[NDArray[np.int16]],
    masks: list[NDArray[np.int16]],
    *tags: bool,
) -> Case:
    """Return a case whose prediction is `slices`; several tags are those of its slices."""
    for kind, voxels in (("image", slices), ("tumour", masks)):
        array = np.concatenate(voxels).transpose(2, 1, 0)
        image = nib.Nifti1Image(array, np.diag([-1.0, -1.0, 5.0, 1.0]))
        nib.save(image, folder / f"{name}-{kind}.nii.gz")
    return Case(
        name,
        name,
        folder / f"{name}-image.nii.gz",
        masks={"tumour": folder / f"{name}-tumour.nii.gz"},
        tags={"tumour": tags[0]} if len(tags) == 1 else {},
        slice_tags={z: {"tumour": tag} for z, tag in enumerate(tags)} if len(tags) > 1 else {},
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Tumour is where the image is above 1/2."""
    (tmp_path / "cohort.csv").write_text("case,image\n")
    prior = {"use": "smoothed-threshold", "threshold": 0.5, "sigma_px": 0, "opening_px": 0}
    stage = {"learn": "nothing", "classes": ["tumour"], "prior": prior}
    return Recipe.model_validate(
        {
            "cohort": {"use": "table", "path": str(tmp_path / "cohort.csv")},
            "input": {"slices": 1, "size": SIDE},
            "stages": {"tumour": stage},
            "scores": {"tumour_share": {"use": "share", "of": "tumour", "within": "tumour"}},
        },
        context=registry(),
    )


def candidate_of(recipe: Recipe) -> Candidate:
    stage = recipe.stages["tumour"]
    trained = TrainedStage("tumour", stage, recipe.input, None, (), "digest")
    fabric = open_fabric(recipe.precision)
    pipeline = Pipeline(recipe.regions, {"tumour": trained}, recipe.input, fabric)
    return Candidate(recipe, pipeline, ("tumour",))


def value_of(criterion: str, recipe: Recipe, cases: list[Case]) -> float:
    own = Criterion(criterion, recipe)
    own.check()
    prepared = [prepare(own.visible(case), recipe.input) for case in cases]
    return own.value(candidate_of(recipe), prepared)


def test_criteria_of_metrics_equal_hand_computed_values(recipe: Recipe, tmp_path: Path) -> None:
    cases = [
        case_of(tmp_path, "a", [PREDICTED], [OTHER], True),
        case_of(tmp_path, "b", [SMALL], [NONE], False),
    ]
    assert value_of("dice", recipe, cases) == pytest.approx(2 * 2 / 8)  # where it is present
    assert value_of("dice_pooled", recipe, cases) == pytest.approx(2 * 2 / (8 + 2))
    assert value_of("tpr", recipe, cases) == pytest.approx(2 / 4)
    assert value_of("fp_voxels", recipe, cases) == pytest.approx((2 + 2) / 2)


def test_a_metric_that_is_undefined_for_all_cases_is_nan(recipe: Recipe, tmp_path: Path) -> None:
    assert np.isnan(value_of("dice", recipe, [case_of(tmp_path, "a", [NONE], [NONE], True)]))


def test_the_auc_by_tags_of_cases_is_the_share_of_pairs_in_order(
    recipe: Recipe, tmp_path: Path
) -> None:
    """Shares with the tag 4/16 and 2/16, without it 2/16: 1 pair in order, 1 tie."""
    cases = [
        case_of(tmp_path, "a", [PREDICTED], [NONE], True),
        case_of(tmp_path, "b", [SMALL], [NONE], True),
        case_of(tmp_path, "c", [SMALL], [NONE], False),
    ]
    assert value_of("tag_auc", recipe, cases) == pytest.approx((1 + 0.5) / 2)


def test_the_auc_is_by_slices_where_slices_have_tags(recipe: Recipe, tmp_path: Path) -> None:
    slices = [PREDICTED, NONE, SMALL, NONE]
    case = case_of(tmp_path, "a", slices, slices, True, False, True, True)
    # with: 4, 2, 0; without: 0 → 2 pairs in order, 1 tie
    assert value_of("tag_auc", recipe, [case]) == pytest.approx(2.5 / 3)


def test_criteria_from_tags_see_no_mask(recipe: Recipe, tmp_path: Path) -> None:
    case = case_of(tmp_path, "a", [PREDICTED], [OTHER], True)
    for name in ("tag_auc", "tumour_share_auc"):
        criterion = Criterion(name, recipe)
        criterion.check()
        assert criterion.visible(case).masks == {}
    assert set(Criterion("dice", recipe).visible(case).masks) == {"tumour"}


def test_tags_that_are_all_the_same_have_no_auc(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tag\.tumour is the same in all of them"):
        value_of("tag_auc", recipe, [case_of(tmp_path, "a", [SMALL], [NONE], True)])


def test_a_criterion_of_masks_needs_a_mask(recipe: Recipe, tmp_path: Path) -> None:
    case = case_of(tmp_path, "a", [SMALL], [SMALL], True).without_masks(["tumour"])
    with pytest.raises(InputError, match=r"none of the 1 cases has mask\.tumour"):
        value_of("dice", recipe, [case])


def test_targets_agree_with_a_network_that_the_prior_never_contradicts_unless_the_tag_does(
    trained: Path,
) -> None:
    """With phi = 1/2, the target is the prediction P of a tagged case, else it is empty."""
    run = load_run(trained)
    name, first = "consolidation", run.pipeline.stages["consolidation"]
    assert isinstance(first.stage, EmStage)
    prior = first.stage.model_copy(update={"prior": Constant(probability=0.5)})
    pipeline = run.pipeline.with_stage(replace(first, stage=prior))
    cases: list[Prepared] = [run.prepare(case) for case in run.recipe.cohort.cases()]
    candidate = Candidate(run.recipe, pipeline, (name,))
    sizes = {each.case.name: int(candidate.mask(name, each).sum()) for each in cases}
    tagged = {each.case.name for each in cases if each.case.tags[name]}
    with_tag = sum(size for case, size in sizes.items() if case in tagged)
    without = sum(size for case, size in sizes.items() if case not in tagged)
    assert with_tag > 0
    value = Criterion("target_agreement", run.recipe).value(candidate, cases)
    assert value == pytest.approx(2 * with_tag / (2 * with_tag + without))
