"""Logits averaged over mirrored images."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import wsseg
from wsseg.components.overlap_losses import BatchDice
from wsseg.config.stages import MasksStage
from wsseg.core.batch import Batch
from wsseg.core.input import Input
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.network import Network
from wsseg.inference.stage_prediction import stage_logits
from wsseg.runtime.device import open_fabric

INPUT = Input(slices=1, size=24, fill=0)
IMAGE = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))


class Convolution(wsseg.Backbone):
    """A convolution, which is not symmetric."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Conv2d(channels, classes, 3, padding=1)


class LocalConvolution(Convolution):
    """The same, predicted on a crop."""

    local: ClassVar[bool] = True


def trained(backbone: wsseg.Backbone, *mirror: str) -> TrainedStage:
    stage = MasksStage(
        learn="masks",
        classes=["lesion"],
        backbone=backbone,
        loss=BatchDice(),
        epochs=1,
        optimizer=wsseg.make(wsseg.Optimizer, "adam", lr=0.1),
        mirror=mirror,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(backbone.build(1, 1), INPUT, backbone, 1).eval()
    return TrainedStage("a", stage, INPUT, network, (), "digest")


@torch.no_grad()
def logits(stage: TrainedStage, image: Tensor) -> Tensor:
    batch = Batch(image[:, None], torch.ones(2, 1, 24, 24).bool(), torch.ones(2, 1).bool())
    return stage_logits(stage, batch, open_fabric("float32"))


@pytest.mark.parametrize("backbone", [Convolution(), LocalConvolution()])
@pytest.mark.parametrize(
    ("mirror", "axes"),
    [
        ((), [()]),
        (("left-right",), [(), (-1,)]),
        (("front-back",), [(), (-2,)]),
        (("left-right", "front-back"), [(), (-1,), (-2,), (-1, -2)]),
    ],
)
def test_logits_are_the_mean_over_all_mirrored_images_mirrored_back(
    backbone: wsseg.Backbone, mirror: tuple[str, ...], axes: list[tuple[int, ...]]
) -> None:
    plain = trained(backbone)
    each = [logits(plain, IMAGE.flip(a)).flip(a) for a in axes]
    expected = torch.stack(each).mean(0)
    torch.testing.assert_close(logits(trained(backbone, *mirror), IMAGE), expected)


def test_a_mirrored_image_has_mirrored_logits() -> None:
    stage = trained(Convolution(), "left-right")
    torch.testing.assert_close(logits(stage, IMAGE.flip(-1)), logits(stage, IMAGE).flip(-1))
    plain = trained(Convolution())
    assert not torch.allclose(logits(plain, IMAGE.flip(-1)), logits(plain, IMAGE).flip(-1))
