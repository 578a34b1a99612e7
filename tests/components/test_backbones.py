import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from wsseg.components.backbones import Padded, Smp
from wsseg.components.registry import make
from wsseg.config.recipe_files import load_recipe
from wsseg.core.interfaces import Backbone
from wsseg.errors import InputError
from wsseg.testing import check_backbone

if TYPE_CHECKING:
    from tests.conftest import Wsseg

TINY = "tu-resnet10t"
LEARN = (  # changes of the toy recipe, for a large network on images of 32 x 32 pixels
    "stages.infection.epochs=25",
    "stages.infection.batch_size=10",
    "stages.infection.loss={use: batch-dice}",
    "stages.infection.optimizer={use: adamw, lr: {start: 1.0e-3, end: 1.0e-5}}",
    "stages.infection.augment={}",
)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine without internet access and without pre-trained weights."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    empty = str(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", empty)
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", empty, raising=False)


@pytest.mark.parametrize(
    "smp",
    [
        Smp(encoder=TINY),
        Smp(architecture="fpn", encoder="mit_b0"),
        *(
            pytest.param(Smp(architecture=architecture, encoder=encoder), marks=pytest.mark.slow)
            for architecture, encoder in [
                ("unetplusplus", "efficientnet-b0"),
                ("fpn", "tu-convnext_atto"),
                ("unet", "tu-maxvit_tiny_rw_224"),
                ("dpt", "tu-vit_tiny_patch16_224"),
            ]
        ),
    ],
)
def test_architectures_and_encoders_keep_the_contract_of_backbones(smp: Smp) -> None:
    check_backbone(smp, slices=7, classes=2)


@pytest.mark.slow
def test_every_architecture_builds_for_any_number_of_slices() -> None:
    from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING

    for architecture in MODEL_ARCHITECTURES_MAPPING:
        encoder = "tu-vit_tiny_patch16_224" if architecture == "dpt" else TINY
        for slices in (1, 4, 9):
            net = Smp(architecture=architecture, encoder=encoder).build(slices, 2).eval()
            with torch.no_grad():
                assert net(torch.zeros(1, slices, 40, 33)).shape == (1, 2, 40, 33), architecture


@pytest.mark.parametrize(("encoder", "largest"), [("tu-coatnet_pico_rw_224", 224), (TINY, None)])
def test_a_transformer_for_one_image_size_accepts_smaller_images(
    encoder: str, largest: int | None
) -> None:
    net = Smp(encoder=encoder).build(1, 1).eval()
    assert net.largest == largest
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 64, 50)).shape == (1, 1, 64, 50)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [("unet", "resnet18"), ("unetplusplus", "efficientnet-b0"), ("fpn", "tu-convnext_atto")],
)
def test_backbones_learn_to_segment_the_toy_cohort(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, architecture: str, encoder: str
) -> None:
    backbone = (
        f"stages.infection.backbone={{use: smp, architecture: {architecture}, encoder: {encoder}}}"
    )
    changes = [word for each in (backbone, *LEARN) for word in ("--set", each)]
    for words in (
        ("train", toy_recipe, "--out", tmp_path / "run", *changes),
        ("score", tmp_path / "run"),
    ):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
    with (tmp_path / "run/scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["infection.dice"]) > 0.7 for row in rows)
    log = (tmp_path / "run/log.jsonl").read_text()
    assert '"learn": "em"' in log  # the second stage continued to train the network


@pytest.mark.parametrize("architecture", ["pan", "pspnet", "deeplabv3plus", "linknet"])
def test_images_of_a_size_that_an_architecture_does_not_accept_are_padded(
    architecture: str,
) -> None:
    net = Smp(architecture=architecture, encoder=TINY).build(1, 1).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 70, 45)).shape == (1, 1, 70, 45)


def test_a_new_network_is_in_training_mode() -> None:
    assert all(module.training for module in Smp(encoder=TINY).build(1, 1).modules())


