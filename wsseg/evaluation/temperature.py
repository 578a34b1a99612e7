"""The temperatures of a run's stages, fitted to the masks of its validation cases.

A stage's temperature T minimises the mean negative log-likelihood of the true classes y, over the
pixels x of the stage's region in all validation cases with masks of its classes,

    T = argmin_T -1/N sum_x log P(y(x) | a(x) / T),

where a(x) are the log-odds of the network on its own grid. Masks of test cases are never read.
Losses that exclude a class from some pixels, where its probability is then 0, are not taken into
account.

Source: Guo et al. 2017, "On calibration of modern neural networks".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from wsseg.core.case import Case
from wsseg.core.class_relation import ClassRelation
from wsseg.data.batches import (
    Slices,
    all_slices,
    load_batches,
    load_into_memory,
    split_into_batches,
)
from wsseg.data.prepare import prepare_mask
from wsseg.errors import InputError
from wsseg.inference.calibration import FittedTemperature
from wsseg.inference.folders import RunFolder
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import BATCH_SLICES, stage_logits
from wsseg.runtime.cache_leases import release
from wsseg.runtime.files import sha256

LOWEST, HIGHEST = 0.05, 20.0  # the range of temperatures
AT_LIMIT = 1.01  # a temperature within this factor of a limit means that the best one is outside
MOST_PIXELS = 200_000  # per case; larger regions are sampled


@dataclass(frozen=True)
class LabelledPixels:
    """Pixels of a case's region with their log-odds and their true classes."""

    log_odds: Tensor  # (n, K) float32
    present: Tensor  # (n, K) bool
    weight: float = 1.0  # number of pixels of the region that each of these represents


def stages_with_network(run: Run) -> list[str]:
    """Return the stages whose probabilities come from a network.

    Raises:
        InputError: There is none.
    """
    stages = run.pipeline.stages.items()
    if not (found := [name for name, each in stages if each.network is not None]):
        raise InputError(
            f"{run.folder}: this run has no stage with a network, so there is nothing to calibrate"
        )
    return found


def fit_stages(
    run: Run, names: Sequence[str], cases: Sequence[Case]
) -> Iterator[tuple[str, FittedTemperature | str]]:
    """Yield each stage with its temperature, or the reason why it cannot be fitted.

    Raises:
        InputError: A scan or a mask cannot be read.
    """
    for name in names:
        yield name, _fit_stage(run, name, cases)


def _fit_stage(run: Run, name: str, cases: Sequence[Case]) -> FittedTemperature | str:
    stage = run.pipeline.stages[name].stage
    annotated = [case for case in cases if case.masks.keys() >= set(stage.classes)]
    if not annotated:
        columns = " and ".join(f"mask.{each}" for each in stage.classes)
        return f"none of the {len(cases)} validation cases has {columns}"
    hidden = run.recipe.hidden_classes(()) - set(stage.classes)
    samples = [_pixels(run, name, case.without_masks(hidden)) for case in annotated]
    pixels = sum(len(each.log_odds) * each.weight for each in samples)
    if not pixels:
        return "its region is empty in all validation cases"
    temperature = best_temperature(stage.relation, samples)
    if temperature is None:
        return (
            f"no temperature from {LOWEST} to {HIGHEST} is best: its network is right, or no "
            "better than chance, in nearly all pixels of the validation cases"
        )
    record = RunFolder(run.folder).stage(name).record
    return FittedTemperature(
        temperature=temperature,
        cases=len(annotated),
        pixels=round(pixels),
        nll=mean_nll(stage.relation, samples, 1.0),
        calibrated_nll=mean_nll(stage.relation, samples, temperature),
        record_sha256=sha256(record),
        files=tuple(
            {"case": case.name, "use": "label", "path": str(path), "sha256": sha256(path)}
            for case in annotated
            for path in dict.fromkeys(case.masks[each] for each in stage.classes)
        ),
    )


def best_temperature(relation: ClassRelation, samples: Sequence[LabelledPixels]) -> float | None:
    """Return the temperature with the lowest mean negative log-likelihood; None if out of range.

    The negative log-likelihood is convex in 1 / T, so each minimum is global.
    """
    found = minimize_scalar(
        lambda x: mean_nll(relation, samples, exp(x)),
        bounds=(log(LOWEST), log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    temperature = exp(float(found.x))
    is_inside = LOWEST * AT_LIMIT < temperature < HIGHEST / AT_LIMIT
    return temperature if is_inside else None


def mean_nll(
    relation: ClassRelation, samples: Sequence[LabelledPixels], temperature: float
) -> float:
    """Return the mean negative log-likelihood of the true classes per pixel, in nats."""
    total = sum(each.weight * _nll(relation, each, temperature) for each in samples)
    return total / sum(each.weight * len(each.log_odds) for each in samples)


def _nll(relation: ClassRelation, pixels: LabelledPixels, temperature: float) -> float:
    scaled = _as_image(pixels.log_odds.double() / temperature)
    true = relation.distribution(_as_image(pixels.present.double()))
    return -float((true * relation.log_distribution(scaled)).sum())


def _as_image(values: Tensor) -> Tensor:
    """Return (n, K) as an image of n rows and one column, (1, K, n, 1)."""
    return values.T[None, :, :, None]


def _pixels(run: Run, name: str, case: Case) -> LabelledPixels:
    """Return the pixels of a case in the region of a stage, or a sample of `MOST_PIXELS`."""
    prepared, trained, fabric = run.prepare(case), run.pipeline.stages[name], run.pipeline.fabric
    classes = trained.stage.classes
    true = torch.from_numpy(np.stack([prepare_mask(prepared, each) > 0 for each in classes]))
    scan = load_into_memory(run.pipeline.scan(trained.stage, prepared))
    log_odds = [torch.empty(0, len(classes))]
    present = [torch.empty(0, len(classes), dtype=torch.bool)]
    slices, batches = Slices([scan], trained.input), all_slices([scan])
    for loaded in load_batches(slices, split_into_batches(batches, BATCH_SLICES)):
        inside = loaded.batch.region[:, 0]
        with torch.inference_mode():
            logits = stage_logits(trained, loaded.batch.to(fabric.device), fabric)
        log_odds.append(logits.movedim(1, -1).cpu()[inside])
        present.append(true[:, [draw.z for draw in loaded.draws]].movedim(0, -1)[inside])
    release(prepared.folder)
    return _sample(LabelledPixels(torch.cat(log_odds), torch.cat(present)), run.recipe.seed)


def _sample(pixels: LabelledPixels, seed: int) -> LabelledPixels:
    """Return the pixels, or a sample of `MOST_PIXELS` of them."""
    number = len(pixels.log_odds)
    if number <= MOST_PIXELS:
        return pixels
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    chosen = order[:MOST_PIXELS]
    return LabelledPixels(
        pixels.log_odds[chosen], pixels.present[chosen], weight=number / MOST_PIXELS
    )
