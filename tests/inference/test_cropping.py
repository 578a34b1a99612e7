"""Prediction on a crop gives the logits of the uncropped image."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.inference.test_fusion import with_statistics
from wsseg.components.registry import registry
from wsseg.core.interfaces import Backbone
from wsseg.inference.cropping import Box, CroppedNetwork, box_around
from wsseg.inference.fusion import fused

FILL = -2.0


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def blob(*, side: int = 96, slices: int = 3) -> tuple[Tensor, Tensor]:
    """Two images with off-centre content on a constant background, and its mask, (H, W)."""
    content = torch.zeros(side, side, dtype=torch.bool)
    content[40:60, 30:57] = True
    noise = torch.randn(2, slices, side, side, generator=torch.Generator().manual_seed(1))
    return noise.double().where(content, FILL), content


def constant(image: Tensor) -> Tensor:
    return torch.full_like(image[:1], FILL)


def test_a_box_has_a_margin_of_16_pixels_and_sides_at_multiples_of_the_stride() -> None:
    """Rows 40 to 59 with 16 around are 24 to 75; in multiples of 8, 24 to 79."""
    _, content = blob()
    assert box_around(content, 8) == Box(top=24, bottom=80, left=8, right=80)


def test_a_box_does_not_exceed_the_image() -> None:
    content = torch.zeros(20, 90, dtype=torch.bool)
    content[0, 80] = True
    assert box_around(content, 16) == Box(top=0, bottom=20, left=64, right=90)


@pytest.mark.parametrize("stride", [1, 2])
def test_logits_are_exact_if_no_receptive_field_exceeds_the_margin(stride: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(4, 4, (5, 3), padding=(2, 1), stride=stride),
        nn.Tanh(),
        nn.ConvTranspose2d(4, 2, stride, stride),
        nn.Conv2d(2, 1, 3, padding=2, dilation=2),
    ).double()
    image, content = blob()
    uncropped = network(image)
    cropped = CroppedNetwork(fused(network), constant(image))
    box = box_around(content, cropped.multiple)
    assert cropped.multiple == stride
    logits = cropped(image, box)
    assert torch.allclose(box.crop(logits), box.crop(uncropped), rtol=0, atol=1e-12)
    outside = torch.ones_like(content)
    box.crop(outside)[...] = False
    assert not logits[..., outside].any()


def local_backbones() -> list[str]:
    names = registry().names(Backbone)
    return [name for name in names if registry().find(Backbone, name).local]


def test_the_unets_are_local_and_a_backbone_that_may_pool_the_image_is_not() -> None:
    assert set(local_backbones()) >= {"additive-unet", "concat-unet"}
    assert "smp" not in local_backbones()


@pytest.mark.parametrize("name", local_backbones())
def test_a_deep_network_is_far_more_exact_with_a_halo_than_with_zero_padding(name: str) -> None:
    """The receptive fields of its last levels exceed the margin."""
    torch.manual_seed(0)
    network = with_statistics(registry().make(Backbone, name, width=4).build(3, 1))
    image, content = blob(side=160)
    uncropped = network(image)
    cropped = CroppedNetwork(fused(network), constant(image))
    box = box_around(content, cropped.multiple)
    assert cropped.multiple == 16
    error = (cropped(image, box) - uncropped)[..., content].abs().mean()
    zeros = (network(box.crop(image)) - box.crop(uncropped))[..., box.crop(content)].abs().mean()
    assert error < 0.2 * zeros


def test_an_image_with_content_everywhere_is_not_cropped() -> None:
    network = with_statistics(registry().make(Backbone, "additive-unet", width=4).build(3, 1))
    image = torch.randn(2, 3, 40, 56, dtype=torch.float64)
    cropped = CroppedNetwork(fused(network), constant(image))
    box = box_around(torch.ones(40, 56, dtype=torch.bool), cropped.multiple)
    assert box == Box(0, 40, 0, 56)
    assert torch.equal(cropped(image, box), fused(network)(image))


def test_logits_do_not_depend_on_earlier_crops() -> None:
    network = with_statistics(registry().make(Backbone, "additive-unet", width=4).build(3, 1))
    image, _ = blob()
    cropped = CroppedNetwork(fused(network), constant(image))
    near, far = Box(16, 80, 16, 80), Box(32, 64, 16, 64)
    first = cropped(image, near)
    cropped(image, far)
    assert torch.equal(cropped(image, near), first)
