"""The checks of `wsseg plugins check`: those of `wsseg.testing` on all installed parts."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from wsseg.components.registry import Failure, Kind, Offer, Registry, kind_name
from wsseg.config.recipe_files import load_recipe, parents
from wsseg.core.augment import Augment
from wsseg.core.component import Component
from wsseg.core.image_unit import ImageUnit
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EncoderWeights,
    EStep,
    Method,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.core.optimizer import Optimizer
from wsseg.core.tracker import Tracker
from wsseg.errors import InputError, known_words
from wsseg.testing.assertions import assert_can_be_saved
from wsseg.testing.data_checks import (
    check_augment,
    check_cohort,
    check_metric,
    check_region,
    check_score,
    check_unit,
)
from wsseg.testing.model_checks import (
    check_backbone,
    check_encoder_weights,
    check_estep,
    check_loss,
    check_method,
    check_optimizer,
    check_prior,
    check_tag_loss,
)

CHECKS: Mapping[Kind, Callable[[Any], None]] = {
    Prior: check_prior,
    EStep: check_estep,
    Backbone: check_backbone,
    EncoderWeights: check_encoder_weights,
    PixelLoss: check_loss,
    TagLoss: check_tag_loss,
    Method: check_method,
    Optimizer: check_optimizer,
    Tracker: assert_can_be_saved,  # opening one could start a run on a server
    Augment: check_augment,
    Region: check_region,
    Cohort: check_cohort,
    Metric: check_metric,
    Score: check_score,
    ImageUnit: check_unit,
}


@dataclass(frozen=True)
class PartResult:
    """The result of checking a part: it passed, was not built, or failed."""

    name: str
    kind: str
    not_built: str = ""  # the reason, if the part was not built
    error: BaseException | None = None

    @property
    def verdict(self) -> str:
        """The result as printed: ok, FAILED, or the reason why the part was not built."""
        if self.error is not None:
            return "FAILED"
        return f"not built: {self.not_built}" if self.not_built else "ok"


class NotBuiltError(Exception):
    """A part cannot be built without parameters or files that are not given."""


def check_parts(registry: Registry, distribution: str | None = None) -> Iterator[PartResult]:
    """Check all parts of a distribution, or of all; plugins that fail to load are results, too.

    Raises:
        InputError: No plugin comes from `distribution`.
    """
    offered = {_normalized_name(offer.distribution) for offer in registry.offers.values()}
    known = offered | {_normalized_name(failure.distribution) for failure in registry.failures}
    selected = known if distribution is None else {_normalized_name(distribution)}
    if not selected <= known:
        raise InputError(
            f"no plugin comes from a distribution named {distribution!r}; "
            + known_words(str(distribution), known)
        )
    for failure in registry.failures:
        if _normalized_name(failure.distribution) in selected:
            yield _load_failure(failure)
    for offer in sorted(
        registry.offers.values(), key=lambda each: (kind_name(each.kind), each.name)
    ):
        if _normalized_name(offer.distribution) in selected:
            yield check_part(offer, registry)


def check_part(offer: Offer, registry: Registry) -> PartResult:
    """Check a part that is built from the examples and defaults of its fields."""
    check = _check_recipe if offer.kind is Path else _check_component
    name, kind = offer.name, kind_name(offer.kind)
    try:
        check(offer, registry)
    except NotBuiltError as reason:
        return PartResult(name, kind, not_built=str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a part may raise anything, or exit
        return PartResult(name, kind, error=error)
    return PartResult(name, kind)


def example(part: type[Component]) -> dict[str, Any]:
    """Return the first example of each field of a part that has examples.

    Raises:
        NotBuiltError: A field has neither an example nor a default.
    """
    fields = {key: part.model_fields[name] for key, name in part.recipe_keys().items()}
    missing = [key for key, field in fields.items() if field.is_required() and not field.examples]
    if missing:
        raise NotBuiltError(f"no default or example of {', '.join(missing)}")
    return {key: field.examples[0] for key, field in fields.items() if field.examples}


def _check_component(offer: Offer, registry: Registry) -> None:
    try:
        CHECKS[offer.kind](_built(offer, registry))
    except InputError as error:  # such as a missing file
        raise NotBuiltError(" ".join(str(error).split())) from None


def _built(offer: Offer, registry: Registry) -> Component:
    kind = cast("type[Component]", offer.kind)
    try:
        return registry.make(kind, offer.name, **example(offer.part))
    except ValidationError as error:
        raise NotBuiltError(" ".join(str(error).split())) from None


def _check_recipe(offer: Offer, registry: Registry) -> None:
    """Load a recipe. A recipe that others extend may be incomplete; it is checked with them."""
    try:
        load_recipe(offer.name)
    except InputError:
        others = [each.part for each in registry.offers.values() if each.kind is Path]
        if any(_extends(path, offer.part) for path in others):
            raise NotBuiltError("incomplete, but used by recipes that extend it") from None
        raise


def _load_failure(failure: Failure) -> PartResult:
    return PartResult(failure.plugin.partition(" ")[0], "plugin", error=failure.error)


def _normalized_name(distribution: str) -> str:
    """Return a distribution's name without its version, normalized as in package indexes."""
    return re.sub(r"[-_.]+", "-", distribution.partition(" ")[0]).lower()


def _extends(path: Path, parent: Path) -> bool:
    try:
        return parent.resolve() in [each.resolve() for each in parents(path)]
    except InputError:  # reported when that recipe is checked
        return False
