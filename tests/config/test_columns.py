"""Two parts of a recipe cannot have the same column in the results."""

import re
from pathlib import Path

import pytest

from wsseg.config import columns
from wsseg.config.recipe_files import load_recipe
from wsseg.core.component import KeyProblemError
from wsseg.core.interfaces import Metric
from wsseg.errors import InputError
from wsseg.inference.ensemble import COLUMN as AGREEMENT
from wsseg.inference.probabilities import COLUMN as PROBABILITY

SHARE = "{use: share, of: consolidation, within: infection}"


@pytest.mark.parametrize(
    "name",
    [
        *("method", "seed", "fold", "case", "patient", "site"),
        *("dice", "tpr", "hd95_mm", "fp_dilated_0_voxels"),
        *("prior_dice", "both_fp_voxels"),
    ],
)
def test_a_score_with_the_name_of_a_column_is_refused(toy_recipe: Path, name: str) -> None:
    words = f"scores.{name}: the column '{name}' of the results .*; choose another name"
    with pytest.raises(InputError, match=words):
        load_recipe(toy_recipe, [f"scores={{{name}: {SHARE}}}"])


@pytest.mark.parametrize(
    "name", ["dice", "tp_voxels", "tpr", "hd95_mm", "hd95_px", "area_error_px", "fp_thin_voxels"]
)
def test_a_score_with_the_name_of_a_metrics_column_is_refused_without_that_metric(
    toy_recipe: Path, name: str
) -> None:
    words = (
        f"the column '{name}' of the results would belong to both wsseg's metrics and this score"
    )
    with pytest.raises(InputError, match=words):
        load_recipe(
            toy_recipe, ["metrics={a: {use: hd95, percentile: 50}}", f"scores.{name}={SHARE}"]
        )


@pytest.mark.parametrize(
    "name",
    [
        f"consolidation{PROBABILITY}",
        f"infection{AGREEMENT}",
        *("consolidation_ml", "infection_px", "all_ml", "all_px"),
    ],
)
def test_a_score_with_the_name_of_a_column_of_predictions_is_refused(
    toy_recipe: Path, name: str
) -> None:
    words = f"scores.{name}: the column '{name}' .* predictions of .*; choose another name"
    with pytest.raises(InputError, match=words):
        load_recipe(toy_recipe, ["regions={all: {use: everything}}", f"scores={{{name}: {SHARE}}}"])


@pytest.mark.parametrize("name", ["infection.dice", "tag.infection", "dice_true", "", " "])
def test_a_score_with_a_dot_a_reserved_ending_or_no_name_is_refused(
    toy_recipe: Path, name: str
) -> None:
    with pytest.raises(InputError, match="is not a valid name for a score"):
        load_recipe(toy_recipe, [f"scores={{'{name}': {SHARE}}}"])


def test_two_metrics_with_one_column_are_refused_in_either_order(toy_recipe: Path) -> None:
    words = r"metrics\.b: the column 'dice' of the results would belong to both metrics\.a"
    with pytest.raises(InputError, match=words):
        load_recipe(toy_recipe, ["metrics={a: {use: dice}, b: {use: dice}}"])
    words = "the column 'fp_dilated_0_voxels'"
    dilations = ("{use: dilated-fall-out, steps: 3}", "{use: dilated-fall-out, steps: 9}")
    for one, other in (dilations, dilations[::-1]):
        with pytest.raises(InputError, match=words):
            load_recipe(toy_recipe, [f"metrics={{a: {one}, b: {other}}}"])


def test_two_metrics_of_one_kind_with_different_columns_are_accepted(toy_recipe: Path) -> None:
    distances = "{a: {use: hd95}, b: {use: hd95, percentile: 100}}"
    assert set(load_recipe(toy_recipe, [f"metrics={distances}"]).metrics) == {"a", "b"}


@pytest.mark.parametrize("name", ["''", "a.dice", ".", "' a'", "'a '"])
def test_a_class_name_without_letters_or_with_a_dot_is_refused(toy_recipe: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"classes: .* is not a valid name of a class"):
        load_recipe(toy_recipe, ["scores={}", f"stages.consolidation.classes=[{name}]"])


def test_a_class_that_makes_a_metric_look_like_its_score_is_refused(toy_recipe: Path) -> None:
    words = re.escape("the column 'fp_voxels' of the results starts with the class 'fp'")
    with pytest.raises(InputError, match=words):
        load_recipe(toy_recipe, ["scores={}", "stages.consolidation.classes=[fp]"])


@pytest.mark.parametrize("name", ["a", "ground glass", "µ-calc", "1st"])
def test_other_class_names_are_accepted(toy_recipe: Path, name: str) -> None:
    changes = ["scores={}", f"stages.consolidation.classes=[{name}]"]
    assert load_recipe(toy_recipe, changes).classes == ["infection", name]


def test_a_class_called_tag_is_refused_if_its_columns_have_a_prefix(toy_recipe: Path) -> None:
    words = "columns of a class called 'tag' would look like columns of tags"
    with pytest.raises(InputError, match=words):
        load_recipe(toy_recipe, ["scores={}", "stages.infection.classes=[tag]"])
    load_recipe(toy_recipe, ["scores={}", "stages.consolidation.classes=[tag]"])


def test_a_metric_whose_column_has_a_dot_is_refused() -> None:
    class Dotted(Metric):
        def __call__(self, *_: object, **__: object) -> dict[str, float]:
            return {"infection.dice": 1.0}

    with pytest.raises(KeyProblemError, match=r"its column 'infection\.dice' contains a dot"):
        columns.check_columns(["infection", "consolidation"], {"dotted": Dotted()}, {})


def test_a_class_called_run_is_refused_only_with_a_metric_that_is_a_column_of_runs(
    toy_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = ["stages.infection.classes=[run]", "scores={}"]
    assert load_recipe(toy_recipe, classes).classes == ["run", "consolidation"]
    monkeypatch.setattr(columns, "RUN_COLUMNS", ("run.dice",))
    with pytest.raises(InputError, match=r"the column 'run\.dice' .* would belong to both a run"):
        load_recipe(toy_recipe, classes)
