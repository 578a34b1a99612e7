import pytest
import torch

from wsseg.errors import InputError
from wsseg.interfaces import Backbone
from wsseg.plugins import make
from wsseg.smp_backbone import Smp
from wsseg.testing import check_backbone

TINY = "tu-resnet10t"


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
        pytest.param(
            Smp(architecture="unetplusplus", encoder="efficientnet-b0"), marks=pytest.mark.slow
        ),
    ],
)
def test_architectures_and_encoders_keep_the_contract(smp: Smp) -> None:
    check_backbone(smp, slices=7, classes=2)


@pytest.mark.parametrize("architecture", ["pan", "pspnet", "deeplabv3plus", "linknet"])
def test_sizes_that_an_architecture_cannot_take_are_padded(architecture: str) -> None:
    net = Smp(architecture=architecture, encoder=TINY).build(1, 1).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 70, 45)).shape == (1, 1, 70, 45)


def test_a_new_network_is_in_training_mode() -> None:
    assert all(module.training for module in Smp(encoder=TINY).build(1, 1).modules())


@pytest.mark.parametrize(
    ("smp", "words"),
    [
        (Smp(architecture="unett"), ["'unett'", "fpn", "Did you mean 'unet'?"]),
        (Smp(encoder="resnet81"), ["'resnet81'", "nearest", "resnet18"]),
        (Smp(encoder="tu-convnxt_atto"), ["'tu-convnxt_atto'", "tu-convnext_atto"]),
        (Smp(weights="imagnet"), ["'imagnet'", "ssl", "Did you mean 'imagenet'?"]),
        (Smp(encoder="tu-resnet18", weights="imagenet"), ["'imagenet'", "a1_in1k"]),
        (Smp(architecture="unetplusplus", encoder="mit_b0"), ["cannot be built", "resnet18"]),
        (Smp(encoder="tu-swin_tiny_patch4_window7_224"), ["cannot be built", "224"]),
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
