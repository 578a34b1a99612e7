"""The trackers that ship with wsseg: TensorBoard, MLflow, and Weights & Biases."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from wsseg.core.tracker import TrackedRun, Tracker
from wsseg.errors import InputError, one_line


@contextmanager
def _opening(tracker: str) -> Iterator[None]:
    """Report any error while a tracker is opened as an `InputError`."""
    try:
        yield
    except ImportError:
        raise InputError(
            f"track: {tracker} is not installed: pip install 'wsseg[{tracker}]'"
        ) from None
    except Exception as error:
        raise InputError(f"track: {tracker} cannot record the run ({one_line(error)})") from error


@final
class TensorBoard(Tracker):
    """TensorBoard: event files in the folder `tensorboard` of the run.

    Show them with `tensorboard --logdir runs`. Needs `pip install 'wsseg[tensorboard]'`.
    """

    def open(self, folder: Path, name: str) -> TrackedRun:
        """Open the logger of Lightning Fabric for TensorBoard."""
        with _opening("tensorboard"):
            from lightning_fabric.loggers.tensorboard import TensorBoardLogger

            logger = TensorBoardLogger(folder, name="tensorboard", version="")
            return _TensorBoardRun(logger, name)


class _TensorBoardRun(TrackedRun):
    def __init__(self, logger: Any, name: str) -> None:
        self._logger, self._name = logger, name
        self._writer = logger.experiment

    def recipe(self, text: str) -> None:
        self._writer.add_text("recipe", f"```yaml\n{text}\n```")

    def metrics(self, values: Mapping[str, float], epoch: int) -> None:
        self._logger.log_metrics(dict(values), epoch)

    def warning(self, text: str, epoch: int) -> None:
        self._writer.add_text("warnings", text, epoch)

    def picture(self, name: str, pixels: NDArray[np.uint8], epoch: int) -> None:
        self._writer.add_image(name, pixels, epoch, dataformats="HWC")

    def close(self) -> None:
        self._logger.finalize("success")


@final
class MLflow(Tracker):
    """MLflow: a run of an experiment, on a server or in a local store.

    Needs `pip install 'wsseg[mlflow]'`.
    """

    experiment: str = "wsseg"
    """The name of the experiment, which is created if it does not exist."""
    uri: str | None = None
    """The tracking server or store, such as http://localhost:5000; null: the environment variable
    MLFLOW_TRACKING_URI, or MLflow's default."""

    def open(self, folder: Path, name: str) -> TrackedRun:  # noqa: ARG002 - has its own store
        """Create a run with MLflow's client."""
        with _opening("mlflow"):
            from mlflow import MlflowClient

            client = MlflowClient(self.uri)
            found = client.get_experiment_by_name(self.experiment)
            experiment = found.experiment_id if found else client.create_experiment(self.experiment)
            return _MLflowRun(client, client.create_run(experiment, run_name=name).info.run_id)


class _MLflowRun(TrackedRun):
    def __init__(self, client: Any, run: str) -> None:
        self._client, self._run = client, run

    def recipe(self, text: str) -> None:
        self._client.log_text(self._run, text, "recipe.txt")

    def metrics(self, values: Mapping[str, float], epoch: int) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def warning(self, text: str, epoch: int) -> None:
        self._client.set_tag(self._run, f"warning after epoch {epoch}", text)

    def picture(self, name: str, pixels: NDArray[np.uint8], epoch: int) -> None:
        self._client.log_image(self._run, pixels, f"{name}/epoch-{epoch}.png")

    def close(self) -> None:
        self._client.set_terminated(self._run)


@final
class WandB(Tracker):
    """Weights & Biases: a run of a project, by default only written to the folder of the run.

    `wandb sync runs/NAME/wandb/offline-*` uploads it later. Needs `pip install 'wsseg[wandb]'`.
    """

    project: str = "wsseg"
    """The name of the project."""
    mode: Literal["offline", "online"] = "offline"
    """online: everything is uploaded during training; first log in with `wandb login`."""

    def open(self, folder: Path, name: str) -> TrackedRun:
        """Start a run with wandb, which sends neither code nor the output of the terminal."""
        with _opening("wandb"):
            import wandb

            settings = wandb.Settings(
                silent=True, console="off", disable_git=True, save_code=False, program=os.devnull
            )
            run = wandb.init(
                project=self.project,
                name=name,
                dir=folder,
                mode=self.mode,
                reinit="create_new",
                settings=settings,
            )
            return _WandBRun(run)


class _WandBRun(TrackedRun):
    """Logs the epoch as a value, because wandb's own steps can only increase."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def recipe(self, text: str) -> None:
        self._run.config.update({"recipe": text})

    def metrics(self, values: Mapping[str, float], epoch: int) -> None:
        self._run.log({**values, "epoch": epoch})

    def warning(self, text: str, epoch: int) -> None:
        self._run.log({"warning": text, "epoch": epoch})

    def picture(self, name: str, pixels: NDArray[np.uint8], epoch: int) -> None:
        import wandb

        self._run.log({name: wandb.Image(pixels), "epoch": epoch})

    def close(self) -> None:
        self._run.finish()
