"""A backbone's network preceded by the normalisation of its input."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wsseg.core.batch import Logits, Outputs
from wsseg.core.contracts import built_module, check_logits, component_name
from wsseg.core.input import Input
from wsseg.core.interfaces import Backbone

BODY = "body"  # the attribute of a `Network` that holds what a backbone has built


class Network(nn.Module):
    """A network from intensities to logits: the body receives (x - offset) / scale.

    x is clipped first, where the input has a range to clip to.
    """

    def __init__(self, body: nn.Module, input: Input, backbone: Backbone, classes: int) -> None:
        """Add the normalisation to `body`, which `backbone` has built for a number of classes."""
        super().__init__()
        self.body = body
        self._input = input
        self._backbone = component_name(backbone)
        self._classes = classes

    def forward(self, image: Tensor) -> Logits | Outputs:
        """Map (B, S, H, W), in the scanner's unit, to (B, K, H, W).

        In training mode, the body may return auxiliary logits too.

        Raises:
            ContractError: The body returns something else.
        """
        clip, offset = self._input.clip, self._input.offset
        shifted = image - offset if clip is None else image.clamp(*clip).sub_(offset)
        returned = self.body(shifted.div_(self._input.scale))
        if self.training and isinstance(returned, Outputs):
            logits, *auxiliary = (
                check_logits(self._backbone, each, image, self._classes)
                for each in (returned.logits, *returned.auxiliary)
            )
            return Outputs(logits, tuple(auxiliary))
        return check_logits(self._backbone, returned, image, self._classes)


def new_network(backbone: Backbone, input: Input, classes: int, seed: int) -> Network:
    """Build a network with random weights drawn from `seed`; the global generator is unchanged."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = built_module(backbone, input.slices, classes)
        return Network(module, input, backbone, classes)


def load_matching_weights(
    network: nn.Module, weights: Mapping[str, Tensor], new: str | None = None
) -> list[str]:
    """Copy the weights whose name and shape match; return the names of those left unchanged.

    The layers named `new` are left unchanged.
    """
    own = network.state_dict()
    matching = {
        name: weight
        for name, weight in weights.items()
        if name in own
        and own[name].shape == weight.shape
        and not (new is not None and name.startswith(f"{new}."))
    }
    network.load_state_dict(own | matching)
    return [name for name in own if name not in matching]


def uses_batch_statistics(network: nn.Module) -> bool:
    """Return whether the network normalises by statistics of the batch while it is trained."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return any(isinstance(module, kinds) for module in network.modules())
