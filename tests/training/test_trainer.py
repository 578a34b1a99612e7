"""The training loop: exact resumption with every optimiser, and errors on divergence."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from pydantic import AllowInfNan
from torch import Tensor, nn

from wsseg.components.registry import registry
from wsseg.config.stages import EmStage, MasksStage, NetworkStage, TagsStage
from wsseg.core.batch import Batch, Evidence, Logits, Probability
from wsseg.core.class_relation import ClassRelation
from wsseg.core.input import Input
from wsseg.core.interfaces import Backbone, EStep, PixelLoss
from wsseg.data.batches import SliceDraw, StageScan, epoch_draws
from wsseg.errors import WorkError
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import new_network
from wsseg.inference.stage_prediction import stage_masks
from wsseg.runtime.device import open_fabric
from wsseg.training.averaging import averaged_copy, update_average
from wsseg.training.events import EpochDone, StepDone
from wsseg.training.monitoring import TargetProbe
from wsseg.training.stage_parts import StageParts
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer
from wsseg.training.training_state import load_state, save_state

INPUT = Input(slices=3, size=16, offset=-1000, scale=500, thick=None)
CASES, SLICES, SIZE = 3, 4, 16
MASKS: dict[str, Any] = {
    "learn": "masks",
    "classes": ["a"],
    "backbone": {"use": "additive-unet", "width": 2},
    "loss": {"use": "smooth-dice"},
    "epochs": 2,
    "batch_size": 4,
    "optimizer": {"lr": 0.01},
    "augment": {"rotate_deg": 45, "zoom": [0.8, 1.2]},
}
EM = MASKS | {
    "learn": "em",
    "prior": {"use": "hu-sigmoid", "midpoint_hu": -600, "width_hu": 100},
    "estep": {"use": "hard"},
}
EM_EVALUATED = EM | {"belief": "evaluation", "sampling": "balanced"}
EM_AVERAGED = EM | {"belief": "average", "average": {"decay": 0.9}}
TAGS = MASKS | {"learn": "tags", "loss": {"use": "noisy-or", "instances": 4}}


def scans(labels: bool = True) -> list[StageScan]:
    generator = np.random.default_rng(0)
    shape = (SLICES, SIZE, SIZE)
    return [
        StageScan(
            name=f"case-{number}",
            image=generator.integers(-1000, 200, (1, *shape)).astype(np.int16),
            inside=None,
            region=np.ones(shape, np.uint8),
            tags=np.arange(SLICES)[:, None] % 2 == number % 2,
            slices=tuple(range(SLICES)),
            labels=(generator.integers(0, 2, shape).astype(np.uint8),) if labels else (),
        )
        for number in range(CASES)
    ]


def trainer_of(settings: dict[str, Any], given: list[StageScan] | None = None) -> Trainer:
    kinds: dict[str, type[NetworkStage]] = {"masks": MasksStage, "em": EmStage, "tags": TagsStage}
    stage = kinds[settings["learn"]].model_validate(settings, context=registry())
    assert stage.backbone is not None
    network = new_network(stage.backbone, INPUT, len(stage.classes), seed=1)
    own = scans(labels=settings["learn"] == "masks") if given is None else given
    fabric = open_fabric("float32")
    task = StageTask("weak", stage, INPUT, 1, tuple(own), fabric, fingerprint="key")
    return Trainer(task, network)


def steps(events: Iterator[StepDone | EpochDone]) -> Iterator[StepDone]:
    return (event for event in events if isinstance(event, StepDone))


OPTIMISERS: list[dict[str, Any]] = [
    {"use": "adam", "lr": 0.01},
    {"use": "adam", "lr": [[1, 0.01], [2, 0.001]], "weight_decay": 0.1},
    {"use": "adamw", "lr": {"start": 0.01, "end": 0.0001}, "weight_decay": 0.1},
    {"use": "sgd", "lr": 0.01},
    {"use": "sgd", "lr": {"start": 0.01}, "weight_decay": 0.1},
    {"use": "sgd", "lr": 0.01, "momentum": 0},
    {"use": "adam", "lr": 0.01, "warmup_epochs": 1.5, "max_gradient_norm": 0.05},
]


@pytest.mark.parametrize(
    ("stage", "optimizer"),
    [
        *((MASKS, optimizer) for optimizer in OPTIMISERS),
        *((stage, OPTIMISERS[0]) for stage in (EM, EM_EVALUATED, EM_AVERAGED, TAGS)),
    ],
)
def test_a_resumed_stage_ends_with_bitwise_equal_weights_for_every_optimiser(
    stage: dict[str, Any], optimizer: dict[str, Any], tmp_path: Path
) -> None:
    settings = stage | {"optimizer": optimizer}
    complete = trainer_of(settings)
    list(complete.run())
    half = trainer_of(settings)
    list(islice(steps(half.run()), 4))  # in the second epoch
    save_state(StageFolder(tmp_path), *half.state(), "key")
    later = trainer_of(settings)
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    list(later.run())
    for name, weight in complete.weights.items():
        assert torch.equal(weight, later.weights[name]), name


def test_a_resumed_stage_has_the_same_history_whichever_step_it_resumes_from(
    tmp_path: Path,
) -> None:
    def untimed(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        timed = ("seconds", "slices_per_s")
        return [{k: v for k, v in record.items() if k not in timed} for record in history]

    complete = trainer_of(EM)
    list(complete.run())
    for number in range(1, complete.steps + 1):
        half = trainer_of(EM)
        list(islice(steps(half.run()), number))
        save_state(StageFolder(tmp_path), *half.state(), "key")
        later = trainer_of(EM)
        later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
        list(later.run())
        assert untimed(later.progress.history) == untimed(complete.progress.history), number


class Normed(Backbone):
    """A convolution before batch norm, and one after it."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.Conv2d(4, classes, 1)
        )


