"""The choice of settings for one job, by trials on cases outside the test set.

Stages that do not depend on the settings are trained once, and scans are prepared once: a trial of
a threshold only thresholds again.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wsseg.components.registry import registry
from wsseg.config.settings import Settings
from wsseg.config.stages import upstream
from wsseg.core.case import Case
from wsseg.data.prepare import Prepared, prepare
from wsseg.errors import InputError
from wsseg.evaluation.selection import Candidate
from wsseg.inference.checkpoint import load_stage
from wsseg.inference.pipeline import Pipeline
from wsseg.runtime.console import SilentDisplay
from wsseg.runtime.device import open_fabric
from wsseg.runtime.files import fingerprint, sha256
from wsseg.suite.definition import Job
from wsseg.suite.folder import TuningFolder
from wsseg.suite.job import split_of_job
from wsseg.suite.tuning import ChosenSettings, Tuning, is_range, with_settings
from wsseg.training.context import RunContext
from wsseg.training.run import prepare_cases, train_selected_stages
from wsseg.training.stage import train_stage
from wsseg.training.stage_task import stage_task

if TYPE_CHECKING:
    import optuna

DIGITS = 3  # significant digits of a chosen number
SECONDS_PER_HOUR = 3600


def require_optuna() -> None:
    """Raise `InputError` if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise InputError("choosing settings needs Optuna: pip install 'wsseg[tune]'") from None


