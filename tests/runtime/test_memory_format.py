"""The memory format of weights."""

import torch
from torch import nn

from wsseg.runtime.memory_format import to_channels_last


def test_only_tensors_with_four_dimensions_become_channels_last() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(2, 4, 3), nn.Linear(5, 6))
    net.register_buffer("grid", torch.arange(24.0).reshape(1, 2, 3, 4))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert to_channels_last(net) is net
    after = net.state_dict()
    for name in ("0.weight", "grid"):
        assert after[name].is_contiguous(memory_format=torch.channels_last)
        assert not after[name].is_contiguous()
    for name in ("1.weight", "2.weight"):
        assert after[name].is_contiguous()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