def test_a_stage_with_an_average_ends_with_the_moving_average_of_its_weights() -> None:
    """Weights and running statistics; it starts at the initial weights."""
    settings = MASKS | {"backbone": Normed()}
    plain, averaged = trainer_of(settings), trainer_of(settings | {"average": {"decay": 0.8}})
    expected = {name: weight.clone() for name, weight in plain.weights.items()}
    for _, _ in zip(steps(plain.run()), steps(averaged.run()), strict=True):
        for name, weight in plain.weights.items():
            if weight.is_floating_point():
                expected[name] = 0.8 * expected[name] + 0.2 * weight
            else:
                expected[name] = weight.clone()
    assert "body.1.running_var" in expected
    for name, weight in averaged.weights.items():
        torch.testing.assert_close(weight, expected[name])
    assert not torch.equal(averaged.weights["body.0.weight"], plain.weights["body.0.weight"])


def test_an_average_copies_integers_such_as_indices() -> None:
    """7 * 0.99 + 7 * 0.01 can round to 6."""
    network = nn.Module()
    network.register_buffer("index", torch.arange(50))
    average = averaged_copy(network)
    for _ in range(3):
        update_average(average, network, 0.99)
    assert torch.equal(average.get_buffer("index"), torch.arange(50))


def test_with_belief_average_targets_change_only_as_slowly_as_the_average() -> None:
    """An average that hardly moves gives the same targets in each epoch; the network does not."""
    still = EM | {"average": {"decay": 0.999999}, "epochs": 4}
    still |= {"estep": {"use": "hard"}, "optimizer": {"lr": 0.1}, "augment": {}}

    def flips(belief: str) -> list[float]:
        trainer = trainer_of(still | {"belief": belief})
        list(trainer.run())
        return [record["flip_rate"] for record in trainer.progress.history[1:]]

    assert max(flips("average")) < 0.001
    assert max(flips("evaluation")) > 0.01


class Encoded(Normed):
    """A network whose first convolution is its encoder."""

    encoder_module = "0"


def after_one_step(**optimizer: Any) -> dict[str, Tensor]:
    """Return how far each weight moved in the first step of SGD."""
    trainer = trainer_of(MASKS | {"backbone": Encoded(), "optimizer": optimizer | {"use": "sgd"}})
    before = {name: weight.clone() for name, weight in trainer.weights.items()}
    next(steps(trainer.run()))
    return {name: trainer.weights[name] - each for name, each in before.items()}


def test_the_encoder_learns_with_its_factor_of_the_learning_rate() -> None:
    usual = after_one_step(lr=0.1)
    slower = after_one_step(lr=0.1, encoder_factor=0.25)
    torch.testing.assert_close(slower["body.0.weight"], 0.25 * usual["body.0.weight"])
    torch.testing.assert_close(slower["body.2.weight"], usual["body.2.weight"])


def test_a_stage_with_a_slower_encoder_resumes_to_the_same_bits(tmp_path: Path) -> None:
    settings = MASKS | {"backbone": Encoded(), "optimizer": {"lr": 0.01, "encoder_factor": 0.1}}
    complete, half, later = (trainer_of(settings) for _ in range(3))
    list(complete.run())
    list(islice(steps(half.run()), 4))
    save_state(StageFolder(tmp_path), *half.state(), "key")
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    list(later.run())
    for name, weight in complete.weights.items():
        assert torch.equal(weight, later.weights[name]), name


