"""A case as pictures show it: the image, what a run predicts, and the annotation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.volume import VoxelMask
from wsseg.data.reading import read_case
from wsseg.inference.run import Prediction, Run
from wsseg.report.case_numbers import annotations
from wsseg.report.figures.panels import displayed
from wsseg.runtime.cache_leases import release


@dataclass(frozen=True)
class PredictedCase:
    """The image of a case and its masks, (Z, H, W) each; an image in colours is (Z, H, W, 3)."""

    prediction: Prediction
    image: NDArray[Any]
    true: Mapping[str, VoxelMask]  # of the annotated classes
    classes: Sequence[str]  # the target last
    window: tuple[float, float] | None = None  # black and white; None: percentiles

    @property
    def predicted(self) -> dict[str, VoxelMask]:
        """The predicted masks of the classes."""
        return {name: self.prediction.masks[name] for name in self.classes}

    @property
    def target(self) -> str:
        """The last class."""
        return self.classes[-1]


def predicted_case(run: Run, case: Case) -> PredictedCase:
    """Predict a case, and read its image and its annotation.

    Raises:
        InputError: The image or an annotation cannot be read, or an annotation does not match it.
    """
    prepared, classes = run.prepare(case), run.recipe.classes
    run.infer(prepared)
    prediction = run.finish(prepared)
    release(prepared.folder)
    true, image = annotations(prediction, classes), displayed(read_case(case))
    return PredictedCase(prediction, image, true, classes, run.recipe.display_window)
