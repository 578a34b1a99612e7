"""Random numbers of torch that depend only on given numbers."""

import pytest
import torch

from wsseg.runtime.random_numbers import seeded

CPU = torch.device("cpu")
DEVICES = [
    CPU,
    pytest.param(
        torch.device("cuda", 0),
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    ),
]


@pytest.mark.parametrize("device", DEVICES)
def test_random_numbers_depend_only_on_the_words(device: torch.device) -> None:
    def drawn(*words: int) -> list[float]:
        with seeded(device, *words):
            numbers: list[float] = torch.rand(3, device=device).tolist()
        return numbers

    first = drawn(5, 0, 1)
    torch.rand(1, device=device)
    assert drawn(5, 0, 1) == first
    others = [drawn(5, 0, 2), drawn(5, 1, 1), drawn(6, 0, 1), drawn(2**32 - 1, 0, 1)]
    assert first not in others


@pytest.mark.parametrize("device", DEVICES)
def test_the_generators_continue_as_if_nothing_had_been_drawn(device: torch.device) -> None:
    torch.manual_seed(7)
    expected = torch.rand(2, device=device)
    torch.manual_seed(7)
    with seeded(device, 1, 2, 3):
        torch.rand(5, device=device)
    assert torch.equal(torch.rand(2, device=device), expected)


def test_the_generators_are_restored_after_an_error() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(CPU, 1):
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)
