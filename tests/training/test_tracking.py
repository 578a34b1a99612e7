"""Trackers: what TensorBoard, MLflow and Weights & Biases record of a run, and their failures."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typing_extensions import override

from wsseg.components.registry import Offer, make, registry
from wsseg.core.tracker import TrackedRun, Tracker
from wsseg.training.record_by_tracker import target_picture
from wsseg.training.target_snapshots import TargetSnapshot

if TYPE_CHECKING:
    from tests.conftest import Ended, Wsseg

CHANGES = ("stages.infection.epochs=2", "stages.consolidation.epochs=2")


class Recording(Tracker):
    """A tracker that keeps what it records."""

    calls: ClassVar[list[tuple[Any, ...]]] = []
    fails: bool = False

    @override
    def open(self, folder: Path, name: str) -> TrackedRun:
        self.calls[:] = [("open", folder, name)]
        return RecordingRun(self)


class RecordingRun(TrackedRun):
    def __init__(self, tracker: Recording) -> None:
        self.tracker = tracker

    @override
    def recipe(self, text: str) -> None:
        self.tracker.calls.append(("recipe", text))

    @override
    def metrics(self, values: Mapping[str, float], epoch: int) -> None:
        if self.tracker.fails:
            raise ConnectionError("no answer")
        self.tracker.calls.append(("metrics", dict(values), epoch))

    @override
    def warning(self, text: str, epoch: int) -> None:
        self.tracker.calls.append(("warning", text, epoch))

    @override
    def picture(self, name: str, pixels: NDArray[np.uint8], epoch: int) -> None:
        self.tracker.calls.append(("picture", name, pixels.shape, epoch))

    @override
    def close(self) -> None:
        self.tracker.calls.append(("close",))


@pytest.fixture(autouse=True)
def _offered(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer("recording", Tracker, Recording, "test", "test 1.0")
    monkeypatch.setitem(registry().offers, (Tracker, "recording"), offer)


def train(wsseg: "Wsseg", recipe: Path, out: Path, *changes: str) -> "Ended":
    words = [word for each in (*CHANGES, *changes) for word in ("--set", each)]
    return wsseg("train", recipe, "--out", out, *words)


def called(name: str) -> list[tuple[Any, ...]]:
    return [words for call, *words in Recording.calls if call == name]  # type: ignore[misc]


def test_a_tracker_gets_the_recipe_and_the_numbers_of_each_epoch_of_each_stage(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tracked"
    assert train(wsseg, toy_recipe, out, "track={use: recording}").code == 0
    assert Recording.calls[0] == ("open", out, "tracked")
    assert Recording.calls[-1] == ("close",)
    ((text,),) = called("recipe")
    assert text == (out / "recipe.yaml").read_text()
    epochs = [epoch for _, epoch in called("metrics")]
    assert epochs == [1, 2, 1, 2]
    names = [set(values) for values, _ in called("metrics")]
    assert {"infection/loss", "infection/lr"} <= names[0]
    assert {"consolidation/loss", "consolidation/probe_share"} <= names[3]
    assert called("picture") == []  # they show patients


def test_a_tracker_gets_pictures_of_targets_if_the_recipe_asks_for_them(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    track = "track={use: recording, pictures: true}"
    assert train(wsseg, toy_recipe, tmp_path / "run", track).code == 0
    pictures = called("picture")
    assert [(name, epoch) for name, _, epoch in pictures] == [
        ("consolidation/targets", epoch) for epoch in (0, 1, 2)
    ]
    assert all(shape[0] == 32 and shape[1] % 32 == 0 and shape[2] == 3 for _, shape, _ in pictures)


def test_a_tracker_changes_no_weight_and_training_continues_where_it_fails(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    assert train(wsseg, toy_recipe, tmp_path / "plain").code == 0
    ended = train(wsseg, toy_recipe, tmp_path / "run", "track={use: recording, fails: true}")
    assert ended.code == 0
    warning = "the tracker failed; the run is not recorded (ConnectionError: no answer)"
    assert " ".join(ended.err.split()).count(warning) == 1
    one, other = (
        (tmp_path / name / "stages/consolidation/weights.safetensors").read_bytes()
        for name in ("plain", "run")
    )
    assert one == other


@pytest.mark.parametrize("use", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_refused_before_training(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    for module in ("lightning_fabric.loggers.tensorboard", "mlflow", "wandb"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    ended = train(wsseg, toy_recipe, tmp_path / "run", f"track={{use: {use}}}")
    ended.refused(f"{use} is not installed: pip install 'wsseg[{use}]'")


def record(tracker: Tracker, folder: Path) -> None:
    run = tracker.open(folder, "first")
    run.recipe("seed: 0")
    run.metrics({"lesion/loss": 0.5}, 1)
    run.metrics({"lesion/loss": 0.25}, 2)
    run.warning("stage lesion: the targets collapsed", 2)
    run.picture("lesion/targets", np.full((4, 6, 3), 200, np.uint8), 2)
    run.close()


def test_tensorboard_has_metrics_warnings_pictures_and_the_recipe(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record(make(Tracker, "tensorboard"), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("lesion/loss")]
    assert losses == [(1, 0.5), (2, 0.25)]
    (picture,) = events.Images("lesion/targets")
    assert (picture.step, picture.height, picture.width) == (2, 4, 6)
    texts = {
        tag: [event.tensor_proto.string_val[0].decode() for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }
    assert texts["warnings/text_summary"] == ["stage lesion: the targets collapsed"]
    assert "seed: 0" in texts["recipe/text_summary"][0]


def test_mlflow_has_metrics_warnings_pictures_and_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    record(make(Tracker, "mlflow", experiment="toy", uri=uri), tmp_path)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    (run,) = client.search_runs([experiment])
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "lesion/loss")
    assert [(each.step, each.value) for each in history] == [(1, 0.5), (2, 0.25)]
    assert run.data.tags["warning after epoch 2"] == "stage lesion: the targets collapsed"
    files = {path.name: path for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert files["recipe.txt"].read_text() == "seed: 0"
    assert files["epoch-2.png"].parent.name == "targets"


def test_a_store_that_mlflow_cannot_open_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from wsseg.errors import InputError

    with pytest.raises(InputError, match="mlflow cannot record the run"):
        make(Tracker, "mlflow", uri="no-such-scheme://x").open(tmp_path, "first")


def test_wandb_writes_an_offline_run_into_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    record(make(Tracker, "wandb"), tmp_path)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (data,) = run.glob("*.wandb")
    expected = (b"lesion/loss", b"the targets collapsed", b"seed: 0")
    end = time.monotonic() + 30  # a process of wandb writes the file
    while not all(word in data.read_bytes() for word in expected):
        assert time.monotonic() < end, data.read_bytes()
        time.sleep(0.05)
    assert list(run.rglob("*.png"))


def test_a_picture_shows_slices_side_by_side_with_tinted_targets() -> None:
    image = torch.tensor([[[0.0, 100.0]], [[50.0, 100.0]]])  # two slices of 1 x 2 pixels
    targets = torch.tensor([[[[0, 1]]], [[[0, 0]]]])
    picture = target_picture(TargetSnapshot(image, torch.ones(2, 1, 2), targets))
    assert picture.tolist() == [
        [[0, 0, 0], [255, 198, 128], [128, 128, 128], [255, 255, 255]]  # (255 + 140) / 2 = 197.5
    ]


def test_a_picture_of_colour_slices_keeps_their_colours() -> None:
    image = torch.tensor([[[[0.0, 0.0, 100.0], [100.0, 0.0, 0.0]]]])  # blue, red
    targets = torch.zeros(1, 1, 1, 2)
    picture = target_picture(TargetSnapshot(image, torch.ones(1, 1, 2), targets))
    assert picture.tolist() == [[[0, 0, 255], [255, 0, 0]]]
