"""The normalisation of a network's input, and the weights that it takes from another network."""

import pytest
import torch
from torch import Tensor, nn

from wsseg.core.input import Input
from wsseg.core.interfaces import Backbone
from wsseg.inference.network import Network, load_matching_weights


class Unchanged(Backbone):
    """Its network returns the image."""

    def build(self, channels: int, classes: int) -> nn.Module:  # noqa: ARG002
        return nn.Identity()


def seen_by_the_body(input: Input, *values: float) -> list[float]:
    image = torch.tensor(values).reshape(1, 1, 1, 1, -1)
    network = Network(nn.Identity(), input, Unchanged(), classes=1)
    found: list[float] = network(image).flatten().tolist()
    return found


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (None, [-2, 0, 0.25, 1, 11]),
        ((-100, 150), [-0.5, 0, 0.25, 0.75, 0.75]),
        ((0, 200), [0, 0, 0.25, 1, 1]),
    ],
)
def test_a_body_receives_the_clipped_values_less_the_offset_in_units_of_the_scale(
    clip: tuple[float, float] | None, expected: list[float]
) -> None:
    input = Input(slices=1, offset=0, scale=200, clip=clip)
    assert seen_by_the_body(input, -400, 0, 50, 200, 2200) == expected


def test_the_offset_is_subtracted_after_clipping_and_before_scaling() -> None:
    input = Input(slices=1, offset=10, scale=5, clip=(0, 20))
    assert seen_by_the_body(input, -100, 10, 15, 100) == [-2, 0, 1, 2]


def test_each_channel_has_its_own_range_offset_and_scale() -> None:
    """Two channels of three slices become six planes, those of the first channel first."""

    class Planes(nn.Module):
        def forward(self, planes: Tensor) -> Tensor:
            seen.append(planes.flatten().tolist())
            return planes[:, :1]

    seen: list[list[float]] = []
    input = Input(slices=3, clip=((0, 10), (0, 100)), offset=(2, 20), scale=(4, 10))
    image = torch.tensor([[-5.0, 6.0, 50.0], [-5.0, 60.0, 500.0]]).reshape(1, 2, 3, 1, 1)
    Network(Planes(), input, Unchanged(), classes=1)(image)
    assert seen == [[-0.5, 1, 2, -2, 4, 8]]


def test_the_image_itself_is_not_changed() -> None:
    image = torch.tensor([-5.0, 5.0]).reshape(1, 1, 1, 1, 2)
    for clip in (None, (-1.0, 1.0)):
        Network(nn.Identity(), Input(slices=1, offset=3, scale=2, clip=clip), Unchanged(), 1)(image)
    assert image.flatten().tolist() == [-5, 5]


def test_weights_of_the_same_name_and_shape_are_loaded_and_the_others_are_listed() -> None:
    def network(classes: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, classes, 1))

    source, target = network(1), network(3)
    before: dict[str, Tensor] = {k: v.clone() for k, v in target.state_dict().items()}
    new = load_matching_weights(Network(target, Input(), Unchanged(), 3), {
        f"body.{name}": weight for name, weight in source.state_dict().items()
    })  # fmt: skip
    assert new == ["body.1.weight", "body.1.bias"]
    after = target.state_dict()
    assert torch.equal(after["0.weight"], source.state_dict()["0.weight"])
    assert torch.equal(after["0.bias"], source.state_dict()["0.bias"])
    assert torch.equal(after["1.weight"], before["1.weight"])
