"""Stages that learn as the method of a plugin says."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from tests.training.small_em import EM, run_steps, trainer_with
from wsseg.components.registry import Offer, registry
from wsseg.config.stages import AnyStage
from wsseg.core.batch import Evidence, Logits
from wsseg.core.contracts import ContractError
from wsseg.core.interfaces import Method


class Recording(Method):
    """The squared distance between the network and the belief; records the evidence."""

    def __call__(self, logits: Logits, evidence: Evidence) -> Tensor:
        RECORDED.append((logits.detach(), evidence))
        return (logits - evidence.logits).square().mean()


class OfTraining(Recording):
    """The same with the logits of the step as belief."""

    belief = "training"


class PerImage(Method):
    """Returns a number for each image."""

    belief = "evaluation"

    def __call__(self, logits: Logits, evidence: Evidence) -> Tensor:  # noqa: ARG002
        return logits.mean((1, 2, 3))


RECORDED: list[tuple[Tensor, Evidence]] = []
SETTINGS = {key: EM[key] for key in EM if key not in ("prior", "estep", "loss")} | {
    "learn": "method"
}


def test_a_method_gets_the_belief_the_epoch_and_the_progress() -> None:
    RECORDED.clear()
    trainer = trainer_with(SETTINGS | {"method": Recording(), "average": {"decay": 0.5}})
    run_steps(trainer, trainer.steps)
    logits, evidence = RECORDED[-1]
    assert not torch.equal(logits, evidence.logits)
    assert not evidence.logits.requires_grad
    assert (evidence.epoch, evidence.progress) == (2, 1 - 1 / trainer.steps)
    assert evidence.batch.image.shape[1] == 1
    assert (evidence.phi == 0.5).all()
    assert {"loss", "found_share"} <= trainer.progress.history[-1].keys()


def test_with_belief_training_the_method_gets_the_logits_of_the_same_forward_pass() -> None:
    RECORDED.clear()
    run_steps(trainer_with(SETTINGS | {"method": OfTraining()}), 1)
    logits, evidence = RECORDED[-1]
    assert torch.equal(logits, evidence.logits)


def test_a_method_that_does_not_return_a_scalar_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match=r"PerImage .* as a loss"):
        run_steps(trainer_with(SETTINGS | {"method": PerImage()}), 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "add average: {decay: 0.99}"),
        ({"average": {}, "early_stopping": {}}, "early_stopping"),
        ({"average": {}, "loss": {"use": "noisy-or"}}, "unknown key"),
        ({"average": {}, "method": {"use": "recordin"}}, "recording"),
    ],
)
def test_settings_that_do_not_fit_a_method_are_refused(
    change: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = Offer("recording", Method, Recording, "test", "test 1.0")
    monkeypatch.setitem(registry().offers, (Method, "recording"), offer)
    settings = SETTINGS | {"method": {"use": "recording"}} | change
    with pytest.raises(ValidationError, match=words):
        TypeAdapter[Any](AnyStage).validate_python(settings, context=registry())