@pytest.mark.parametrize(
    ("wrong", "key", "words"),
    [
        ("architecture: unett", "architecture", ["'unett'", "fpn", "Did you mean 'unet'?"]),
        ("encoder: resnet81", "encoder", ["'resnet81'", "closest", "resnet18"]),
        ("encoder: tu-convnxt_atto", "encoder", ["'tu-convnxt_atto'", "tu-convnext_atto"]),
        ("weights: imagnet", "weights", ["'imagnet'", "ssl", "Did you mean 'imagenet'?"]),
        ("encoder: tu-resnet18, weights: imagenet", "weights", ["'imagenet'", "a1_in1k"]),
    ],
)
def test_an_unknown_name_is_refused_when_the_recipe_is_read(
    wrong: str, key: str, words: list[str]
) -> None:
    change = f"stages.infection.backbone={{use: smp, {wrong}}}"
    with pytest.raises(InputError) as error:
        load_recipe("covid/demo-phi2", [change])
    assert str(error.value).startswith(f"--set {change}: stages.infection.backbone.{key}: ")
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("smp", "words"),
    [
        (Smp(architecture="unetplusplus", encoder="mit_b0"), ["cannot be built", "resnet18"]),
        (Smp(encoder="tu-vit_tiny_patch16_224"), ["cannot be built", "with dpt"]),
    ],
)
def test_an_error_for_an_impossible_combination_suggests_a_possible_one(
    smp: Smp, words: list[str]
) -> None:
    with pytest.raises(InputError) as error:
        smp.build(3, 1)
    assert all(word in str(error.value) for word in words)
    assert str(error.value).count("\n") < 3


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "smp", [Smp(weights="imagenet"), Smp(encoder="tu-resnet18", weights="a1_in1k")]
)
def test_weights_that_cannot_be_downloaded_cause_one_clear_error(smp: Smp) -> None:
    with pytest.raises(InputError, match="not on this machine and cannot be downloaded") as error:
        smp.build(3, 1)
    assert "weights: null" in str(error.value)


def test_pretrained_weights_are_loaded_into_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's download is replaced by random weights of resnet18."""
    import segmentation_models_pytorch as smp

    donor = smp.create_model("unet", "resnet18", None, in_channels=3, classes=1).encoder
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", lambda *_, **__: "")
    monkeypatch.setattr(
        "segmentation_models_pytorch.encoders.load_file", lambda *_, **__: donor.state_dict()
    )
    net = Smp(weights="imagenet").build(3, 1)
    found = net.state_dict()
    for name, weight in donor.state_dict().items():
        assert torch.equal(found[f"net.encoder.{name}"], weight)


def test_smp_is_built_by_its_name_with_an_untrained_resnet18_by_default() -> None:
    made = make(Backbone, "smp", architecture="fpn")
    assert made == Smp(architecture="fpn", encoder="resnet18", weights=None)


def test_the_untrained_backbone_downloads_no_weights() -> None:
    assert Smp(weights="imagenet").untrained() == Smp()


class Recorder(nn.Module):
    """A network that returns its input and records it."""

    image = torch.empty(0)

    def forward(self, image: Tensor) -> Tensor:
        self.image = image
        return image


@pytest.mark.parametrize(
    ("size", "padded"), [((16, 32), (16, 32)), ((17, 31), (32, 32)), ((1, 33), (16, 48))]
)
def test_padded_gives_its_network_sides_rounded_up_and_returns_the_original_size(
    size: tuple[int, int], padded: tuple[int, int]
) -> None:
    net = Recorder()
    image = torch.rand(2, 3, *size)
    assert torch.equal(Padded(net, 16)(image), image)
    assert net.image.shape == (2, 3, *padded)
    assert torch.equal(net.image[..., : size[0], : size[1]], image)
    assert net.image.sum() == pytest.approx(image.sum().item(), rel=1e-5)  # padded with 0


def test_images_larger_than_a_network_accepts_are_refused_with_the_largest_size() -> None:
    net = Padded(Recorder(), 224, largest=224)
    assert net(torch.zeros(1, 1, 224, 1)).shape == (1, 1, 224, 1)
    with pytest.raises(InputError, match=r"at most 224 x 224 pixels; these have 225 x 9.*\n.*size"):
        net(torch.zeros(1, 1, 225, 9))
