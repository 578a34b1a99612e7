"""A wsseg prior that learns the lesion's intensities from tags: no constant to choose by hand."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import FiniteFloat, model_validator

from wsseg import Batch, InputError, Prior, Probability, hookimpl

LEVELS = 64  # intensities at which densities are kept; straight lines between
QUANTILES = 256  # of a slice, which stand for its pixels
RANGE = (0.005, 0.995)  # quantiles of all pixels, between which there are enough to judge by
LEAST = 1e-12  # of a density, which adds up to 1: where neither has a pixel, there is no opinion

Numbers: TypeAlias = NDArray[np.float64]


@final
class Mixture(Prior):
    """logit phi = log p(x | lesion) - log p(x | background), both learnt from tags by `fit`.

    Inside the regions, p0 is the density of intensities in slices without the class, p1 of those
    with it. The latter is a mixture of background and lesion with an unknown share s of lesion,

        p1 = (1 - s) p0 + s p_lesion,    1 - s = min over x of p1(x) / p0(x),

    the largest share of background that leaves no negative lesion (Blanchard, Lee & Scott 2010,
    "Semi-supervised novelty detection"). Densities are Gaussian kernel estimates; their
    width is 0.9 min(sd, IQR / 1.34) n^(-1/5) (Silverman 1986, eq. 3.31), where n counts cases, on
    the side that has fewer, as pixels of one case are no independent draws. For the same reason
    one tag in n + 1 is taken to be wrong: with n1 cases that have the class and n0 that have not,

        phi / (1 - phi) = (n1 p_lesion + p0) / (n1 + 1) * (n0 + 1) / (n0 p0 + p_lesion),

    which is bounded, so that few cases say little (one on either side: nothing) and the network
    can always overrule it.

    The share s is left out of phi. Log-odds add to the network's, which knows from training how
    frequent the class is: counted twice, it would wear the class away. And phi > 1/2 is then
    p1 > p0, a decision that does not depend on s, the one number that tags hardly tell.

    `fit` sees batches: images, regions and tags. There is no mask in them. Each class is learnt
    by itself, against all slices without it. Before `fit`, phi is 1/2: no opinion.
    """

    levels: tuple[FiniteFloat, ...] = ()  # intensities, evenly spaced, in the image's unit
    log_odds: tuple[tuple[FiniteFloat, ...], ...] = ()  # of phi, a tuple a class, one a level

    @model_validator(mode="after")
    def _one_a_level(self) -> Self:
        if any(len(each) != len(self.levels) for each in self.log_odds) or len(self.levels) == 1:
            raise ValueError("log_odds needs one number a level, of which there are two or more")
        return self

    def __call__(self, batch: Batch) -> Probability:
        """Judge each pixel by its own intensity; beyond the levels, as at the nearest."""
        if not self.levels:
            return torch.full(batch.support.shape, 0.5, device=batch.image.device)
        first, last = self.levels[0], self.levels[-1]
        step = (last - first) / (len(self.levels) - 1)
        place = ((batch.middle.float() - first) / step).clamp(0, len(self.levels) - 1)
        left = place.long().clamp(max=len(self.levels) - 2)
        table = torch.tensor(self.log_odds, device=place.device)
        found = torch.lerp(table[:, left], table[:, left + 1], place - left)  # (K, B, 1, H, W)
        return found[:, :, 0].transpose(0, 1).sigmoid()

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return this prior with the log-odds learnt from slices with and without each class.

        Raises:
            InputError: All slices have a class, or none has, or all pixels are alike.
        """
        slices = [each for batch in batches for each in _summaries(batch)]
        levels = _levels(slices)
        log_odds = [_log_odds(slices, k, levels) for k in range(len(slices[0].tags))]
        fitted = {"levels": levels.tolist(), "log_odds": [each.tolist() for each in log_odds]}
        return type(self).model_validate(fitted)


@dataclass(frozen=True)
class _Summary:
    """What is kept of a slice."""

    case: str
    tags: tuple[bool, ...]
    pixels: int  # in its region
    values: Numbers  # QUANTILES of their intensities


