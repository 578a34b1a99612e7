"""Prediction with several runs of one method, and the agreement between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsseg.components.registry import registry
from wsseg.config.stages import NetworkStage, PriorStage, TagsStage
from wsseg.core.batch import CERTAIN, Batch, Logits, Probability, at_least_float32
from wsseg.core.case import Case
from wsseg.core.contracts import check_probability
from wsseg.core.interfaces import Prior
from wsseg.data.mask_files import mask_suffix, write_shares
from wsseg.data.scan_grid import shares_on_scan_grid
from wsseg.errors import InputError
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.folders import PredictionFolder, methods_below, runs_of_method
from wsseg.inference.mirroring import Direction
from wsseg.inference.network import Network
from wsseg.inference.pipeline import Pipeline
from wsseg.inference.probabilities import NOT_IN_NAMES
from wsseg.inference.run import Run, load_run
from wsseg.inference.stage_prediction import stage_masks
from wsseg.runtime.cache_leases import release
from wsseg.runtime.files import fingerprint

COLUMN = "_agreement"  # end of the column of a class
MOST_VALUES = 80  # characters of a value in a message


@dataclass(frozen=True)
class Ensemble:
    """Runs of one method, and the run that predicts with the mean of their log-odds.

    The mean is taken stage by stage. With M members and a_{s,m}(x) the log-odds of stage s in
    member m, or logit phi if the stage trains no network,

        a_s(x) = 1/M sum_m a_{s,m}(x)    for x in R_s,

    where R_s is the region of the stage; if the region is an earlier stage, the ensemble predicts
    it. All members thus use the same region, and their log-odds are defined in all of it. The mean
    of final log-odds would instead be -infinity wherever the region of one member excludes a pixel,
    so that each member could veto the others, and a mean of final probabilities could give masks
    outside the region that the ensemble predicts.
    """

    run: Run
    members: tuple[Run, ...]


@final
class MeanNetwork(nn.Module):
    """The mean of the log-odds of several networks."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> Logits:
        """Map (B, C, S, H, W) to the mean logits, (B, K, H, W)."""
        each: list[Tensor] = [at_least_float32(network(image)) for network in self.networks]
        return torch.stack(each).mean(dim=0)


@final
class MeanPrior(Prior):
    """The prior whose log-odds are the mean of those of several priors.

    phi = sigmoid(1/M sum_m logit phi_m), where logit 0 = -CERTAIN and logit 1 = CERTAIN.
    """

    priors: tuple[Prior, ...]
    """The priors."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi, (B, K, H, W)."""
        each = [check_probability(prior, prior(batch), batch) for prior in self.priors]
        return torch.stack([p.logit().clamp(-CERTAIN, CERTAIN) for p in each]).mean(0).sigmoid()


def load_ensemble(folder: Path, mirror: Sequence[Direction] = ()) -> Ensemble:
    """Load the runs of all seeds and folds of a suite's method, or a single run as one member.

    Args:
        folder: The folder of a method in a suite's folder, that of a run, or a packed run.
        mirror: Directions in which images are also mirrored, in addition to `mirror` of each stage.

    Raises:
        InputError: The folder holds no runs, a run failed or is not finished, or the runs differ in
            what they predict or in their input.
    """
    found = runs_of_method(folder)
    if not found:
        if methods := methods_below(folder):
            raise InputError(
                f"{folder}: this is a suite; give the folder of one of its methods, such as "
                f"{methods[0]}"
            )
        run = mirrored(load_run(folder), mirror)
        return Ensemble(run, (run,))
    if failed := [each.path for each in found if each.failure.exists()]:
        raise InputError(f"{failed[0]}: this run failed; run the suite again, or remove the folder")
    members = tuple(mirrored(load_run(each.path), mirror) for each in found)
    return Ensemble(averaged(folder, members), members)


def mirrored(run: Run, directions: Sequence[Direction]) -> Run:
    """Return a run that also predicts images mirrored in these directions."""
    pipeline = run.pipeline
    for name in run.recipe.stages:
        trained = pipeline.stages[name]
        if isinstance(trained.stage, NetworkStage):
            own = trained.stage.mirror
            mirror = (*own, *(each for each in directions if each not in own))
            if mirror != own:
                stage = trained.stage.model_copy(update={"mirror": mirror})
                digest = fingerprint([trained.digest, "mirror", sorted(mirror)])
                pipeline = pipeline.with_stage(replace(trained, stage=stage, digest=digest))
    return replace(run, pipeline=pipeline)


