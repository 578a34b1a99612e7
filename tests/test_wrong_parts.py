"""Commands with parts of a plugin that break the contract of their interface."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch import nn

import wsseg as public
from wsseg.components.registry import Offer, registry

if TYPE_CHECKING:
    from tests.conftest import Wsseg


class OneOutput(public.Backbone):
    """Ignores the number of classes."""

    def build(self, channels: int, classes: int) -> nn.Module:  # noqa: ARG002
        return nn.Conv2d(channels, 1, kernel_size=1)


class FloatRegion(public.Region):
    """Returns floats, which do not become pixels."""

    def __call__(self, case: public.Case, volume: public.Volume) -> Any:  # noqa: ARG002
        return np.full(volume.shape, 0.5)


class Texts(public.Cohort):
    """Lists names of files."""

    def cases(self) -> Any:
        return ["a.nii.gz"]


class PerImage(public.PixelLoss):
    """Returns a number for each image."""

    def __call__(self, logits: Any, y: Any, *_: Any) -> Any:
        return (logits - y).square().mean((1, 2, 3))


class Nothing(public.Prior):
    """Returns nothing from `fit`."""

    def __call__(self, batch: public.Batch) -> public.Probability:
        return batch.support * 0.5

    def fit(self, batches: Any) -> Any: ...


PARTS: dict[str, tuple[type[public.Component], type[public.Component]]] = {
    "stages.infection.backbone": (public.Backbone, OneOutput),
    "regions.part": (public.Region, FloatRegion),
    "cohort": (public.Cohort, Texts),
    "stages.infection.loss": (public.PixelLoss, PerImage),
    "stages.consolidation.prior": (public.Prior, Nothing),
}


@pytest.mark.parametrize("key", PARTS)
def test_train_ends_with_the_name_of_the_part_that_breaks_its_contract(
    key: str, wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, part = PARTS[key]
    offer = Offer("wrong", kind, part, "test", "test 1.0")
    monkeypatch.setitem(registry().offers, (kind, "wrong"), offer)
    changes = [f"{key}={{use: wrong}}", "stages.infection.epochs=1"]
    if key == "stages.infection.backbone":
        changes += ["stages.infection.classes=[infection, consolidation]"]
        changes += ["stages.consolidation.start=infection"]
    if key == "regions.part":
        changes += ["stages.infection.region=part"]
    words = [word for change in changes for word in ("--set", change)]
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", *words)
    assert ended.code == 1, ended.err
    assert f"{part.__name__} (" in ended.error
    assert ended.error.endswith("Check the plugin: wsseg plugins check")
