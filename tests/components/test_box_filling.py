"""Boxes hold at least a share of their class, and nothing of it lies outside of them."""

import torch

from wsseg.components.box_filling import FillBoxes
from wsseg.components.esteps import HardEM, ProportionEM, SoftEM
from wsseg.core.batch import Batch, Evidence
from wsseg.core.class_relation import Multiclass, Multilabel
from wsseg.testing import check_estep
from wsseg.testing.samples import evidence_to_fit


def evidence(
    logits: list[list[float]], boxes: list[list[list[int]]], known: list[list[int]]
) -> Evidence:
    """One image of one row: logits and known pixels of each class, and each box of each class."""
    classes, width = len(logits), len(logits[0])
    region = torch.ones(1, 1, 1, width, dtype=torch.bool)
    planes = torch.tensor(boxes, dtype=torch.bool)[None, :, :, None]
    of_pixels = torch.tensor(known, dtype=torch.int8)[None, :, None]
    batch = Batch(
        torch.zeros(1, 1, 1, 1, width),
        region,
        torch.ones(1, classes, dtype=torch.bool),
        known=of_pixels,
        boxes=planes,
    )
    a = torch.tensor(logits)[None, :, None]
    return Evidence(batch, a, torch.full_like(a, 0.5), Multilabel())


def test_the_most_probable_pixels_of_each_box_get_its_class() -> None:
    """Two boxes of three pixels, of which a half, ceil(1.5) = 2, get the class in each."""
    one = evidence(
        [[-1, -3, -2, -9, -5, -6, -7]],
        [[[1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1]]],
        [[0, 0, 0, -1, 0, 0, 0]],
    )
    assert HardEM()(one).sum() == 0
    y = FillBoxes(share=0.5, estep=HardEM())(one)
    assert y[0, 0, 0].tolist() == [1, 0, 1, 0, 1, 1, 0]


def test_the_other_pixels_get_the_targets_of_the_other_estep() -> None:
    one = evidence([[0.0, -2.0, 1.0]], [[[1, 1, 0]]], [[0, 0, 0]])
    y = FillBoxes(share=0.5, estep=SoftEM())(one)
    expected = torch.tensor(
        [1, 1 / (1 + torch.tensor(2.0).exp()), 1 / (1 + torch.tensor(-1.0).exp())]
    )
    assert torch.allclose(y[0, 0, 0], expected)


def test_pixels_that_are_known_to_have_the_class_count() -> None:
    one = evidence([[-9.0, -1.0, -2.0, -3.0]], [[[1, 1, 1, 1]]], [[1, 0, -1, 0]])
    y = FillBoxes(share=0.5, estep=HardEM())(one)  # ceil(1.5) of the 3 pixels that are possible
    assert y[0, 0, 0].tolist() == [1, 1, 0, 0]


def test_boxes_of_exclusive_classes_that_overlap_get_different_pixels() -> None:
    one = evidence(
        [[-1.0, -2.0, -3.0], [-1.0, -2.0, -3.0]], [[[1, 1, 0]], [[1, 1, 0]]], [[0] * 3, [0] * 3]
    )
    exclusive = Evidence(one.batch, one.logits, one.phi, Multiclass())
    y = FillBoxes(share=0.5, estep=HardEM())(exclusive)
    assert y[0, :, 0].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_without_boxes_the_targets_are_those_of_the_other_estep() -> None:
    one = evidence([[-1.0, 1.0]], [[[0, 0]]], [[0, 0]])
    plain = Evidence(Batch(one.batch.image, one.batch.region, one.batch.tags), one.logits, one.phi)
    assert torch.equal(FillBoxes(share=1, estep=HardEM())(plain), HardEM()(plain))
    assert torch.equal(FillBoxes(share=1, estep=HardEM())(one), HardEM()(one))


def test_the_inner_estep_is_fitted() -> None:
    to_fit = evidence_to_fit(classes=1)
    fitted = FillBoxes(share=0.3, estep=ProportionEM()).fit([to_fit])
    assert fitted.estep == ProportionEM().fit([to_fit])
    check_estep(fitted, classes=1)
