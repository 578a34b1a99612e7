"""What a run will be written with is written and read once before the first step."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import Field

import wsseg as public
from wsseg.components.registry import Offer, registry

if TYPE_CHECKING:
    from tests.conftest import Wsseg


class Learnt(public.Prior):
    """Learns the mean of the image, in the type that `kind` names."""

    kind: str = "float32"
    mean: Any = None

    def __call__(self, batch: public.Batch) -> public.Probability:
        odds = (batch.middle - float(self.mean or 0)) / 100
        return odds.sigmoid().expand(batch.support.shape)

    def fit(self, batches: Any) -> "Learnt":
        mean = np.concatenate([each.middle.numpy().ravel() for each in batches]).mean()
        return self.model_copy(update={"mean": mean if self.kind == "float32" else [object()]})


class Level(StrEnum):
    LOW = "low"


class OfALevel(public.Prior):
    """Has a level that is written as text, but is not read from it."""

    level: Level = Field(default=Level.LOW, strict=True)

    def __call__(self, batch: public.Batch) -> public.Probability:
        return batch.support * 0.5


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer("learnt", public.Prior, Learnt, "test", "test 1.0")
    monkeypatch.setitem(registry().offers, (public.Prior, "learnt"), offer)


def changes(prior: str) -> list[str]:
    settings = [f"stages.consolidation.prior={prior}"]
    settings += [f"stages.{name}.epochs=1" for name in ("infection", "consolidation")]
    return [word for each in settings for word in ("--set", each)]


@pytest.mark.usefixtures("learnt")
def test_a_numpy_number_learnt_by_a_prior_is_saved_as_that_number(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", *changes("{use: learnt}"))
    assert ended.code == 0, ended.err
    stage = public.load_run(tmp_path / "run").pipeline.stages["consolidation"].stage
    mean = getattr(stage, "prior").mean  # noqa: B009 - of another kind of stage
    assert type(mean) is float
    assert mean == np.float32(mean)


@pytest.mark.usefixtures("learnt")
def test_a_prior_that_learns_a_value_that_cannot_be_saved_ends_training_before_the_first_step(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ended = wsseg("train", toy_recipe, "--out", out, *changes("{use: learnt, kind: object}"))
    ended.refused("Learnt", "'mean' cannot be saved")
    assert "stage infection" in ended.err
    assert '"consolidation"' not in (out / "log.jsonl").read_text()


@pytest.mark.parametrize("command", [("recipe", "check"), ("train",)])
def test_a_prior_whose_value_cannot_be_read_again_is_refused_before_anything_is_written(
    command: tuple[str, ...],
    wsseg: "Wsseg",
    toy_recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer = Offer("of-a-level", public.Prior, OfALevel, "test", "test 1.0")
    monkeypatch.setitem(registry().offers, (public.Prior, "of-a-level"), offer)
    out = ("--out", tmp_path / "run") if command == ("train",) else ()
    ended = wsseg(
        *command, toy_recipe, *out, "--set", "stages.consolidation.prior={use: of-a-level}"
    )
    ended.refused(
        "the recipe cannot be loaded after it is saved: stages.consolidation.prior.level: must",
        "Check the plugin: wsseg plugins check",
    )
    assert not (tmp_path / "run").exists()


def test_a_part_that_no_plugin_offers_is_refused_before_anything_is_written(
    toy_recipe: Path, tmp_path: Path
) -> None:
    recipe = public.load_recipe(toy_recipe)
    stage = recipe.stages["consolidation"].model_copy(update={"prior": Learnt()})
    changed = recipe.model_copy(update={"stages": recipe.stages | {"consolidation": stage}})
    with pytest.raises(public.InputError, match=r"stages\.consolidation\.prior: Learnt .*plugin"):
        public.train(changed, tmp_path / "run")
    assert not (tmp_path / "run").exists()
