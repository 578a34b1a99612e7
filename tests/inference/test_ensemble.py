"""Prediction by the mean of several runs, and the agreement between them."""

import csv
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import wsseg as api
from wsseg.config.recipe_files import load_recipe, recipe_text
from wsseg.config.stages import NetworkStage, PriorStage
from wsseg.core.batch import Batch, Probability
from wsseg.core.input import Input
from wsseg.errors import InputError
from wsseg.inference.batch_prediction import _in_worker, _MaskRecord, _MaskWriter, digest_of
from wsseg.inference.checkpoint import StageRecord, TrainedStage, save_stage
from wsseg.inference.ensemble import (
    Ensemble,
    MeanPrior,
    _averaged_stage,
    load_ensemble,
    pooled_dice,
)
from wsseg.inference.folders import PredictionFolder, RunFolder
from wsseg.inference.network import new_network
from wsseg.inference.run import load_run
from wsseg.inference.scans import case_of
from wsseg.suite.folder import run_path

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SIDE, SLICES = 16, 3
RECIPE = """\
cohort: {use: table, path: cohort.csv}
precision: float32
input: {slices: 1, size: 16, fill: 0, scale: 100}
stages:
  organ:
    learn: masks
    classes: [organ]
    backbone: {use: additive-unet, width: 4}
    loss: {use: smooth-dice}
    epochs: 1
    optimizer: {use: adam, lr: 1.0e-2}
  lesion:
    learn: masks
    classes: [lesion]
    region: organ
    backbone: {use: additive-unet, width: 4}
    loss: {use: smooth-dice}
    epochs: 1
    optimizer: {use: adam, lr: 1.0e-2}
"""
IMAGE = np.random.default_rng(0).normal(0, 100, (SIDE, SIDE, SLICES)).round().astype(np.int16)


def write_run(folder: Path, seed: int, text: str = RECIPE) -> Path:
    """Write a run whose networks have random weights, and predict half of all pixels of `IMAGE`."""
    folder.mkdir(parents=True)
    (folder / "drawn.yaml").write_text(text)
    recipe, run = load_recipe(str(folder / "drawn.yaml")), RunFolder(folder)
    run.recipe.write_text(recipe_text(recipe))
    for number, (name, stage) in enumerate(recipe.stages.items()):
        assert isinstance(stage, NetworkStage)
        assert stage.backbone is not None
        network = new_network(stage.backbone, recipe.input, 1, 100 * number + seed).eval()
        last = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)][-1]
        assert last.bias is not None
        with torch.no_grad():
            last.bias -= float(np.median(network(images()).numpy()))  # between two pixels
        save_stage(run.stage(name), StageRecord(name, stage, recipe.input), network.state_dict())
    return folder


def images() -> torch.Tensor:
    """Return the slices of `IMAGE` as a network sees them, (Z, 1, 1, H, W).

    The file's axes run to the right, front and head: rows and columns are turned round.
    """
    planes = IMAGE.transpose(2, 1, 0)[:, ::-1, ::-1].astype(np.float32)
    return torch.from_numpy(planes.copy())[:, None, None]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "a.nii.gz"
    nib.save(nib.Nifti1Image(IMAGE, np.diag([2.0, 2.0, 5.0, 1.0])), path)
    return path


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a method with two seeds, the second of which has two folds."""
    suite = tmp_path_factory.mktemp("suite")
    for number, (seed, fold) in enumerate([(0, None), (10, 0), (10, 1)]):
        write_run(suite / run_path("em", seed, fold), number)
    return suite / "em"


@torch.no_grad()
def log_odds(run: Path, stage: str, mirrored: bool = False) -> NDArray[np.float64]:
    """Return the logits of one run's stage, (Z, H, W), from its network alone."""
    network = load_run(run).pipeline.stages[stage].network
    assert network is not None
    found = network(images())
    if mirrored:
        found = (found + network(images().flip(-1)).flip(-1)) / 2
    return np.asarray(found[:, 0], np.float64)


