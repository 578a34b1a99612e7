"""Checks of a recipe's cohorts, made by `wsseg data check` and before training."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, product

from wsseg.components.regions import FileRegion
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage, MasksStage, NetworkStage, Stage
from wsseg.core.case import Case
from wsseg.core.contracts import cases_of
from wsseg.core.interfaces import Cohort, Synthetic
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import (
    Finding,
    case_with_accepted,
    check_acceptable,
    with_accepted,
)
from wsseg.data.checks.run import CaseList, check_cases, list_cases
from wsseg.data.split import Split
from wsseg.errors import InputError
from wsseg.runtime.console import Display

DEFERRED = ("no-labels",)  # findings that a stage itself reports in more detail
MOST_WARNINGS = 3  # shown one by one for each name


def expected_by(recipe: Recipe, stages: Collection[Stage]) -> Expectations:
    """Return what stages of a recipe expect of the cohort that they learn from."""
    learning = [stage for stage in stages if isinstance(stage, NetworkStage)]
    weak = [stage.classes for stage in learning if not isinstance(stage, MasksStage)]
    ignoring = [
        stage.classes
        for stage in learning
        if not isinstance(stage, MasksStage)
        and not (isinstance(stage, EmStage) and stage.estep.takes_bounds)
    ]
    inside: dict[str, str] = {}
    for stage in stages:
        region = recipe.stages.get(stage.region or "")
        outer = [_mask_of(recipe, stage.region)] if region is None else region.classes
        if len(outer) == 1:
            inside |= dict.fromkeys(stage.classes, outer[0])
    return Expectations(
        input=recipe.input,
        tags=tuple(dict.fromkeys(chain(*weak))),
        ignoring_shares=tuple(dict.fromkeys(chain(*ignoring))),
        masks=tuple(tuple(s.classes) for s in learning if isinstance(s, MasksStage)),
        inside={inner: outer for inner, outer in inside.items() if inner != outer},
    )


def lists_of_cases(recipe: Recipe) -> Iterator[tuple[CaseList, Expectations]]:
    """Yield the cases of each cohort of a recipe, with the test cases, and what they must have.

    The recipe's own cohort comes first, followed by the cohorts of single stages.
    """
    shared = _list_own_cases(recipe)
    tested = [case for case in shared.cases if case.split == "test"]
    expected = expected_by(recipe, recipe.own_stages.values())
    _check_scribbles(recipe.own_stages, shared.cases)
    yield shared, replace(expected, regions=recipe.regions)
    for name, stage in recipe.stages.items():
        if stage.cohort is not None:
            own = list_cases(stage.cohort)
            training = [case for case in own.cases if case.split != "test"]
            expected = replace(expected_by(recipe, [stage]), regions=recipe.regions)
            _check_scribbles({name: stage}, training)
            yield CaseList([*training, *tested], own.findings), expected


def _list_own_cases(recipe: Recipe) -> CaseList:
    """List the cases of a recipe's `cohort` and `test`; the latter are test cases."""
    if recipe.test is None:
        return list_cases(recipe.cohort)
    if _is_drawn(recipe.cohort):  # a missing file of `test` is reported before generation
        test, own = list_cases(recipe.test), list_cases(recipe.cohort)
    else:
        own, test = list_cases(recipe.cohort), list_cases(recipe.test)
    training = [case for case in own.cases if case.split != "test"]
    cases = [*training, *(replace(case, split="test") for case in test.cases)]
    return CaseList(cases, [*own.findings, *test.findings])


def require_files(recipes: Iterable[Recipe]) -> None:
    """Check that the cohorts read from files can be listed, before any cohort is generated.

    Raises:
        InputError: A cohort cannot be read, for example because a file is missing.
    """
    listed: list[Cohort] = []
    for recipe in recipes:
        own = (stage.cohort for stage in recipe.stages.values())
        for cohort in (recipe.cohort, recipe.test, *own):
            if not (cohort is None or cohort in listed or _is_drawn(cohort)):
                cases_of(cohort)
                listed.append(cohort)


def _is_drawn(cohort: Cohort) -> bool:
    """Return whether a cohort, or one that it wraps, is generated on first use."""
    parts = (getattr(cohort, name) for name in type(cohort).model_fields)
    wrapped = (part for part in parts if isinstance(part, Cohort))
    return isinstance(cohort, Synthetic) or any(map(_is_drawn, wrapped))