def test_gradients_are_scaled_down_to_the_largest_norm_and_never_up() -> None:
    """A step of SGD without decay moves the weights by the learning rate times the gradient."""

    def norm(moved: dict[str, Tensor]) -> float:
        gradients = [
            each.flatten() for name, each in moved.items() if name.endswith(("weight", "bias"))
        ]
        return float(torch.cat(gradients).norm())

    usual = after_one_step(lr=0.1)
    clipped = after_one_step(lr=0.1, max_gradient_norm=norm(usual) / 0.1 / 4)
    same = after_one_step(lr=0.1, max_gradient_norm=norm(usual) / 0.1 * 2)
    quarter = usual["body.0.weight"] / 4
    torch.testing.assert_close(clipped["body.0.weight"], quarter, rtol=1e-4, atol=1e-7)
    assert torch.equal(same["body.0.weight"], usual["body.0.weight"])


def test_the_first_step_of_a_warm_up_changes_no_weight() -> None:
    moved = after_one_step(lr=0.1, warmup_epochs=1)
    assert not moved["body.0.weight"].any()


def test_an_epoch_is_drawn_when_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few batches are loaded in advance, so the second epoch is drawn during the first."""
    drawn: list[int] = []

    def recorded(*args: Any) -> list[SliceDraw]:
        drawn.append(args[-1])
        return epoch_draws(*args)

    monkeypatch.setattr("wsseg.training.trainer.epoch_draws", recorded)
    trainer = trainer_of(MASKS | {"epochs": 50})
    assert trainer.steps == 50 * 3
    list(islice(steps(trainer.run()), 3))
    assert max(drawn) <= 2
    assert len(drawn) <= 4


class Pooled(Backbone):
    """Batch norm over an image's mean, which needs two images."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, classes, 1),
            nn.Upsample((SIZE, SIZE)),
        )


@pytest.mark.parametrize("batch_size", [2, 5, 10])
def test_a_network_that_needs_two_images_is_trained_when_one_slice_is_left(batch_size: int) -> None:
    given = [*scans()[:2], replace(scans()[2], slices=(0, 1, 2))]  # 11 slices
    trainer = trainer_of(MASKS | {"backbone": Pooled(), "batch_size": batch_size}, given)
    assert len(list(steps(trainer.run()))) == trainer.steps


def test_restored_optimiser_state_has_the_memory_format_of_the_weights(tmp_path: Path) -> None:
    """Files store tensors in contiguous format, while weights are channels-last.

    A fused optimiser iterates over both in the order of memory, and would pair wrong elements.
    """
    half = trainer_of(MASKS)
    list(islice(steps(half.run()), 2))
    save_state(StageFolder(tmp_path), *half.state(), "key")
    later = trainer_of(MASKS)
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    compared = 0
    for weight, state in later._weights._optimizer.state_dict()["state"].items():
        weights = list(later._weights.alone.trained.parameters())[weight]
        before = half._weights._optimizer.state_dict()["state"][weight]
        for name, value in state.items():
            assert torch.equal(value, before[name])
            if value.shape == weights.shape:
                assert value.stride() == weights.stride(), name
                compared += not weights.is_contiguous()
    assert compared > 4


