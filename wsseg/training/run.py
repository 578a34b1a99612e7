"""Training of a recipe's stages, in order, into the folder of a run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from lightning_fabric import Fabric

from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import check_can_be_saved, holds_recipe, recipe_text
from wsseg.config.stages import MasksStage, Stage, stops_early
from wsseg.core.case import Case
from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.contracts import built_module, cases_of
from wsseg.data.checks.regions import log_region_findings
from wsseg.data.prepare import Prepared, prepare, prepare_mask
from wsseg.data.split import Split, by_column
from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder
from wsseg.inference.pipeline import Pipeline
from wsseg.inference.run import Run, load_run
from wsseg.runtime.collectives import leader_first
from wsseg.runtime.console import Display
from wsseg.runtime.device import open_fabric
from wsseg.runtime.files import remove_leftovers, write_json, write_text
from wsseg.runtime.folder_lock import lock_folder
from wsseg.training.context import RunContext
from wsseg.training.log import read_log
from wsseg.training.manifest import manifest
from wsseg.training.preflight import accepting_split, preflight, require_files
from wsseg.training.stage import train_stage
from wsseg.training.stage_identity import backbone_of, weights_files
from wsseg.training.stage_task import stage_task
from wsseg.training.target_health import NOT_A_RESULT, final_problems
from wsseg.training.tracking import tracked
from wsseg.training.training_set import require_labels

SCANS_AT_ONCE = 2  # prepared in parallel, each in its own thread


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    display: Display | None = None,
    accept: Collection[str] = (),
) -> Run:
    """Train a recipe on its cohort into the new folder `out`, and load the run.

    The scans are checked first, as by `wsseg data check`; `accept` names findings to ignore.

    Raises:
        InputError: The recipe does not fit its cohort, or `out` already holds a run.
        WorkError: Training failed or was interrupted.

    Example:
        >>> from wsseg import load_recipe, train
        >>> run = train(load_recipe("recipe.yaml", ["stages.tumour.epochs=1"]), out="runs/second")
        >>> run.predict("scan.nii.gz").mask.voxels.shape
        (4, 24, 24)
    """
    context = RunContext(RunFolder(Path(out)), display or Display())
    train_stages(recipe, split_of(recipe), context, resume=False, accept=accept)
    return load_run(out)


def train_stages(
    recipe: Recipe,
    split: Split,
    context: RunContext,
    *,
    resume: bool,
    accept: Collection[str] = (),
) -> None:
    """Check the cases of `split`, and train every stage of a recipe on its training cases.

    In a group of processes, only the leader locks the folder, checks the cases and writes files.

    Raises:
        InputError: The recipe does not fit its cases or cannot be saved, or the folder is in use or
            holds another run.
        WorkError: Training failed or was interrupted.
    """
    check_can_be_saved(recipe)
    if not context.group.is_leader:
        train_selected_stages(recipe, accepting_split(split, accept), context, recipe.stages)
        return
    folder = context.folder
    with lock_folder(folder.path):
        _check_folder(recipe, folder, resume=resume)
        remove_leftovers(folder.path)
        split = preflight(recipe, split, accept, context.display)
        training_cases = train_selected_stages(recipe, split, context, recipe.stages)
        write_json(folder.manifest, manifest(recipe, split, training_cases, accept))
        _warn_of_collapse(context)


def train_selected_stages(
    recipe: Recipe, split: Split, context: RunContext, names: Collection[str]
) -> dict[str, Sequence[str]]:
    """Train the named stages; return the names of the cases that each learnt from.

    `names` must include the stages that the named ones build on, and the caller must hold the
    lock of the run's folder.

    Raises:
        InputError: The recipe does not fit its cases.
        WorkError: Training failed or was interrupted.
    """
    _check_pretrained(recipe, names)
    fabric = open_fabric(recipe.precision, context.group)
    cases = leader_first(fabric, lambda: prepare_cases(recipe, split, names, context.display))
    if context.group.is_leader:
        write_text(context.folder.recipe, recipe_text(recipe))
    _check_same_channels(each for name in names for each in cases[name])
    with tracked(recipe, context) as recorded:
        return _train_in_order(recipe, {name: cases[name] for name in names}, fabric, recorded)


def _train_in_order(
    recipe: Recipe, cases: Mapping[str, list[Prepared]], fabric: Fabric, context: RunContext
) -> dict[str, Sequence[str]]:
    """Train the stages of `cases`; return the names of the cases that each learnt from."""
    pipeline = Pipeline(recipe.regions, {}, recipe.input, fabric)
    training_cases: dict[str, Sequence[str]] = {}
    for name in (each for each in recipe.stages if each in cases):
        task = stage_task(recipe, name, cases[name], pipeline)
        training_cases[name] = [scan.name for scan in task.scans]
        pipeline = pipeline.with_stage(train_stage(task, context))
    return training_cases


def split_of(recipe: Recipe) -> Split:
    """Return the training, validation and test cases that the recipe's cohorts define.

    Raises:
        InputError: A file is missing, a patient is in two sets, or no case is for training.
    """
    require_files([recipe])
    own = by_column(cases_of(recipe.cohort))
    test = own.test if recipe.test is None else tuple(cases_of(recipe.test))
    if recipe.own_stages and not own.train:
        raise InputError(
            "the cohort has no training cases: the split of each case is 'val' or 'test'; set the "
            "split of some cases to 'train'"
        )
    return Split(own.train, test, cases_by_stage(recipe), own.validation)


def cases_by_stage(recipe: Recipe) -> dict[str, tuple[Case, ...]]:
    """Return the training cases of each stage with a cohort of its own."""
    stages = recipe.stages.items()
    own = {name: stage.cohort for name, stage in stages if stage.cohort is not None}
    return {name: by_column(cases_of(cohort)).train for name, cohort in own.items()}


def prepare_all(
    cases: Sequence[Case], recipe: Recipe, stages: Collection[Stage], display: Display
) -> list[Prepared]:
    """Resample cases, and the regions and masks that `stages` use, to the network's grid."""
    used, labels = {recipe.input.mask}, set[str]()
    for stage in stages:
        used |= {stage.region, getattr(stage, "region_in_training", None)}
        labels |= set(stage.classes) if isinstance(stage, MasksStage) else set()

    regions = {name: region for name, region in recipe.regions.items() if name in used}

    def prepare_one(case: Case) -> Prepared:
        prepared = prepare(case, recipe.input, recipe.regions, regions)
        for name in labels & set(case.masks):
            prepare_mask(prepared, name)
        return prepared

    with ThreadPoolExecutor(SCANS_AT_ONCE) as pool:  # after an error, threads finish their files
        prepared = pool.map(prepare_one, cases)
        found = list(display.track("preparing cases", prepared, len(cases)))
    for each in found:
        log_region_findings(each, regions)
    return found


