"""Trains a recipe's stages, one after the other, into a folder that can be used anywhere."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wsseg.config.recipe import Recipe, recipe_text
from wsseg.config.stages import MasksStage, PriorStage, Stage
from wsseg.core.case import Case
from wsseg.data.prepare import Prepared, prepare, prepare_mask
from wsseg.data.split import Split, by_column
from wsseg.errors import InputError
from wsseg.inference.checkpoint import Trained, load_stage
from wsseg.inference.run import Run, load_run
from wsseg.inference.stage_inputs import Regions, require_labels
from wsseg.runtime.collectives import leader_first
from wsseg.runtime.console import Display
from wsseg.runtime.device import open_fabric
from wsseg.runtime.files import remove_leftovers, write_json, write_text
from wsseg.runtime.folder_lock import lock_folder
from wsseg.training.manifest import manifest
from wsseg.training.preflight import accepting_split, preflight
from wsseg.training.stage import RunContext, fit_stage, train_stage

PREPARING = 2  # scans at a time


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    display: Display | None = None,
    accept: Collection[str] = (),
) -> Run:
    """Train `recipe` on its cohort into the new folder `out`, and open the run.

    The cohort is checked before; `accept` names findings to go on with.

    Raises:
        InputError: The recipe does not fit its cohort, or `out` holds a run already.
        WorkError: Training failed or was interrupted.
    """
    place = RunContext(Path(out), display or Display())
    train_stages(recipe, split_of(recipe), place, resume=False, accept=accept)
    return load_run(out)


def train_stages(
    recipe: Recipe,
    split: Split,
    place: RunContext,
    *,
    resume: bool,
    accept: Collection[str] = (),
) -> None:
    """Check the cases of `split` and train every stage of `recipe` on some, into `place.out`.

    Of a group of processes the leader locks, checks and writes; all train.

    Raises:
        InputError: The recipe does not fit its cases, or the folder is in use or holds another run.
        WorkError: Training failed or was interrupted.
    """
    if not place.group.is_leader:
        train_selected_stages(recipe, accepting_split(split, accept), place, recipe.stages)
        return
    with lock_folder(place.out):
        _check_new(recipe, place.out, resume=resume)
        remove_leftovers(place.out)
        split = preflight(recipe, split, accept, place.display)
        learnt = train_selected_stages(recipe, split, place, recipe.stages)
        about = manifest(recipe, split, learnt) | {"accepted": sorted(accept)}
        write_json(place.out / "manifest.json", about)


def train_selected_stages(
    recipe: Recipe, split: Split, place: RunContext, names: Collection[str]
) -> dict[str, Sequence[str]]:
    """Train the named stages, and say which cases each learnt from; what they need is among them.

    The folder is for the caller to lock.

    Raises:
        InputError: The recipe does not fit its cases.
        WorkError: Training failed or was interrupted.
    """
    fabric = open_fabric(recipe.precision, place.group)
    cases = leader_first(fabric, lambda: _cases_by_stage(recipe, split, names, place.display))
    if place.group.is_leader:
        write_text(place.out / "recipe.yaml", recipe_text(recipe))
    done: dict[str, Trained] = {}
    learnt: dict[str, Sequence[str]] = {}
    for name, stage in recipe.stages.items():
        if name not in names:
            continue
        regions = Regions(recipe.regions, done, recipe.input, fabric)
        if isinstance(stage, PriorStage):
            learnt[name] = fit_stage(name, stage, recipe, cases[name], regions, place)
        else:
            learnt[name] = train_stage(name, stage, recipe, cases[name], regions, place)
        done[name] = load_stage(place.out / "stages" / name)
    return learnt


def split_of(recipe: Recipe) -> Split:
    """Return who is trained on and who is tested on, as the recipe's cohorts say.

    Raises:
        InputError: A patient is in both, or nobody is left to train on.
    """
    own = by_column(recipe.cohort.cases())
    test = own.test if recipe.test is None else tuple(recipe.test.cases())
    if recipe.together and not own.train:
        raise InputError("the cohort has no case to train on: its split is 'test' throughout")
    return Split(own.train, test, cases_by_stage(recipe))


def cases_by_stage(recipe: Recipe) -> dict[str, tuple[Case, ...]]:
    """Return the training cases of each stage that has a cohort of its own."""
    stages = recipe.stages.items()
    own = {name: stage.cohort for name, stage in stages if stage.cohort is not None}
    return {name: by_column(cohort.cases()).train for name, cohort in own.items()}


def prepare_all(
    cases: Sequence[Case], recipe: Recipe, stages: Collection[Stage], display: Display
) -> list[Prepared]:
    """Bring cases, and the regions and masks that `stages` use, to the network's grid."""
    used, labels = {recipe.input.mask}, set[str]()
    for stage in stages:
        used |= {stage.region, getattr(stage, "region_in_training", None)}
        labels |= set(stage.classes) if isinstance(stage, MasksStage) else set()

    find = [name for name in recipe.regions if name in used]

    def one(case: Case) -> Prepared:
        prepared = prepare(case, recipe.input, recipe.regions, find)
        for name in labels & set(case.masks):
            prepare_mask(prepared, name)
        return prepared

    with ThreadPoolExecutor(PREPARING) as pool:  # an error lets those at work finish their files
        return list(display.track("preparing scans", pool.map(one, cases), len(cases)))


def _cases_by_stage(
    recipe: Recipe, split: Split, names: Collection[str], display: Display
) -> dict[str, list[Prepared]]:
    """Prepare what the named stages learn from; stages of one cohort share its cases."""
    found: dict[str, list[Prepared]] = {}
    for stages in recipe.by_cohort:
        if stages.keys().isdisjoint(names):
            continue
        hidden = recipe.hidden_from(stages.values())
        seen = [case.without_masks(hidden) for case in split.learnt_from(next(iter(stages)))]
        cases = prepare_all(seen, recipe, stages.values(), display)
        require_labels(stages, cases)
        found |= dict.fromkeys(stages, cases)
    return found


def _check_new(recipe: Recipe, out: Path, *, resume: bool) -> None:
    path, text = out / "recipe.yaml", recipe_text(recipe)
    if path.exists() and not resume:
        raise InputError(
            f"{out}: holds a run already; go on with it by --resume, or choose another --out"
        )
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise InputError(f"{path}: is another recipe than this; choose another --out")
