from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.components.encoder_weights import FileWeights
from wsseg.components.hypercolumns import Hypercolumns
from wsseg.components.registry import make
from wsseg.config.recipe_files import load_recipe
from wsseg.core.interfaces import Backbone
from wsseg.errors import InputError
from wsseg.testing import check_backbone

TINY = "tu-resnet10t"
LEVELS = (2, 3, 4)  # 1/4, 1/8 and 1/16 of the resolution


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return Hypercolumns(encoder=TINY, weights=None).build(channels=3, classes=2)


def test_the_backbone_keeps_the_contract() -> None:
    check_backbone(Hypercolumns(encoder=TINY, weights=None), slices=7, classes=2)


def column(features: Tensor, row: float, left: float) -> Tensor:
    """Return the mean over 3 x 3 cells (C,), interpolated bilinearly at a place, cell by cell."""
    height, width = features.shape[-2:]
    total = torch.zeros(features.shape[0])
    for y in range(height):
        for x in range(width):
            # Places outside the middles of the first and last cells have the value of the border.
            near = max(0.0, 1 - abs(min(max(row, 0), height - 1) - y))
            weight = near * max(0.0, 1 - abs(min(max(left, 0), width - 1) - x))
            cells = features[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            total += weight * cells.mean((1, 2))
    return total


def layer(weights: Mapping[str, Tensor], name: str, values: Tensor) -> Tensor:
    """Return the values of a pixel, (C,), after a 1 x 1 convolution."""
    weight: Tensor = weights[f"net.{name}.weight"][:, :, 0, 0]
    return weight @ values + weights[f"net.{name}.bias"]


def test_a_pixel_is_classified_by_the_features_at_its_place(net: nn.Module) -> None:
    image = torch.rand(1, 3, 64, 64)
    weights = net.eval().state_dict()
    with torch.no_grad():
        features = net.get_submodule("net.encoder")(image)
        logits = net(image)
        cells = torch.zeros(1, 2, 16, 16)  # naive: one cell of 4 x 4 pixels after another
        for y in range(16):
            for x in range(16):
                columns = []
                for level in LEVELS:
                    scale = 2 ** (level - 2)  # cells of the finest level in one of this level
                    place = ((y + 0.5) / scale - 0.5, (x + 0.5) / scale - 0.5)
                    columns.append(column(features[level][0], *place))
                values = torch.cat(columns) / (1 + 1e-5) ** 0.5  # batch norm of a new network
                hidden = layer(weights, "hidden", values).relu()
                cells[0, :, y, x] = layer(weights, "head", hidden)
        expected = F.interpolate(cells, (64, 64), mode="bilinear")
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_training_changes_the_classifier_but_not_the_encoder(net: nn.Module) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net.train()
    net(torch.rand(2, 3, 32, 32)).square().mean().backward()
    optimizer.step()
    changed = {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }
    assert {name.split(".")[1] for name in changed} == {"standardise", "hidden", "head"}
    encoder = net.get_submodule("net.encoder")
    assert not any(module.training for module in encoder.modules())


def test_pretrained_weights_come_from_the_same_places_as_those_of_smp(
    net: nn.Module, tmp_path: Path
) -> None:
    file = tmp_path / "encoder.safetensors"
    save_file(net.get_submodule("net.encoder").state_dict(), file)
    backbone = make(Backbone, "hypercolumns", encoder=TINY, weights={"file": str(file)})
    assert backbone == Hypercolumns(encoder=TINY, weights=FileWeights(file=file))
    assert backbone.files() == (file,)
    assert backbone.untrained() == Hypercolumns(encoder=TINY, weights=None)
    torch.manual_seed(1)
    loaded = backbone.build(3, 2).get_submodule("net.encoder").state_dict()
    assert all(
        torch.equal(value, loaded[name])
        for name, value in net.get_submodule("net.encoder").state_dict().items()
    )


@pytest.mark.parametrize(
    ("wrong", "key", "words"),
    [
        ("encoder: resnet81, weights: null", "encoder", "no encoder is called 'resnet81'"),
        ("encoder: resnet18, weights: imagnet", "weights", "has no weights 'imagnet'"),
        ("encoder: resnet18", "weights", "missing"),
        ("encoder: resnet18, weights: null, dropout: 1", "dropout", "less than 1"),
    ],
)
def test_wrong_settings_are_named(wrong: str, key: str, words: str) -> None:
    change = f"stages.infection.backbone={{use: hypercolumns, {wrong}}}"
    with pytest.raises(InputError) as error:
        load_recipe("covid/demo-phi2", [change])
    assert f"stages.infection.backbone.{key}: " in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
