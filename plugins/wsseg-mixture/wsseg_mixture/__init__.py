"""A wsseg prior that learns the intensities of the lesion from tags."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import FiniteFloat, model_validator

from wsseg import Batch, InputError, Prior, Probability, hookimpl

LEVELS = 64  # intensities at which log-odds are stored; linear interpolation between them
QUANTILES = 256  # per slice; they represent its pixels
RANGE = (0.005, 0.995)  # quantiles of all pixels between which densities are estimated
MIN_DENSITY = 1e-12  # added to densities with sum 1; without any pixel the log-odds are then 0

Numbers: TypeAlias = NDArray[np.float64]


@final
class Mixture(Prior):
    """The density ratio of lesion and background intensities, estimated from tagged slices.

        logit phi = log p_lesion(x) - log p_background(x)

    Let p0 be the density of the intensities inside the regions of slices without the class, and p1
    that of slices with the class. p0 is the background, and p1 a mixture of background and lesion
    with an unknown share s of lesion:

        p1 = (1 - s) p0 + s p_lesion,    1 - s = min over x of p1(x) / p0(x)

    This is the largest share of background that leaves no negative density of the lesion. The
    densities are Gaussian kernel estimates of width 0.9 min(sd, IQR / 1.34) n^(-1/5), where n is
    the number of cases with or without the class, whichever is smaller, because the pixels of a
    case are not independent. For the same reason, one of n + 1 tags is assumed to be wrong: with
    n1 cases that have the class and n0 that do not,

        phi / (1 - phi) = (n1 p_lesion + p0) / (n1 + 1) * (n0 + 1) / (n0 p0 + p_lesion)

    The odds are bounded, so that few cases give weak evidence (none, with one case on each side)
    and the network can always overrule the prior.

    phi does not contain the share s. The network's log-odds, to which those of phi are added,
    already contain the frequency of the class. Moreover, phi > 1/2 is equivalent to p1 > p0, which
    does not depend on s.

    `fit` uses images, regions and tags, but no masks. Each class is compared with all slices
    without it. Before `fit`, phi is 1/2.

    Source: Blanchard, Lee & Scott 2010, "Semi-supervised novelty detection"; for the kernel width
    Silverman 1986, "Density estimation", eq. 3.31.
    """

    levels: tuple[FiniteFloat, ...] = ()
    """Evenly spaced intensities, in the image's unit; learnt by `fit`."""
    log_odds: tuple[tuple[FiniteFloat, ...], ...] = ()
    """Log-odds of phi for each class at each level; learnt by `fit`."""
    channel: str | None = None
    """The channel of the image, such as flair; null: the only one."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if any(len(each) != len(self.levels) for each in self.log_odds) or len(self.levels) == 1:
            raise ValueError(
                "levels needs two or more numbers, and log_odds needs one number for each level"
            )
        return self

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W); outside the levels, that of the nearest level."""
        if not self.levels:
            return torch.full(batch.support.shape, 0.5, device=batch.image.device)
        first, last = self.levels[0], self.levels[-1]
        step = (last - first) / (len(self.levels) - 1)
        place = ((batch.channel(self.channel).float() - first) / step).clamp(
            0, len(self.levels) - 1
        )
        left = place.long().clamp(max=len(self.levels) - 2)
        table = torch.tensor(self.log_odds, device=place.device)
        found = torch.lerp(table[:, left], table[:, left + 1], place - left)  # (K, B, 1, H, W)
        return found[:, :, 0].transpose(0, 1).sigmoid()

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return the prior with log-odds estimated from slices with and without each class.

        Raises:
            InputError: All slices have a class, or none has it, or all intensities are equal.
        """
        slices = [each for batch in batches for each in _summaries(batch, self.channel)]
        levels = _levels(slices)
        log_odds = [_log_odds(slices, k, levels) for k in range(len(slices[0].tags))]
        fitted = {"levels": levels.tolist(), "log_odds": [each.tolist() for each in log_odds]}
        return type(self).model_validate(fitted | {"channel": self.channel})


@dataclass(frozen=True)
class _Summary:
    """The tags and intensities of a slice."""

    case: str
    tags: tuple[bool, ...]
    pixels: int  # in its region
    values: Numbers  # QUANTILES quantiles of their intensities


@dataclass(frozen=True)
class _Side:
    """The slices with a class, or those without it."""

    slices: Sequence[_Summary]

    @property
    def cases(self) -> int:
        """The number of cases; a slice without the name of a case counts as one."""
        names = [each.case for each in self.slices]
        return len(set(names) - {""}) + names.count("")

    def density(self, levels: Numbers, width: float) -> Numbers:
        """Return a kernel density estimate at `levels`, with the same weight for every pixel."""
        total = np.zeros_like(levels)
        for each in self.slices:
            distance = (levels[:, None] - each.values) / width
            total += each.pixels * np.exp(-(distance**2) / 2).mean(1)
        found: Numbers = total / total.sum() + MIN_DENSITY
        return found


def _summaries(batch: Batch, channel: str | None) -> list[_Summary]:
    """Summarise a channel of the slices whose region is not empty."""
    found = []
    for i, (middle, region) in enumerate(zip(batch.channel(channel), batch.region, strict=True)):
        values = middle[region].double().cpu().numpy()
        if values.size:
            at = (np.arange(QUANTILES) + 0.5) / QUANTILES
            name = batch.case[i] if batch.case else ""
            tags = tuple(bool(tag) for tag in batch.tags[i])
            found.append(_Summary(name, tags, values.size, np.quantile(values, at)))
    return found


def _levels(slices: Sequence[_Summary]) -> Numbers:
    if not slices:
        raise InputError("prior 'mixture': no slice has pixels in the region; check the region")
    low, high = _quantiles(slices, RANGE)
    if low == high:
        raise InputError(
            f"prior 'mixture': nearly all pixels in the region have the value {low:g}, so there is "
            "nothing to learn.\n"
            "Check the region, or choose a prior that is not fitted, such as two-gaussian"
        )
    return np.linspace(low, high, LEVELS)


def _log_odds(slices: Sequence[_Summary], k: int, levels: Numbers) -> Numbers:
    """Compare the slices with class k to those without."""
    without = _Side([each for each in slices if not each.tags[k]])
    having = _Side([each for each in slices if each.tags[k]])
    if not (without.slices and having.slices):
        verb, adding = ("lacks", "without") if having.slices else ("has", "with")
        raise InputError(
            f"prior 'mixture': none of the {len(slices)} slices {verb} class {k + 1} of the stage, "
            "but the prior compares slices with and without it.\n"
            f"Add cases {adding} the class, or choose a prior that is not fitted, such as "
            "two-gaussian"
        )
    n0, n1 = without.cases, having.cases
    width = _kernel_width(slices, min(n0, n1))
    background = without.density(levels, width)
    lesion = _unmixed(having.density(levels, width), background)
    odds = (n1 * lesion + background) / (n1 + 1) * (n0 + 1) / (n0 * background + lesion)
    found: Numbers = np.log(odds)
    return found


def _unmixed(mixed: Numbers, background: Numbers) -> Numbers:
    """Subtract the largest possible share of `background` from `mixed`, and normalise."""
    share = (mixed / background).min()
    lesion: Numbers = mixed - share * background
    total = lesion.sum()
    return lesion / total if total > MIN_DENSITY * len(lesion) else background


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
    """Return values, and the number of pixels that each represents."""
    values = np.concatenate([each.values for each in slices])
    return values, np.repeat([each.pixels for each in slices], QUANTILES)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Register the prior."""
    return {"mixture": Mixture}
