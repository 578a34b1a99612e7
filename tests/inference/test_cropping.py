"""A crop gets the logits that the whole image gets."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.inference.test_fusion import lived_in
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
    """Images that show something off the middle, and where, (H, W)."""
    seen = torch.zeros(side, side, dtype=torch.bool)
    seen[40:60, 30:57] = True
    noise = torch.randn(2, slices, side, side, generator=torch.Generator().manual_seed(1))
    return noise.double().where(seen, FILL), seen


def nothing(image: Tensor) -> Tensor:
    return torch.full_like(image[:1], FILL)


def test_a_box_has_a_margin_and_starts_where_the_network_halves() -> None:
    """Rows 40 to 59 with 16 around are 24 to 75; in multiples of 8, 24 to 79."""
    _, seen = blob()
    assert box_around(seen, 8) == Box(top=24, bottom=80, left=8, right=80)


def test_a_box_stays_in_the_image() -> None:
    seen = torch.zeros(20, 90, dtype=torch.bool)
    seen[0, 80] = True
    assert box_around(seen, 16) == Box(top=0, bottom=20, left=64, right=90)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_that_see_less_than_the_margin_are_exact(stride: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(4, 4, (5, 3), padding=(2, 1), stride=stride),
        nn.Tanh(),
        nn.ConvTranspose2d(4, 2, stride, stride),
        nn.Conv2d(2, 1, 3, padding=2, dilation=2),
    ).double()
    image, seen = blob()
    whole = network(image)
    cropped = CroppedNetwork(fused(network), nothing(image))
    box = box_around(seen, cropped.multiple)
    assert cropped.multiple == stride
    logits = cropped(image, box)
    assert torch.allclose(box.crop(logits), box.crop(whole), rtol=0, atol=1e-12)
    outside = torch.ones_like(seen)
    box.crop(outside)[...] = False
    assert not logits[..., outside].any()


def local_backbones() -> list[str]:
    names = registry().names(Backbone)
    return [name for name in names if registry().find(Backbone, name).local]


def test_the_papers_network_is_local_and_one_that_may_pool_the_image_is_not() -> None:
    assert set(local_backbones()) >= {"additive-unet", "concat-unet"}
    assert "smp" not in local_backbones()


@pytest.mark.parametrize("name", local_backbones())
def test_a_deep_network_sees_around_a_crop_what_was_there(name: str) -> None:
    """Its last levels see further than the margin: zeros there would be far more wrong."""
    network = lived_in(registry().make(Backbone, name, width=4).build(3, 1))
    image, seen = blob(side=160)
    whole = network(image)
    cropped = CroppedNetwork(fused(network), nothing(image))
    box = box_around(seen, cropped.multiple)
    assert cropped.multiple == 16
    error = (cropped(image, box) - whole)[..., seen].abs().mean()
    zeros = (network(box.crop(image)) - box.crop(whole))[..., box.crop(seen)].abs().mean()
    assert error < 0.2 * zeros


def test_an_image_that_is_seen_everywhere_is_not_touched() -> None:
    network = lived_in(registry().make(Backbone, "additive-unet", width=4).build(3, 1))
    image = torch.randn(2, 3, 40, 56, dtype=torch.float64)
    cropped = CroppedNetwork(fused(network), nothing(image))
    box = box_around(torch.ones(40, 56, dtype=torch.bool), cropped.multiple)
    assert box == Box(0, 40, 0, 56)
    assert torch.equal(cropped(image, box), fused(network)(image))


def test_one_crop_after_the_other_does_not_matter() -> None:
    network = lived_in(registry().make(Backbone, "additive-unet", width=4).build(3, 1))
    image, _ = blob()
    cropped = CroppedNetwork(fused(network), nothing(image))
    near, far = Box(16, 80, 16, 80), Box(32, 64, 16, 64)
    first = cropped(image, near)
    cropped(image, far)
    assert torch.equal(cropped(image, near), first)