def naive(method: Path, mirrored: bool = False) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the masks of organ and lesion by a loop over members, stage by stage."""
    runs = [method / "seed-0", method / "seed-10" / "fold-0", method / "seed-10" / "fold-1"]
    total = {"organ": np.zeros((SLICES, SIDE, SIDE)), "lesion": np.zeros((SLICES, SIDE, SIDE))}
    for run in runs:
        for stage in total:
            total[stage] += log_odds(run, stage, mirrored)
    organ = total["organ"] / 3 > 0
    return organ, (total["lesion"] / 3 > 0) & organ


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_stage_decides_by_the_mean_log_odds_inside_the_region_of_the_ensemble(
    method: Path, scan: Path, mirrored: bool
) -> None:
    ensemble = load_ensemble(method, ("left-right",) if mirrored else ())
    masks = ensemble.run.predict(scan).masks
    organ, lesion = naive(method, mirrored)
    assert len(ensemble.members) == 3
    assert 0.2 < organ.mean() < 0.8
    assert 0.1 < lesion.sum() / organ.sum() < 0.9
    assert np.array_equal(masks["organ"], organ)
    assert np.array_equal(masks["lesion"], lesion)
    alone = load_run(method / "seed-0").predict(scan).masks
    assert not np.array_equal(alone["lesion"], lesion)


def test_log_odds_of_2_and_minus_1_are_averaged_to_one_half() -> None:
    class Constant(api.Prior):
        value: float

        def __call__(self, batch: Batch) -> Probability:
            return torch.full(batch.support.shape, self.value)

    batch = Batch(torch.zeros(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1) > 0, torch.ones(1, 1) > 0)

    def mean(*values: float) -> float:
        return MeanPrior(priors=tuple(Constant(value=each) for each in values))(batch).item()

    nine, half = 0.9, 0.5  # odds of 9 and 1, whose geometric mean is 3: 3 / (1 + 3) = 0.75
    assert mean(nine, half) == pytest.approx(0.75)
    assert mean(0.9, 0.1) == pytest.approx(0.5)
    assert mean(0, 1) == 0.5
    assert mean(1, 0.01) == 1
    assert mean(0, 0, 0.99) == 0

    stage = PriorStage(learn="nothing", classes=["a"], prior=Constant(value=0.9))
    other = stage.model_copy(update={"prior": Constant(value=0.2)})
    members = [TrainedStage("a", s, Input(), None, (), d) for s, d in [(stage, "1"), (other, "2")]]
    averaged = _averaged_stage(members)
    assert isinstance(averaged.stage, PriorStage)
    assert averaged.stage.prior(batch).item() == pytest.approx(0.6)  # odds: sqrt(9 / 4) = 3 / 2
    assert averaged.digest != members[0].digest


def test_the_agreement_of_three_masks_is_their_pooled_pairwise_dice() -> None:
    # members predict {1, 2, 3}, {2, 3} and {3}: 2 (2 + 1 + 1) / (5 + 4 + 3) = 2 / 3
    assert pooled_dice(np.array([1, 2, 3, 0]), members=3) == pytest.approx(2 / 3)
    assert pooled_dice(np.array([0, 0]), members=3) == 1
    assert pooled_dice(np.array([2, 2, 0]), members=2) == 1
    assert pooled_dice(np.array([1, 1]), members=2) == 0


def test_the_agreement_equals_a_loop_over_all_pairs() -> None:
    masks = np.random.default_rng(0).random((5, 4, 6, 6)) < 0.4
    overlap = sizes = 0
    for one, other in combinations(masks, 2):
        overlap += int((one & other).sum())
        sizes += int(one.sum()) + int(other.sum())
    assert pooled_dice(masks.sum(0), members=5) == pytest.approx(2 * overlap / sizes)


def row_of(out: Path) -> dict[str, str]:
    with (out / "scores.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def in_file(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return (Z, H, W) in the order of the file's axes."""
    return voxels[:, ::-1, ::-1].transpose(2, 1, 0)


def test_the_command_averages_all_runs_of_a_method_and_maps_their_agreement(
    wsseg: "Wsseg", method: Path, scan: Path, tmp_path: Path
) -> None:
    ended = wsseg("predict", method, scan, "--out", tmp_path / "m", "--agreement", "--pictures")
    assert ended.code == 0, ended.err
    assert (tmp_path / "m" / "pictures" / "a.png").is_file()
    assert f"{method}: averaging 3 runs" in ended.err + ended.out
    organ, lesion = naive(method)
    mask = np.asarray(nib.load(tmp_path / "m" / "a.nii.gz").dataobj)  # type: ignore[attr-defined]
    assert np.array_equal(mask, in_file(np.where(lesion, 2, organ.astype(np.uint8))))
    runs = [method / "seed-0", method / "seed-10" / "fold-0", method / "seed-10" / "fold-1"]
    regions = {"organ": np.ones_like(organ), "lesion": organ}
    for number, (name, region) in enumerate(regions.items(), 1):
        each = [(log_odds(run, name) > 0) & region for run in runs]
        votes = np.sum(each, axis=0)
        shares = nib.load(tmp_path / "m" / "agreement" / f"a.{number}-{name}.nii.gz").get_fdata()  # type: ignore[attr-defined]
        assert shares == pytest.approx(in_file(votes / 3), abs=1e-4)
        expected = (votes * (votes - 1)).sum() / (2 * votes.sum())
        assert float(row_of(tmp_path / "m")[f"{name}_agreement"]) == pytest.approx(
            expected, abs=1e-3
        )


