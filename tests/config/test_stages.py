"""Decisions and losses of stages, and runs of a stage that learns from tags."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file

from wsseg.components.registry import registry
from wsseg.components.tag_losses import MeanLogits
from wsseg.config.recipe_files import load_recipe
from wsseg.config.stages import AnyStage, TagsStage
from wsseg.core.batch import Batch, StepContext
from wsseg.core.class_relation import Multiclass
from wsseg.errors import InputError
from wsseg.training.em import targets

TRAINING = {"start": "first", "epochs": 1, "optimizer": {"lr": 1e-3}}
RECIPE = """\
cohort: {use: table, path: COHORT}
input: {slices: 1, size: 32, fill: -1024, offset: -1000, scale: 500}
metrics: {dice: {use: dice}}
stages:
  consolidation:
    learn: tags
    classes: [consolidation]
    backbone: {use: additive-unet, width: 4}
    loss: LOSS
    epochs: 2
    batch_size: 8
    optimizer: {lr: 1.0e-2}
"""
LOSSES = [
    "{use: noisy-or, instances: 5}",
    "{use: log-sum-exp, sharpness: 5}",
    "{use: mean-logits}",
]


def tags_stage(loss: str, classes: int = 1, labels: str = "independent") -> TagsStage:
    names = [f"class-{k}" for k in range(classes)]
    settings = {"learn": "tags", "classes": names, "labels": labels, "loss": {"use": loss}}
    stage = TypeAdapter[Any](AnyStage).validate_python(settings | TRAINING, context=registry())
    assert isinstance(stage, TagsStage)
    return stage


def batch(logits: torch.Tensor, *tags: bool) -> Batch:
    return Batch(torch.zeros_like(logits)[:, None], logits[:, :1] < 90, torch.tensor([tags]))


def test_the_targets_of_a_tags_stage_are_the_tags() -> None:
    logits = torch.zeros(1, 1, 2, 2)
    for tag in (True, False):
        y = targets(tags_stage("mean-logits"), batch(logits, tag), None, logits, StepContext())
        assert y.tolist() == [[tag]]


def test_a_tags_stage_decides_by_the_threshold_of_its_loss_inside_the_region() -> None:
    logits = torch.tensor([10.0, 1.9, 2.1, -1.0, 99.0]).reshape(1, 1, 1, 5)  # 99: outside
    stage, region = tags_stage("mean-logits"), logits < 90
    assert stage.decide(logits, region).flatten().tolist()[:4] == [True, False, True, False]
    assert stage.watched_mask(logits, logits, batch(logits, True)).sum() == 2


def test_logits_of_exclusive_classes_are_pooled_against_all_other_classes() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [1.0, 3.0, -2.0]]).reshape(1, 2, 1, 3)
    seen = batch(logits, True, False)
    stage = tags_stage("mean-logits", classes=2, labels="exclusive")
    expected = MeanLogits()(Multiclass().logit(logits), seen.tags, seen.region)
    assert torch.equal(stage.objective(logits, seen.tags, seen), expected)
    assert not stage.decide(logits, seen.region).any()  # each class's mean is below 0


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        # f = 1/2 everywhere; y = 1, 0 in the region, and 1, which the region excludes, outside
        ("region", 1 - (2 * 0.5 + 1) / (1 + 1 + 1)),
        ("image", 1 - (2 * 0.5 + 1) / (1.5 + 1 + 1)),
    ],
)
def test_the_loss_is_over_the_region_or_over_the_image_with_targets_of_0_outside(
    over: str, expected: float
) -> None:
    settings = {"learn": "masks", "classes": ["a"], "loss": {"use": "smooth-dice"}}
    stage = TypeAdapter[Any](AnyStage).validate_python(
        settings | TRAINING | {"loss_over": over}, context=registry()
    )
    y = torch.tensor([1.0, 0.0, 1.0]).reshape(1, 1, 1, 3)
    seen = Batch(
        torch.zeros(1, 1, 1, 1, 3), torch.tensor([[[[True, True, False]]]]), torch.ones(1, 1) > 0
    )
    assert stage.objective(torch.zeros(1, 1, 1, 3), y, seen).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_tags_stage_learns_the_same_weights_without_any_mask(
    wsseg: Any, toy_cohort: Path, tmp_path: Path, loss: str
) -> None:
    rows = [line.split(",") for line in toy_cohort.read_text().splitlines()]
    blind = toy_cohort.parent / "blind.csv"
    blind.write_text("".join(",".join(row[:4] + row[6:]) + "\n" for row in rows))
    assert "mask" not in blind.read_text()
    weights = []
    for cohort in (toy_cohort, blind):
        recipe, run = tmp_path / f"{cohort.stem}.yaml", tmp_path / cohort.stem
        recipe.write_text(RECIPE.replace("COHORT", str(cohort)).replace("LOSS", loss))
        ended = wsseg("train", recipe, "--out", run)
        assert ended.code == 0, ended.err
        assert "found" in ended.err
        weights.append(load_file(run / "stages/consolidation/weights.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.usefixtures("undrawn_figures")
def test_a_run_with_a_tags_stage_has_a_log_a_manifest_and_a_report(
    wsseg: Any, toy_cohort: Path, tmp_path: Path
) -> None:
    recipe, run = tmp_path / "mil.yaml", tmp_path / "run"
    recipe.write_text(RECIPE.replace("COHORT", str(toy_cohort)).replace("LOSS", LOSSES[1]))
    for words in (("train", recipe, "--out", run), ("score", run), ("report", run)):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [each["learn"] for each in records] == ["tags", "tags"]
    assert all(0 <= each["found_share"] <= 1 for each in records)
    assert not any("target_share" in each for each in records)
    manifest = json.loads((run / "manifest.json").read_text())
    assert {each["use"] for each in manifest["files"]} == {"image"}
    assert manifest["tags"]["consolidation"]["case-1"] == {"consolidation": False}
    assert (run / "report.html").is_file()


def test_an_em_stage_refuses_a_loss_on_tags(toy_recipe: Path) -> None:
    with pytest.raises(InputError, match="no PixelLoss is called 'mean-logits'"):
        load_recipe(toy_recipe, ["stages.consolidation.loss={use: mean-logits}"])


def test_beliefs_from_averaged_weights_need_an_average(toy_recipe: Path) -> None:
    with pytest.raises(InputError, match=r"stages.consolidation.average: .*average: {decay: 0.99}"):
        load_recipe(toy_recipe, ["stages.consolidation.belief=average"])
