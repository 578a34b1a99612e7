"""Pre-trained weights of encoders: names, shapes, the first convolution, and recipes with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import segmentation_models_pytorch
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wsseg.components.backbones import Smp
from wsseg.components.encoder_weights import FileWeights, load_encoder_weights
from wsseg.components.registry import make
from wsseg.config.recipe_files import load_recipe
from wsseg.core.interfaces import Backbone, EncoderWeights
from wsseg.errors import InputError
from wsseg.inference.run import load_run

if TYPE_CHECKING:
    from tests.conftest import Wsseg

TINY = "tu-resnet10t"


def encoder(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4))


def donor(name: str = TINY) -> dict[str, Tensor]:
    """Weights of an encoder for colours, with the statistics of a batch."""
    net = segmentation_models_pytorch.create_model("unet", name, None, in_channels=3).encoder
    net(torch.rand(2, 3, 64, 64))
    return {key: value.clone() for key, value in net.state_dict().items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Pre-trained weights with the names of timm, and those of a classifier."""
    tensors = {name.removeprefix("model."): each for name, each in donor().items()}
    path = tmp_path / "resnet.safetensors"
    save_file(tensors | {"fc.weight": torch.ones(10, 512)}, path)
    return path


@pytest.mark.parametrize("slices", [1, 5, 7])
def test_each_slice_gets_the_sum_over_colours_divided_by_the_number_of_slices(slices: int) -> None:
    """A slice repeated S times then gives what a grey photograph gives: the same in 3 colours."""
    photographs, slice_stacks = encoder(3), encoder(slices)
    load_encoder_weights(slice_stacks, photographs.state_dict())
    image = torch.rand(2, 1, 8, 8)
    expected = photographs.eval()(image.expand(-1, 3, -1, -1))
    found = slice_stacks.eval()(image.expand(-1, slices, -1, -1))
    torch.testing.assert_close(found, expected)
    weight = slice_stacks.get_submodule("0").get_parameter("weight")
    assert torch.equal(weight[:, :1].expand_as(weight), weight)


@pytest.mark.parametrize("planes", [3, 5])
def test_weights_for_the_same_number_of_planes_are_copied_unchanged(planes: int) -> None:
    trained, new = encoder(planes), encoder(planes)
    load_encoder_weights(new, trained.state_dict())
    assert all(map(torch.equal, new.state_dict().values(), trained.state_dict().values()))


@pytest.mark.parametrize("prefix", ["", "encoder.", "body.net.encoder."])
def test_names_in_a_file_may_have_a_prefix_and_other_tensors_are_ignored(prefix: str) -> None:
    trained, new = encoder(1), encoder(1)
    tensors = {prefix + name: each for name, each in trained.state_dict().items()}
    load_encoder_weights(new, {"head.0.bias": torch.ones(2)} | tensors)
    assert all(map(torch.equal, new.state_dict().values(), trained.state_dict().values()))


def test_a_prefix_is_found_even_if_other_layers_end_with_the_same_name() -> None:
    trained, new = encoder(1), encoder(1)
    others = {f"layer.{name}": each + 1 for name, each in encoder(1).state_dict().items()}
    others |= {"layer.0.0.weight": torch.ones(4, 1, 3, 3), "layer.1.bias": torch.ones(9)}
    del others["layer.1.weight"]
    tensors = others | {f"encoder.{n}": each for n, each in trained.state_dict().items()}
    load_encoder_weights(new, tensors)
    assert all(map(torch.equal, new.state_dict().values(), trained.state_dict().values()))


def test_counters_of_batch_norm_may_be_missing() -> None:
    tensors = {n: each for n, each in encoder(1).state_dict().items() if "num_batches" not in n}
    load_encoder_weights(encoder(1), tensors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"1.bias": None},
            r"tensors 1\.bias of the encoder are missing; the file has 0\.weight",
        ),
        (
            {"1.bias": torch.ones(5)},
            r"1\.bias has shape \(5,\), but .* has \(4,\) \(1 of 6 tensors",
        ),
        ({"0.weight": torch.ones(4, 3, 5, 5)}, r"0\.weight has shape \(4, 1, 5, 5\), but"),
        ({"0.weight": torch.ones(4)}, r"0\.weight has shape \(4,\), but"),
    ],
)
def test_a_tensor_that_is_missing_or_has_another_shape_is_named_and_nothing_is_copied(
    change: dict[str, Tensor | None], message: str
) -> None:
    new = encoder(1)
    before = {name: each.clone() for name, each in new.state_dict().items()}
    changed: dict[str, Tensor | None] = {**encoder(1).state_dict(), **change}
    tensors = {name: each for name, each in changed.items() if each is not None}
    with pytest.raises(InputError, match=message):
        load_encoder_weights(new, tensors)
    assert all(torch.equal(each, before[name]) for name, each in new.state_dict().items())


