"""docs/own-parts: the blocks of its pages are a package whose parts train."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from math import exp, log
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.docs.conftest import Reader
from tests.docs.test_readme import small
from tests.markdown import DOCS, OWN_PARTS, blocks, write_named_blocks
from tests.training.small_em import EM, assert_resumes_to_the_same_bits
from wsseg import (
    Augment,
    Backbone,
    Batch,
    Case,
    Evidence,
    Grid,
    InputError,
    Region,
    TagLoss,
    Volume,
    make,
)
from wsseg.testing.conformance import CHECKS
from wsseg.tools import read_case, read_case_mask

BLOCKS = [block for page in OWN_PARTS for block in blocks(page)]
FILES = {block.name: block.text for block in BLOCKS if block.name}
OUTPUT = [block.text for block in BLOCKS if not block.language and not block.name]
PARTS = sorted(name for name in FILES if re.fullmatch(r"wsseg-lab/wsseg_lab/[a-z]\w+\.py", name))
MOST_LINES = 37  # of a part
BROKEN = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "wsseg-broken"
version = "0.1.0"

[project.entry-points.wsseg]
broken = "wsseg_broken"

[tool.hatch.build.targets.wheel]
include = ["wsseg_broken.py"]
"""


def load(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_package(folder: Path) -> None:
    for page in OWN_PARTS:
        write_named_blocks(page, folder)


def digests_of_weights(run: Path) -> list[str]:
    paths = sorted(run.glob("stages/*/weights.safetensors"))
    assert len(paths) == 2
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def install_broken_plugin(reader: Reader) -> None:
    (reader.folder / "wsseg-broken").mkdir()
    (reader.folder / "wsseg-broken" / "pyproject.toml").write_text(BROKEN)
    (reader.folder / "wsseg-broken" / "wsseg_broken.py").write_text("import gone\n")
    reader.run("pip install ./wsseg-broken")


@pytest.mark.slow
def test_the_pages_make_a_package_that_trains_even_if_a_broken_plugin_is_installed(
    reader: Reader,
) -> None:
    write_package(reader.folder)
    printed = ""
    for block in BLOCKS:
        for line in block.text.splitlines() if block.language == "bash" else []:
            printed += reader.run(small(line)).stdout
    runs = reader.folder / "runs"
    assert OUTPUT[0] in printed
    assert (runs / "lab" / "scores.csv").is_file()
    assert '"hu-band"' in (reader.folder / "recipe.schema.json").read_text(encoding="utf-8")

    parts = reader.run("wsseg plugins list").stdout
    install_broken_plugin(reader)
    listed = reader.run("wsseg plugins list")
    assert listed.stdout == parts
    assert OUTPUT[-1].strip() in listed.stderr
    assert OUTPUT[0] in reader.run("wsseg plugins check wsseg-lab").stdout
    reader.run(small("wsseg train lab.yaml --out runs/again"))
    assert digests_of_weights(runs / "again") == digests_of_weights(runs / "lab")
    failed = reader.run("wsseg plugins check wsseg-broken; echo exit code $?").stdout
    assert "ModuleNotFoundError: No module named 'gone'" in failed
    assert "exit code 1" in failed


@pytest.mark.parametrize("part", PARTS)
def test_each_part_on_the_pages_is_short_and_compiles(part: str) -> None:
    text = FILES[part]
    assert len(text.splitlines()) <= MOST_LINES
    compile(text, part, "exec")


def test_the_prior_has_the_value_that_the_pages_compute_by_hand(tmp_path: Path) -> None:
    write_package(tmp_path)
    module = load(tmp_path / "wsseg-lab" / "wsseg_lab" / "prior.py")
    image = torch.full((1, 1, 1, 1), 25.0)
    batch = Batch(image[:, None], torch.ones_like(image).bool(), torch.ones(1, 1).bool())
    phi = module.HuBand(low_hu=-100, high_hu=150, softness_hu=50)(batch).item()
    text = "".join(page.read_text("utf-8") for page in OWN_PARTS)
    (printed,) = re.findall(r"σ\(2\.5\)² = (0\.\d+)", text)
    assert phi == pytest.approx(float(printed), abs=5e-4)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return a function that loads a part's module from the pages."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    write_package(tmp_path)
    return lambda name: load(tmp_path / "wsseg-lab" / "wsseg_lab" / f"{name}.py")


Lab = Callable[[str], ModuleType]
SAMPLE = torch.arange(10.0).view(1, 1, 1, 10)  # an image of 10 pixels


def test_the_pages_have_an_example_of_every_interface() -> None:
    bases = {
        name
        for text in FILES.values()
        for name in re.findall(r"^class \w+\((\w+)\)", text, re.MULTILINE)
    }
    assert {kind.__name__ for kind in CHECKS} <= bases


def test_the_learnt_cutoff_is_the_quantile_of_the_log_odds_of_tagged_slices(lab: Lab) -> None:
    batch = Batch(SAMPLE, SAMPLE >= 0, torch.tensor([[True]]))
    evidence = Evidence(batch, torch.zeros_like(SAMPLE), phi=(SAMPLE - 4).sigmoid())
    estep = lab("learnt_cutoff").LearntCutoff(share=1 / 3).fit([evidence])
    assert estep.cutoff == pytest.approx(2)  # of log-odds from -4 to 5; 6 of 9 steps are below
    assert estep(evidence).flatten().tolist() == [0] * 7 + [1] * 3
    untagged = Evidence(replace(batch, tags=torch.tensor([[False]])), evidence.logits, evidence.phi)
    with pytest.raises(InputError, match="no slice is tagged"):
        estep.fit([untagged])


def test_the_share_of_targets_is_limited_to_the_average_of_earlier_steps(lab: Lab) -> None:
    batch = Batch(SAMPLE, SAMPLE >= 0, torch.tensor([[True]]))
    half = Evidence(batch, torch.zeros_like(SAMPLE), phi=torch.full_like(SAMPLE, 0.5))
    most = replace(half, phi=torch.full_like(SAMPLE, 0.75))
    estep = lab("steady_share").SteadyShare(keep=0.5)
    assert estep(half).unique().tolist() == [0.5]  # the first step has nothing to compare with
    memory = estep.remember(half)
    assert memory["share"].tolist() == [0.5]
    assert estep(replace(most, memory=memory)).unique().tolist() == [0.5]
    newer = estep.remember(replace(most, memory=memory))
    assert newer["share"].tolist() == [0.625]  # the mean of 0.5 and 0.75
    assert estep(replace(half, memory=newer)).unique().tolist() == [0.5]


def test_training_with_the_estep_with_memory_has_the_same_bits_when_resumed(
    lab: Lab, tmp_path: Path
) -> None:
    estep = lab("steady_share").SteadyShare(keep=0.9)
    assert_resumes_to_the_same_bits(EM | {"estep": estep}, tmp_path)


def test_the_tag_loss_uses_the_highest_logits_in_the_region(lab: Lab) -> None:
    loss = lab("tag_loss").TopPixels(pixels=2)(SAMPLE - 7, torch.tensor([[True]]), SAMPLE < 9)
    assert loss.item() == pytest.approx(-log(1 / (1 + exp(-0.5))))  # of the logits 1 and 0


def test_the_distance_to_the_mean_teacher_grows_with_the_progress(lab: Lab) -> None:
    loss = make(TagLoss, "log-sum-exp", sharpness=5)
    method = lab("method").MeanTeacher(loss=loss, weight=8)
    batch = Batch(SAMPLE, SAMPLE < 4, torch.tensor([[True]]))
    logits, teacher = torch.zeros_like(SAMPLE), torch.full_like(SAMPLE, log(3))
    evidence = Evidence(batch, teacher, torch.full_like(SAMPLE, 0.5))
    of_tags = loss(logits, batch.tags, batch.region).item()
    for progress, ramp in ((1.0, 1.0), (0.0, exp(-5))):
        value = method(logits, replace(evidence, progress=progress)).item()
        assert value == pytest.approx(of_tags + 8 * ramp * (1 / 2 - 3 / 4) ** 2)


def test_a_stage_of_the_mean_teacher_has_the_same_bits_when_resumed(
    lab: Lab, tmp_path: Path
) -> None:
    method = lab("method").MeanTeacher(loss=make(TagLoss, "noisy-or", instances=4))
    own = {"learn": "method", "method": method, "average": {"decay": 0.9}}
    shared = {key: EM[key] for key in EM if key not in ("prior", "estep", "loss")}
    assert_resumes_to_the_same_bits(shared | own, tmp_path)


def test_the_margin_is_measured_in_millimetres(lab: Lab) -> None:
    voxels = np.zeros((3, 1, 5), np.int16)
    voxels[0, 0, 0] = 1
    volume = Volume(voxels[None], Grid((5, 1, 3), np.diag([-2.0, -2.0, 5.0, 1.0])))
    region = lab("region").WithMargin(inner=make(Region, "nonzero"), margin_mm=5)
    mask = region(Case("a", "a", Path("a.nii")), volume)
    assert mask[:, 0].astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_the_scans_of_an_npz_file_are_read_upright(lab: Lab, tmp_path: Path) -> None:
    image = np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4)
    path = tmp_path / "scans.npz"
    np.savez(path, image=image, lesion=image == 23, spacing_mm=[5, 3, 2])
    [case] = lab("cohort").NpzScans(path=path).cases()
    volume = read_case(case)
    assert volume.spacing_mm == (5, 3, 2)
    assert np.array_equal(volume.channel(), image[0])
    assert np.argwhere(read_case_mask(case, "lesion", volume.grid)).tolist() == [[1, 2, 3]]
    assert case.tags == {"lesion": True}


