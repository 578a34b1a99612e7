"""The parts of a stage during training: their state, and checks that nothing else changes.

A prior can be fitted again after each epoch (`Prior.refit`), and an E-step can keep a memory from
step to step (`EStep.remember`). The fitted prior and the memory are saved with the training state.
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from wsseg.components.registry import registry
from wsseg.components.saving import check_restored
from wsseg.config.stages import EmStage, NetworkStage
from wsseg.core.batch import Evidence, StepContext
from wsseg.core.component import Component, parts_of
from wsseg.core.contracts import ContractError, check_fitted, check_memory, component_name
from wsseg.core.hidden_state import attributes_of, changed_attribute
from wsseg.core.interfaces import EStep, Prior

CALLED = ("prior", "estep", "loss", "method")  # fields of a stage, called in each step


class StageParts:
    """A stage whose prior and E-step memory change during training."""

    def __init__(self, stage: NetworkStage) -> None:
        self.stage = stage
        self._memory: dict[str, Tensor] = {}
        self._refitted = False
        self._attributes = attributes_of_called(stage)

    @property
    def remembers(self) -> bool:
        """Whether the E-step, or one inside it, keeps a memory."""
        parts = (part for _, part in parts_of(getattr(self.stage, "estep", None)))
        esteps = (part for part in parts if isinstance(part, EStep))
        return any(type(estep).remember is not EStep.remember for estep in esteps)

    @property
    def refits(self) -> bool:
        """Whether the prior is fitted again after each epoch."""
        return isinstance(self.stage, EmStage) and self.stage.prior.refits

    def context(self, progress: float, epoch: int) -> StepContext:
        """Return the state of training that is passed to E-steps."""
        return StepContext(progress, epoch, self._memory)

    def remember(self, evidence: Evidence) -> None:
        """Replace the memory of the E-step.

        Raises:
            ContractError: The E-step returns no dict of tensors.
        """
        assert isinstance(self.stage, EmStage), "only an E-step remembers"  # noqa: S101
        self._memory = check_memory(self.stage.estep, self.stage.estep.remember(evidence))

    def refitted_prior(self, evidence: Iterable[Evidence]) -> Prior:
        """Return the prior fitted to the network's beliefs.

        Raises:
            ContractError: `refit` returns no prior of the same class.
            InputError: The prior cannot be saved.
        """
        assert isinstance(self.stage, EmStage), "only EM has a prior"  # noqa: S101
        prior = check_fitted(self.stage.prior, self.stage.prior.refit(evidence))
        check_restored(prior, _restored(registry().describe(prior)))
        return prior

    def use_prior(self, prior: Prior) -> None:
        """Replace the prior from the next step on."""
        self.stage = self.stage.model_copy(update={"prior": prior})
        self._refitted = True
        self._attributes = attributes_of_called(self.stage)

    def check_unchanged(self) -> None:
        """Check that no part has changed its own attributes.

        Raises:
            ContractError: A part has a state that would not be saved; the message names it.
        """
        for name, before in self._attributes.items():
            part = getattr(self.stage, name)
            if changed := changed_attribute(part, before):
                keys, attribute = changed
                raise ContractError(
                    component_name(_part_at(part, keys)),
                    f"changes its attribute {attribute} during training; this is not saved, so a "
                    "resumed stage would have other weights.\n"
                    "Return state from EStep.remember() or Prior.refit() instead",
                )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
        """Return the memory, on the CPU, and the prior as plain values; None if unchanged."""
        memory = {name: value.cpu() for name, value in self._memory.items()}
        if not (self._refitted and isinstance(self.stage, EmStage)):
            return memory, None
        return memory, registry().describe(self.stage.prior)

    def restore(self, memory: dict[str, Tensor], prior: dict[str, Any] | None) -> None:
        """Continue from a state that `state` returned."""
        self._memory = memory
        if prior is not None:
            self.use_prior(_restored(prior))


def attributes_of_called(stage: NetworkStage) -> dict[str, Any]:
    """Return the attributes of the parts that are called in each step, by field of the stage."""
    parts = {name: getattr(stage, name, None) for name in CALLED}
    return {
        name: attributes_of(part) for name, part in parts.items() if isinstance(part, Component)
    }


def _restored(described: dict[str, Any]) -> Prior:
    return registry().make(Prior, **described)


def _part_at(component: Component, keys: tuple[str, ...]) -> Component:
    return next(part for own, part in parts_of(component) if own == keys)
