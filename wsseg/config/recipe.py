"""Recipes: all that determines a run but the files, validated whole before any file is read."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, FiniteFloat, model_validator

from wsseg.components.error_metrics import DilatedFallOut
from wsseg.components.metrics import Dice, Rates, SurfaceDistance, VolumeError
from wsseg.components.regions import FileRegion
from wsseg.config.stages import AnyStage, NetworkStage, MasksStage, Stage
from wsseg.core.component import Component, KeyProblemError
from wsseg.core.input import Input
from wsseg.core.interfaces import Cohort, Metric, Region, Score
from wsseg.errors import known_words

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes

FOLDER_NAME = re.compile(
    r"\w[\w.-]{,99}"
)  # of a stage, of a method: a folder, and a word in tables
FOLDER_NAME_RULE = (
    "cannot name a folder; use up to 100 letters, digits, '-', '_', '.', the first no '.'"
)
ONE_LINE = 10**9  # letters: no list is broken into several lines
DEFAULT_METRICS: dict[str, Metric] = {
    "dice": Dice(),
    "rates": Rates(),
    "hd95": SurfaceDistance(),
    "volume": VolumeError(),
    "dilation": DilatedFallOut(),
}


class Recipe(Component):
    """A complete description of a run: data, input, stages, metrics and seed.

    Example:
        >>> from wsseg import load_recipe
        >>> recipe = load_recipe("recipe.yaml")
        >>> recipe.classes, recipe.seed
        (['tumour'], 0)
    """

    cohort: Cohort
    test: Cohort | None = None  # null: the cases that the cohort, or a fold, marks as test
    input: Input = Input()
    regions: dict[str, Region] = Field(default_factory=dict)
    stages: Annotated[dict[str, AnyStage], Field(min_length=1)]
    metrics: dict[str, Metric] = Field(default_factory=lambda: dict(DEFAULT_METRICS))
    scores: dict[str, Score] = Field(default_factory=dict)
    seed: Seed = 0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    window: tuple[FiniteFloat, FiniteFloat] | None = None
    """The values shown as black and white in figures; null: those of the input's unit, or else the
    1st and the 99th percentile of the image."""

    @property
    def display_window(self) -> tuple[float, float] | None:
        """The values shown as black and white; None: percentiles of each image."""
        return self.input.unit.window if self.window is None else self.window

    @property
    def classes(self) -> list[str]:
        """All classes, in the stages' order: class k is k + 1 in a predicted mask."""
        named = [name for stage in self.stages.values() for name in stage.classes]
        return list(dict.fromkeys(named))

    @property
    def own_stages(self) -> dict[str, AnyStage]:
        """The stages that learn from the recipe's cohort; each of the others has its own."""
        return {name: stage for name, stage in self.stages.items() if stage.cohort is None}

    @property
    def stages_by_cohort(self) -> list[dict[str, AnyStage]]:
        """The stages, those that learn from the same cases together."""
        alone = [{name: each} for name, each in self.stages.items() if each.cohort is not None]
        return [self.own_stages, *alone] if self.own_stages else alone

    def hidden_classes(self, stages: Collection[Stage]) -> set[str]:
        """Return the classes whose masks none of `stages` looks at: no label, and no region's."""
        strong = [stage for stage in stages if isinstance(stage, MasksStage)]
        seen = {name for stage in strong for name in stage.classes}
        seen |= {each.mask for each in self.regions.values() if isinstance(each, FileRegion)}
        return set(self.classes) - seen

    @model_validator(mode="after")
    def _names_meet(self) -> Self:
        for key in ("mask", "standardize"):
            if (region := getattr(self.input, key)) is not None:
                self._known(("input", key), region, list(self.regions))
                for stage in self.stages.values():
                    self._hidden(("input", key), stage, region)
        for i, (name, stage) in enumerate(self.stages.items()):
            earlier = list(self.stages)[:i]
            if not FOLDER_NAME.fullmatch(name):
                raise KeyProblemError(("stages", name), FOLDER_NAME_RULE)
            if name in self.regions:
                raise KeyProblemError(("stages", name), "is the name of a region too")
            for key in ("region", "region_in_training"):
                if (region := getattr(stage, key, None)) is not None:
                    self._known(("stages", name, key), region, [*self.regions, *earlier])
                    self._hidden(("stages", name, key), stage, region)
            if isinstance(stage, NetworkStage) and stage.start is not None:
                learnt = [each for each in earlier if isinstance(self.stages[each], NetworkStage)]
                self._known(("stages", name, "start"), stage.start, learnt)
        return self

    @model_validator(mode="after")
    def _each_class_is_of_one_stage(self) -> Self:
        """A stage may take classes over from the one that it starts from, such as to refine it."""
        owner: dict[str, str] = {}
        for name, stage in self.stages.items():
            for each in stage.classes:
                if owner.get(each) == name:
                    raise KeyProblemError(
                        ("stages", name, "classes"), f"{each!r} stands there twice"
                    )
                if each in owner and getattr(stage, "start", None) != owner[each]:
                    raise KeyProblemError(
                        ("stages", name, "classes"),
                        f"more than one stage has class {each!r}; to take it over from stage "
                        f"{owner[each]!r}, start from that",
                    )
                owner[each] = name
        return self

    @model_validator(mode="after")
    def _scores_have_masks(self) -> Self:
        known = [*self.classes, *self.regions, *self.stages]
        for name, score in self.scores.items():
            for needed in score.needs:
                key = [each for each, value in score if value == needed]
                self._known(("scores", name, *key[:1]), needed, known)
        return self

    def _known(self, key: tuple[str, ...], name: str, known: Sequence[str]) -> None:
        if name not in known:
            raise KeyProblemError(key, f"nothing is called {name!r}; {known_words(name, known)}")

    def _hidden(self, key: tuple[str, ...], stage: Stage, name: str) -> None:
        """The label firewall: no weak stage works inside a mask of its own classes."""
        region = self.regions.get(name)
        if (
            isinstance(region, FileRegion)
            and region.mask in stage.classes
            and not isinstance(stage, MasksStage)
        ):
            raise KeyProblemError(
                key,
                f"{name!r} is the true mask of {region.mask!r}, which a weak stage must not see",
            )
