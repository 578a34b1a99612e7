"""The installed weights: their digests, their tensors, and the result for a photograph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from matplotlib.cbook import get_sample_data
from PIL import Image
from torch import Tensor, nn

from wsseg import Backbone, EncoderWeights, InputError, load_recipe, make
from wsseg.testing import check_backbone, check_encoder_weights
from wsseg_pretrained import LITE0, EfficientNetLite0, MobileNetV2, PublishedWeights

MILITARY_UNIFORM = 652  # a class of ImageNet-1k
MEAN, SD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
PARTS: list[EncoderWeights] = [MobileNetV2(), EfficientNetLite0()]
ENCODERS = [(each.encoders[0], each) for each in PARTS]


def classifier(weights: EncoderWeights) -> nn.Module:
    """The network that the weights were published for, with all published tensors."""
    is_lite = isinstance(weights, EfficientNetLite0)
    network: nn.Module = timm.create_model(LITE0) if is_lite else torchvision.models.mobilenet_v2()
    network.load_state_dict(dict(weights.tensors()), strict=True)
    return network.eval()


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    """Rear Admiral Grace Hopper in uniform, (1, 3, 224, 224) from 0 to 1."""
    path = str(get_sample_data("grace_hopper.jpg", asfileobj=False))
    image = Image.open(path).convert("RGB").resize((256, 300), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.float32)[38:262, 16:240] / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


@pytest.mark.parametrize("weights", PARTS, ids=repr)
def test_the_weights_keep_their_contract_and_fit_their_encoder(weights: EncoderWeights) -> None:
    check_encoder_weights(weights)


@pytest.mark.parametrize(("encoder", "weights"), ENCODERS)
def test_a_backbone_with_the_weights_keeps_its_contract(
    encoder: str, weights: EncoderWeights
) -> None:
    check_backbone(make(Backbone, "smp", encoder=encoder, weights=weights), slices=3, classes=1)


@pytest.mark.parametrize("weights", PARTS, ids=repr)
def test_the_published_networks_recognise_a_uniform(
    weights: EncoderWeights, photograph: Tensor
) -> None:
    """Of 1000 classes; the others of the three are clothes too, such as academic gown."""
    normalised = (photograph - 0.5) / 0.5
    if isinstance(weights, MobileNetV2):
        normalised = (photograph - MEAN[:, None, None]) / SD[:, None, None]
    with torch.no_grad():
        logits = classifier(weights)(normalised)
    assert MILITARY_UNIFORM in logits.topk(3).indices


def encoder_of(name: str, weights: EncoderWeights, slices: int) -> nn.Module:
    built = make(Backbone, "smp", encoder=name, weights=weights).build(slices, 1)
    return built.get_submodule("net.encoder").eval()


@pytest.mark.parametrize("slices", [1, 3, 7])
def test_features_of_a_grey_photograph_equal_those_of_torchvisions_network(
    slices: int, photograph: Tensor
) -> None:
    """All layers of MobileNetV2 before the classifier; the slices are equal."""
    weights, grey = MobileNetV2(), (photograph.mean(1, keepdim=True) - 0.45) / 0.225
    with torch.no_grad():
        expected = classifier(weights).get_submodule("features")(grey.expand(-1, 3, -1, -1))
        features = encoder_of("mobilenet_v2", weights, slices)(grey.expand(-1, slices, -1, -1))
    torch.testing.assert_close(features[-1], expected, rtol=1e-4, atol=1e-4)


def test_features_of_a_grey_photograph_equal_those_of_timms_network(photograph: Tensor) -> None:
    """EfficientNet-Lite0: the last block."""
    weights, grey = EfficientNetLite0(), (photograph.mean(1, keepdim=True) - 0.5) / 0.5
    network = classifier(weights)
    with torch.no_grad():
        stem = network.get_submodule("bn1")(
            network.get_submodule("conv_stem")(grey.expand(-1, 3, -1, -1))
        )
        expected = network.get_submodule("blocks")(stem)
        features = encoder_of(f"tu-{LITE0}", weights, 1)(grey)
    torch.testing.assert_close(features[-1], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("encoder", "weights"), ENCODERS)
def test_every_tensor_of_the_encoder_comes_from_the_file(
    encoder: str, weights: EncoderWeights
) -> None:
    tensors = weights.tensors()
    own = encoder_of(encoder, weights, 1).state_dict()
    first, *others = own
    assert own[first].shape[1] == 1
    for name in others:
        assert torch.equal(own[name], tensors[name.removeprefix("model.")]), name
    assert 200 < len(own) < len(tensors)  # the file also has the classifier


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(MobileNetV2().files()[0].read_bytes())
    content[-1000] ^= 1
    changed = tmp_path / "changed.pth"
    changed.write_bytes(content)
    monkeypatch.setattr(MobileNetV2, "files", lambda _: (changed,))
    with pytest.raises(InputError, match=r"changed\.pth: its SHA-256 is not b0353104"):
        MobileNetV2().tensors()


def test_tensors_in_an_order_other_than_that_of_timm_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published = PublishedWeights.tensors(EfficientNetLite0())
    names = list(published)
    names[1], names[2] = names[2], names[1]  # a weight and a bias of the same shape

    def swapped(*_: Any) -> Mapping[str, Tensor]:
        return {name: published[name] for name in names}

    monkeypatch.setattr(PublishedWeights, "tensors", swapped)
    with pytest.raises(InputError, match=r"_bn0\.bias does not correspond to bn1\.weight"):
        EfficientNetLite0().tensors()


def test_a_recipe_names_the_weights_and_refuses_them_for_another_encoder() -> None:
    key = "stages.infection.backbone"
    fits = "{use: smp, encoder: mobilenet_v2, weights: {use: mobilenet-v2}}"
    load_recipe("covid/demo-phi2", [f"{key}={fits}"])
    with pytest.raises(InputError, match="weights are for mobilenet_v2, not for 'resnet18'"):
        load_recipe("covid/demo-phi2", [f"{key}={fits}", f"{key}.encoder=resnet18"])