@dataclass(frozen=True)
class _Side:
    """The slices that have a class, or those that have not."""

    slices: Sequence[_Summary]

    @property
    def cases(self) -> int:
        """How many independent observations these are; a slice without a case's name is one."""
        names = [each.case for each in self.slices]
        return len(set(names) - {""}) + names.count("")

    def density(self, levels: Numbers, width: float) -> Numbers:
        """Return a kernel estimate at `levels`, to which every pixel adds the same."""
        total = np.zeros_like(levels)
        for each in self.slices:
            distance = (levels[:, None] - each.values) / width
            total += each.pixels * np.exp(-(distance**2) / 2).mean(1)
        found: Numbers = total / total.sum() + LEAST
        return found


def _summaries(batch: Batch) -> list[_Summary]:
    """Summarise the slices that have a region."""
    found = []
    for i, (middle, region) in enumerate(zip(batch.middle, batch.region, strict=True)):
        values = middle[region].double().cpu().numpy()
        if values.size:
            at = (np.arange(QUANTILES) + 0.5) / QUANTILES
            name = batch.case[i] if batch.case else ""
            tags = tuple(bool(tag) for tag in batch.tags[i])
            found.append(_Summary(name, tags, values.size, np.quantile(values, at)))
    return found


def _levels(slices: Sequence[_Summary]) -> Numbers:
    if not slices:
        raise InputError("prior 'mixture': no slice has a region to learn from; check the region")
    low, high = _quantiles(slices, RANGE)
    if low == high:
        raise InputError(
            f"prior 'mixture': nearly all pixels of the regions are {low:g}; there is nothing to "
            f"learn from.\nCheck the region, or choose a prior that does not learn"
        )
    return np.linspace(low, high, LEVELS)


def _log_odds(slices: Sequence[_Summary], k: int, levels: Numbers) -> Numbers:
    """Compare the slices with class k to those without."""
    without = _Side([each for each in slices if not each.tags[k]])
    having = _Side([each for each in slices if each.tags[k]])
    if not (without.slices and having.slices):
        lacking = "without" if having.slices else "with"
        raise InputError(
            f"prior 'mixture': none of {len(slices)} slices is {lacking} the stage's class "
            f"{k + 1}; it learns by comparing slices with and without.\n"
            f"Add cases {lacking} it, or choose a prior with constants, such as two-gaussian"
        )
    n0, n1 = without.cases, having.cases
    width = _kernel_width(slices, min(n0, n1))
    background = without.density(levels, width)
    lesion = _unmixed(having.density(levels, width), background)
    odds = (n1 * lesion + background) / (n1 + 1) * (n0 + 1) / (n0 * background + lesion)
    found: Numbers = np.log(odds)
    return found


def _unmixed(mixed: Numbers, background: Numbers) -> Numbers:
    """Take the largest share of `background` out of `mixed`; what is left is the lesion."""
    share = (mixed / background).min()
    left = mixed - share * background
    total = left.sum()
    found: Numbers = left / total if total > LEAST * len(left) else background
    return found


def _kernel_width(slices: Sequence[_Summary], cases: int) -> float:
    values, weights = _values(slices)
    sd = math.sqrt(np.cov(values, aweights=weights, ddof=0))
    lower, upper = _quantiles(slices, (0.25, 0.75))
    spread = min(each for each in (sd, (upper - lower) / 1.34) if each > 0)
    return 0.9 * spread * math.pow(cases, -0.2)


def _quantiles(slices: Sequence[_Summary], at: tuple[float, float]) -> tuple[float, float]:
    """Return two quantiles of all pixels."""
    values, weights = _values(slices)
    low, high = np.quantile(values, at, weights=weights, method="inverted_cdf")
    return float(low), float(high)


def _values(slices: Sequence[_Summary]) -> tuple[Numbers, NDArray[Any]]:
    """Return values and how many pixels each stands for."""
    values = np.concatenate([each.values for each in slices])
    return values, np.repeat([each.pixels for each in slices], QUANTILES)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Offer the prior."""
    return {"mixture": Mixture}