def averaged(folder: Path, members: Sequence[Run]) -> Run:
    """Return the run that predicts with the mean of the log-odds of several; see `Ensemble`.

    Raises:
        InputError: The runs differ in what they predict or in their input.
    """
    first = members[0]
    for other in members[1:]:
        _check_alike(first, other)
    stages = {
        name: _averaged_stage([member.pipeline.stages[name] for member in members])
        for name in first.recipe.stages
    }
    recipe, pipeline = first.recipe, first.pipeline
    return Run(folder, recipe, Pipeline(recipe.regions, stages, recipe.input, pipeline.fabric))


def write_agreement(ensemble: Ensemble, case: Case, folder: PredictionFolder) -> dict[str, float]:
    """Write, for each class, the share of members that predict it, and return their agreement.

    Each member predicts the stages in the regions of the ensemble. With v(x) the number of members
    that predict the class in pixel x of the network's grid, the agreement is the Dice coefficient
    pooled over all pairs of the M members,

        sum_x v(x) (v(x) - 1) / ((M - 1) sum_x v(x)),

    and 1 if no member predicts the class. It is the probability that a random pixel predicted by a
    random member is also predicted by another random member.
    """
    run = ensemble.run
    prepared, columns = run.prepare(case), dict[str, float]()
    values = {name: value for value, name in enumerate(run.recipe.classes, 1)}
    for name in run.recipe.stages:
        stage = run.pipeline.stages[name].stage
        scan = run.pipeline.scan(stage, prepared)
        votes: NDArray[np.int64] = np.sum(
            [
                stage_masks(member.pipeline.stages[name], scan, run.pipeline.fabric)
                for member in ensemble.members
            ],
            axis=0,
        )
        for of_class, own in zip(stage.classes, votes, strict=True):
            label = f"{values[of_class]}-{NOT_IN_NAMES.sub('-', of_class)}"
            path = folder.agreement(case.name, label, mask_suffix(prepared.grid))
            share = (own / len(ensemble.members)).astype(np.float32)
            write_shares(path, shares_on_scan_grid(prepared, share), prepared.grid)
            columns[of_class + COLUMN] = pooled_dice(own, len(ensemble.members))
    release(prepared.folder)
    return columns


def pooled_dice(votes: NDArray[np.int64], members: int) -> float:
    """Return the Dice coefficient pooled over all pairs of members; see `write_agreement`."""
    total = int(votes.sum())
    return float((votes * (votes - 1)).sum() / ((members - 1) * total)) if total else 1.0


def _averaged_stage(trained: Sequence[TrainedStage]) -> TrainedStage:
    """Return a stage that decides with the mean of the log-odds of several."""
    first = trained[0]
    stage, digest = first.stage, fingerprint(["mean of log-odds", *(t.digest for t in trained)])
    if isinstance(stage, PriorStage):
        priors = tuple(t.stage.prior for t in trained if isinstance(t.stage, PriorStage))
        mean = stage.model_copy(update={"prior": MeanPrior(priors=priors)})
        return replace(first, stage=mean, digest=digest)
    networks = MeanNetwork([t.network for t in trained if t.network is not None]).eval()
    # prediction needs any module from images to logits
    return replace(first, network=cast("Network", networks), digest=digest)


def _check_alike(first: Run, other: Run) -> None:
    """Raise `InputError` if two runs differ in what they predict or in their input."""
    own, others = _decisive(first), _decisive(other)
    for key in {**own, **others}:
        if own.get(key) != others.get(key):
            raise InputError(
                f"{other.folder}: its predictions cannot be averaged with those of {first.folder}, "
                f"since they differ in {key}: {_short(others.get(key))} and "
                f"{_short(own.get(key))}.\n"
                "Use runs with the same stages, classes, regions and input, or predict with one "
                "of them."
            )


def _decisive(run: Run) -> Mapping[str, Any]:
    """Return what the members of an ensemble must have in common, by its name in messages."""
    describe = registry().describe
    common: dict[str, Any] = {
        "stages": list(run.recipe.stages),
        "input": describe(run.recipe.input),
        "channels": list(run.channels),
        "regions": {name: describe(region) for name, region in run.recipe.regions.items()},
    }
    for name, trained in run.pipeline.stages.items():
        stage, where = trained.stage, f"stage {name}"
        common[f"{where}: classes"] = stage.classes
        common[f"{where}: relation"] = describe(stage.relation)
        common[f"{where}: region"] = stage.region
        common[f"{where}: kind"] = type(stage).__name__
        if isinstance(stage, NetworkStage) and stage.backbone is not None:
            common[f"{where}: mirror"] = sorted(stage.mirror)
            common[f"{where}: backbone"] = describe(stage.backbone)
        if isinstance(stage, TagsStage):  # its loss limits the pixels that it predicts
            common[f"{where}: loss"] = describe(stage.loss)
    return common


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MOST_VALUES else text[:MOST_VALUES] + " …"
