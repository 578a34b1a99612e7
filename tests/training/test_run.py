"""Training of a recipe: reproducibility, resumption, the files of a run, and errors."""

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import wsseg
from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import check_recipe, holds_recipe
from wsseg.config.settings import Settings
from wsseg.errors import InputError, WorkError
from wsseg.inference.folders import RunFolder
from wsseg.runtime.console import Display
from wsseg.training.context import RunContext
from wsseg.training.run import split_of, train_stages
from wsseg.training.trainer import Trainer

if TYPE_CHECKING:
    from tests.conftest import Wsseg

QUIET = Display(Console(quiet=True))


def weights(run: Path, stage: str = "consolidation") -> dict[str, torch.Tensor]:
    return load_file(run / "stages" / stage / "weights.safetensors")


def epochs(run: Path) -> list[tuple[str, int]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(r["stage"], r["epoch"]) for r in records if r["event"] == "epoch"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def recipe(toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("recipe") / "toy.yaml"
    path.write_text(toy_text)
    return wsseg.load_recipe(path)


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "toy"
    wsseg.train(recipe, out, display=QUIET)
    return out


def test_a_finished_run_has_the_documented_files_and_no_others(run: Path) -> None:
    for name in ("recipe.yaml", "manifest.json", "log.jsonl"):
        assert (run / name).is_file()
    kept = {"infection": set[str](), "consolidation": {"targets.safetensors"}}
    for stage, more in kept.items():
        files = {path.name for path in (run / "stages" / stage).iterdir()}
        assert files == {"weights.safetensors", "stage.json"} | more
    assert not (run / ".lock").exists()


def test_the_same_seed_gives_bitwise_equal_weights(
    recipe: Recipe, run: Path, tmp_path: Path
) -> None:
    wsseg.train(recipe, tmp_path / "again", display=QUIET)
    assert same(weights(run), weights(tmp_path / "again"))


def test_another_seed_gives_different_weights(recipe: Recipe, run: Path, tmp_path: Path) -> None:
    other = recipe.model_copy(update={"seed": 1})
    wsseg.train(other, tmp_path / "other", display=QUIET)
    assert not same(weights(run), weights(tmp_path / "other"))


@pytest.mark.parametrize("save_every", [None, 2])
def test_an_interrupted_run_that_is_resumed_ends_with_bitwise_equal_weights(
    recipe: Recipe,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save_every: int | None,
) -> None:
    context = RunContext(RunFolder(tmp_path / "run"), QUIET, save_every)
    steps = 0
    step = Trainer._step

    def fail_at_step_11(self: Trainer, *args: object) -> object:
        nonlocal steps
        steps += 1
        if steps == 11:  # in the middle of the infection's second epoch
            raise RuntimeError("power cut")
        return step(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", fail_at_step_11)
        with pytest.raises(RuntimeError, match="power cut"):
            train_stages(recipe, split_of(recipe), context, resume=False)
    assert (context.folder.path / "stages/infection/last/state.safetensors").exists()
    train_stages(recipe, split_of(recipe), context, resume=True)
    assert same(weights(run, "infection"), weights(context.folder.path, "infection"))
    assert same(weights(run), weights(context.folder.path))
    assert epochs(context.folder.path) == epochs(run)  # each once, in their order


def test_a_signal_saves_the_state_and_the_message_explains_how_to_resume(
    wsseg: "Wsseg",
    recipe: Recipe,
    toy_recipe: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, step = tmp_path / "run", Trainer._step

    def terminated(self: Trainer, *args: object) -> object:
        if self.progress.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", terminated)
        ended = wsseg("train", toy_recipe, "--out", out)
    assert ended.code == 1
    assert ended.error.startswith("interrupted in stage infection after step 3")
    assert "--resume" in ended.error
    context = RunContext(RunFolder(out), QUIET)
    train_stages(recipe, split_of(recipe), context, resume=True)
    assert same(weights(run), weights(out))


def test_a_folder_that_holds_a_run_is_refused(recipe: Recipe, run: Path) -> None:
    with pytest.raises(InputError, match="already contains a run"):
        wsseg.train(recipe, run, display=QUIET)


def test_a_run_is_not_resumed_with_another_recipe(recipe: Recipe, run: Path) -> None:
    other = recipe.model_copy(update={"seed": 9})
    with pytest.raises(InputError, match="differs from the given one"):
        train_stages(other, split_of(other), RunContext(RunFolder(run), QUIET), resume=True)


def test_the_recipe_of_a_run_is_recognised_by_its_values_however_they_are_written(
    recipe: Recipe, run: Path, tmp_path: Path
) -> None:
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    rewritten = tmp_path / "recipe.yaml"
    for old, new, same in (("seed: 0", "seed:   0", True), ("seed: 0", "seed: 1", False)):
        assert old in text
        rewritten.write_text(text.replace(old, new), encoding="utf-8")
        assert holds_recipe(rewritten, recipe) is same
    rewritten.write_text(text.replace("fill: -1024.0", "fill: -1024"), encoding="utf-8")
    assert rewritten.read_text(encoding="utf-8") != text
    assert holds_recipe(rewritten, recipe)


def test_runs_share_a_cached_stage_unless_their_settings_for_it_differ(
    recipe: Recipe, run: Path, tmp_path: Path
) -> None:
    """With another prior in stage 2, stage 1 is taken from the cache and stage 2 is trained."""
    stage_cache = tmp_path / "cache"
    train_stages(
        recipe,
        split_of(recipe),
        RunContext(RunFolder(tmp_path / "a"), QUIET, stage_cache=stage_cache),
        resume=False,
    )
    stage = recipe.stages["consolidation"]
    changed = stage.model_copy(update={"prior": wsseg.make(wsseg.Prior, "constant", probability=1)})
    other = recipe.model_copy(update={"stages": {**recipe.stages, "consolidation": changed}})
    context = RunContext(RunFolder(tmp_path / "b"), QUIET, stage_cache=stage_cache)
    train_stages(other, split_of(other), context, resume=False)
    assert len(list(stage_cache.iterdir())) == 3
    assert same(weights(run, "infection"), weights(context.folder.path, "infection"))
    logged = {
        json.loads(line)["stage"]
        for line in (context.folder.path / "log.jsonl").read_text().splitlines()
    }
    assert logged == {"consolidation"}


def test_the_manifest_lists_the_files_of_each_stage_and_no_mask_for_the_weak_one(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    uses = {(f["stage"], f["use"]) for f in manifest["files"]}
    assert uses == {("infection", "image"), ("infection", "label"), ("consolidation", "image")}
    assert not any("consolidation" in f["path"] for f in manifest["files"])
    assert manifest["test"] == ["case-6", "case-7"]
    assert manifest["tags"]["consolidation"]["case-0"] == {"consolidation": True}


def test_the_log_has_a_line_per_epoch_with_the_share_and_flip_rate_of_targets(run: Path) -> None:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    weak = [r for r in records if r["event"] == "epoch" and r["stage"] == "consolidation"]
    assert [r["epoch"] for r in weak] == [1, 2]
    assert all(0 <= r["probe_share"] <= 1 for r in weak)
    assert ["flip_rate" in r for r in weak] == [False, True]
    assert 0 <= weak[1]["flip_rate"] <= 1


def test_a_prior_that_excludes_no_pixel_causes_a_warning(recipe: Recipe, tmp_path: Path) -> None:
    stage = recipe.stages["consolidation"]
    changed = stage.model_copy(update={"prior": wsseg.make(wsseg.Prior, "constant", probability=1)})
    other = recipe.model_copy(update={"stages": {**recipe.stages, "consolidation": changed}})
    wsseg.train(other, tmp_path / "run", display=QUIET)
    text = (tmp_path / "run" / "log.jsonl").read_text()
    assert "the targets fill the region" in text


def test_training_stops_if_all_targets_are_empty(recipe: Recipe, tmp_path: Path) -> None:
    stage = recipe.stages["consolidation"]
    changed = stage.model_copy(update={"prior": wsseg.make(wsseg.Prior, "threshold", hu=3000)})
    other = recipe.model_copy(update={"stages": {**recipe.stages, "consolidation": changed}})
    with pytest.raises(WorkError, match=r"stage consolidation, .*targets of all .* are empty"):
        wsseg.train(other, tmp_path / "run", display=QUIET)
    assert (tmp_path / "run/stages/infection/stage.json").exists()


def test_the_error_on_exploding_weights_names_stage_step_and_cases(
    recipe: Recipe, tmp_path: Path
) -> None:
    stage = recipe.stages["infection"]
    optimizer = stage.optimizer.model_copy(update={"lr": 1e30})  # type: ignore[union-attr]
    changed = stage.model_copy(update={"optimizer": optimizer})
    other = recipe.model_copy(update={"stages": {"infection": changed}, "scores": {}})
    expected = r"stage infection, step 1 \(epoch 1\): the weights exploded.* cases case-"
    with pytest.raises(WorkError, match=expected):
        wsseg.train(other, tmp_path / "run", display=QUIET)


def test_missing_tags_are_reported_with_the_name_of_the_column(
    recipe: Recipe, tmp_path: Path
) -> None:
    stage = recipe.stages["consolidation"].model_copy(update={"classes": ["effusion"]})
    other = recipe.model_copy(
        update={"stages": {**recipe.stages, "consolidation": stage}, "scores": {}}
    )
    with pytest.raises(InputError, match=r"tag\.effusion"):
        wsseg.train(other, tmp_path / "run", display=QUIET)


def test_a_run_can_be_moved_and_used(run: Path, toy_cohort: Path, tmp_path: Path) -> None:
    copied = run.rename(tmp_path / "elsewhere")
    try:
        scan = toy_cohort.parent / "6-image.nii.gz"
        result = wsseg.load_run(copied).predict(scan)
        assert result.mask.voxels.shape == (5, 36, 40)
        assert set(np.unique(result.mask.voxels)) <= {0, 1, 2}
        assert result.scores["infection_ml"] > 0
    finally:
        copied.rename(run)


def test_a_prior_is_fitted_in_a_stage_that_trains_no_network(
    recipe: Recipe, tmp_path: Path
) -> None:
    """The mixture prior is fitted to the tags; no mask is read for it."""
    stage = {"learn": "nothing", "classes": ["consolidation"], "region": "infection"}
    settings = {"stages": {"consolidation": stage | {"prior": {"use": "mixture"}}}}
    settings_ = Settings(registry().describe(recipe)).merged(Settings(settings))
    run = wsseg.train(check_recipe(settings_), tmp_path / "run", display=QUIET)
    fitted = json.loads((run.folder / "stages/consolidation/stage.json").read_text())
    assert len(fitted["stage"]["prior"]["levels"]) > 1
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert {f["use"] for f in manifest["files"] if f["stage"] == "consolidation"} == {"image"}
    assert manifest["tags"]["consolidation"]["case-1"] == {"consolidation": False}