class Stem3d(Backbone):
    """A three-dimensional convolution over the slices, followed by a two-dimensional one."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Unflatten(1, (1, channels)),
            nn.Conv3d(1, 4, (channels, 3, 3), padding=(0, 1, 1)),
            nn.Flatten(1, 2),
            nn.ReLU(),
            nn.Conv2d(4, classes, 1),
        )


def test_a_network_with_a_3d_convolution_is_trained_resumed_and_used(tmp_path: Path) -> None:
    """Only weights with four dimensions have a channels-last format."""
    settings = MASKS | {"backbone": Stem3d()}
    complete = trainer_of(settings)
    list(complete.run())
    half = trainer_of(settings)
    list(islice(steps(half.run()), 4))
    save_state(StageFolder(tmp_path), *half.state(), "key")
    later = trainer_of(settings)
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    list(later.run())
    assert complete.weights["body.1.weight"].shape == (4, 1, 3, 3, 3)
    for name, weight in complete.weights.items():
        assert torch.equal(weight, later.weights[name]), name
    network = new_network(Stem3d(), INPUT, 1, seed=1)
    network.load_state_dict(complete.weights)
    stage = MasksStage.model_validate(settings, context=registry())
    trained = TrainedStage("weak", stage, INPUT, network.eval(), (), digest="")
    masks = stage_masks(trained, scans()[0], open_fabric("float32"))
    assert masks.shape == (1, SLICES, SIZE, SIZE)


def test_an_image_with_nan_is_named_when_the_loss_becomes_nan() -> None:
    given = scans()
    image = np.asarray(given[1].image, np.float32)
    image[0, 2, 5, 5] = np.nan
    given[1] = replace(given[1], image=image)
    with pytest.raises(WorkError, match=r"stage weak, step \d \(epoch 1\): the loss is nan; case "):
        list(trainer_of(MASKS, given).run())
    with pytest.raises(WorkError) as caught:
        list(trainer_of(MASKS, given).run())
    assert "case case-1." in str(caught.value)
    assert "case-0" not in str(caught.value)


class Faulty(PixelLoss):
    """A loss that is multiplied by `value` in its call number `at`."""

    at: int
    value: Annotated[float, AllowInfNan(True)]

    def __call__(
        self,
        logits: Logits,
        y: Probability,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
        relation: ClassRelation,
    ) -> Tensor:
        self.__pydantic_fields_set__.add(f"call {len(self.__pydantic_fields_set__)}")
        calls = sum(name.startswith("call ") for name in self.__pydantic_fields_set__)
        return relation.probability(logits).mean() * (self.value if calls == self.at else 1)


def with_loss(stage: NetworkStage, loss: PixelLoss) -> StageParts:
    return StageParts(stage.model_copy(update={"loss": loss}))


@pytest.mark.parametrize(
    ("value", "said"),
    [(float("nan"), "the loss is nan"), (float("inf"), "the loss is inf"), (1e38, "gradient")],
)
def test_training_stops_at_a_step_that_diverges_and_can_resume_from_the_state_before(
    value: float, said: str, tmp_path: Path
) -> None:
    """The resumed stage ends with bitwise equal weights."""
    complete = trainer_of(MASKS)
    complete._parts = with_loss(complete.stage, Faulty(at=0, value=1))
    list(complete.run())
    bad = trainer_of(MASKS)
    bad._parts = with_loss(bad.stage, Faulty(at=3, value=value))

    def run_and_save() -> None:
        for _ in steps(bad.run()):
            save_state(StageFolder(tmp_path), *bad.state(), "key")

    with pytest.raises(WorkError) as caught:
        run_and_save()
    text = str(caught.value)
    assert text.startswith("stage weak, step 3 (epoch 1): ")
    assert said in text
    assert "; cases case-0, case-1, case-2.\n" in text
    assert "The newest saved state is intact" in text
    later = trainer_of(MASKS)
    later._parts = StageParts(complete.stage)
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    list(later.run())
    for name, weight in complete.weights.items():
        assert torch.equal(weight, later.weights[name]), name


def test_cases_with_empty_regions_are_named_in_a_single_warning() -> None:
    given = scans()
    region = np.ones((SLICES, SIZE, SIZE), np.uint8)
    region[2] = 0
    given[2] = replace(given[2], region=region)
    settings = MASKS | {"augment": {}, "batch_size": CASES * SLICES}
    first, *others = steps(trainer_of(settings, given).run())
    assert first.warning is not None
    assert "no region is left in 1 slice of case case-2:" in first.warning
    assert all(step.warning is None for step in others)


def test_training_stops_after_an_epoch_without_any_target() -> None:
    prior = {"use": "threshold", "hu": 3000}
    with pytest.raises(
        WorkError, match=r"targets of all 12 slices .* .cases case-0, case-1, case-2"
    ):
        list(trainer_of(EM | {"prior": prior}).run())


@pytest.mark.parametrize(
    ("factor", "range_"), [(2.0, "from 2 to 2"), (float("nan"), "from nan to nan")]
)
def test_targets_outside_0_to_1_are_reported_before_the_first_step(
    factor: float, range_: str
) -> None:
    class Times(EStep):
        def __call__(self, evidence: Evidence) -> Probability:
            return factor * evidence.batch.support.float()

    stage = EmStage.model_validate(EM | {"estep": Times()}, context=registry())
    assert stage.backbone is not None
    network = new_network(stage.backbone, INPUT, 1, seed=1)
    with pytest.raises(WorkError, match=f"Times returns targets {range_}"):
        TargetProbe(stage, scans(), INPUT).snapshot(stage, network, torch.device("cpu"))