def test_precision_recall_and_the_share_of_slices_have_the_values_of_their_definitions(
    lab: Lab,
) -> None:
    truth = np.zeros((4, 1, 4), np.bool_)
    truth[:2] = True  # 8 voxels in 2 slices
    found = truth & (np.arange(4) < 1) | (np.arange(4)[:, None, None] == 3)  # 2 right, 4 wrong
    row = lab("metric").PrecisionRecall()(found, truth, (1, 1, 1), truth)
    assert row == {"precision": pytest.approx(2 / 6), "recall": pytest.approx(2 / 8)}
    share = lab("score").ShareOfSlices(of="found", within="truth")
    assert share({"found": found & (np.arange(4)[:, None, None] > 0), "truth": truth}) == 0.5


def test_an_image_in_another_unit_is_recognised(lab: Lab) -> None:
    unit = lab("unit").StandardUptake()
    assert unit.mismatch(0, 30) == ""
    assert unit.mismatch(-1000, 400).startswith("an image with negative values")
    assert unit.mismatch(0, 30000).startswith("an image in Bq/ml")


def test_the_tracker_writes_a_line_for_each_epoch(lab: Lab, tmp_path: Path) -> None:
    run = lab("tracker").JsonLines().open(tmp_path, "a run")
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        run.metrics({"lesion/loss": loss}, epoch)
    run.close()
    lines = (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()
    assert lines == ['{"epoch": 1, "lesion/loss": 0.5}', '{"epoch": 2, "lesion/loss": 0.25}']


def test_blurring_keeps_the_outside_and_the_sum_of_a_point(lab: Lab) -> None:
    image, masks = np.zeros((31, 31, 2), np.float32), np.ones((31, 31, 1), np.uint8)
    image[15, 15], image[0] = 1, -5
    blurred = lab("augment").Blurred(inner=make(Augment, "standard"), most_pixels=1.5)
    result = blurred(image, masks, -5.0, 0)[0]
    assert (result[0] == -5).all()
    assert 0.05 < result[15, 15, 0] < 0.9
    assert result[8:23, 8:23].sum() == pytest.approx(2, rel=0.01)


def test_the_optimizer_makes_the_step_of_its_definition(lab: Lab) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    step = lab("optimizer").RMSprop(lr=0.1, smoothing=0.75).build([{"params": [weight], "lr": 0.1}])
    weight.grad = torch.tensor([3.0])
    step.step()
    assert weight.item() == pytest.approx(1 - 0.1 * 3 / (0.25 * 9) ** 0.5)


def test_renamed_weights_are_loaded_into_an_encoder(lab: Lab, tmp_path: Path) -> None:
    encoder = make(Backbone, "smp", encoder="resnet18").build(3, 1).get_submodule("net.encoder")
    state = {f"trunk.{name}": tensor + 1 for name, tensor in encoder.state_dict().items()}
    torch.save(state, tmp_path / "weights.pth")
    weights = lab("encoder_weights").Renamed(file=tmp_path / "weights.pth", names={"trunk.": "e."})
    built = make(Backbone, "smp", encoder="resnet18", weights=weights).build(3, 1)
    loaded = built.get_submodule("net.encoder").state_dict()
    name = "layer1.0.conv1.weight"
    assert torch.equal(loaded[name], state[f"trunk.{name}"])


def test_blocks_are_files_commands_or_their_output() -> None:
    assert {block.language for block in BLOCKS if not block.name} == {"bash", ""}
    assert [text.split()[0] for text in OUTPUT] == ["Augment", "python", "not"]


def test_the_picture_is_drawn_by_its_script() -> None:
    drawn = load(DOCS / "data_flow.py").svg()
    assert (DOCS / "data_flow.svg").read_text("utf-8") == drawn, "run docs/data_flow.py"
