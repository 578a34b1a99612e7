"""A backbone's network with the normalisation of its input."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wsseg.core.batch import Logits, Outputs
from wsseg.core.contracts import built_module, check_logits, component_name
from wsseg.core.input import Input
from wsseg.core.interfaces import Backbone

BODY = "body"  # the attribute of a `Network` that holds what a backbone has built
SHIFT = "shift"  # that of the constants that it adds to the logits


class Network(nn.Module):
    """A network from intensities to logits: the body receives (x - offset) / scale.

    x is first clipped if the input has a clip range. Each channel may have its own range, offset
    and scale. The body receives the slices of all channels as C S planes.

    In evaluation mode, a constant is added to the logits of each class, 0 unless a stage fits it
    (`EmStage.cutoff`).
    """

    shift: Tensor  # (K, 1, 1)

    _offset: float | Tensor
    _scale: float | Tensor
    _low: float | Tensor | None
    _high: float | Tensor | None

    def __init__(self, body: nn.Module, input: Input, backbone: Backbone, classes: int) -> None:
        """Add the normalisation to `body`, which `backbone` has built for a number of classes."""
        super().__init__()
        self.body = body
        self._backbone = component_name(backbone)
        self._classes = classes
        low, high = (tuple(pair[end] for pair in input.clips) for end in (0, 1))
        self._keep("_low", _one_or_all(low), input.slices)
        self._keep("_high", _one_or_all(high), input.slices)
        self._keep("_offset", input.offset, input.slices)
        self._keep("_scale", input.scale, input.slices)
        self.register_buffer(SHIFT, torch.zeros(classes, 1, 1))

    def forward(self, image: Tensor) -> Logits | Outputs:
        """Map (B, C, S, H, W), in the scanner's unit, to (B, K, H, W).

        In training mode, the body may also return auxiliary logits.

        Raises:
            ContractError: The body returns something else.
        """
        planes = image.flatten(1, 2)
        if self._low is None:
            shifted = planes - self._offset
        else:
            shifted = planes.clamp(self._low, self._high).sub_(self._offset)  # type: ignore[arg-type]
        returned = self.body(shifted.div_(self._scale))
        if self.training and isinstance(returned, Outputs):
            logits, *auxiliary = (
                check_logits(self._backbone, each, image, self._classes)
                for each in (returned.logits, *returned.auxiliary)
            )
            return Outputs(logits, tuple(auxiliary))
        logits = check_logits(self._backbone, returned, image, self._classes)
        return logits if self.training else logits + self.shift

    def _keep(self, name: str, value: float | tuple[float, ...] | None, slices: int) -> None:
        """Store one number for all planes, or a buffer with one per channel, (C S, 1, 1)."""
        if isinstance(value, tuple):
            planes = torch.tensor(value).repeat_interleave(slices)[:, None, None]
            self.register_buffer(name, planes, persistent=False)
        else:
            setattr(self, name, value)


def new_network(
    backbone: Backbone, input: Input, classes: int, seed: int, channels: int = 1
) -> Network:
    """Build a network with random weights drawn from `seed`; the global generator is unchanged."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = built_module(backbone, channels * input.slices, classes)
        return Network(module, input, backbone, classes)


def _one_or_all(values: tuple[float, ...]) -> float | tuple[float, ...] | None:
    """Return None if there are no values, the only value, or all values."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def load_matching_weights(
    network: nn.Module, weights: Mapping[str, Tensor], new: str | None = None
) -> list[str]:
    """Copy the weights whose name and shape match; return the names of the unchanged ones.

    The layers named `new` are left unchanged. A shift of logits is not copied and not named.
    """
    own = {name: each for name, each in network.state_dict().items() if name != SHIFT}
    matching = {
        name: weight
        for name, weight in weights.items()
        if name in own
        and own[name].shape == weight.shape
        and not (new is not None and name.startswith(f"{new}."))
    }
    network.load_state_dict(network.state_dict() | matching)
    return [name for name in own if name not in matching]


def uses_batch_statistics(network: nn.Module) -> bool:
    """Return whether the network uses batch statistics in training (batch norm)."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return any(isinstance(module, kinds) for module in network.modules())
