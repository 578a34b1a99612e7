"""Messages of errors and warnings in the training of a stage.

`position` names the stage, the step and the epoch.
"""

from collections.abc import Iterable

from wsseg.training.monitoring import list_cases


def divergence_error(position: str, problem: str, cases: Iterable[str]) -> str:
    """Return an error about a step in which training diverged."""
    return (
        f"{position}: {problem}; {list_cases(cases)}.\n"
        "The newest saved state is intact. Lower the learning rate, or inspect these images"
    )


def validation_error(position: str, loss: float) -> str:
    """Return an error about a loss on the validation cases that is not finite."""
    return (
        f"{position}: the loss on the validation cases is {loss}.\nThe newest saved state is "
        "intact. Inspect these images"
    )


def empty_targets_error(position: str, slices: int, cases: Iterable[str]) -> str:
    """Return an error about an epoch without targets."""
    return (
        f"{position}: the targets of all {slices} slices of the epoch are empty "
        f"({list_cases(cases)}), so the network would learn to predict background only.\n"
        "The newest saved state is intact. Is the region empty, or the prior too strict?"
    )


def empty_regions_warning(position: str, slices: int, cases: Iterable[str]) -> str:
    """Return a warning about slices whose region is empty."""
    return (
        f"{position}: no region is left in {slices} slice{'s' * (slices != 1)} of "
        f"{list_cases(cases)}: augmentation moved it out of the image, or it is smaller than a "
        "pixel. Nothing is learnt from such slices"
    )
