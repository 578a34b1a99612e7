"""The criteria by which settings are chosen, computed on the network's grid.

Predictions are compared with the masks of validation cases only here, in
`wsseg.evaluation.temperature`, and for early stopping of stages that learn from masks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsseg.components.metrics import Dice
from wsseg.config.columns import metric_column_names
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage
from wsseg.core.case import Case
from wsseg.core.interfaces import Metric, Score
from wsseg.core.volume import VoxelMask
from wsseg.core.weak_labels import certain
from wsseg.data.maps import read_map
from wsseg.data.prepare import Prepared, prepare_mask
from wsseg.errors import InputError, known_words
from wsseg.evaluation.scoring import ScoringPlan, score_case
from wsseg.evaluation.statistics import Bootstrap, mann_whitney
from wsseg.evaluation.summary import average_by_case, summarise
from wsseg.inference.pipeline import Pipeline
from wsseg.inference.prior_ablation import by_posterior
from wsseg.inference.stage_prediction import stage_masks

TAG_AUC, TARGET_AGREEMENT = "tag_auc", "target_agreement"  # of the target class, from tags alone
AUC = "_auc"  # suffix of the summary's column of a score that is compared between tags
POOLED = "_pooled"  # suffix of the summary's columns that are pooled over voxels
NO_INTERVALS = Bootstrap(draws=2)


def reads_masks(criterion: str) -> bool:
    """Return whether a criterion is computed from annotated masks rather than from tags."""
    return criterion != TARGET_AGREEMENT and not criterion.endswith(AUC)


@dataclass(frozen=True)
class Criterion:
    """A measure of a recipe's predictions: a column of the summary, or a measure from tags alone.

    Columns: those of the recipe's metrics, averaged over cases, such as `dice`, and those pooled by
    the summary, such as `dice_pooled`. The columns of a class other than the target have the prefix
    `<class>.`. `<score>_auc` is the area under the ROC curve with which a score `<class>_...`
    predicts the tag of its class.

    From tags: `tag_auc` is the area under the ROC curve with which the predicted share of the
    region predicts the tag. Its units are slices in cases with slice tags, and otherwise cases.
    `target_agreement` is the Dice coefficient, pooled over cases, between the prediction and the
    targets inferred from network, prior and tags. It is also high for a network that only
    reproduces its prior, whether or not that prior is good.
    """

    name: str
    recipe: Recipe

    @property
    def class_name(self) -> str:
        """The class that is measured."""
        classes, (prefix, dot, _) = self.recipe.classes, self.name.rpartition(".")
        if self._score is not None:
            return next(each for each in classes if self._score.startswith(f"{each}_"))
        return prefix if dot else classes[-1]

    @property
    def stage_name(self) -> str:
        """The last stage that predicts the class."""
        stages = self.recipe.stages.items()
        return [name for name, stage in stages if self.class_name in stage.classes][-1]

    def check(self) -> None:
        """Raise `InputError` if the recipe has no such measure."""
        known = [TAG_AUC, TARGET_AGREEMENT]
        known += [f"{name}{AUC}" for name in self.recipe.scores if self._is_tagged(name)]
        for name in self.recipe.classes:
            prefix = "" if name == self.recipe.classes[-1] else f"{name}."
            for metric in self.recipe.metrics.values():
                known += [f"{prefix}{column}" for column in metric_column_names(metric)]
                known += [f"{prefix}dice{POOLED}"] * isinstance(metric, Dice)
        if self.name not in known:
            raise InputError(
                f"criterion: no measure is called {self.name!r}; {known_words(self.name, known)}"
            )
        stage = self.recipe.stages[self.stage_name]
        if self.name == TARGET_AGREEMENT and not isinstance(stage, EmStage):
            raise InputError(
                f"criterion: {self.name} needs a stage with targets, and {self.stage_name!r} does "
                f"not learn by EM; {TAG_AUC} works for every stage"
            )

    def visible(self, case: Case) -> Case:
        """Return a case with only the class masks that the criterion reads."""
        return case.without_masks(self.recipe.hidden_classes(()) - self.annotations)

    @property
    def annotations(self) -> set[str]:
        """The classes whose masks are read: the measured one, and its region if that is a class."""
        if not reads_masks(self.name):
            return set()
        region = self.recipe.stages[self.stage_name].region
        inside = any(metric.in_annotated_region for metric in self._metrics.values())
        return {self.class_name} | ({region} if inside and region in self.recipe.classes else set())

    def value(self, candidate: "Candidate", cases: Sequence[Prepared]) -> float:
        """Return the measure of a candidate's predictions for `cases`; NaN if it is undefined.

        Raises:
            InputError: No case has the mask, or the tags, that it needs.
        """
        if self.name == TAG_AUC:
            return self._tag_auc(candidate, cases)
        if self.name == TARGET_AGREEMENT:
            return self._target_agreement(candidate, cases)
        rows = pd.DataFrame([self._row(candidate, each) for each in cases])
        column = self.name.rpartition(".")[2]
        if reads_masks(self.name) and not any(self.class_name in each.case.masks for each in cases):
            raise InputError(
                f"criterion: {self.name} needs masks, but none of the {len(cases)} cases has "
                f"mask.{self.class_name}; {TAG_AUC} needs only tags"
            )
        summary = summarise(rows, NO_INTERVALS)
        found = summary[column] if column in summary else average_by_case(rows)[column]
        return float(found.mean())

    @property
    def _score(self) -> str | None:
        score = self.name.removesuffix(AUC)
        return score if self.name.endswith(AUC) and self._is_tagged(score) else None

    def _is_tagged(self, score: str) -> bool:
        """Return whether a score is compared between the tags of a class."""
        prefixes = tuple(f"{name}_" for name in self.recipe.classes)
        return score in self.recipe.scores and score.startswith(prefixes)

    def _row(self, candidate: "Candidate", prepared: Prepared) -> dict[str, Any]:
        """Return the row of a case, as in a suite, with the columns of the criterion."""
        case, region = prepared.case, self.recipe.stages[self.stage_name].region
        names = {self.class_name, *(() if region is None else (region,))}
        names |= {each for score in self._scores.values() for each in score.needs}
        predicted = {name: candidate.mask(name, prepared) for name in sorted(names)}
        true = {
            name: prepare_mask(prepared, name) > 0
            for name in sorted(self.annotations)
            if name in case.masks
        }
        plan = ScoringPlan(
            [self.class_name], {self.class_name: region}, self._metrics, self._scores
        )
        tag = case.tags.get(self.class_name)
        return {
            **dict.fromkeys(("method", "fold"), ""),
            "seed": 0,
            "case": case.name,
            "patient": case.patient,
            f"tag.{self.class_name}": np.nan if tag is None else float(tag),
            **score_case(predicted, true, prepared.network_grid, plan),
        }

    @cached_property
    def _metrics(self) -> Mapping[str, Metric]:
        """The recipe's metrics that the criterion is computed from."""
        column = self.name.rpartition(".")[2].removesuffix(POOLED)
        metrics = self.recipe.metrics.items()
        return {name: each for name, each in metrics if column in metric_column_names(each)}

    @property
    def _scores(self) -> Mapping[str, Score]:
        return {} if self._score is None else {self._score: self.recipe.scores[self._score]}

    def _tag_auc(self, candidate: "Candidate", cases: Sequence[Prepared]) -> float:
        shares: dict[bool, list[float]] = {True: [], False: []}
        for prepared in cases:
            mask = candidate.mask(self.class_name, prepared)
            region = candidate.region(self.stage_name, prepared)
            for tag, slices in _bags(prepared, self.class_name):
                size = int(region[slices].sum())
                shares[tag].append(float(mask[slices].sum() / size) if size else 0.0)
        if not (shares[True] and shares[False]):
            raise InputError(
                f"criterion: {TAG_AUC} compares cases or slices with and without a class, but "
                f"tag.{self.class_name} is the same in all of them; choose another criterion"
            )
        return mann_whitney(shares[True], shares[False])[1]

    def _target_agreement(self, candidate: "Candidate", cases: Sequence[Prepared]) -> float:
        both = total = 0
        for prepared in cases:
            prediction = candidate.mask(self.class_name, prepared)
            target = candidate.target(self.class_name, prepared)
            for _, slices in _bags(prepared, self.class_name):
                both += int((prediction & target)[slices].sum())
                total += int(prediction[slices].sum() + target[slices].sum())
        return 2 * both / total if total else np.nan


