"""Networks, E-steps and losses that draw random numbers train to the same bits, also resumed."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING
from torch import Tensor, nn

from wsseg.components.registry import registry
from wsseg.config.stages import EmStage, MasksStage, NetworkStage, TagsStage
from wsseg.core.batch import Evidence, Logits, Probability
from wsseg.core.input import Input
from wsseg.core.interfaces import Backbone, EStep, TagLoss
from wsseg.data.batches import StageScan
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import new_network
from wsseg.runtime.device import open_fabric
from wsseg.training.events import StepDone
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer
from wsseg.training.training_state import load_state, save_state

SIZE, CASES, SLICES = 64, 2, 3
INPUT = Input(slices=1, size=SIZE, fill=0, thick=None)
SETTINGS: dict[str, Any] = {
    "classes": ["a"],
    "backbone": {"use": "additive-unet", "width": 2},
    "loss": {"use": "smooth-dice"},
    "epochs": 2,
    "batch_size": 3,
    "optimizer": {"lr": 0.01},
}
EM = {"learn": "em", "prior": {"use": "constant", "probability": 0.6}, "estep": {"use": "soft"}}
TINY = "tu-resnet10t"
OF_ARCHITECTURE = {"dpt": "tu-vit_tiny_patch16_224", "segformer": "mit_b0"}
FAST = ("fpn", "pspnet")
ENCODERS = (
    "efficientnet-b0",
    "timm-efficientnet-b0",
    "tu-convnext_atto",
    "tu-swin_tiny_patch4_window7_224",
    "tu-maxvit_tiny_rw_224",
    "mit_b0",
)


def smp(architecture: str, encoder: str, *, slow: bool) -> Any:
    backbone = {"use": "smp", "architecture": architecture, "encoder": encoder}
    marks = [pytest.mark.slow] if slow else []
    return pytest.param({"backbone": backbone}, id=f"{architecture}-{encoder}", marks=marks)


class Dropout(Backbone):
    """A convolution after dropout."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Dropout2d(0.5), nn.Dropout(0.2), nn.Conv2d(channels, classes, 3, 1, 1)
        )


class Sampled(EStep):
    """y is drawn from phi."""

    def __call__(self, evidence: Evidence) -> Probability:
        return torch.bernoulli(evidence.phi).where(evidence.batch.support, 0)


class SomePixels(TagLoss):
    """The distance between the tags and the logits at a random half of the pixels."""

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        chosen = region & (torch.rand_like(logits) < 0.5)
        return ((logits.sigmoid() - tags[:, :, None, None].float()) ** 2).where(chosen, 0).mean()


def scans(labels: bool) -> list[StageScan]:
    generator = np.random.default_rng(0)
    shape = (SLICES, SIZE, SIZE)
    return [
        StageScan(
            name=f"case-{number}",
            image=generator.normal(size=(1, *shape)).astype(np.float32),
            inside=None,
            region=None,
            tags=np.ones((SLICES, 1), np.bool_),
            slices=tuple(range(SLICES)),
            labels=(generator.integers(0, 2, shape).astype(np.uint8),) if labels else (),
        )
        for number in range(CASES)
    ]


def trainer_of(settings: dict[str, Any]) -> Trainer:
    kinds: dict[str, type[NetworkStage]] = {"masks": MasksStage, "em": EmStage, "tags": TagsStage}
    kind = kinds[settings["learn"]]
    stage = kind.model_validate(settings, context=registry())
    assert stage.backbone is not None
    network = new_network(stage.backbone, INPUT, 1, seed=1)
    own = tuple(scans(labels=kind is MasksStage))
    return Trainer(
        StageTask("a", stage, INPUT, 1, own, open_fabric("float32"), fingerprint="key"), network
    )


@pytest.mark.parametrize(
    "change",
    [
        *(
            smp(each, OF_ARCHITECTURE.get(each, TINY), slow=each not in FAST)
            for each in MODEL_ARCHITECTURES_MAPPING
        ),
        *(smp("unet", each, slow=True) for each in ENCODERS),
        pytest.param({"backbone": {"use": "concat-unet", "width": 2}}, id="concat-unet"),
        pytest.param({"backbone": Dropout()}, id="dropout"),
        pytest.param(EM | {"backbone": Dropout(), "belief": "evaluation"}, id="dropout-em"),
        pytest.param(EM | {"estep": Sampled()}, id="sampled-targets"),
        pytest.param({"learn": "tags", "loss": SomePixels()}, id="sampled-pixels"),
    ],
)
def test_training_has_the_same_bits_in_any_process_and_when_it_is_resumed(
    change: dict[str, Any], tmp_path: Path
) -> None:
    settings = SETTINGS | {"learn": "masks"} | change
    torch.manual_seed(1)
    complete = trainer_of(settings)
    list(complete.run())
    torch.manual_seed(2)  # as after the training of other stages
    half = trainer_of(settings)
    list(islice((event for event in half.run() if isinstance(event, StepDone)), 3))
    save_state(StageFolder(tmp_path), *half.state(), "key")
    torch.manual_seed(3)  # as in another process
    later = trainer_of(settings)
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    list(later.run())
    for name, weight in complete.weights.items():
        assert torch.equal(weight, later.weights[name]), name
    losses = [record["loss"] for record in complete.progress.history]
    assert [record["loss"] for record in later.progress.history] == losses
    start = trainer_of(settings).weights
    assert any(not torch.equal(weight, start[name]) for name, weight in complete.weights.items())


def test_each_step_draws_different_numbers() -> None:
    drawn: list[list[float]] = []

    class Recorded(SomePixels):
        def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
            drawn.append(torch.rand(2).tolist())
            return super().__call__(logits, tags, region)

    list(trainer_of(SETTINGS | {"learn": "tags", "loss": Recorded()}).run())
    assert len(drawn) == 4
    assert all(drawn.count(each) == 1 for each in drawn)
