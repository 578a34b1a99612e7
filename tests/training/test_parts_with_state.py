"""E-steps that remember and priors that are fitted again resume to the same bits."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, final

import pytest
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor

from tests.training.small_em import (
    CASES,
    EM,
    SLICES,
    STEPS_PER_EPOCH,
    assert_resumes_to_the_same_bits,
    run_steps,
    trainer_of,
)
from wsseg.components.registry import Offer, registry
from wsseg.config.stages import EmStage
from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.contracts import ContractError
from wsseg.core.interfaces import EStep, Prior
from wsseg.errors import InputError
from wsseg.training.events import StepDone
from wsseg.training.trainer import Trainer


@final
class Momentum(EStep):
    """y is the mean posterior of earlier steps, the same for all pixels."""

    keep: float = 0.5

    def __call__(self, evidence: Evidence) -> Probability:
        mean = evidence.memory.get("mean", torch.tensor(0.5))
        return (evidence.batch.support * mean).float()

    def remember(self, evidence: Evidence) -> Mapping[str, Tensor]:
        newest = evidence.log_odds.sigmoid().mean()
        mean = evidence.memory.get("mean", newest)
        return {"mean": self.keep * mean + (1 - self.keep) * newest}


@final
class Inner(EStep):
    """The targets of another E-step."""

    inner: EStep

    def __call__(self, evidence: Evidence) -> Probability:
        return self.inner(evidence)


@final
class Seen(EStep):
    """Remembers when each slice was seen last; y is soft."""

    def __call__(self, evidence: Evidence) -> Probability:
        return evidence.log_odds.sigmoid()

    def remember(self, evidence: Evidence) -> Mapping[str, Tensor]:
        batch = evidence.batch
        seen = {
            f"{case}.{z}": torch.tensor(evidence.epoch)
            for case, z in zip(batch.case, batch.slice_index, strict=True)
        }
        return {**evidence.memory, **seen}


@final
class Share(Prior):
    """phi is the network's mean probability in the epoch before."""

    share: float = 0.6

    def __call__(self, batch: Batch) -> Probability:
        return batch.support * self.share

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        posterior = torch.cat([each.log_odds.sigmoid() for each in evidence])
        return self.model_copy(update={"share": float(posterior.mean())})


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name, part in ((Prior, "mean-belief", Share), (EStep, "momentum", Momentum)):
        offer = Offer(name, kind, part, "test", "test 1.0")
        monkeypatch.setitem(registry().offers, (kind, name), offer)


def prior_of(trainer: Trainer) -> Prior:
    assert isinstance(trainer.stage, EmStage)
    return trainer.stage.prior


@pytest.mark.parametrize(
    "change",
    [
        {"estep": Momentum()},
        {"estep": Inner(inner=Momentum())},
        {"estep": {"use": "scheduled", "first": Momentum(), "then": {"use": "hard"}, "at": 0.5}},
        {"prior": {"use": "per-class", "priors": [Share()]}},
        {"prior": Share(), "estep": Momentum(), "belief": "average", "average": {"decay": 0.9}},
    ],
    ids=["estep", "inner", "scheduled", "prior", "both"],
)
def test_a_part_with_state_trains_to_the_same_bits_when_it_is_resumed(
    change: dict[str, Any], tmp_path: Path
) -> None:
    assert_resumes_to_the_same_bits(EM | change, tmp_path)


def test_the_memory_changes_only_the_targets_of_the_next_steps() -> None:
    trainer = trainer_of(estep=Momentum())
    shares = [event.share for event in trainer.run() if isinstance(event, StepDone)]
    assert shares[0] == pytest.approx(0.5)
    assert all(share != pytest.approx(0.5, abs=1e-4) for share in shares[1:])


def test_the_probe_gets_the_memory_but_does_not_change_it() -> None:
    trainer = trainer_of(estep=Momentum())
    run_steps(trainer, STEPS_PER_EPOCH)
    memory = trainer.state()[0]["memory.mean"].clone()
    trainer.target_snapshot()
    assert torch.equal(trainer.state()[0]["memory.mean"], memory)
    probed = trainer.progress.history[-1]["probe_share"]
    assert probed == float(memory > 0.5)


def test_an_estep_sees_the_case_the_slice_and_the_epoch() -> None:
    trainer = trainer_of(estep=Seen())
    run_steps(trainer, STEPS_PER_EPOCH)
    tensors, _ = trainer.state()
    names = {f"memory.case-{case}.{z}" for case in range(CASES) for z in range(SLICES)}
    assert {name: int(tensors[name]) for name in names} == dict.fromkeys(names, 1)
    run_steps(trainer, STEPS_PER_EPOCH)
    tensors, _ = trainer.state()
    assert {name: int(tensors[name]) for name in names} == dict.fromkeys(names, 2)


def test_a_prior_is_fitted_after_each_epoch_and_the_stage_has_the_last_one() -> None:
    trainer = trainer_of(prior=Share())
    run_steps(trainer, STEPS_PER_EPOCH - 1)
    assert prior_of(trainer) == Share(share=0.6)
    run_steps(trainer, 1)
    first = prior_of(trainer)
    assert first != Share(share=0.6)
    run_steps(trainer, STEPS_PER_EPOCH)
    assert prior_of(trainer) not in (first, Share(share=0.6))
    assert trainer.progress.step == trainer.steps


def test_two_esteps_whose_memories_share_a_name_are_refused() -> None:
    scheduled = {"use": "scheduled", "first": Momentum(), "then": Momentum(keep=0.9), "at": 0.5}
    with pytest.raises(InputError, match="two of its E-steps remember a value called 'mean'"):
        run_steps(trainer_of(estep=scheduled), 1)


class Private(EStep):
    """Counts its calls in a private attribute."""

    _calls: int = PrivateAttr(0)

    def __call__(self, evidence: Evidence) -> Probability:
        self._calls += 1
        return evidence.log_odds.sigmoid() / self._calls


class InField(EStep):
    """Counts its calls in a list."""

    calls: list[int] = Field(default_factory=lambda: [0])

    def __call__(self, evidence: Evidence) -> Probability:
        self.calls[0] += 1
        return evidence.log_odds.sigmoid() / self.calls[0]


@pytest.mark.parametrize(("part", "name"), [(Private(), "_calls"), (InField(), "calls")])
def test_training_refuses_a_part_that_changes_itself_after_the_first_step(
    part: EStep, name: str
) -> None:
    with pytest.raises(ContractError, match=f"{type(part).__name__} .* attribute {name} during"):
        run_steps(trainer_of(estep=Inner(inner=part)), 1)


def test_a_memory_that_is_not_a_dict_of_tensors_is_refused_with_the_name_of_the_part() -> None:
    class Number(EStep):
        def __call__(self, evidence: Evidence) -> Probability:
            return evidence.log_odds.sigmoid()

        def remember(self, evidence: Evidence) -> Any:
            return {"epoch": evidence.epoch}

    with pytest.raises(ContractError, match=r"Number .* returns a dict from remember\(\)"):
        run_steps(trainer_of(estep=Number()), 1)
