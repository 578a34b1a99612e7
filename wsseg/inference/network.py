"""A backbone's network preceded by the normalisation of its input."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wsseg.core.batch import Logits
from wsseg.core.input import Input
from wsseg.core.interfaces import Backbone


class Network(nn.Module):
    """A network from intensities to logits: the body receives (x - offset) / scale.

    x is clipped first, where the input has a range to clip to.
    """

    def __init__(self, body: nn.Module, input: Input) -> None:
        super().__init__()
        self.body = body
        self._input = input

    def forward(self, image: Tensor) -> Logits:
        """Map (B, S, H, W), in the scanner's unit, to (B, K, H, W)."""
        clip, offset = self._input.clip, self._input.offset
        shifted = image - offset if clip is None else image.clamp(*clip).sub_(offset)
        logits: Logits = self.body(shifted.div_(self._input.scale))
        return logits


def new_network(backbone: Backbone, input: Input, classes: int, seed: int) -> Network:
    """Build a network with random weights drawn from `seed`; the global generator is unchanged."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(backbone.build(input.slices, classes), input)


def load_matching_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copy the weights whose name and shape match; return the names of those left unchanged."""
    own = network.state_dict()
    matching = {
        name: weight
        for name, weight in weights.items()
        if name in own and own[name].shape == weight.shape
    }
    network.load_state_dict(own | matching)
    return [name for name in own if name not in matching]


def uses_batch_statistics(network: nn.Module) -> bool:
    """Return whether the network normalises by statistics of the batch while it is trained."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return any(isinstance(module, kinds) for module in network.modules())
