"""Random numbers of torch that depend only on given numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(device: torch.device, *words: int) -> Iterator[None]:
    """Seed torch's generators of the CPU and of `device` with `words` within the context.

    Their states are restored at the end. `words` are integers from 0 to 2^32 - 1; a trailing 0
    makes no difference.
    """
    seed = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if device.type == "cpu":  # quicker than manual_seed, which seeds every kind of device
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield
