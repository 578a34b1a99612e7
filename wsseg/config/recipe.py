"""The recipe: all settings of a run, validated before any scan is read."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, FiniteFloat, model_validator

from wsseg.components.error_metrics import DilatedFallOut
from wsseg.components.metrics import Dice, Rates, SurfaceDistance, VolumeError
from wsseg.components.regions import FileRegion
from wsseg.config.columns import check_columns
from wsseg.config.stages import AnyStage, MasksStage, NetworkStage, Stage, earlier_start
from wsseg.core.component import Component, KeyProblemError
from wsseg.core.input import Input
from wsseg.core.interfaces import Cohort, Metric, Region, Score
from wsseg.core.tracker import Tracker
from wsseg.errors import known_words

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]  # the range of NumPy's and torch's seeds

FOLDER_NAME = re.compile(r"\w[\w.-]{,99}")  # of stages and methods
FOLDER_NAME_RULE = (
    "cannot be used as a folder name; use up to 100 letters, digits, '-', '_' and '.', "
    "and a letter, a digit or '_' at the start"
)
CLASS_NAME = re.compile(r"[^\s.]([^.]*[^\s.])?")
CLASS_NAME_RULE = "is not a valid name of a class; use one without '.' and outer spaces"
DEFAULT_METRICS: dict[str, Metric] = {
    "dice": Dice(),
    "rates": Rates(),
    "hd95": SurfaceDistance(),
    "volume": VolumeError(),
    "dilation": DilatedFallOut(),
}


class Recipe(Component):
    """All settings of a run: the scans, the input, the stages that are trained and the metrics.

    A recipe is usually a YAML file, which `load_recipe` reads.

    Example:
        >>> from wsseg import load_recipe
        >>> recipe = load_recipe("recipe.yaml")
        >>> recipe.classes, recipe.input.size, recipe.stages["tumour"].epochs
        (['tumour'], 32, 1)
    """

    cohort: Cohort
    """The scans to learn from, and to test on if `test` is null."""
    test: Cohort | None = None
    """The scans to test on; null: the test split of `cohort`."""
    input: Input = Input()
    """Resampling and normalisation of the images."""
    regions: dict[str, Region] = Field(default_factory=dict)
    """Parts of a scan by name, such as an organ, to which stages and the input can be limited."""
    stages: Annotated[dict[str, AnyStage], Field(min_length=1)]
    """The stages by name, in the order in which they are trained and predict."""
    metrics: dict[str, Metric] = Field(default_factory=lambda: dict(DEFAULT_METRICS))
    """Comparisons of predicted and true masks by name; your own replace all of the default ones."""
    scores: dict[str, Score] = Field(default_factory=dict)
    """Numbers computed from the masks of a case by name, such as a severity."""
    seed: Seed = 0
    """The seed of all random numbers, from 0 to 2^32 - 1."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """The number format of the networks' computations: float32, or mixed precision with bfloat16;
    auto: bfloat16 on devices that compute with it, else float32."""
    window: tuple[FiniteFloat, FiniteFloat] | None = None
    """The values shown as black and white in figures; null: those of the input's unit, or else the
    1st and the 99th percentile of the image."""

    track: Tracker | None = None
    """Where training is also recorded, such as {use: tensorboard}; null: in the run's folder only.
    """

    @property
    def display_window(self) -> tuple[float, float] | None:
        """The values shown as black and white; None: percentiles of each image."""
        return self.input.unit.window if self.window is None else self.window

    @property
    def classes(self) -> list[str]:
        """All classes in the order of the stages; class k has the value k + 1 in predictions."""
        names = [name for stage in self.stages.values() for name in stage.classes]
        return list(dict.fromkeys(names))

    @property
    def own_stages(self) -> dict[str, AnyStage]:
        """The stages that learn from the recipe's cohort, not from a cohort of their own."""
        return {name: stage for name, stage in self.stages.items() if stage.cohort is None}

    @property
    def stages_by_cohort(self) -> list[dict[str, AnyStage]]:
        """The stages, grouped by the cohort that they learn from."""
        others = [{name: each} for name, each in self.stages.items() if each.cohort is not None]
        return [self.own_stages, *others] if self.own_stages else others

    def hidden_classes(self, stages: Collection[Stage]) -> set[str]:
        """Return the classes whose true masks `stages` use neither as labels nor as regions."""
        supervised = [stage for stage in stages if isinstance(stage, MasksStage)]
        used = {name for stage in supervised for name in stage.classes}
        used |= {each.mask for each in self.regions.values() if isinstance(each, FileRegion)}
        return set(self.classes) - used

    @model_validator(mode="after")
    def _names_are_valid(self) -> Self:
        """Check that stages have valid names, and that the names they refer to exist."""
        for key in ("mask", "standardize"):
            if (region := getattr(self.input, key)) is not None:
                self._check_known(("input", key), region, list(self.regions))
                for stage in self.stages.values():
                    self._check_allowed(("input", key), stage, region)
        for i, (name, stage) in enumerate(self.stages.items()):
            earlier = list(self.stages)[:i]
            if not FOLDER_NAME.fullmatch(name):
                raise KeyProblemError(("stages", name), FOLDER_NAME_RULE)
            if name in self.regions:
                raise KeyProblemError(
                    ("stages", name), "is also the name of a region; rename one of them"
                )
            for key in ("region", "region_in_training"):
                if (region := getattr(stage, key, None)) is not None:
                    self._check_known(("stages", name, key), region, [*self.regions, *earlier])
                    self._check_allowed(("stages", name, key), stage, region)
            if (start := earlier_start(stage)) is not None:
                trained = [each for each in earlier if isinstance(self.stages[each], NetworkStage)]
                self._check_known(("stages", name, "start"), start, trained)
        return self

    @model_validator(mode="after")
    def _classes_belong_to_one_stage(self) -> Self:
        """Check that only a stage that starts from another one predicts the same classes."""
        owner: dict[str, str] = {}
        for name, stage in self.stages.items():
            for each in stage.classes:
                if not CLASS_NAME.fullmatch(each):
                    problem = f"{each!r} {CLASS_NAME_RULE}"
                    raise KeyProblemError(("stages", name, "classes"), problem)
                if owner.get(each) == name:
                    raise KeyProblemError(
                        ("stages", name, "classes"), f"{each!r} appears twice; list each class once"
                    )
                if each in owner and earlier_start(stage) != owner[each]:
                    raise KeyProblemError(
                        ("stages", name, "classes"),
                        f"more than one stage has class {each!r}; to refine it after stage "
                        f"{owner[each]!r}, set start: {owner[each]}",
                    )
                owner[each] = name
        return self

    @model_validator(mode="after")
    def _scores_refer_to_masks(self) -> Self:
        """Check that the masks that scores need exist."""
        known = [*self.classes, *self.regions, *self.stages]
        for name, score in self.scores.items():
            for needed in score.needs:
                key = [each for each, value in score if value == needed]
                self._check_known(("scores", name, *key[:1]), needed, known)
        return self

    @model_validator(mode="after")
    def _columns_are_unique(self) -> Self:
        masks = (*self.regions, *self.stages)
        check_columns(self.classes, self.metrics, self.scores, masks)
        return self

    def _check_known(self, key: tuple[str, ...], name: str, known: Sequence[str]) -> None:
        if name not in known:
            raise KeyProblemError(key, f"{name!r} is unknown; {known_words(name, known)}")

    def _check_allowed(self, key: tuple[str, ...], stage: Stage, name: str) -> None:
        """Check that no weakly supervised stage uses a true mask of its classes as a region."""
        region = self.regions.get(name)
        if (
            isinstance(region, FileRegion)
            and region.mask in stage.classes
            and not isinstance(stage, MasksStage)
        ):
            raise KeyProblemError(
                key,
                f"{name!r} is the true mask of {region.mask!r}, which a stage that learns without "
                "masks must not use; choose another region",
            )
