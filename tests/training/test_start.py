"""The weights that a stage's network starts with: of an earlier stage, or of another run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import wsseg as api
from wsseg.config.recipe_files import load_recipe
from wsseg.config.stages import Start
from wsseg.errors import InputError
from wsseg.inference.network import load_matching_weights

if TYPE_CHECKING:
    from tests.conftest import Wsseg

STAGE = "stages.consolidation"
STILL = (
    f"{STAGE}.optimizer={{use: sgd, lr: 1.0e-30}}"  # so that the weights stay those of the start
)
SHORT = ("stages.infection.epochs=1", f"{STAGE}.epochs=1", STILL)


def weights(run: Path, stage: str) -> dict[str, Tensor]:
    return load_file(run / "stages" / stage / "weights.safetensors")


def train(wsseg: "Wsseg", recipe: Path, out: Path, *changes: str) -> str:
    words = [word for each in (*SHORT, *changes) for word in ("--set", each)]
    ended = wsseg("train", recipe, "--out", out, *words)
    assert ended.code == 0, ended.err
    return ended.err


def learnt(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights without statistics of batch norm, which change although the learning rate is 0."""
    return {name: each for name, each in tensors.items() if name.endswith(("weight", "bias"))}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name, each in one.items() if not torch.equal(each, other[name])}


def test_a_stage_starts_with_the_weights_of_an_earlier_stage(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    train(wsseg, toy_recipe, tmp_path / "a")
    train(wsseg, toy_recipe, tmp_path / "b", f"{STAGE}.start={{stage: infection}}")
    first, second = (
        learnt(weights(tmp_path / "a", each)) for each in ("infection", "consolidation")
    )
    assert not differing(first, second)
    assert not differing(learnt(weights(tmp_path / "b", "consolidation")), second)


def test_a_new_head_has_random_weights_and_all_other_layers_are_kept(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    start = f"{STAGE}.start={{stage: infection, head: new}}"
    log = train(wsseg, toy_recipe, tmp_path / "a", start)
    first, second = (
        learnt(weights(tmp_path / "a", each)) for each in ("infection", "consolidation")
    )
    assert differing(first, second) == {"body.net.head.weight", "body.net.head.bias"}
    assert "with random weights: body.net.head.weight, body.net.head.bias" in " ".join(log.split())


def test_a_stage_starts_with_the_weights_and_the_backbone_of_another_run(
    wsseg: "Wsseg", toy_recipe: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a"
    train(wsseg, toy_recipe, out, f"{STAGE}.start={{run: {trained}, stage: infection}}")
    source = learnt(weights(trained, "infection"))
    assert not differing(source, learnt(weights(out, "consolidation")))
    assert differing(source, learnt(weights(out, "infection")))
    files = json.loads((out / "manifest.json").read_text())["files"]
    (entry,) = [each for each in files if each["use"] == "weights"]
    assert entry["stage"] == "consolidation"
    assert entry["path"] == str(trained / "stages/infection/weights.safetensors")
    assert api.load_run(out).recipe.stages["consolidation"]


def test_starting_from_a_run_with_other_weights_gives_another_fingerprint(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    prints = []
    for seed in (1, 2):
        train(wsseg, toy_recipe, source, f"seed={seed}")
        out = tmp_path / f"out-{seed}"
        train(wsseg, toy_recipe, out, f"{STAGE}.start={{run: {source}, stage: infection}}")
        record = json.loads((out / "stages/consolidation/stage.json").read_text())
        prints.append(record["fingerprint"])
        source.rename(tmp_path / f"moved-{seed}")
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (
            "{run: RUN, stage: infektion}",
            ["no stage with a trained network", "Did you mean 'infection'?"],
        ),
        (
            "{run: RUN/none, stage: infection}",
            ["none: no stage with a trained network", "'infection'"],
        ),
        ("{stage: infektion}", ["'infektion' is unknown", "Did you mean 'infection'?"]),
        ("{stage: consolidation}", ["'consolidation' is unknown"]),
        ("{stage: infection, haed: new}", ["haed", "Did you mean 'head'?"]),
        ("{stage: infection, head: old}", ["start.head: 'old' is unknown; possible: new, trained"]),
    ],
)
def test_a_wrong_start_is_refused_before_any_training(
    wsseg: "Wsseg", toy_recipe: Path, trained: Path, tmp_path: Path, start: str, words: list[str]
) -> None:
    change = f"{STAGE}.start={start.replace('RUN', str(trained))}"
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "a", "--set", change)
    ended.refused(*words)
    assert not (tmp_path / "a" / "stages").exists()


class Headless(api.Backbone):
    """A backbone that does not name its last layers."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Conv2d(channels, classes, 1)


def test_a_new_head_needs_a_backbone_that_names_it(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe)
    stage = recipe.stages["consolidation"]
    settings = dict(stage) | {"start": Start(stage="infection", head="new")}
    type(stage).model_validate(settings)
    with pytest.raises(ValueError, match="the backbone does not name its last layers"):
        type(stage).model_validate(settings | {"backbone": Headless()})


def test_layers_whose_names_only_start_like_the_new_ones_are_kept() -> None:
    trained, network = (
        nn.ModuleDict({"head": nn.Linear(2, 2), "head2": nn.Linear(2, 2)}) for _ in range(2)
    )
    new = load_matching_weights(network, trained.state_dict(), "head")
    assert new == ["head.weight", "head.bias"]
    assert torch.equal(network.state_dict()["head2.weight"], trained.state_dict()["head2.weight"])


def test_a_network_for_another_number_of_classes_gets_a_new_head_automatically() -> None:
    trained, network = nn.Conv2d(4, 1, 1), nn.Conv2d(4, 2, 1)
    assert load_matching_weights(network, trained.state_dict()) == ["weight", "bias"]


def test_a_start_of_another_run_with_a_relative_path_is_relative_to_the_recipe(
    toy_text: str, tmp_path: Path
) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(toy_text.replace("start: infection", "start: {run: base, stage: infection}"))
    stage = load_recipe(path).stages["consolidation"]
    assert getattr(stage, "start", None) == Start(run=tmp_path / "base", stage="infection")


def test_an_unknown_key_of_start_is_reported_in_one_line(toy_recipe: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(toy_recipe, [f"{STAGE}.start={{stag: infection}}"])
    assert "start.stag: unknown key; possible: head, run, stage" in str(caught.value)
    assert "\n" not in str(caught.value)
