from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from wsseg import Backbone, make
from wsseg.inference.fusion import fused
from wsseg.testing import check_backbone
from wsseg_covid.unet import AdditiveUNet, ConcatUNet

UNETS = [AdditiveUNet(width=4), ConcatUNet(width=4)]
AS_PUBLISHED = ConcatUNet(width=4, norm_eps=1e-3, norm_affine=False, activated_upsampling=True)


def parameters(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())


def block(before: int, after: int) -> int:
    """Return the parameters of a 3 x 3 convolution without bias and its batch normalisation."""
    return 9 * before * after + 2 * after


def seeded(backbone: Backbone, slices: int = 3, classes: int = 1) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return backbone.build(slices, classes)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("unet", [*UNETS, AS_PUBLISHED])
def test_unets_pass_the_conformance_test(unet: Backbone) -> None:
    check_backbone(unet)


def test_the_papers_network_has_6980833_parameters() -> None:
    assert parameters(AdditiveUNet(width=32).build(7, 1)) == 6_980_833


def test_the_number_of_parameters_is_the_sum_over_the_layers() -> None:
    w = [4, 8, 16, 32, 64]
    down = block(7, w[0]) + sum(block(a, b) for a, b in pairwise(w))
    halve = sum(block(a, a) for a in w[:4])
    up = sum(4 * b * a + a for a, b in pairwise(w))
    head = w[0] + 1
    added = 2 * sum(block(a, a) for a in w[:4])
    concatenated = sum(block(2 * a, a) + block(a, a) for a in w[:4])
    additive = down + halve + block(w[4], w[4]) + up + added + head
    assert parameters(AdditiveUNet(width=4).build(7, 1)) == additive
    assert parameters(ConcatUNet(width=4).build(7, 1)) == down + halve + up + concatenated + head