def test_a_single_run_is_mirrored_but_has_no_agreement(
    wsseg: "Wsseg", method: Path, scan: Path, tmp_path: Path
) -> None:
    run, out = method / "seed-0", tmp_path / "m"
    plain = load_run(run).predict(scan).mask.voxels
    assert wsseg("predict", run, scan, "--out", out).code == 0
    ended = wsseg("predict", run, scan, "--out", out, "--mirror", "left-right")
    assert ended.code == 0, ended.err
    mask = np.asarray(nib.load(out / "a.nii.gz").dataobj)  # type: ignore[attr-defined]
    organ = log_odds(run, "organ", mirrored=True) > 0
    lesion = (log_odds(run, "lesion", mirrored=True) > 0) & organ
    assert np.array_equal(mask, in_file(np.where(lesion, 2, organ.astype(np.uint8))))
    assert not np.array_equal(mask, in_file(plain))
    ended = wsseg("predict", run, scan, "--out", tmp_path / "b", "--agreement")
    ended.refused("a single run", "give SUITE/METHOD")
    assert not (tmp_path / "b").exists()


def test_workers_predict_with_the_same_ensemble_and_directions(
    method: Path, scan: Path, tmp_path: Path
) -> None:
    ensemble = load_ensemble(method, ("front-back",))
    writer = _MaskWriter(PredictionFolder(tmp_path), digest_of(ensemble.run))
    record = _in_worker(method, ("front-back",), writer, case_of(scan))
    assert isinstance(record, _MaskRecord)
    expected = ensemble.run.predict(scan).scores
    assert {name: record.row[name] for name in expected} == expected


def test_an_ensemble_and_a_mirrored_run_have_their_own_digests(method: Path) -> None:
    def digest(ensemble: Ensemble) -> str:
        return digest_of(ensemble.run)

    every = [load_ensemble(method), load_ensemble(method, ("left-right",))]
    every += [load_ensemble(method / "seed-0"), load_ensemble(method / "seed-0", ("left-right",))]
    assert len({digest(each) for each in every}) == 4
    assert digest(load_ensemble(method)) == digest(every[0])


def two_runs(folder: Path, texts: Sequence[str]) -> Path:
    for seed, text in enumerate(texts):
        write_run(folder / "em" / f"seed-{seed}", seed, text)
    return folder / "em"


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("classes: [lesion]", "classes: [nodule]", r"stage lesion: classes: \['nodule'\] and"),
        ("size: 16", "size: 32", "input: "),
        ("    region: organ\n", "", "stage lesion: region: None and organ"),
        ("width: 4", "width: 6", "stage organ: backbone: "),
    ],
)
def test_runs_that_differ_are_refused_and_the_difference_is_named(
    before: str, after: str, problem: str, tmp_path: Path
) -> None:
    method = two_runs(tmp_path, [RECIPE, RECIPE.replace(before, after)])
    with pytest.raises(
        InputError, match=rf"seed-1: its predictions cannot be averaged with .*in\s+{problem}"
    ):
        load_ensemble(method)


def test_failed_and_unfinished_runs_and_suites_are_refused(tmp_path: Path) -> None:
    method = two_runs(tmp_path, [RECIPE, RECIPE])
    with pytest.raises(
        InputError, match=r"this is a suite; give the folder of one of its methods, such as .*em"
    ):
        load_ensemble(tmp_path)
    with pytest.raises(InputError, match="not the folder of a run"):
        load_ensemble(tmp_path / "nothing")
    failed = RunFolder(method / "seed-1").failure
    failed.write_text("out of memory")
    with pytest.raises(InputError, match="seed-1: this run failed; run the suite again"):
        load_ensemble(method)
    failed.unlink()
    RunFolder(method / "seed-1").stage("lesion").record.unlink()
    with pytest.raises(InputError, match="stage lesion is not finished"):
        load_ensemble(method)


def test_mirror_adds_to_the_directions_of_the_recipe(tmp_path: Path) -> None:
    text = RECIPE.replace("classes: [organ]", "classes: [organ]\n    mirror: [front-back]")
    run = write_run(tmp_path / "run", 0, text)
    stages = load_ensemble(run, ("left-right", "front-back")).run.pipeline.stages
    directions = {name: getattr(each.stage, "mirror", None) for name, each in stages.items()}
    assert directions == {
        "organ": ("front-back", "left-right"),
        "lesion": ("left-right", "front-back"),
    }
    unchanged = load_ensemble(run, ("front-back",)).run.pipeline.stages["organ"]
    assert unchanged.digest == load_run(run).pipeline.stages["organ"].digest
    assert json.loads((RunFolder(run).stage("organ").record).read_text())["stage"]["mirror"]
