"""The cutoff with which predictions cover as much of the tagged regions as the targets."""

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Wsseg
from tests.training.small_em import CASES, EM, INPUT, SLICES, run_steps, trainer_of
from wsseg.components.registry import registry
from wsseg.config.stages import EmStage
from wsseg.core.class_relation import Multiclass, Multilabel
from wsseg.inference.checkpoint import read_weights
from wsseg.inference.folders import RunFolder
from wsseg.inference.mirroring import Direction, mean_over_mirrored
from wsseg.inference.network import SHIFT, load_matching_weights, new_network
from wsseg.training.cutoff import matching_shift
from wsseg.training.em import evaluation_logits
from wsseg.training.plain_slices import plain_batches

EVERYWHERE = torch.ones(5, 1, dtype=torch.bool)


def test_the_shift_lies_between_the_last_pixel_that_is_chosen_and_the_next() -> None:
    # the targets add up to 3: the shift is minus the mean of 0 and -1, the third and fourth logits
    logits, y = (
        torch.tensor(each)[:, None] for each in ([2.0, -1, 1, 0, -4], [1.0, 0.4, 1, 0.6, 0])
    )
    shift = matching_shift(logits, y, EVERYWHERE, Multilabel())
    assert shift.tolist() == [0.5]
    assert ((logits + shift) > 0).flatten().tolist() == [True, False, True, True, False]


def test_pixels_outside_the_support_do_not_count() -> None:
    logits, y = (
        torch.tensor([[9.0], [2], [1], [-1], [-3]]),
        torch.tensor([[0.0], [0.5], [0.5], [0], [0]]),
    )
    shift = matching_shift(
        logits, y, torch.tensor([[False], [True], [True], [True], [True]]), Multilabel()
    )
    assert shift.tolist() == [-1.5]


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_class_without_pixels_or_without_others_is_not_shifted(target: float) -> None:
    y = torch.full((5, 1), target)
    assert matching_shift(torch.randn(5, 1), y, EVERYWHERE, Multilabel()).tolist() == [0]


@given(st.integers(0, 2**31), st.sampled_from([Multilabel(), Multiclass()]))
def test_each_class_is_chosen_for_as_many_pixels_as_its_targets_add_up_to(
    seed: int, relation: Multilabel | Multiclass
) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(400, 2, generator=random)
    y = torch.rand(400, 2, generator=random) * torch.tensor([0.3, 0.9])
    shift = matching_shift(logits, y, torch.ones(400, 2, dtype=torch.bool), relation)
    chosen = relation.decide((logits + shift)[:, :, None, None]).sum((0, 2, 3))
    assert chosen.tolist() == pytest.approx(y.sum(0).round().tolist(), abs=2)


def test_a_network_adds_its_shift_only_when_it_predicts() -> None:
    stage = EmStage.model_validate(EM, context=registry())
    assert stage.backbone is not None
    network, image = new_network(stage.backbone, INPUT, 1, seed=0), torch.randn(2, 1, 3, 16, 16)
    trained = network.train()(image)
    predicted = network.eval()(image)
    network.get_buffer(SHIFT).fill_(2)
    torch.testing.assert_close(network(image), predicted + 2)
    torch.testing.assert_close(network.train()(image), trained)


def test_a_stage_does_not_start_with_the_shift_of_another() -> None:
    stage = EmStage.model_validate(EM, context=registry())
    assert stage.backbone is not None
    first, second = (new_network(stage.backbone, INPUT, 1, seed=seed) for seed in range(2))
    first.get_buffer(SHIFT).fill_(2)
    assert load_matching_weights(second, first.state_dict()) == []
    assert second.get_buffer(SHIFT).tolist() == [[[0]]]


@pytest.mark.parametrize("mirror", [(), ("left-right",)])
def test_the_predictions_of_tagged_slices_cover_as_much_as_their_targets(
    mirror: tuple[Direction, ...],
) -> None:
    estep = {"use": "proportion", "share": 0.3}
    trainer = trainer_of(cutoff="share", estep=estep, batch_size=6, mirror=mirror)
    run_steps(trainer, CASES * SLICES // 6 * 2)
    shift, network = trainer.shift_to_share(), trainer._weights.predicting
    assert shift is not None
    (batch,) = plain_batches(trainer._scans, INPUT)
    logits = mean_over_mirrored(partial(evaluation_logits, network), batch, mirror)
    predicted = logits + shift > 0
    assert predicted.float().mean().item() == pytest.approx(0.3, abs=0.002)


def test_a_stage_with_the_cutoff_of_one_half_has_no_shift() -> None:
    assert trainer_of().shift_to_share() is None


def test_the_command_says_how_the_log_odds_are_shifted_and_saves_it(
    wsseg: Wsseg, toy_recipe: Path, tmp_path: Path
) -> None:
    changes = (
        "stages.consolidation.cutoff=share",
        "stages.consolidation.estep={use: proportion, share: 0.1}",
        "stages.consolidation.prior={use: hu-sigmoid, midpoint_hu: -250, width_hu: 100, bias: 0}",
    )
    words = [word for each in changes for word in ("--set", each)]
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", *words)
    assert ended.code == 0, ended.err
    assert "log-odds shifted by" in ended.err
    folder = RunFolder(tmp_path / "run")
    assert read_weights(folder.stage("consolidation").weights)[SHIFT].abs().item() > 0.01
    assert read_weights(folder.stage("infection").weights)[SHIFT].item() == 0
