"""The tuning section of a suite's file, and the settings that were chosen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import check_recipe
from wsseg.config.settings import Settings, nested
from wsseg.config.stages import NetworkStage, upstream
from wsseg.core.component import Component, KeyProblemError
from wsseg.errors import InputError
from wsseg.evaluation.method_labels import ChosenFrom
from wsseg.evaluation.selection import Criterion, reads_masks
from wsseg.runtime.files import fingerprint, read_json, write_json
from wsseg.suite.folder import TuningFolder

STAGES = "stages."
RANGE = 2  # numbers in a list that is a range


class Tuning(Component):
    """How the settings of a recipe are chosen, for each seed and fold, before a suite runs it."""

    settings: Annotated[dict[str, Annotated[list[Any], Field(min_length=2)]], Field(min_length=1)]
    """For each key of a stage, such as `stages.tumour.epochs`, two numbers, the lowest and the
    highest value to try, or a list of other values to choose from."""
    criterion: str = "dice_pooled"
    """The measure that settings are chosen with (see `wsseg.evaluation.selection.Criterion`)."""
    goal: Literal["maximize", "minimize"] = "maximize"
    """Whether the best settings have the highest or the lowest value of the criterion."""
    on: Literal["validation", "training"] = "validation"
    """The cases that the criterion is computed on. Training cases are possible for stages without
    a network, such as thresholds."""
    trials: PositiveInt = 40
    """The number of combinations of settings to try. The first are those of the recipe."""
    hours: PositiveFloat | None = None
    """The time after which no further combination is tried, for each seed and fold; null: no
    limit."""

    @model_validator(mode="after")
    def _ranges_are_in_order(self) -> Self:
        for key, values in self.settings.items():
            if not key.startswith(STAGES):
                problem = f"only settings of stages can be chosen, such as {STAGES}NAME.epochs"
                raise KeyProblemError(("settings", key), problem)
            if is_range(values) and values[0] >= values[1]:
                problem = (
                    f"{values} is not a valid range; the first number must be lower than the second"
                )
                raise KeyProblemError(("settings", key), problem)
        return self

    def criterion_of(self, recipe: Recipe) -> Criterion:
        """Return the criterion for a recipe."""
        return Criterion(self.criterion, recipe)

    @property
    def chosen_from(self) -> ChosenFrom:
        """The name that reports give to the cases that settings are chosen on."""
        if not reads_masks(self.criterion):
            return "tags"
        return "validation masks" if self.on == "validation" else "training masks"

    def tried_stages(self, recipe: Recipe) -> list[str]:
        """Return the stages of a recipe whose results depend on the settings to choose."""
        described = Settings(registry().describe(recipe))
        own = {described.split(key)[1] for key in self.settings}
        names = list(recipe.stages)
        return [n for n in names if n in own or own & set(upstream(recipe.stages, n))]

    def check(self, recipe: Recipe) -> None:
        """Check that the criterion and all values are possible for a recipe.

        Raises:
            InputError: They are not.
        """
        self.criterion_of(recipe).check()
        for key, values in self.settings.items():
            for value in values:
                with_settings(recipe, {key: value})
        tried = self.tried_stages(recipe)
        if (last := self.criterion_of(recipe).stage_name) not in tried:
            raise InputError(
                f"criterion: {self.criterion} measures stage {last!r}, which depends on none of "
                "the settings to choose; choose settings of that stage, or another criterion"
            )
        learning = [n for n in tried if isinstance(recipe.stages[n], NetworkStage)]
        if self.on == "training" and learning:
            raise InputError(
                f"on: training: stage {learning[0]!r} trains a network, whose scores on training "
                "cases are biased; set on: validation"
            )

    def identity(self, recipe: Recipe, split: tuple[int, ...] | None) -> str:
        """Return a digest of what determines the settings that are chosen, except the budget."""
        own = self.model_dump(mode="json", exclude={"trials", "hours"})
        return fingerprint([own, registry().describe(recipe), split])


@dataclass(frozen=True)
class ChosenSettings:
    """The settings that were chosen for a job, and how."""

    settings: dict[str, Any]  # by key
    tried: dict[str, list[Any]]  # the range or the choices of each key
    criterion: str
    value: float  # of the criterion
    trials: int
    chosen_from: ChosenFrom
    cases: list[str]  # that the criterion was computed on
    files: list[dict[str, str]]  # the masks that were read, as a run's manifest lists files
    identity: str  # see `Tuning.identity`

    def save(self, folder: TuningFolder) -> None:
        """Write `chosen.json`."""
        write_json(folder.chosen, asdict(self))


def read_chosen(folder: TuningFolder) -> ChosenSettings | None:
    """Read the settings that were chosen for a job, or None.

    Raises:
        InputError: The file is damaged.
    """
    if not folder.chosen.exists():
        return None
    try:
        return ChosenSettings(**read_json(folder.chosen))
    except (OSError, ValueError, TypeError):
        raise InputError(
            f"{folder.chosen}: the file is damaged; delete it, and tune again"
        ) from None


def with_chosen(manifest: Mapping[str, Any], chosen: ChosenSettings) -> dict[str, Any]:
    """Return a run's manifest, extended by the choice of settings and the masks read for it."""
    own = asdict(chosen)
    return {**manifest, "files": [*manifest["files"], *own.pop("files")], "chosen": own}


def is_range(values: list[Any]) -> bool:
    """Return whether a list to choose from is a range: two numbers."""
    return len(values) == RANGE and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in values
    )


def with_settings(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Return a recipe with new values for some keys, written "a.b.c".

    Raises:
        InputError: A value is invalid, or a key does not exist.
    """
    settings = Settings(registry().describe(recipe))
    for key, value in values.items():
        settings = settings.merged(Settings(nested(settings.split(key), value)))
    return check_recipe(settings)
