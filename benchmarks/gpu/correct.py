"""Results on the device against those on the CPU."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.gpu.device import device, float32_fabric, tf32
from benchmarks.gpu.parts_of_recipes import components, loss_and_gradient, random_evidence, result
from benchmarks.gpu.steps import CoreStep, noise_batch
from benchmarks.speed.paper import Sizes, network, new_trainer, write_scans
from benchmarks.speed.timing import Measurement
from wsseg.core.interfaces import EStep, PixelLoss, TagLoss
from wsseg.training.events import StepDone

CPU = torch.device("cpu")
LEARN = ("masks", "em")
STEPS = 20


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Return ‖value - reference‖ / ‖reference‖, computed in float64 on the CPU."""
    value, reference = (each.detach().cpu().double() for each in (value, reference))
    return float((value - reference).norm() / reference.norm())


def logits(sizes: Sizes, where: torch.device, dtype: torch.dtype, *, training: bool) -> Tensor:
    """Return the logits of a new network for a batch of noise; autocast is to bfloat16 only."""
    kept = torch.float32 if dtype == torch.bfloat16 else dtype
    net = network(sizes).to(where, kept).train(training)
    image = noise_batch(sizes).batch.image.to(where, kept)
    with torch.no_grad(), torch.autocast(where.type, dtype, enabled=dtype == torch.bfloat16):
        found: Tensor = net(image)
    return found


def weights_after_steps(learn: str, sizes: Sizes, where: torch.device) -> Tensor:
    """Return all weights, as one vector, after steps in float64 on batches of noise."""
    step = CoreStep(learn, sizes, where, torch.float64)
    for number in range(STEPS):
        step(noise_batch(sizes, number, torch.float64).to(where))
    return torch.cat([each.detach().flatten() for each in step.network.parameters()])


def losses_of_trainer(learn: str, sizes: Sizes, folder: Path, where: torch.device) -> Tensor:
    """Return the loss of each step of the trainer, in float32, with loading and augmentation."""
    trainer = new_trainer(learn, sizes, folder, float32_fabric(where))
    done = (event for event in trainer.run() if isinstance(event, StepDone))
    return torch.tensor([event.loss for event in islice(done, STEPS)])


@dataclass(frozen=True)
class Correct:
    """Results on the GPU are compared with those on the CPU: ‖GPU - CPU‖ / ‖CPU‖.

    Logits are those of the paper's network for slices of noise, against float64 on the CPU. The
    weights are those of a smaller network after 20 steps of Adam in float64, the losses those of 20
    steps of the trainer in float32. E-steps and losses are all those that are installed, among them
    the conditional random field `smoothed`, with the examples of their parameters, for inputs in
    float64; of a loss, the value and the gradient are compared. TF32 is forbidden where it is not
    named.
    """

    sizes: Sizes = field(default_factory=lambda: Sizes(batch=2))
    steps: Sizes = field(default_factory=lambda: Sizes(slices=3, pixels=64, width=8, batch=4))

    def measure(self) -> Iterator[Measurement]:
        """Yield relative differences."""
        with tf32(allowed=False):
            yield from self._logits()
            yield from self._training()
            yield from self._parts()

    def _logits(self) -> Iterator[Measurement]:
        gpu, sizes = device(), self.sizes
        for training in (False, True):
            mode = "training" if training else "evaluation"
            exact = logits(sizes, CPU, torch.float64, training=training)
            error = relative_error(logits(sizes, gpu, torch.float32, training=training), exact)
            yield Measurement(f"logits, {mode}, float32", (error,), "", most=1e-4)
            with tf32(allowed=True):
                found = logits(sizes, gpu, torch.float32, training=training)
            error = relative_error(found, exact)
            yield Measurement(f"logits, {mode}, TF32", (error,), "", most=1e-2)
            error = relative_error(logits(sizes, gpu, torch.bfloat16, training=training), exact)
            yield Measurement(f"logits, {mode}, bfloat16", (error,), "", most=5e-2)

    def _training(self) -> Iterator[Measurement]:
        for learn in LEARN:
            here, there = (
                weights_after_steps(learn, self.steps, where) for where in (CPU, device())
            )
            error = relative_error(there, here)
            name = f"weights after {STEPS} steps in float64, learn: {learn}"
            yield Measurement(name, (error,), "", most=1e-6)
        for learn in LEARN:
            with TemporaryDirectory() as folder:
                write_scans(Path(folder), self.steps, STEPS + 1)
                here, there = (
                    losses_of_trainer(learn, self.steps, Path(folder), where)
                    for where in (CPU, device())
                )
            name = f"losses of {STEPS} steps of the trainer, learn: {learn}"
            yield Measurement(name, (relative_error(there, here),), "", most=1e-2)

    def _parts(self) -> Iterator[Measurement]:
        evidence = random_evidence()
        for kind in (EStep, PixelLoss, TagLoss):
            for name, part in components(kind):
                compute = result if kind is EStep else loss_and_gradient
                here, there = (compute(part, evidence, where) for where in (CPU, device()))
                about = f"{kind.__name__} {name}"
                yield Measurement(about, (relative_error(there, here),), "", most=1e-4)
