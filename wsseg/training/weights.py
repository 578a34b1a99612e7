"""The weights of a stage in training: the network's, their average, and the optimizer's state."""

from collections.abc import Mapping

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from wsseg.config.stages import NetworkStage
from wsseg.inference.network import BODY, Network
from wsseg.runtime.memory_format import to_channels_last
from wsseg.training.averaging import averaged_copy, update_average
from wsseg.training.em import Networks
from wsseg.training.optimizer import (
    clip_gradients,
    new_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)


class Weights:
    """A network that is trained, the average of its weights, if any, and its optimizer."""

    def __init__(self, stage: NetworkStage, network: Network, fabric: Fabric) -> None:
        """Prepare to train `network`, in place."""
        module = to_channels_last(_synchronised(network, fabric))
        average = averaged_copy(module) if stage.average is not None else None
        self.alone = Networks(module, average)
        """The modules without a distributed wrapper, for calls that only one process makes."""
        self._initial_norm = float(self.norm())
        trained, self._optimizer = fabric.setup(
            module, new_optimizer(stage.optimizer, module, _encoder_of(stage))
        )
        averaged = None if average is None else fabric.setup_module(average)
        self.networks = Networks(trained, averaged)
        """The modules as set up by Fabric, which averages gradients over the processes."""
        self._decay = None if stage.average is None else stage.average.decay
        self._max_gradient_norm = stage.optimizer.max_gradient_norm
        self._best: dict[str, Tensor] = {}  # those of the best epoch of a stage that stops early

    @property
    def predicting(self) -> nn.Module:
        """The network that the stage predicts with: the average, if there is one."""
        return self.alone.trained if self.alone.average is None else self.alone.average

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        rate: float = self._optimizer.param_groups[0]["lr"]
        return rate

    @property
    def initial_norm(self) -> float:
        """The Euclidean norm of all weights before training."""
        return self._initial_norm

    def norm(self) -> Tensor:
        """Return the Euclidean norm of all weights."""
        return get_total_norm(p.detach() for p in self.alone.trained.parameters())

    def step(self, rate: float) -> Tensor:
        """Take an optimizer step and update the average; return the norm of the gradients.

        The norm is the one before clipping. The gradients are then reset.
        """
        module, average = self.alone
        set_learning_rate(self._optimizer, rate)
        gradient = get_total_norm(p.grad for p in module.parameters() if p.grad is not None)
        clip_gradients(module, gradient, self._max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if average is not None and self._decay is not None:
            update_average(average, module, self._decay)
        return gradient

    def keep_best(self) -> None:
        """Keep a copy of the weights that the stage predicts with as the best so far."""
        self._best = {name: each.clone() for name, each in _on_cpu(self.predicting).items()}

    def final(self) -> dict[str, Tensor]:
        """Return the best weights if any were kept, or those that the stage predicts with."""
        return self._best or _on_cpu(self.predicting)

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that `restore` needs, on the CPU."""
        module, average = self.alone
        parts = {
            "network": _on_cpu(module),
            "average": {} if average is None else _on_cpu(average),
            "optimizer": optimizer_tensors(self._optimizer),
            "best": self._best,
        }
        return {
            f"{part}.{name}": value
            for part, tensors in parts.items()
            for name, value in tensors.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a state that `state` returned, possibly among other tensors."""
        module, average = self.alone
        module.load_state_dict(tensors_of("network", tensors))
        if average is not None:
            average.load_state_dict(tensors_of("average", tensors))
        restore_optimizer(self._optimizer, tensors_of("optimizer", tensors))
        self._best = tensors_of("best", tensors)


def tensors_of(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a part of a saved state, without the part in their names."""
    beginning = f"{part}."
    return {
        name.removeprefix(beginning): value
        for name, value in tensors.items()
        if name.startswith(beginning)
    }


def _encoder_of(stage: NetworkStage) -> str | None:
    """Return the name of the encoder in the network of a stage, if its backbone has one."""
    name = None if stage.backbone is None else stage.backbone.encoder_module
    return None if name is None else f"{BODY}.{name}"


def _on_cpu(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers of a network, on the CPU."""
    return {name: value.detach().cpu() for name, value in network.state_dict().items()}


def _synchronised(network: Network, fabric: Fabric) -> nn.Module:
    """Synchronise batch norm between GPUs; torch has no synchronised batch norm for CPUs."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return synchronised
    return network