def choose_settings(
    job: Job, tuning: Tuning, folder: TuningFolder, context: RunContext, accept: Collection[str]
) -> ChosenSettings:
    """Try settings until the budget is used up, and save the best ones.

    Finished trials are kept: after an interruption or with a larger budget, only the rest are run.

    Raises:
        InputError: No case is left for the criterion, or it is undefined for all settings.
        WorkError: Training failed or was interrupted.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    criterion, identity = tuning.criterion_of(job.recipe), tuning.identity(job.recipe, job.split)
    split = split_of_job(job, accept)
    cases = split.validation if tuning.on == "validation" else split.train
    if not cases:
        raise InputError(
            f"{job.folder}: there are no {tuning.on} cases to choose settings on; set the split of "
            "some cases to val, or set folds: {n: 5, inner: 4}"
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder.trials))),
        study_name=identity,
        direction=tuning.goal,
        load_if_exists=True,
    )
    if _is_unfinished(study, tuning):
        visible = [criterion.visible(case) for case in cases]
        trials = _Trials.of_job(job, tuning, visible, context, accept)
        while _is_unfinished(study, tuning):
            trials.run_next(study, identity)
    try:
        best = study.best_trial
    except ValueError:
        raise InputError(
            f"{job.folder}: the criterion {tuning.criterion} is undefined for all settings that "
            "were tried; choose another criterion"
        ) from None
    chosen = ChosenSettings(
        settings=_values(tuning, best.params),
        tried=tuning.settings,
        criterion=tuning.criterion,
        value=study.best_value,
        trials=len(_finished(study)),
        chosen_from=tuning.chosen_from,
        cases=[case.name for case in cases],
        files=[
            {
                "stage": criterion.stage_name,
                "case": case.name,
                "use": "choice of settings",
                "path": str(path),
                "sha256": sha256(path),
            }
            for case in cases
            for name, path in case.masks.items()
            if name in criterion.annotations
        ],
        identity=identity,
    )
    chosen.save(folder)
    return chosen


@dataclass(frozen=True)
class _Trials:
    """The data and stages that all trials of a job share."""

    job: Job
    tuning: Tuning
    pipeline: Pipeline  # with the stages that do not depend on the settings
    tried: Sequence[str]  # the other stages up to the one that is measured
    training_cases: dict[str, list[Prepared]]  # of each of `tried`
    cases: Sequence[Prepared]  # that the criterion is computed on
    context: RunContext

    @classmethod
    def of_job(
        cls,
        job: Job,
        tuning: Tuning,
        cases: Sequence[Case],
        context: RunContext,
        accept: Collection[str],
    ) -> "_Trials":
        """Train the stages that all trials share, and prepare all scans."""
        recipe, split = job.recipe, split_of_job(job, accept)
        last = tuning.criterion_of(recipe).stage_name
        needed = [*upstream(recipe.stages, last), last]
        tried = [name for name in needed if name in tuning.tried_stages(recipe)]
        shared = [name for name in needed if name not in tried]
        train_selected_stages(recipe, split, context, shared)
        stages = {name: load_stage(context.folder.stage(name)) for name in shared}
        prepared = (prepare(case, recipe.input, recipe.regions, recipe.regions) for case in cases)
        return cls(
            job=job,
            tuning=tuning,
            pipeline=Pipeline(recipe.regions, stages, recipe.input, open_fabric(recipe.precision)),
            tried=tried,
            training_cases=prepare_cases(recipe, split, tried, context.display),
            cases=list(context.display.track("preparing cases", prepared, len(cases))),
            context=context,
        )

    def run_next(self, study: "optuna.Study", identity: str) -> None:
        """Run one more trial. Its random numbers depend only on the study and its number."""
        import optuna

        number = len(_finished(study))
        seed = int(fingerprint([identity, number])[:8], 16)
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        if number == 0 and (own := _own_parameters(self.job, self.tuning)) is not None:
            study.enqueue_trial(own)
        trial = study.ask()
        parameters = {
            key: _suggested(trial, key, self.tuning, _own_value(self.job, key))
            for key in self.tuning.settings
        }
        values = _values(self.tuning, parameters)
        value = self._value(values)
        if value == value:  # noqa: PLR0124 - not NaN
            study.tell(trial, value)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        best = max if self.tuning.goal == "maximize" else min
        if value == best(
            [each.value for each in _finished(study) if each.value is not None], default=None
        ):
            text = ", ".join(f"{key.rpartition('.')[2]} {each}" for key, each in values.items())
            self.context.display.note(
                f"  trial {number + 1}: {self.tuning.criterion} {value:.4g} with {text}"
            )

    def _value(self, values: dict[str, Any]) -> float:
        recipe, pipeline = with_settings(self.job.recipe, values), self.pipeline
        context = replace(self.context, display=SilentDisplay())
        for name in self.tried:
            task = stage_task(recipe, name, self.training_cases[name], pipeline)
            pipeline = pipeline.with_stage(train_stage(task, context))
        candidate = Candidate(recipe, pipeline, self.tried)
        return self.tuning.criterion_of(recipe).value(candidate, self.cases)


def _finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Return the finished trials; an interrupted one remains "running"."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def _is_unfinished(study: "optuna.Study", tuning: Tuning) -> bool:
    finished = _finished(study)
    seconds = sum(trial.duration.total_seconds() for trial in finished if trial.duration)
    in_time = tuning.hours is None or seconds < tuning.hours * SECONDS_PER_HOUR
    return len(finished) < tuning.trials and in_time


def _suggested(trial: "optuna.Trial", key: str, tuning: Tuning, own: Any) -> Any:
    """Return Optuna's parameter for a key: a number of a range, or the index of a choice."""
    values = tuning.settings[key]
    if not is_range(values):
        return trial.suggest_categorical(key, list(range(len(values))))
    if all(type(each) is int for each in (own, *values)):
        return trial.suggest_int(key, *values)
    return trial.suggest_float(key, *values)


def _values(tuning: Tuning, parameters: dict[str, Any]) -> dict[str, Any]:
    """Convert parameters of Optuna to settings; numbers are rounded."""
    return {
        key: _rounded(parameters[key], values) if is_range(values) else values[parameters[key]]
        for key, values in tuning.settings.items()
    }


def _rounded(number: float, bounds: list[Any]) -> float:
    if isinstance(number, int):
        return number
    return float(min(max(float(f"{number:.{DIGITS}g}"), bounds[0]), bounds[1]))


def _own_parameters(job: Job, tuning: Tuning) -> dict[str, Any] | None:
    """Return the recipe's own settings as parameters; None if they are not among those to try."""
    parameters: dict[str, Any] = {}
    for key, values in tuning.settings.items():
        own = _own_value(job, key)
        if is_range(values):
            if not (isinstance(own, int | float) and values[0] <= own <= values[1]):
                return None
            parameters[key] = own
        else:
            if own not in values:
                return None
            parameters[key] = values.index(own)
    return parameters


def _own_value(job: Job, key: str) -> Any:
    """Return the recipe's value of a key; None if it has none."""
    settings = Settings(registry().describe(job.recipe))
    value: Any = settings.values
    with suppress(KeyError, TypeError):
        for word in settings.split(key):
            value = value[word]
        return value
    return None