@pytest.mark.parametrize("kind", [AdditiveUNet, ConcatUNet])
def test_without_scale_and_shift_batch_norm_has_no_parameters(
    kind: type[AdditiveUNet | ConcatUNet],
) -> None:
    plain = kind(width=4, norm_affine=False).build(7, 1)
    norms = [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    channels = sum(norm.num_features for norm in norms)
    assert parameters(plain) == parameters(kind(width=4).build(7, 1)) - 2 * channels
    values = (
        torch.tensor([0.0, 2, 4, 6]).reshape(4, 1, 1, 1).expand(-1, norms[0].num_features, -1, -1)
    )
    normalised = norms[0](values)[:, 0, 0, 0].tolist()
    assert normalised == pytest.approx([-1.3416, -0.4472, 0.4472, 1.3416], abs=1e-4)  # / sqrt(5)


def test_the_papers_network_is_the_default() -> None:
    assert AdditiveUNet() == AdditiveUNet(
        width=32, slope=0.2, norm_eps=1e-5, norm_affine=True, activated_upsampling=False
    )


def test_the_papers_network_takes_15_8_gflop_per_slice() -> None:
    """2 FLOP per multiply-add; the counter includes convolutions only."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        AdditiveUNet(width=32).build(7, 1)(torch.empty(1, 7, 256, 256))
    assert counter.get_total_flops() / 1e9 == pytest.approx(15.8, abs=0.05)


@pytest.mark.parametrize("unet", UNETS)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 31), (1, 1), (64, 48)])
def test_logits_have_the_size_of_the_image(unet: Backbone, height: int, width: int) -> None:
    logits = seeded(unet, classes=2).eval()(noise(1, 3, height, width))
    assert logits.shape == (1, 2, height, width)


@pytest.mark.parametrize("unet", UNETS)
def test_images_are_padded_with_0_below_and_to_the_right(unet: Backbone) -> None:
    net, image = seeded(unet).eval(), torch.zeros(1, 3, 32, 48)
    image[..., :20, :40] = noise(1, 3, 20, 40)
    with torch.no_grad():
        assert torch.equal(net(image[..., :20, :40]), net(image)[..., :20, :40])


@pytest.mark.parametrize(
    ("unet", "slope"),
    [
        (AdditiveUNet(width=4), 0.2),
        (AdditiveUNet(width=4, norm_eps=0.1, activated_upsampling=True), 0.2),
        (ConcatUNet(width=4), 0),
        (AS_PUBLISHED, 0),
    ],
)
def test_unets_equal_a_forward_pass_written_out(
    unet: AdditiveUNet | ConcatUNet, slope: float
) -> None:
    net = seeded(unet).eval()
    weights = {name.removeprefix("net."): each for name, each in net.state_dict().items()}

    def convolution(x: Tensor, name: str, stride: int = 1) -> Tensor:
        x = F.conv2d(x, weights[f"{name}.0.weight"], stride=stride, padding=1)
        return F.leaky_relu(x / (1 + unet.norm_eps) ** 0.5, slope)  # batch norm of a new module

    def transposed(x: Tensor, name: str) -> Tensor:
        bias = weights[f"{name}.bias"]
        x = F.conv_transpose2d(x, weights[f"{name}.weight"], bias, stride=2)
        return F.leaky_relu(x, slope) if unet.activated_upsampling else x

    x, skips = noise(1, 3, 32, 48), []
    image = x
    for level in range(4):
        skips.append(convolution(x, f"enter.{level}"))
        x = convolution(skips[-1], f"halve.{level}", stride=2)
    if isinstance(unet, AdditiveUNet):
        x = convolution(convolution(x, "bottom.0"), "bottom.1")
    else:
        x = convolution(x, "bottom")
    for step, skip in enumerate(reversed(skips)):
        x = transposed(x, f"join.{step}.up")
        x = x + skip if isinstance(unet, AdditiveUNet) else torch.cat([x, skip], dim=1)
        x = convolution(convolution(x, f"join.{step}.convolve.0"), f"join.{step}.convolve.1")
    expected = F.conv2d(x, weights["head.weight"], weights["head.bias"])
    with torch.no_grad():
        torch.testing.assert_close(net(image), expected)


def test_new_networks_preserve_the_scale_of_activations() -> None:
    """Even without batch normalisation."""
    net = seeded(AdditiveUNet(width=16), slices=7)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # the running statistics of a new module are 0 and 1: no effect
    seen: list[float] = []
    for module in net.modules():
        if isinstance(module, nn.LeakyReLU):
            module.register_forward_hook(lambda *given: seen.append(given[-1].std().item()))
    with torch.no_grad():
        net(noise(1, 7, 64, 64))
    assert len(seen) == 18
    assert min(seen) > 0.2
    assert max(seen) < 5


def test_new_transposed_convolutions_preserve_the_scale() -> None:
    ups = [m for m in seeded(AdditiveUNet(width=16)).modules() if isinstance(m, nn.ConvTranspose2d)]
    assert len(ups) == 4
    for up in ups:
        with torch.no_grad():
            assert up(noise(2, up.in_channels, 16, 16)).std().item() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("unet", UNETS)
def test_a_unet_learns_to_segment_a_square(unet: Backbone) -> None:
    net = seeded(unet)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    y = torch.zeros(4, 1, 32, 32)
    for i in range(4):
        y[i, :, 4 * i : 4 * i + 12, 6:20] = 1
    image = y + 0.3 * noise(4, 3, 32, 32)
    for _ in range(40):
        loss = F.binary_cross_entropy_with_logits(net(image), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((net(image) > 0) == (y > 0)).float().mean() > 0.97


def test_backbones_are_built_by_their_names() -> None:
    made = make(Backbone, "additive-unet", width=16)
    assert made == AdditiveUNet(width=16, slope=0.2)
    assert make(Backbone, "concat-unet") == ConcatUNet(width=32)


@pytest.mark.parametrize("unet", [*UNETS, AS_PUBLISHED])
def test_fusing_layers_for_prediction_does_not_change_the_logits(unet: Backbone) -> None:
    net, image = seeded(unet).double(), noise(2, 3, 32, 48).double()
    with torch.no_grad():
        net(image)  # sets the running statistics
        torch.testing.assert_close(fused(net)(image), net.eval()(image))