def prepare_cases(
    recipe: Recipe, split: Split, names: Collection[str], display: Display
) -> dict[str, list[Prepared]]:
    """Prepare the cases of the named stages; stages with the same cohort share training cases.

    For a stage that stops early, the list ends with the validation cases, whose split is "val".

    Raises:
        InputError: A stage that stops early has no validation case.
    """
    prepared: dict[str, list[Prepared]] = {}
    for stages in recipe.stages_by_cohort:
        if stages.keys().isdisjoint(names):
            continue
        hidden = recipe.hidden_classes(stages.values())
        visible = [case.without_masks(hidden) for case in split.training_cases(next(iter(stages)))]
        cases = prepare_all(visible, recipe, stages.values(), display)
        require_labels(stages, cases)
        prepared |= dict.fromkeys(stages, cases)
    early = {name: recipe.stages[name] for name in prepared if stops_early(recipe.stages[name])}
    if early:
        hidden = recipe.hidden_classes(early.values())
        seen = [replace(case.without_masks(hidden), split="val") for case in split.validation]
        validation = prepare_all(seen, recipe, early.values(), display)
        for name in early:
            if not validation:
                raise InputError(
                    f"stage {name}: early_stopping needs validation cases; set the split of some "
                    "cases to val, or remove early_stopping"
                )
            prepared[name] = [*map(_for_training, prepared[name]), *validation]
    return prepared


def _for_training(prepared: Prepared) -> Prepared:
    return replace(prepared, case=replace(prepared.case, split="train"))


def _check_pretrained(recipe: Recipe, names: Collection[str]) -> None:
    """Build each network that loads weights from files once, before any stage is trained.

    Raises:
        InputError: A file is missing or damaged, or does not fit the network.
    """
    for name in (each for each in names if weights_files(recipe, each)):
        backbone = backbone_of(recipe.stages, name)
        channels = len(recipe.input.channels or ONE_CHANNEL)
        planes, classes = channels * recipe.input.slices, len(recipe.stages[name].classes)
        built_module(backbone, planes, classes)


def _check_same_channels(cases: Iterable[Prepared]) -> None:
    """Raise `InputError` if the images of two cases have different channels."""
    first: Prepared | None = None
    for each in cases:
        first = first or each
        if each.channels != first.channels:
            raise InputError(
                f"the image of case {first.case.name} has the channels "
                f"{', '.join(first.channels)}, but that of case {each.case.name} has "
                f"{', '.join(each.channels)}.\n"
                "Set input.channels to channels that all cases have"
            )


def _warn_of_collapse(context: RunContext) -> None:
    """Warn about each stage whose last targets have collapsed or fill the region."""
    log = context.folder.log
    for stage, problem in final_problems(read_log(log) if log.exists() else ()).items():
        context.display.warn(f"stage {stage}: {problem}: {NOT_A_RESULT}")


def _check_folder(recipe: Recipe, folder: RunFolder, *, resume: bool) -> None:
    """Raise `InputError` if a run must not be started or resumed in a folder."""
    if folder.recipe.exists() and not resume:
        raise InputError(
            f"{folder.path}: already contains a run; resume it with --resume, or choose another "
            "--out"
        )
    if folder.recipe.exists() and not holds_recipe(folder.recipe, recipe):
        raise InputError(
            f"{folder.recipe}: this recipe differs from the given one; choose another --out"
        )