def test_a_backbone_has_the_weights_of_its_file(file: Path) -> None:
    backbone = make(Backbone, "smp", encoder=TINY, weights={"file": str(file)})
    assert backbone == Smp(encoder=TINY, weights=FileWeights(file=file))
    assert backbone.files() == (file,)
    found, tensors = backbone.build(1, 1).state_dict(), FileWeights(file=file).tensors()
    first = "conv1.0.weight"
    others = tensors.keys() - {first, "fc.weight"}
    assert len(others) > 50
    of_one_slice = found[f"net.encoder.model.{first}"]
    assert torch.equal(of_one_slice, tensors[first].sum(1, keepdim=True))
    for name in others:
        assert torch.equal(found[f"net.encoder.model.{name}"], tensors[name]), name


def test_a_file_that_does_not_fit_the_encoder_is_named(file: Path) -> None:
    with pytest.raises(
        InputError, match=r"resnet\.safetensors: the weights do not fit encoder 'resnet18'"
    ):
        Smp(weights=FileWeights(file=file)).build(1, 1)


class ForResnet18(EncoderWeights):
    """Weights of one encoder."""

    encoders = ("resnet18",)

    def tensors(self) -> Mapping[str, Tensor]:
        return donor("resnet18")


def test_weights_for_another_encoder_are_refused_when_the_backbone_is_made() -> None:
    Smp(encoder="resnet18", weights=ForResnet18())
    with pytest.raises(ValueError, match="these weights are for resnet18, not for 'mobilenet_v2'"):
        Smp(encoder="mobilenet_v2", weights=ForResnet18())


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("{file: 3}", ["weights", "path"]),
        ("{fil: a.pth}", ["weights.fil: unknown key", "Did you mean 'file'?"]),
        ("{use: fle, file: a.pth}", ["no EncoderWeights is called 'fle'", "file"]),
    ],
)
def test_wrong_weights_in_a_recipe_cause_one_clear_error(weights: str, words: list[str]) -> None:
    change = f"stages.infection.backbone={{use: smp, weights: {weights}}}"
    with pytest.raises(InputError) as caught:
        load_recipe("covid/demo-phi2", [change])
    assert all(word in str(caught.value) for word in words), caught.value


def changes(file: Path) -> list[str]:
    backbone = f"{{use: smp, encoder: {TINY}, weights: {{file: {file}}}}}"
    values = (f"backbone={backbone}", "epochs=1")
    short = [f"stages.infection.{each}" for each in values] + ["stages.consolidation.epochs=1"]
    return [word for each in short for word in ("--set", each)]


def test_a_trained_run_lists_its_weights_file_but_no_longer_needs_it(
    wsseg: "Wsseg", toy_recipe: Path, file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert wsseg("train", toy_recipe, "--out", run, *changes(file)).code == 0
    files = json.loads((run / "manifest.json").read_text())["files"]
    (entry,) = [each for each in files if each["use"] == "weights" and each["stage"] == "infection"]
    assert entry["path"] == str(file)
    file.unlink()
    assert load_run(run).recipe.stages["infection"]
    verified = wsseg("manifest", "verify", run)
    assert verified.code == 1
    assert f"missing: {file} (infection: weights" in verified.out


def test_weights_that_are_missing_or_do_not_fit_end_training_before_any_stage(
    wsseg: "Wsseg", toy_recipe: Path, file: Path, tmp_path: Path
) -> None:
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "a", *changes(tmp_path / "no.pth"))
    ended.refused("no.pth: file not found")
    words = [*changes(file), "--set", "stages.infection.backbone.encoder=resnet18"]
    wsseg("train", toy_recipe, "--out", tmp_path / "b", *words).refused("do not fit encoder")
    assert not (tmp_path / "b" / "stages").exists()


def test_a_changed_weights_file_is_not_mistaken_for_the_original(
    wsseg: "Wsseg", toy_recipe: Path, file: Path, tmp_path: Path
) -> None:
    fingerprints = []
    for name in ("a", "b"):
        assert wsseg("train", toy_recipe, "--out", tmp_path / name, *changes(file)).code == 0
        record = (tmp_path / name / "stages/infection/stage.json").read_text()
        fingerprints.append(json.loads(record)["fingerprint"])
        save_file({key: each + 1 for key, each in FileWeights(file=file).tensors().items()}, file)
    assert fingerprints[0] != fingerprints[1]