def preflight(recipe: Recipe, split: Split, accept: Collection[str], display: Display) -> Split:
    """Check the cases of a recipe; return them with the accepted findings taken into account.

    Raises:
        InputError: There is an error that `accept` does not name; the first one is reported.
    """
    as_read = accepting_split(split, accept)
    raise_on_errors(collect_findings(recipe, as_read, accept, display), display)
    return as_read


def accepting_split(split: Split, accept: Collection[str]) -> Split:
    """Return the cases as they are read when the findings named by `accept` are ignored.

    Raises:
        InputError: A finding cannot be ignored.
    """
    check_acceptable(accept)

    def read(cases: Sequence[Case]) -> tuple[Case, ...]:
        return tuple(case_with_accepted(case, accept) for case in cases)

    by_stage = {stage: read(cases) for stage, cases in split.by_stage.items()}
    return Split(read(split.train), read(split.test), by_stage, read(split.validation))


def collect_findings(
    recipe: Recipe, split: Split, accept: Collection[str], display: Display
) -> list[Finding]:
    """Return the findings in the files of a split, the most severe first.

    For training cases, only the masks that a stage may read are opened; for validation cases, only
    the masks of regions.

    Raises:
        InputError: A file of scribbles is a true mask.
    """
    found: list[Finding] = []
    validation = [replace(c, split="val") for c in _as_trained(recipe, (), split.validation)]
    tested = [replace(case, split="test") for case in split.test]
    for stages in recipe.stages_by_cohort:
        training = split.training_cases(next(iter(stages)))
        _check_scribbles(stages, training)
        found += check_cases(
            [*_as_trained(recipe, stages.values(), training), *validation, *tested],
            expected_by(recipe, stages.values()),
            accept,
            lambda facts, number: display.track("checking scans", facts, number),
        )
    return with_accepted(dict.fromkeys(found), accept)


def _check_scribbles(stages: Mapping[str, Stage], cases: Sequence[Case]) -> None:
    """Raise `InputError` if a stage would read a true mask of its classes as scribbles."""
    weak = {name: stage for name, stage in stages.items() if not isinstance(stage, MasksStage)}
    for (name, stage), case in product(weak.items(), cases):
        masks = {path.resolve(): key for key, path in case.masks.items() if key in stage.classes}
        for each in stage.classes:
            if each in case.scribbles and (mask := masks.get(case.scribbles[each].resolve())):
                raise InputError(
                    f"stage {name}, case {case.name}: scribble.{each} is the file of mask.{mask}, "
                    "which a stage that learns without masks must not read.\n"
                    "Enter a file of scribbles, or set learn: masks"
                )


def raise_on_errors(found: Sequence[Finding], display: Display) -> None:
    """Show the warnings; raise `InputError` with the first error and the number of errors."""
    _show_warnings([finding for finding in found if finding.severity == "warning"], display)
    errors = [f for f in found if f.severity == "error" and f.name not in DEFERRED]
    if errors:
        raise InputError(_error_text(errors))


def _as_trained(recipe: Recipe, stages: Collection[Stage], cases: Sequence[Case]) -> list[Case]:
    """Return training cases with only the masks that `stages` may read."""
    strong = [stage for stage in stages if isinstance(stage, MasksStage)]
    visible = {name for stage in strong for name in stage.classes}
    visible |= {region.mask for region in recipe.regions.values() if isinstance(region, FileRegion)}
    hidden = [set(case.masks) - visible for case in cases]
    return [
        replace(case.without_masks(names), split="train")
        for case, names in zip(cases, hidden, strict=True)
    ]


def _mask_of(recipe: Recipe, region: str | None) -> str:
    """Return the name of the mask of a region: the one it is read from, or its own name."""
    named = recipe.regions.get(region or "")
    return named.mask if isinstance(named, FileRegion) else region or ""


def _show_warnings(warnings: Sequence[Finding], display: Display) -> None:
    for name in dict.fromkeys(finding.name for finding in warnings):
        same = [finding for finding in warnings if finding.name == name]
        for finding in same[:MOST_WARNINGS]:
            display.warn(f"{finding.sentence} [{name}]")
        if len(same) > MOST_WARNINGS:
            display.warn(
                f"{len(same) - MOST_WARNINGS} more [{name}]; `wsseg data check` lists them"
            )


def _error_text(errors: Sequence[Finding]) -> str:
    first = errors[0]
    lines = [first.sentence]
    if first.acceptable:
        lines.append(f"To ignore this and train: --accept {first.name}")
    if len(errors) > 1:
        lines.append(f"{len(errors)} errors in total; `wsseg data check RECIPE` lists them")
    return "\n".join(lines)
