import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from wsseg.components.backbones import Smp
from wsseg.components.registry import make
from wsseg.config.recipe import load_recipe
from wsseg.core.interfaces import Backbone
from wsseg.errors import InputError
from wsseg.testing import check_backbone

if TYPE_CHECKING:
    from tests.conftest import Wsseg

TINY = "tu-resnet10t"
LEARN = (  # on top of the toy recipe: enough for a big network on pictures of 32 x 32
    "stages.infection.epochs=25",
    "stages.infection.batch_size=10",
    "stages.infection.loss={use: batch-dice}",
    "stages.infection.optimizer={use: adamw, lr: {start: 1.0e-3, end: 1.0e-5}}",
    "stages.infection.augment={}",
)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine without a network and with no weights on it."""
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
def test_architectures_and_encoders_keep_the_contract(smp: Smp) -> None:
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
def test_a_transformer_for_one_size_takes_what_can_be_padded_to_it(
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
def test_backbones_learn_the_toy_hospital_end_to_end(
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
    assert '"learn": "em"' in log  # the weak stage took over the network, and trained it on


@pytest.mark.parametrize("architecture", ["pan", "pspnet", "deeplabv3plus", "linknet"])
def test_sizes_that_an_architecture_cannot_take_are_padded(architecture: str) -> None:
    net = Smp(architecture=architecture, encoder=TINY).build(1, 1).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 70, 45)).shape == (1, 1, 70, 45)


def test_a_new_network_is_in_training_mode() -> None:
    assert all(module.training for module in Smp(encoder=TINY).build(1, 1).modules())


@pytest.mark.parametrize(
    ("wrong", "key", "words"),
    [
        ("architecture: unett", "architecture", ["'unett'", "fpn", "Did you mean 'unet'?"]),
        ("encoder: resnet81", "encoder", ["'resnet81'", "nearest", "resnet18"]),
        ("encoder: tu-convnxt_atto", "encoder", ["'tu-convnxt_atto'", "tu-convnext_atto"]),
        ("weights: imagnet", "weights", ["'imagnet'", "ssl", "Did you mean 'imagenet'?"]),
        ("encoder: tu-resnet18, weights: imagenet", "weights", ["'imagenet'", "a1_in1k"]),
    ],
)
def test_a_name_that_there_is_not_is_told_when_the_recipe_is_read(
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
def test_what_cannot_be_built_is_said_with_what_can(smp: Smp, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        smp.build(3, 1)
    assert all(word in str(error.value) for word in words)
    assert str(error.value).count("\n") < 3


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "smp", [Smp(weights="imagenet"), Smp(encoder="tu-resnet18", weights="a1_in1k")]
)
def test_weights_that_cannot_be_fetched_are_one_clear_error(smp: Smp) -> None:
    with pytest.raises(InputError, match="not on this machine and cannot be fetched") as error:
        smp.build(3, 1)
    assert "weights: null" in str(error.value)


def test_weights_that_are_on_the_machine_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the download: resnet18's weights come from wherever the library looks."""
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


def test_smp_is_made_by_the_name_of_recipes() -> None:
    made = make(Backbone, "smp", architecture="fpn")
    assert made == Smp(architecture="fpn", encoder="resnet18", weights=None)


def test_a_checkpoint_is_loaded_without_fetching_weights() -> None:
    assert Smp(weights="imagenet").untrained() == Smp()