@dataclass(frozen=True)
class Candidate:
    """A recipe with trained stages; predictions of the `tried` stages are not cached."""

    recipe: Recipe
    pipeline: Pipeline
    tried: Collection[str]  # stages whose settings differ between candidates

    def mask(self, name: str, prepared: Prepared) -> VoxelMask:
        """Return the predicted mask of a class, a region or a stage, (Z, H, W)."""
        owners = [key for key, stage in self.recipe.stages.items() if name in stage.classes]
        if not owners:
            return self._map(name, prepared)
        stage = self.recipe.stages[owners[-1]]
        found: VoxelMask = self._masks(owners[-1], prepared)[stage.classes.index(name)]
        return found

    def region(self, stage: str, prepared: Prepared) -> VoxelMask:
        """Return the region that a stage predicts in, (Z, H, W)."""
        return self._map(self.recipe.stages[stage].region, prepared)

    def target(self, name: str, prepared: Prepared) -> VoxelMask:
        """Return the mask of a class that network, prior and tags give together, (Z, H, W)."""
        owner = [key for key, stage in self.recipe.stages.items() if name in stage.classes][-1]
        trained = self.pipeline.stages[owner]
        classes, case = trained.stage.classes, prepared.case
        tags = [[bool(case.tag(each, z)) for each in classes] for z in prepared.slice_of]
        scan = replace(self.pipeline.scan(trained.stage, prepared), tags=np.array(tags, np.bool_))
        masks = stage_masks(trained, scan, self.pipeline.fabric, by_posterior)
        found: VoxelMask = masks[classes.index(name)]
        return found

    def _masks(self, stage: str, prepared: Prepared) -> NDArray[np.bool_]:
        if stage not in self.tried:
            return read_map(self.pipeline.predict(stage, prepared)) > 0
        trained = self.pipeline.stages[stage]
        scan = self.pipeline.scan(trained.stage, prepared)
        return stage_masks(trained, scan, self.pipeline.fabric)

    def _map(self, region: str | None, prepared: Prepared) -> VoxelMask:
        path = self.pipeline.region_map(region, prepared)
        return np.ones(prepared.shape, np.bool_) if path is None else read_map(path) > 0


def _bags(prepared: Prepared, name: str) -> list[tuple[bool, slice]]:
    """Return each certain tag of a class with the slices that it applies to."""
    case, number = prepared.case, prepared.shape[0]
    if not case.slice_tags:
        tag = certain(case.tags.get(name))
        return [] if tag is None else [(tag, slice(0, number))]
    tags = [certain(case.tag(name, z)) for z in prepared.slice_of]
    return [(tag, slice(z, z + 1)) for z, tag in enumerate(tags) if tag is not None]
