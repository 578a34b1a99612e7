"""The training alternatives do the same work as wsseg."""

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.speed.paper import (
    AUGMENT,
    RATE,
    Sizes,
    flop_per_slice,
    network,
    scans,
    shared_trainer,
    step_operations,
    write_scans,
)
from benchmarks.speed.plain_training import FILL_HU, SCALE_HU, PlainStep, PlainUNet
from wsseg.data.batches import Slices, epoch_draws, load_batches, split_into_batches
from wsseg.inference.network import BODY
from wsseg.training.events import StepDone

SMALL = Sizes(slices=3, pixels=32, width=2, batch=4)


def plain_twin(net: nn.Module) -> PlainUNet:
    """Return the plain network with the weights of `net`, in their order."""
    plain = PlainUNet(SMALL.slices, 1, SMALL.width)
    body = net.get_submodule(BODY)
    weights = zip(plain.state_dict(), body.state_dict().values(), strict=True)
    plain.load_state_dict(dict(weights))
    return plain


def test_the_plain_network_has_the_same_output_as_the_network_of_wsseg() -> None:
    ours = network(SMALL)
    image = FILL_HU + SCALE_HU * torch.rand(2, SMALL.slices, 32, 32)
    assert torch.allclose(
        ours(image[:, None]), plain_twin(ours)((image - FILL_HU) / SCALE_HU), rtol=1e-4, atol=1e-5
    )


def test_the_plain_step_has_the_same_loss_as_the_trainer(tmp_path: Path) -> None:
    write_scans(tmp_path, SMALL, batches=1)
    ours = shared_trainer("masks", SMALL, tmp_path)
    own = list(scans(tmp_path, labels=True))
    draws = split_into_batches(epoch_draws(own, "uniform", 0, 0), SMALL.batch)
    (_, batch, labels), *_ = load_batches(Slices(own, SMALL.input, AUGMENT), draws)
    assert labels is not None
    loss = PlainStep(plain_twin(network(SMALL)), RATE)(batch.image[:, 0], batch.region, labels)
    done = next(each for each in ours.run() if isinstance(each, StepDone))
    assert loss == pytest.approx(done.loss, abs=0.01)  # of bfloat16, where the CPU has it


def test_counted_operations_agree_with_a_calculation_by_hand() -> None:
    sizes = Sizes(slices=3, pixels=32, width=1, batch=1)
    # multiplications per pixel of the image, for all levels
    enter = 9 * (3 * 1 + (1 * 2 / 4) + (2 * 4 / 16) + (4 * 8 / 64))
    halve = 9 * (1 / 4 + 4 / 16 + 16 / 64 + 64 / 256)
    bottom = 9 * (8 * 16 + 16 * 16) / 256
    up = 4 * (16 * 8 / 256 + 8 * 4 / 64 + 4 * 2 / 16 + 2 * 1 / 4)
    join = 9 * 2 * (64 / 64 + 16 / 16 + 4 / 4 + 1)
    forward = 2 * 32**2 * (enter + halve + bottom + up + join + 1)
    first = 2 * 32**2 * 9 * 3  # the image needs no gradient
    assert flop_per_slice(sizes) == 3 * forward - first


def test_a_training_step_needs_the_operations_of_its_slices(tmp_path: Path) -> None:
    write_scans(tmp_path, SMALL, batches=5)
    work = step_operations(shared_trainer("masks", SMALL, tmp_path))
    assert work.flop == SMALL.batch * flop_per_slice(SMALL)


def test_a_step_reports_how_long_it_waited_for_its_batch(tmp_path: Path) -> None:
    write_scans(tmp_path, SMALL, batches=2)
    ours = shared_trainer("masks", SMALL, tmp_path)
    for done in ours.run():
        if isinstance(done, StepDone):
            assert 0 < done.waited_s < done.seconds
