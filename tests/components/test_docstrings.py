"""The examples in the docstrings of components work."""

import doctest
from types import ModuleType

import pytest

from wsseg.components import (
    esteps,
    likelihood_losses,
    metrics,
    overlap_losses,
    tag_losses,
    weighted_sum,
)


@pytest.mark.parametrize(
    "module",
    [esteps, likelihood_losses, metrics, overlap_losses, tag_losses, weighted_sum],
)
def test_the_examples_in_the_docstrings_of_a_module_work(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0
