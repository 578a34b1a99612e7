"""Checks the cohorts of a recipe: for `wsseg data check`, and before it is trained."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from wsseg.components.regions import FileRegion
from wsseg.config.recipe import Recipe
from wsseg.config.stages import Learning, MasksStage, Stage
from wsseg.core.case import Case
from wsseg.data.checks.expected import Expected
from wsseg.data.checks.findings import Finding, accepted, accepting, check_acceptable
from wsseg.data.checks.run import Listed, check, listed
from wsseg.data.split import Split
from wsseg.errors import InputError
from wsseg.runtime.console import Display

DEFERRED = ("no-labels",)  # stages tell it themselves, and with more about it
MOST_WARNINGS = 3  # of a kind that are told one by one


def expected_by(recipe: Recipe, stages: Collection[Stage]) -> Expected:
    """Return what some stages of a recipe want of the cohort that they learn from."""
    learning = [stage for stage in stages if isinstance(stage, Learning)]
    weak = [stage.classes for stage in learning if not isinstance(stage, MasksStage)]
    inside: dict[str, str] = {}
    for stage in stages:
        region = recipe.stages.get(stage.region or "")
        outer = [_mask_of(recipe, stage.region)] if region is None else region.classes
        if len(outer) == 1:
            inside |= dict.fromkeys(stage.classes, outer[0])
    return Expected(
        input=recipe.input,
        tags=tuple(dict.fromkeys(chain(*weak))),
        masks=tuple(tuple(s.classes) for s in learning if isinstance(s, MasksStage)),
        inside={inner: outer for inner, outer in inside.items() if inner != outer},
    )


def listed_for(recipe: Recipe) -> Iterator[tuple[Listed, Expected]]:
    """Yield a recipe's cases and those of each stage with its own, each beside those tested on.

    With them comes what is wanted of them.
    """
    shared = _listed(recipe)
    tested = [case for case in shared.cases if case.split == "test"]
    yield shared, expected_by(recipe, recipe.together.values())
    for stage in recipe.stages.values():
        if stage.cohort is not None:
            own = listed(stage.cohort)
            training = [case for case in own.cases if case.split != "test"]
            yield Listed([*training, *tested], own.findings), expected_by(recipe, [stage])


def _listed(recipe: Recipe) -> Listed:
    """List the cases of a recipe's cohorts; those of `test` are for testing."""
    own = listed(recipe.cohort)
    if recipe.test is None:
        return own
    test = listed(recipe.test)
    training = [case for case in own.cases if case.split != "test"]
    cases = [*training, *(replace(case, split="test") for case in test.cases)]
    return Listed(cases, [*own.findings, *test.findings])


def preflight(recipe: Recipe, split: Split, accept: Collection[str], display: Display) -> Split:
    """Check whom a recipe is trained and tested on; return them as they are to be read.

    Raises:
        InputError: Something is wrong that `accept` does not name; the first of it is told.
    """
    as_read = accepting_split(split, accept)
    raise_on_errors(collect_findings(recipe, as_read, accept, display), display)
    return as_read


def accepting_split(split: Split, accept: Collection[str]) -> Split:
    """Return the cases as they are read where the findings `accept` are accepted.

    Raises:
        InputError: One of them cannot be.
    """
    check_acceptable(accept)

    def read(cases: Sequence[Case]) -> tuple[Case, ...]:
        return tuple(accepting(case, accept) for case in cases)

    by_stage = {stage: read(cases) for stage, cases in split.by_stage.items()}
    return Split(read(split.train), read(split.test), by_stage)


def collect_findings(
    recipe: Recipe, split: Split, accept: Collection[str], display: Display
) -> list[Finding]:
    """Return what is found in the files of a split, the worst first.

    Of a training case only those masks are opened that a stage may learn from.
    """
    found: list[Finding] = []
    tested = [replace(case, split="test") for case in split.test]
    for stages in recipe.by_cohort:
        training = split.learnt_from(next(iter(stages)))
        found += check(
            [*_as_trained(recipe, stages.values(), training), *tested],
            expected_by(recipe, stages.values()),
            accept,
            lambda facts, number: display.track("checking scans", facts, number),
        )
    return accepted(dict.fromkeys(found), accept)


def raise_on_errors(found: Sequence[Finding], display: Display) -> None:
    """Tell the warnings; raise `InputError` with the first error, and how many there are."""
    _tell([finding for finding in found if finding.severity == "warning"], display)
    errors = [f for f in found if f.severity == "error" and f.name not in DEFERRED]
    if errors:
        raise InputError(_refusal(errors))


def _as_trained(recipe: Recipe, stages: Collection[Stage], cases: Sequence[Case]) -> list[Case]:
    """Return training cases with the masks that `stages` may read, and no other."""
    strong = [stage for stage in stages if isinstance(stage, MasksStage)]
    seen = {name for stage in strong for name in stage.classes}
    seen |= {region.mask for region in recipe.regions.values() if isinstance(region, FileRegion)}
    unseen = [set(case.masks) - seen for case in cases]
    return [
        replace(case.without_masks(names), split="train")
        for case, names in zip(cases, unseen, strict=True)
    ]


def _mask_of(recipe: Recipe, region: str | None) -> str:
    """Name the mask that a region is read from, or would be found in a case that has it."""
    named = recipe.regions.get(region or "")
    return named.mask if isinstance(named, FileRegion) else region or ""


def _tell(warnings: Sequence[Finding], display: Display) -> None:
    for name in dict.fromkeys(finding.name for finding in warnings):
        same = [finding for finding in warnings if finding.name == name]
        for finding in same[:MOST_WARNINGS]:
            display.warn(f"{finding.sentence} [{name}]")
        if len(same) > MOST_WARNINGS:
            display.warn(
                f"{len(same) - MOST_WARNINGS} more [{name}]; `wsseg data check` lists them"
            )


def _refusal(errors: Sequence[Finding]) -> str:
    first = errors[0]
    lines = [first.sentence]
    if first.acceptable:
        lines.append(f"To train all the same: --accept {first.name}")
    if len(errors) > 1:
        lines.append(f"{len(errors)} errors in all; `wsseg data check RECIPE` lists them")
    return "\n".join(lines)
